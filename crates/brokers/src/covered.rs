//! Settings as they are shown again, with their secrets covered, and as they come back from a form.

use crate::address::Address;
use crate::catalogue::{BrokerType, Field, FieldKind};
use crate::secret::COVER;
use crate::settings::{SettingProblem, Settings};

/// Settings for a page or an answer: secrets are covered, and so is a password inside an address. Settings that
/// the type does not know are left out.
#[must_use]
pub fn shown_settings(of: &BrokerType, stored: &Settings) -> Settings {
    known(of, stored)
        .map(|(field, value)| (field.name.to_owned(), shown(field, value)))
        .collect()
}

/// Settings that were shown, changed and sent back: what is still covered is taken from what is stored.
///
/// A stored secret is only kept while the addresses stay: whoever may change an address could otherwise have the
/// secret sent to a host of their own.
///
/// # Errors
/// The covered settings that must be written again.
pub fn uncovered_settings(
    of: &BrokerType,
    given: &Settings,
    stored: &Settings,
) -> Result<Settings, Vec<SettingProblem>> {
    let stored: Vec<_> = known(of, stored).collect();
    let value_of = |name: &str| {
        stored
            .iter()
            .find(|(field, _)| field.name == name)
            .map(|(_, value)| *value)
    };
    let keeps = |name: &str, value: &str| match (
        of.field(name),
        of.field(name).and_then(|field| value_of(field.name)),
    ) {
        (Some(field), Some(before)) => shown(field, before) == value,
        _ => false,
    };
    let moved = of.all_fields().filter(|field| is_address(field)).any(|field| {
        let before = value_of(field.name)
            .filter(|value| !value.is_empty())
            .unwrap_or(field.default);
        let after = known(of, given)
            .find(|(known, _)| known.name == field.name)
            .map(|(_, value)| value);
        let after = after.filter(|value| !value.is_empty()).unwrap_or(field.default);
        before != after && shown(field, before) != after
    });
    let mut whole = Settings::new();
    let mut problems = Vec::new();
    for (name, value) in given {
        let before = of.field(name).and_then(|field| value_of(field.name));
        match before.filter(|_| value.contains(COVER) && keeps(name, value)) {
            Some(before) if !moved => {
                whole.insert(name.clone(), before.to_owned());
            }
            None if !value.contains(COVER) => {
                whole.insert(name.clone(), value.clone());
            }
            _ => problems.push(SettingProblem {
                field: of.field(name).map_or_else(
                    || madake_formats::text::line(name, 100),
                    |field| field.name.to_owned(),
                ),
                sentence: if moved {
                    "must be written again, because an address has changed".to_owned()
                } else {
                    format!("holds `{COVER}` in place of a secret; write the secret again")
                },
            }),
        }
    }
    if problems.is_empty() {
        Ok(whole)
    } else {
        Err(problems)
    }
}

/// The same settings under the names of the catalogue, without empty ones and those that the type does not know.
#[must_use]
pub fn canonical_settings(of: &BrokerType, settings: &Settings) -> Settings {
    known(of, settings)
        .filter(|(_, value)| !value.is_empty())
        .map(|(field, value)| (field.name.to_owned(), value.to_owned()))
        .collect()
}

fn known<'a>(of: &'a BrokerType, settings: &'a Settings) -> impl Iterator<Item = (&'static Field, &'a str)> {
    settings
        .iter()
        .filter_map(|(name, value)| Some((of.field(name)?, value.as_str())))
}

fn is_address(field: &Field) -> bool {
    matches!(
        field.kind,
        FieldKind::Url | FieldKind::SecretUrl | FieldKind::TemplateLine
    )
}

fn shown(field: &Field, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    if field.kind.is_secret() {
        return COVER.to_owned();
    }
    let password = |address: &Address| {
        address
            .credentials()
            .is_some_and(|(_, password)| !password.is_empty())
    };
    let has_password = match Address::parse(value) {
        Ok(address) => password(&address),
        // A template is no address yet; whatever stands before an `@` is covered.
        Err(_) => field.kind == FieldKind::TemplateLine,
    };
    match (value.split_once("://"), is_address(field) && has_password) {
        (Some((scheme, rest)), true) => {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            match authority.rsplit_once('@') {
                Some((userinfo, host)) => {
                    let user = userinfo.split(':').next().unwrap_or_default();
                    format!("{scheme}://{user}:{COVER}@{host}{path}")
                }
                None => value.to_owned(),
            }
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{shown_settings, uncovered_settings};
    use crate::catalogue::find;
    use crate::settings::Settings;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_shown_comes_back_whole() {
        let jenkins = find("jenkins").unwrap();
        let stored = settings(&[
            ("endpoint", "https://mei:word@ci.example/x"),
            ("project_name", "harvest"),
            ("token", "t0ken"),
        ]);
        let mut shown = shown_settings(jenkins, &stored);
        assert_eq!(shown["endpoint"], "https://mei:********@ci.example/x");
        assert_eq!(shown["token"], "********");
        shown.insert("project_name".to_owned(), "other".to_owned());
        let whole = uncovered_settings(jenkins, &shown, &stored).unwrap();
        assert_eq!(whole["endpoint"], stored["endpoint"]);
        assert_eq!(
            (whole["token"].as_str(), whole["project_name"].as_str()),
            ("t0ken", "other")
        );
    }

    #[test]
    fn stored_secret_does_not_follow_to_another_host() {
        let jenkins = find("jenkins").unwrap();
        let stored = settings(&[
            ("endpoint", "https://mei:word@ci.example"),
            ("project_name", "harvest"),
            ("token", "t0ken"),
        ]);
        for endpoint in ["https://evil.example", "https://mei:********@evil.example"] {
            let given = settings(&[
                ("Endpoint", endpoint),
                ("project_name", "harvest"),
                ("token", "********"),
            ]);
            let problems = uncovered_settings(jenkins, &given, &stored).unwrap_err();
            assert!(
                problems.iter().any(|problem| problem.field == "token"),
                "{endpoint}: {problems:?}"
            );
        }
        // An address that was the default counts as well.
        let gitlab = find("gitlab").unwrap();
        let stored_there = settings(&[("project", "a/b"), ("token", "t0ken")]);
        let given = settings(&[
            ("base_url", "https://evil.example"),
            ("project", "a/b"),
            ("token", "********"),
        ]);
        assert!(uncovered_settings(gitlab, &given, &stored_there).is_err());
        let given = settings(&[("project", "a/c"), ("token", "********")]);
        assert_eq!(
            uncovered_settings(gitlab, &given, &stored_there).unwrap()["token"],
            "t0ken"
        );
        let given = settings(&[("Endpoint", "https://mei:word2@evil.example"), ("token", "new")]);
        assert_eq!(uncovered_settings(jenkins, &given, &stored).unwrap(), given);
    }

    #[test]
    fn cover_is_never_taken_for_a_secret() {
        let slack = find("slack").unwrap();
        let given = settings(&[("webhook_url", "********")]);
        assert!(uncovered_settings(slack, &given, &Settings::new()).is_err());
        assert_eq!(
            uncovered_settings(
                slack,
                &given,
                &settings(&[("webhook_url", "https://hooks.example/x")])
            )
            .unwrap()["webhook_url"],
            "https://hooks.example/x"
        );
    }
}
