//! Absolute addresses: every `href` starts with the configured base URL (bamboo-rest.md 1.1, 1.10).

use std::fmt;

use madake_domain::key::{JobResultKey, PlanKey, ProjectKey, ResultKey};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::node::Object;

/// What a path segment may not contain as it is.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Makes every link of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    base: String,
}

impl Links {
    /// Links under `base`, `http://ci.example` or `http://ci.example/bamboo`; a slash at its end is dropped.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// A resource of the main API; the segments are encoded. No segments give the root of the API.
    #[must_use]
    pub fn rest(&self, segments: &[&dyn fmt::Display]) -> String {
        self.path("/rest/api/latest", segments)
    }

    /// A web page; the segments are encoded.
    #[must_use]
    pub fn browse(&self, segments: &[&dyn fmt::Display]) -> String {
        self.path("/browse", segments)
    }

    /// `/rest/api/latest/plan/{key}`
    #[must_use]
    pub fn plan(&self, key: &PlanKey) -> String {
        self.rest(&[&"plan", key])
    }

    /// `/rest/api/latest/project/{key}`
    #[must_use]
    pub fn project(&self, key: &ProjectKey) -> String {
        self.rest(&[&"project", key])
    }

    /// `/rest/api/latest/result/{key}`
    #[must_use]
    pub fn result(&self, key: &ResultKey) -> String {
        self.rest(&[&"result", key])
    }

    /// `/rest/api/latest/result/{key}` of a job.
    #[must_use]
    pub fn job_result(&self, key: &JobResultKey) -> String {
        self.rest(&[&"result", key])
    }

    /// The page of a user, `/browse/user/{name}`.
    #[must_use]
    pub fn user_page(&self, name: &str) -> String {
        self.browse(&[&"user", &name])
    }

    /// The page of a result, `/browse/{key}`.
    #[must_use]
    pub fn result_page(&self, key: &ResultKey) -> String {
        self.browse(&[key])
    }

    /// The log of a job's result, `/download/{job}/build_logs/{job}-{number}.log` (bamboo-rest.md 5.8).
    #[must_use]
    pub fn log_file(&self, key: &JobResultKey) -> String {
        self.path("/download", &[&key.job, &"build_logs", &format!("{key}.log")])
    }

    /// A file of an artifact: `/browse/{result}/artifact/shared/{name}/{path}` when it is shared,
    /// `/browse/{result}/artifact/{job}/{name}/{path}` when it belongs to one job (bamboo-rest.md 5.9).
    /// The slashes of `path` stay.
    #[must_use]
    pub fn artifact(&self, result: &ResultKey, job: Option<&str>, name: &str, path: &str) -> String {
        let folder = job.unwrap_or("shared");
        let mut url = self.browse(&[result, &"artifact", &folder, &name]);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            push_segment(&mut url, segment);
        }
        url
    }

    fn path(&self, root: &str, segments: &[&dyn fmt::Display]) -> String {
        let mut url = format!("{}{root}", self.base);
        for segment in segments {
            push_segment(&mut url, &segment.to_string());
        }
        url
    }
}

/// A `link` object: `{"href":..,"rel":"self"}`.
#[must_use]
pub fn self_link(href: String) -> Object {
    link(href, "self")
}

/// A link object with any relation.
#[must_use]
pub fn link(href: String, relation: &'static str) -> Object {
    Object::new().attribute("href", href).attribute("rel", relation)
}

fn push_segment(url: &mut String, segment: &str) {
    url.push('/');
    url.extend(utf8_percent_encode(segment, SEGMENT));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_start_with_the_base_url_and_its_context_path() {
        let links = Links::new("http://ci.example:8085/bamboo/");
        let key: ResultKey = "PROJ-PLAN-7".parse().unwrap();
        assert_eq!(
            links.result(&key),
            "http://ci.example:8085/bamboo/rest/api/latest/result/PROJ-PLAN-7"
        );
        assert_eq!(links.rest(&[]), "http://ci.example:8085/bamboo/rest/api/latest");
    }

    #[test]
    fn names_of_users_and_files_are_encoded() {
        let links = Links::new("http://ci");
        let key: ResultKey = "PROJ-PLAN-7".parse().unwrap();
        assert_eq!(
            links.user_page("a/b <c>"),
            "http://ci/browse/user/a%2Fb%20%3Cc%3E"
        );
        assert_eq!(
            links.artifact(&key, None, "my jar", "out/ä?.jar"),
            "http://ci/browse/PROJ-PLAN-7/artifact/shared/my%20jar/out/%C3%A4%3F.jar"
        );
        assert_eq!(
            links.artifact(&key, Some("JOB1"), "x", ""),
            "http://ci/browse/PROJ-PLAN-7/artifact/JOB1/x"
        );
    }
}
