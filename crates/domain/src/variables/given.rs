//! Variables that a person gives to a build, at its start or with a stage that waited for one, beside those that jobs
//! hand on. The last assignment wins, as on Atlassian's page about the variables task.

use serde::{Deserialize, Serialize};

/// A variable that a person gave to a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenVariable {
    /// The name, as it was given.
    pub name: String,
    /// The value.
    pub value: String,
    /// The index of the first stage that ran with it. Rows of earlier versions are pairs without it: given at the start.
    #[serde(default)]
    pub stage: usize,
}

impl GivenVariable {
    /// The name without a `bamboo.` in front.
    #[must_use]
    pub fn plain_name(&self) -> &str {
        self.name.strip_prefix("bamboo.").unwrap_or(&self.name)
    }
}

/// Those of a build after some more were given to run it on from this stage: one value for each name.
#[must_use]
pub fn give(mut given: Vec<GivenVariable>, more: &[(String, String)], stage: usize) -> Vec<GivenVariable> {
    for (name, value) in more {
        let new = GivenVariable {
            name: name.clone(),
            value: value.clone(),
            stage,
        };
        given.retain(|known| known.plain_name() != new.plain_name());
        given.push(new);
    }
    given
}

/// Whether a person replaced what a job of this stage handed on: the value was given when a later stage was let run. Of a
/// stage that is run again, what its jobs hand on counts.
#[must_use]
pub fn is_replaced(name: &str, made_in_stage: usize, given: &[GivenVariable]) -> bool {
    given
        .iter()
        .any(|one| one.plain_name() == name && one.stage > made_in_stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, stage: usize) -> GivenVariable {
        GivenVariable {
            name: name.into(),
            value: "by hand".into(),
            stage,
        }
    }

    #[test]
    fn last_assignment_wins() {
        for (given_at, made_in, replaced) in [
            (0, 0, false),
            (0, 1, false),
            (1, 0, true),
            (1, 1, false),
            (2, 0, true),
            (2, 1, true),
            (1, 2, false),
        ] {
            for name in ["inject.version", "bamboo.inject.version"] {
                let all = [given("other", 9), given(name, given_at)];
                let found = is_replaced("inject.version", made_in, &all);
                assert_eq!(found, replaced, "given with stage {given_at}, made in {made_in}");
            }
        }
        assert!(!is_replaced("version", 0, &[given("inject.version", 1)]));
    }

    #[test]
    fn value_that_is_given_again_stands_in_place_of_the_earlier_one() {
        let more = [("bamboo.a".to_owned(), "new".to_owned())];
        let all = give(vec![given("a", 0), given("b", 0)], &more, 2);
        let shown: Vec<_> = all.iter().map(|one| (&*one.name, one.stage)).collect();
        assert_eq!(shown, [("b", 0), ("bamboo.a", 2)]);
    }

    #[test]
    fn pairs_of_earlier_versions_are_read_as_given_at_the_start() {
        let read: Vec<GivenVariable> = serde_json::from_str(r#"[["a", "by hand"]]"#).expect("pairs");
        assert_eq!(read, [given("a", 0)]);
        let text = serde_json::to_string(&[given("a", 3)]).expect("JSON");
        let again: Vec<GivenVariable> = serde_json::from_str(&text).expect("objects");
        assert_eq!(again, [given("a", 3)]);
    }
}
