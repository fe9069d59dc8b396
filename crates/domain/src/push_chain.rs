//! Builds that push for other plans' builds, which push again: the brake on plans that start each other for ever.
//!
//! What a build of the same plan pushed is never built (hostile-inputs.md L3). Across plans a push is a way to start
//! another on purpose, so it counts how many pushes of builds led to it, one behind the other.

use std::collections::BTreeSet;

/// How many pushes of builds may follow from one another, unless configured otherwise.
pub const PUSHES_IN_A_ROW: usize = 10;

/// How many builds are looked at for each push that may be in a row.
const BUILDS_FOR_EACH: usize = 20;

/// What started a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A push by the build with this key.
    Push(String),
    /// The build with this key itself: it was successful, or its release was deployed.
    Build(String),
    /// A person, a time, or a push by a person.
    Other,
}

/// The keys of the builds whose pushes led to the push by `last`, the first one first and `last` itself last. It ends
/// at `limit` pushes, at a build that nothing of this kind started, and at one that was there already.
///
/// # Errors
/// What `cause_of` cannot find out.
pub fn pushes_that_led_here<E>(
    last: &str,
    limit: usize,
    cause_of: &mut dyn FnMut(&str) -> Result<Cause, E>,
) -> Result<Vec<String>, E> {
    let mut pushing = vec![last.to_owned()];
    let mut seen = BTreeSet::from([last.to_owned()]);
    let mut build = last.to_owned();
    while pushing.len() < limit && seen.len() < limit.saturating_mul(BUILDS_FOR_EACH) {
        let (before, pushed) = match cause_of(&build)? {
            Cause::Push(before) => (before, true),
            Cause::Build(before) => (before, false),
            Cause::Other => break,
        };
        if !seen.insert(before.clone()) {
            break;
        }
        if pushed {
            pushing.push(before.clone());
        }
        build = before;
    }
    pushing.reverse();
    Ok(pushing)
}

/// Why what the last of these builds pushed is not built, where so many pushes in a row are too many. A `limit` of 0 is none.
#[must_use]
pub fn refusal(pushing: &[String], limit: usize) -> Option<String> {
    if limit == 0 || pushing.len() < limit {
        return None;
    }
    let chain = pushing.join(" -> ");
    Some(format!(
        "not built, because {} pushes of builds in a row led here, each starting the next build ({chain}): plans that push \
         for each other never end; start a build by hand if it is wanted",
        pushing.len()
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn chain(causes: &[(&str, Cause)], last: &str, limit: usize) -> Vec<String> {
        let mut cause_of = |build: &str| {
            let found = causes.iter().find(|(of, _)| *of == build);
            Ok::<_, Infallible>(found.map_or(Cause::Other, |(_, cause)| cause.clone()))
        };
        let Ok(found) = pushes_that_led_here(last, limit, &mut cause_of);
        found
    }

    #[test]
    fn pushes_are_counted_back_to_a_person() {
        let push = |build: &str| Cause::Push(build.to_owned());
        let parent = |build: &str| Cause::Build(build.to_owned());
        let causes = [
            ("P-B-1", push("P-A-1")),
            ("P-A-2", push("P-B-1")),
            ("P-C-1", parent("P-A-2")),
            ("P-D-1", push("P-C-1")),
            ("P-X-1", push("P-Y-1")),
            ("P-Y-1", push("P-X-1")),
        ];
        for (last, limit, expected) in [
            ("P-A-1", 10, vec!["P-A-1"]),
            ("P-B-1", 10, vec!["P-A-1", "P-B-1"]),
            ("P-A-2", 10, vec!["P-A-1", "P-B-1", "P-A-2"]),
            ("P-A-2", 2, vec!["P-B-1", "P-A-2"]),
            ("P-C-1", 10, vec!["P-A-1", "P-B-1", "P-C-1"]),
            ("P-D-1", 10, vec!["P-A-1", "P-B-1", "P-C-1", "P-D-1"]),
            ("P-X-1", 10, vec!["P-Y-1", "P-X-1"]),
        ] {
            assert_eq!(chain(&causes, last, limit), expected, "{last} {limit}");
        }
    }

    #[test]
    fn too_many_pushes_in_a_row_are_refused_with_their_way() {
        let pushing: Vec<String> = (1..=3).map(|number| format!("P-A-{number}")).collect();
        for (limit, refused) in [(0, false), (4, false), (3, true), (1, true)] {
            assert_eq!(refusal(&pushing, limit).is_some(), refused, "{limit}");
        }
        let sentence = refusal(&pushing, 3).expect("refused");
        assert!(sentence.contains("P-A-1 -> P-A-2 -> P-A-3"), "{sentence}");
    }

    proptest! {
        /// Whatever starts what: the way is bounded, has no build twice, and ends with the one that was asked about.
        #[test]
        fn every_web_of_builds_has_a_bounded_way(
            causes in proptest::collection::vec((0_usize..30, 0_usize..3), 30),
            last in 0_usize..30,
            limit in 1_usize..12,
        ) {
            let mut asked = 0;
            let mut cause_of = |build: &str| {
                asked += 1;
                let (before, kind) = causes[build.parse::<usize>().expect("a number")];
                Ok::<_, Infallible>(match kind {
                    0 => Cause::Push(before.to_string()),
                    1 => Cause::Build(before.to_string()),
                    _ => Cause::Other,
                })
            };
            let Ok(found) = pushes_that_led_here(&last.to_string(), limit, &mut cause_of);
            prop_assert!(found.len() <= limit);
            prop_assert!(asked <= limit * BUILDS_FOR_EACH);
            prop_assert_eq!(found.last(), Some(&last.to_string()));
            let distinct: BTreeSet<&String> = found.iter().collect();
            prop_assert_eq!(distinct.len(), found.len());
        }
    }
}
