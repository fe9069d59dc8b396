//! Request parameters as clients really send them, from the query and from bodies (bamboo-rest.md 1.3, 1.6).

/// At most so many parameters of one request are kept.
const MAX_PARAMETERS: usize = 2_000;
/// What marks a parameter as a variable of the build.
const VARIABLE_PREFIX: &str = "bamboo.variable.";

/// The parameters of a request. Those of the query win over those of a form body; a name that nobody asks
/// for is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
}

/// A body in a format that the resource does not read; it is answered with 415.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "body is neither empty nor a form; send parameters in the query or as application/x-www-form-urlencoded"
)]
pub struct UnsupportedBody;

impl Parameters {
    /// The parameters of a query string, without its question mark.
    #[must_use]
    pub fn from_query(query: Option<&str>) -> Self {
        Self {
            query: pairs(query.unwrap_or_default().as_bytes()),
            form: Vec::new(),
        }
    }

    /// Adds those of a body.
    ///
    /// Clients send a content type of JSON with no body at all, `{}`, `""`, or bare form keys, so an empty
    /// or trivially empty body is fine under any content type, and a body without one is a form.
    ///
    /// # Errors
    /// When the body has content in a format other than a form.
    pub fn with_body(mut self, content_type: Option<&str>, body: &[u8]) -> Result<Self, UnsupportedBody> {
        let body = body.trim_ascii();
        if matches!(body, b"" | b"{}" | b"[]" | b"\"\"" | b"null") {
            return Ok(self);
        }
        let media_type = content_type
            .and_then(|text| text.split(';').next())
            .map(str::trim);
        let is_form = match media_type {
            None | Some("") => true,
            Some(name) => {
                name.eq_ignore_ascii_case("application/x-www-form-urlencoded")
                    || name.eq_ignore_ascii_case("text/plain")
            }
        };
        if !is_form {
            return Err(UnsupportedBody);
        }
        self.form = pairs(body);
        Ok(self)
    }

