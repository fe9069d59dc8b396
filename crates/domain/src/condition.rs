//! Conditions of a trigger: the four ideas of origin 000 (who, how many commits, what time, which day) and
//! Bamboo's green plans. Each gives a verdict with its inputs, so that the ledger can say why.
//!
//! What they mean:
//!
//! - *Committers* holds when the pusher, or the author of **any** new commit, is listed (name, user name or
//!   e-mail address, without regard to case). A listed person whose commit arrives together with somebody
//!   else's still gets a build; the other reading ("every author") would lose it as soon as a colleague's
//!   commit is merged in. Authors are what the commit says, so this is a convenience and no protection.
//!   Where neither pusher nor authors are known it fails.
//! - *Minimum commits* counts the commits since the last revision that was **built**, not since the last push,
//!   so that small pushes add up. Where the number is not known it holds: no build is lost to ignorance.
//! - *Time window* includes its first minute and excludes its last; an end before the start goes over midnight;
//!   equal ends mean the whole day. The time of day is the one on the wall in the time zone.
//! - *Weekdays* go from Monday, 1, to Sunday, 7, in the time zone.
//! - *Green plan* holds while the latest finished result of each named plan is successful. A plan that does not
//!   exist or has no result is not green.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::key::PlanKey;
use crate::plan::TriggerCondition;
use crate::text::inert;

/// A person as a push or a commit names one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The name, or the user name.
    pub name: String,
    /// The e-mail address, where one is known.
    pub email: Option<String>,
}

impl Person {
    fn is_listed(&self, names: &[String]) -> bool {
        let listed = |text: &str| {
            let text = text.trim().to_lowercase();
            !text.is_empty() && names.iter().any(|name| name.trim().to_lowercase() == text)
        };
        listed(&self.name) || self.email.as_deref().is_some_and(listed)
    }

    fn shown(&self) -> String {
        match &self.email {
            Some(email) => format!("{} <{}>", inert(&self.name, 60), inert(email, 80)),
            None => inert(&self.name, 60),
        }
    }
}

/// How the latest finished result of a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatestResult {
    /// The last build that finished was successful.
    Successful,
    /// It was not.
    Failed,
    /// No build has finished.
    NeverBuilt,
}

/// What conditions look at.
#[derive(Clone, Copy)]
pub struct ConditionInputs<'a> {
    /// The moment of the decision.
    pub now: Timestamp,
    /// The server's time zone.
    pub server_zone: &'a TimeZone,
    /// Finds a time zone by its name; the time zone database is the caller's.
    pub zone_named: &'a dyn Fn(&str) -> Option<TimeZone>,
    /// Who pushed, where that is known.
    pub pusher: Option<&'a Person>,
    /// The authors of the new commits; `None`: not known.
    pub authors: Option<&'a [Person]>,
    /// The number of commits since the last revision that was built; `None`: not known.
    pub commits_since_build: Option<usize>,
    /// The latest results of the plans that green-plan conditions name; a plan that is not in it does not exist.
    pub latest_results: &'a BTreeMap<PlanKey, LatestResult>,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails {
        /// Why, as the end of a sentence that starts with "not built, because".
        reason: String,
        /// The change stays open: what is refused now counts again at another time of day, when another plan has
        /// turned green, or together with the next commits.
        may_hold_later: bool,
    },
}

/// A condition that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The condition's name as plan files write it, such as `time-window`.
    pub name: &'static str,
    /// What it asked for and what it saw.
    pub input: String,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// Evaluates one condition.
#[must_use]
pub fn evaluate(condition: &TriggerCondition, inputs: &ConditionInputs<'_>) -> Evaluation {
    match condition {
        TriggerCondition::Committers { names } => committers(names, inputs),
        TriggerCondition::MinimumCommits { count } => minimum_commits(*count, inputs),
        TriggerCondition::TimeWindow {
            from_minute,
            until_minute,
            time_zone,
        } => time_window(*from_minute, *until_minute, time_zone.as_deref(), inputs),
        TriggerCondition::Weekdays { days, time_zone } => weekdays(days, time_zone.as_deref(), inputs),
        TriggerCondition::GreenPlan { plans } => green_plan(plans, inputs),
    }
}