    /// The first value that is not empty; a bare name counts as absent.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values(name).find(|value| !value.is_empty())
    }

    /// All values of a name, each split at commas: `label=a,b&label=c` gives three.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.values(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// Whether the name is there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// A flag that a bare name switches **on**: `favourite`, `cloverEnabled`, `showEmpty`, `enabledOnly`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or_else(|| self.has(name))
    }

    /// A flag that only `true`, in any case, switches on; a bare name is **off**: `executeAllStages`.
    #[must_use]
    pub fn explicit_flag(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or(false)
    }

    /// `true` or anything else, where absent and bare differ from `false`: `enabled` of a new branch.
    #[must_use]
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name)
            .map(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// The variables of the build, `bamboo.variable.NAME=VALUE`, without their prefix and in the order in
    /// which they were given. A name given twice keeps its first value, that of the query before the form's.
    #[must_use]
    pub fn variables(&self) -> Vec<(&str, &str)> {
        self.collect_variables(self.query.iter().chain(&self.form))
    }

    /// The variables of the query alone, for the resource that reads no form (bamboo-rest.md 6.1, PUT).
    #[must_use]
    pub fn query_variables(&self) -> Vec<(&str, &str)> {
        self.collect_variables(self.query.iter())
    }

    /// The query without the given names, encoded again, for links to other pages of the same list.
    #[must_use]
    pub fn query_without(&self, names: &[&str]) -> String {
        let kept = self
            .query
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .chain(&self.form)
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn collect_variables<'a>(
        &self,
        pairs: impl Iterator<Item = &'a (String, String)>,
    ) -> Vec<(&'a str, &'a str)> {
        let mut seen = std::collections::HashSet::new();
        pairs
            .filter_map(|(key, value)| Some((key.strip_prefix(VARIABLE_PREFIX)?, value.as_str())))
            .filter(|(name, _)| !name.is_empty() && seen.insert(*name))
            .collect()
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded)
        .take(MAX_PARAMETERS)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Parameters {
        Parameters::from_query(Some(text))
    }

    #[test]
    fn booleans_follow_the_habits_of_clients() {
        let rows = [
            ("x=true", true, true),
            ("x=True", true, true),
            ("x=TRUE", true, true),
            ("x=false", false, false),
            ("x=False", false, false),
            ("x=1", false, false),
            ("x", true, false),
            ("x=", true, false),
            ("", false, false),
            ("X=true", false, false),
        ];
        for (text, flag, explicit) in rows {
            assert_eq!(query(text).flag("x"), flag, "{text}");
            assert_eq!(query(text).explicit_flag("x"), explicit, "{text}");
        }
        assert_eq!(query("enabled").boolean("enabled"), None);
        assert_eq!(query("enabled=false").boolean("enabled"), Some(false));
    }

    #[test]
    fn bare_and_empty_texts_count_as_absent() {
        let parameters = query("stage&executeAllStages&customRevision=");
        assert_eq!(parameters.text("stage"), None);
        assert_eq!(parameters.text("customRevision"), None);
        assert!(!parameters.explicit_flag("executeAllStages"));
        assert_eq!(query("stage=Unit%20Tests").text("stage"), Some("Unit Tests"));
        assert_eq!(query("stage=Unit+Tests").text("stage"), Some("Unit Tests"));
    }

    #[test]
    fn repeated_names_and_comma_lists_mean_the_same() {
        assert_eq!(query("label=a&label=b").list("label"), ["a", "b"]);
        assert_eq!(query("label=a,%20b,&x=y&label=c").list("label"), ["a", "b", "c"]);
        assert!(query("label").list("label").is_empty());
    }

    #[test]
    fn query_wins_over_the_form() {
        let parameters = query("bamboo.variable.a=1&bamboo.variable.empty=&stage=Q")
            .with_body(
                Some("application/x-www-form-urlencoded; charset=UTF-8"),
                b"bamboo.variable.a=2&bamboo.variable.b=x%3Dy&bamboo.variable.empty=no&stage=F&other=1",
            )
            .unwrap();
        assert_eq!(parameters.variables(), [("a", "1"), ("empty", ""), ("b", "x=y")]);
        assert_eq!(parameters.query_variables(), [("a", "1"), ("empty", "")]);
        assert_eq!(parameters.text("stage"), Some("Q"));
    }

    #[test]
    fn trivially_empty_bodies_are_accepted_under_any_content_type() {
        for content_type in [None, Some("application/json"), Some("text/xml"), Some("")] {
            for body in ["", " \r\n", "{}", "\"\"", "null", "[]", " {} \n"] {
                let parameters = query("stage=A").with_body(content_type, body.as_bytes());
                assert_eq!(parameters, Ok(query("stage=A")), "{content_type:?} {body:?}");
            }
        }
    }

    #[test]
    fn form_bodies_from_the_wild_are_tolerated() {
        for content_type in [
            None,
            Some("application/x-www-form-urlencoded"),
            Some("text/plain"),
        ] {
            let parameters = query("")
                .with_body(content_type, b"ARTIFACT1&ExecuteAllStages")
                .unwrap();
            assert!(!parameters.explicit_flag("executeAllStages"));
            assert!(parameters.variables().is_empty());
        }
    }

    #[test]
    fn bodies_with_content_in_another_format_are_refused() {
        for (content_type, body) in [
            ("application/json", "{\"stage\":\"A\"}"),
            ("application/xml", "<a/>"),
            ("multipart/form-data; boundary=x", "--x"),
        ] {
            let refused = query("").with_body(Some(content_type), body.as_bytes());
            assert_eq!(refused, Err(UnsupportedBody), "{content_type}");
        }
    }

    #[test]
    fn oversized_queries_are_cut() {
        let many = "a=1&".repeat(MAX_PARAMETERS + 10);
        assert_eq!(query(&many).list("a").len(), MAX_PARAMETERS);
    }
}