fn verdict(holds: bool, may_hold_later: bool, reason: impl FnOnce() -> String) -> Verdict {
    if holds {
        Verdict::Holds
    } else {
        Verdict::Fails {
            reason: reason(),
            may_hold_later,
        }
    }
}

fn some_of(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(SHOWN);
    items.truncate(SHOWN);
    let text = items.join(", ");
    match more {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn committers(names: &[String], inputs: &ConditionInputs<'_>) -> Evaluation {
    let listed = some_of(names.iter().map(|name| inert(name, 60)));
    let pusher = inputs.pusher.map_or("not known".to_owned(), Person::shown);
    let authors = match inputs.authors {
        None => "not known".to_owned(),
        Some([]) => "no new commits".to_owned(),
        Some(authors) => {
            let mut shown: Vec<String> = authors.iter().map(Person::shown).collect();
            shown.sort();
            shown.dedup();
            some_of(shown.into_iter())
        }
    };
    let holds = inputs.pusher.is_some_and(|person| person.is_listed(names))
        || inputs
            .authors
            .is_some_and(|authors| authors.iter().any(|person| person.is_listed(names)));
    Evaluation {
        name: "committers",
        input: format!("listed: {listed}; pusher: {pusher}; authors: {authors}"),
        verdict: verdict(holds, false, || {
            format!(
                "neither the pusher ({pusher}) nor an author of the new commits ({authors}) is one of {listed}"
            )
        }),
    }
}

fn minimum_commits(count: u32, inputs: &ConditionInputs<'_>) -> Evaluation {
    let found = inputs.commits_since_build;
    let shown = found.map_or("not known".to_owned(), |found| found.to_string());
    let enough = found.is_none_or(|found| u32::try_from(found).unwrap_or(u32::MAX) >= count);
    Evaluation {
        name: "minimum-commits",
        input: format!("at least {count}; since the last built revision: {shown}"),
        verdict: verdict(enough, true, || {
            format!("only {shown} of at least {count} commits have come since the last built revision")
        }),
    }
}

/// The moment in the time zone that a condition names, or the reason why it cannot be told.
fn local(zone: Option<&str>, inputs: &ConditionInputs<'_>) -> Result<Zoned, String> {
    let zone = match zone {
        None => inputs.server_zone.clone(),
        Some(name) => (inputs.zone_named)(name)
            .ok_or_else(|| format!("this server does not know the time zone {}", inert(name, 60)))?,
    };
    Ok(inputs.now.to_zoned(zone))
}

fn time_of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn unknown_zone(name: &'static str, reason: String) -> Evaluation {
    Evaluation {
        name,
        input: reason.clone(),
        verdict: Verdict::Fails {
            reason,
            may_hold_later: true,
        },
    }
}

fn zone_name(now: &Zoned) -> String {
    now.time_zone()
        .iana_name()
        .map_or_else(|| now.offset().to_string(), ToOwned::to_owned)
}

fn time_window(from: u16, until: u16, zone: Option<&str>, inputs: &ConditionInputs<'_>) -> Evaluation {
    const NAME: &str = "time-window";
    let now = match local(zone, inputs) {
        Ok(now) => now,
        Err(reason) => return unknown_zone(NAME, reason),
    };
    let minute = u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
    let inside = match from.cmp(&until) {
        std::cmp::Ordering::Less => (from..until).contains(&minute),
        std::cmp::Ordering::Greater => minute >= from || minute < until,
        std::cmp::Ordering::Equal => true,
    };
    let (from, until, clock, zone) = (
        time_of_day(from),
        time_of_day(until),
        time_of_day(minute),
        zone_name(&now),
    );
    Evaluation {
        name: NAME,
        input: format!("from {from} until {until}; it is {clock} in {zone}"),
        verdict: verdict(inside, true, || {
            format!("it is {clock} in {zone} and the trigger builds from {from} until {until}")
        }),
    }
}

fn weekdays(days: &[u8], zone: Option<&str>, inputs: &ConditionInputs<'_>) -> Evaluation {
    const NAME: &str = "weekdays";
    const NAMES: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let now = match local(zone, inputs) {
        Ok(now) => now,
        Err(reason) => return unknown_zone(NAME, reason),
    };
    let name_of = |day: u8| {
        NAMES
            .get(usize::from(day).wrapping_sub(1))
            .map_or_else(|| format!("day {day}"), ToString::to_string)
    };
    let today = now.weekday().to_monday_one_offset().unsigned_abs();
    let (listed, today_name, zone) = (
        some_of(days.iter().map(|day| name_of(*day))),
        name_of(today),
        zone_name(&now),
    );
    Evaluation {
        name: NAME,
        input: format!("on {listed}; it is {today_name} in {zone}"),
        verdict: verdict(days.contains(&today), true, || {
            format!("it is {today_name} in {zone} and the trigger builds on {listed}")
        }),
    }
}

fn green_plan(plans: &[PlanKey], inputs: &ConditionInputs<'_>) -> Evaluation {
    let state = |plan: &PlanKey| match inputs.latest_results.get(plan) {
        Some(LatestResult::Successful) => "successful",
        Some(LatestResult::Failed) => "not successful",
        Some(LatestResult::NeverBuilt) => "never built",
        None => "no such plan",
    };
    let shown = |plan: &PlanKey| format!("{plan}: {}", state(plan));
    let not_green: Vec<&PlanKey> = plans
        .iter()
        .filter(|plan| inputs.latest_results.get(*plan) != Some(&LatestResult::Successful))
        .collect();
    Evaluation {
        name: "green-plan",
        input: some_of(plans.iter().map(shown)),
        verdict: verdict(not_green.is_empty(), true, || {
            format!(
                "the trigger needs green plans ({})",
                some_of(not_green.iter().map(|plan| shown(plan)))
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }

    fn person(name: &str, email: &str) -> Person {
        Person {
            name: name.into(),
            email: (!email.is_empty()).then(|| email.into()),
        }
    }

    struct Scene {
        now: &'static str,
        pusher: Option<Person>,
        authors: Option<Vec<Person>>,
        commits: Option<usize>,
        results: BTreeMap<PlanKey, LatestResult>,
    }

    impl Default for Scene {
        fn default() -> Self {
            Self {
                now: "2024-02-01T16:30:00Z", // a Thursday; 17:30 in Berlin
                pusher: None,
                authors: None,
                commits: None,
                results: BTreeMap::new(),
            }
        }
    }

    fn look(condition: &TriggerCondition, scene: &Scene) -> Evaluation {
        evaluate(
            condition,
            &ConditionInputs {
                now: scene.now.parse().expect("a time"),
                server_zone: &zone("Europe/Berlin").expect("a zone"),
                zone_named: &zone,
                pusher: scene.pusher.as_ref(),
                authors: scene.authors.as_deref(),
                commits_since_build: scene.commits,
                latest_results: &scene.results,
            },
        )
    }

    fn holds(condition: &TriggerCondition, scene: &Scene) -> bool {
        look(condition, scene).verdict == Verdict::Holds
    }

    #[test]
    fn committers_hold_for_a_listed_pusher_or_any_listed_author() {
        let condition = TriggerCondition::Committers {
            names: vec!["joe".into(), "Ann@Example.org".into()],
        };
        let joe = || person("Joe", "");
        let ann = || person("Ann Lee", "ann@example.org");
        let eve = || person("Eve", "eve@example.org");
        let rows = [
            (Some(joe()), None, true),
            (Some(eve()), Some(vec![ann()]), true),
            (None, Some(vec![eve(), joe()]), true),
            (Some(eve()), Some(vec![eve()]), false),
            (Some(eve()), None, false),
            (None, Some(vec![]), false),
            (None, None, false),
            (Some(person("", "")), None, false),
        ];
        for (pusher, authors, expected) in rows {
            let scene = Scene {
                pusher,
                authors,
                ..Scene::default()
            };
            let found = look(&condition, &scene);
            assert_eq!(found.verdict == Verdict::Holds, expected, "{}", found.input);
        }
        let found = look(
            &condition,
            &Scene {
                pusher: Some(eve()),
                authors: Some(vec![eve(), eve()]),
                ..Scene::default()
            },
        );
        assert_eq!(
            found.verdict,
            Verdict::Fails {
                reason: "neither the pusher (Eve <eve@example.org>) nor an author of the new commits \
                         (Eve <eve@example.org>) is one of joe, Ann@Example.org"
                    .into(),
                may_hold_later: false
            }
        );
    }

    #[test]
    fn minimum_commits_count_since_the_last_build() {
        let condition = TriggerCondition::MinimumCommits { count: 3 };
        for (commits, expected) in [
            (Some(0), false),
            (Some(2), false),
            (Some(3), true),
            (Some(9), true),
            (None, true),
        ] {
            assert_eq!(
                holds(
                    &condition,
                    &Scene {
                        commits,
                        ..Scene::default()
                    }
                ),
                expected,
                "{commits:?}"
            );
        }
    }

    #[test]
    fn time_windows_go_by_the_wall_clock_and_over_midnight() {
        let rows = [
            (1020, 1440, None, "2024-02-01T16:00:00Z", true), // 17:00 in Berlin
            (1020, 1440, None, "2024-02-01T15:59:59Z", false),
            (1020, 1440, None, "2024-02-01T22:59:59Z", true),
            (1020, 1440, None, "2024-02-01T23:00:00Z", false),
            (1020, 1440, None, "2024-07-01T15:00:00Z", true), // summer: 17:00 as well
            (
                1020,
                1440,
                Some("America/New_York"),
                "2024-02-01T16:00:00Z",
                false,
            ),
            (1020, 1440, Some("America/New_York"), "2024-02-01T22:00:00Z", true),
            (1320, 360, None, "2024-02-01T21:00:00Z", true), // 22:00
            (1320, 360, None, "2024-02-02T04:59:00Z", true), // 05:59
            (1320, 360, None, "2024-02-02T05:00:00Z", false),
            (600, 600, None, "2024-02-02T05:00:00Z", true),
            (0, 1440, Some("Mars/Olympus"), "2024-02-02T05:00:00Z", false),
        ];
        for (from_minute, until_minute, time_zone, now, expected) in rows {
            let condition = TriggerCondition::TimeWindow {
                from_minute,
                until_minute,
                time_zone: time_zone.map(str::to_owned),
            };
            let found = look(
                &condition,
                &Scene {
                    now,
                    ..Scene::default()
                },
            );
            assert_eq!(found.verdict == Verdict::Holds, expected, "{}", found.input);
        }
        let found = look(
            &TriggerCondition::TimeWindow {
                from_minute: 1080,
                until_minute: 1440,
                time_zone: None,
            },
            &Scene::default(),
        );
        assert_eq!(
            found.input,
            "from 18:00 until 24:00; it is 17:30 in Europe/Berlin"
        );
        assert!(matches!(
            found.verdict,
            Verdict::Fails {
                may_hold_later: true,
                ..
            }
        ));
    }

    #[test]
    fn weekdays_count_from_monday_in_the_time_zone() {
        let thursday = TriggerCondition::Weekdays {
            days: vec![4],
            time_zone: None,
        };
        let sunday = TriggerCondition::Weekdays {
            days: vec![7],
            time_zone: Some("Asia/Tokyo".into()),
        };
        assert!(holds(&thursday, &Scene::default()));
        assert!(!holds(
            &thursday,
            &Scene {
                now: "2024-02-01T23:30:00Z",
                ..Scene::default()
            }
        ));
        assert!(holds(
            &sunday,
            &Scene {
                now: "2024-02-03T20:00:00Z",
                ..Scene::default()
            }
        ));
        assert!(!holds(
            &sunday,
            &Scene {
                now: "2024-02-04T20:00:00Z",
                ..Scene::default()
            }
        ));
        assert!(!holds(
            &TriggerCondition::Weekdays {
                days: vec![],
                time_zone: None
            },
            &Scene::default()
        ));
    }

    #[test]
    fn green_plan_needs_each_latest_result_successful() {
        let key = |text: &str| text.parse::<PlanKey>().expect(text);
        let condition = TriggerCondition::GreenPlan {
            plans: vec![key("A-ONE"), key("A-TWO")],
        };
        for (two, expected) in [
            (Some(LatestResult::Successful), true),
            (Some(LatestResult::Failed), false),
            (Some(LatestResult::NeverBuilt), false),
            (None, false),
        ] {
            let mut results = BTreeMap::from([(key("A-ONE"), LatestResult::Successful)]);
            if let Some(two) = two {
                results.insert(key("A-TWO"), two);
            }
            assert_eq!(
                holds(
                    &condition,
                    &Scene {
                        results,
                        ..Scene::default()
                    }
                ),
                expected,
                "{two:?}"
            );
        }
    }
}
