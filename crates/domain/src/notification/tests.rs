//! Tables of events, and properties of audiences.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

use BuildVerdict as B;
use JobVerdict as J;

fn build(verdict: B, before: Option<B>, failures_in_a_row: u32) -> Happening {
    Happening::BuildEnded {
        verdict,
        before,
        failures_in_a_row,
    }
}

fn job(verdict: J, before: Option<J>, first_failure: bool) -> Happening {
    Happening::JobEnded {
        verdict,
        before,
        first_failure,
    }
}

/// The names of the plan's events that tell of something.
fn told(happening: &Happening) -> Vec<&'static str> {
    let all = [
        ("completed", PlanEvent::PlanCompleted),
        ("failed", PlanEvent::PlanFailed { failures: 1 }),
        ("failed 2", PlanEvent::PlanFailed { failures: 2 }),
        ("failed 3", PlanEvent::PlanFailed { failures: 3 }),
        ("changed", PlanEvent::PlanStatusChanged),
        ("comment", PlanEvent::PlanCommentAdded),
        ("responsibility", PlanEvent::PlanResponsibilityChanged),
        ("job completed", PlanEvent::JobCompleted),
        ("job changed", PlanEvent::JobStatusChanged),
        ("job failed", PlanEvent::JobFailed),
        ("job error", PlanEvent::JobError { first_only: false }),
        ("job first error", PlanEvent::JobError { first_only: true }),
        ("job first failed", PlanEvent::JobFirstFailed),
        ("hung", PlanEvent::JobHung),
        ("queue", PlanEvent::JobQueueTimeout),
        ("no agents", PlanEvent::JobQueuedWithoutCapableAgents),
    ];
    all.into_iter()
        .filter(|(_, event)| tells(*event, happening))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn each_happening_is_told_by_its_events() {
    let rows: &[(Happening, &[&str])] = &[
        (build(B::Successful, None, 0), &["completed"]),
        (build(B::Successful, Some(B::Successful), 0), &["completed"]),
        (
            build(B::Successful, Some(B::Failed), 0),
            &["completed", "failed", "changed"],
        ),
        (build(B::Failed, None, 1), &["completed", "failed", "changed"]),
        (
            build(B::Failed, Some(B::Successful), 1),
            &["completed", "failed", "changed"],
        ),
        (
            build(B::Failed, Some(B::Failed), 2),
            &["completed", "failed", "failed 2"],
        ),
        (
            build(B::Failed, Some(B::Failed), 3),
            &["completed", "failed", "failed 3"],
        ),
        (build(B::Failed, Some(B::Failed), 4), &["completed", "failed"]),
        (build(B::Stopped, Some(B::Failed), 1), &["completed"]),
        (build(B::Stopped, Some(B::Successful), 0), &["completed"]),
        (job(J::Successful, Some(J::Successful), false), &["job completed"]),
        (
            job(J::Successful, Some(J::Error), false),
            &["job completed", "job changed", "job failed"],
        ),
        (
            job(J::Failed, Some(J::Successful), true),
            &["job completed", "job changed", "job failed", "job first failed"],
        ),
        (
            job(J::Failed, Some(J::Failed), false),
            &["job completed", "job failed"],
        ),
        (
            job(J::Error, Some(J::Failed), false),
            &["job completed", "job failed", "job error", "job first error"],
        ),
        (
            job(J::Error, Some(J::Error), true),
            &["job completed", "job failed", "job error", "job first failed"],
        ),
        (job(J::Stopped, Some(J::Failed), false), &["job completed"]),
        (Happening::JobHung, &["hung"]),
        (Happening::JobQueueTimeout, &["queue"]),
        (Happening::JobWithoutCapableAgents, &["no agents"]),
        (Happening::CommentAdded, &["comment"]),
        (Happening::ResponsibilityChanged, &["responsibility"]),
    ];
    for (happening, expected) in rows {
        assert_eq!(told(happening), *expected, "{happening:?}");
    }
}

#[test]
fn each_deployment_is_told_by_its_events() {
    use DeploymentHappening as D;
    use EnvironmentEvent as E;
    let rows = [
        (E::DeploymentStartedAndFinished, [true, true, true, true]),
        (E::DeploymentFinished, [false, true, true, true]),
        (E::DeploymentFailed, [false, false, true, false]),
    ];
    for (event, expected) in rows {
        let found =
            [D::Started, D::Succeeded, D::Failed, D::Stopped].map(|one| tells_of_deployment(event, one));
        assert_eq!(found, expected, "{event:?}");
    }
}

#[test]
fn rule_fits_by_its_first_event_that_tells() {
    let rules = [
        Notification {
            recipients: vec![Recipient::Watchers],
            events: vec![
                PlanEvent::JobHung,
                PlanEvent::PlanFailed { failures: 1 },
                PlanEvent::PlanCompleted,
            ],
        },
        Notification {
            recipients: vec![Recipient::Committers],
            events: vec![PlanEvent::PlanCommentAdded],
        },
    ];
    let fits = fitting(&rules, &build(B::Failed, None, 1));
    assert_eq!(fits.len(), 1);
    assert_eq!(fits[0].event, PlanEvent::PlanFailed { failures: 1 });
    assert_eq!(fits[0].recipients, [Recipient::Watchers]);
}

fn person(name: &str, email: &str, enabled: bool, may_read: bool) -> (String, Person) {
    let person = Person {
        name: name.to_owned(),
        email: email.to_owned(),
        enabled,
        may_read,
    };
    (name.to_lowercase(), person)
}

fn people() -> People {
    People {
        users: [
            person("Ann", "ann@example.org", true, true),
            person("bob", "Bob@example.org", true, true),
            person("carol", "", true, true),
            person("dan", "dan@example.org", false, true),
            person("eve", "eve@example.org", true, false),
        ]
        .into(),
        groups: [(
            "devs".to_owned(),
            vec!["Ann".to_owned(), "bob".to_owned(), "eve".to_owned()],
        )]
        .into(),
        watchers: vec!["bob".to_owned(), "carol".to_owned()],
        responsible: vec!["dan".to_owned()],
        committers: vec![
            Committer {
                author: "Ann Author".to_owned(),
                user: Some("Ann".to_owned()),
            },
            Committer {
                author: "Zoe".to_owned(),
                user: None,
            },
        ],
    }
}

#[test]
fn everybody_is_told_once_with_all_reasons_or_left_out_with_one() {
    let recipients = [
        Recipient::Committers,
        Recipient::Watchers,
        Recipient::Responsible,
        Recipient::Group { name: "Devs".into() },
        Recipient::Group { name: "none".into() },
        Recipient::User { name: "ANN".into() },
        Recipient::User {
            name: "nobody".into(),
        },
        Recipient::Email {
            address: " bob@EXAMPLE.org".into(),
        },
        Recipient::Email {
            address: "x@example.org\r\nBcc: y@example.org".into(),
        },
        Recipient::Webhook {
            name: "one".into(),
            url: "https://chat.example/hooks/a".into(),
        },
        Recipient::Webhook {
            name: "two".into(),
            url: "https://chat.example/hooks/a".into(),
        },
    ];
    let told = audience(under_one(&recipients), &people());
    let letters: Vec<(&str, Option<&str>, usize)> = told
        .letters
        .iter()
        .map(|one| (one.address.as_str(), one.user.as_deref(), one.because.len()))
        .collect();
    assert_eq!(
        letters,
        [
            ("ann@example.org", Some("Ann"), 3),
            ("Bob@example.org", Some("bob"), 3)
        ]
    );
    assert_eq!(
        told.letters[0].because,
        [
            "you made a commit of the build",
            "you are in the group Devs",
            "the plan names you"
        ]
    );
    assert_eq!(
        told.webhooks,
        [Call {
            name: "one".into(),
            url: "https://chat.example/hooks/a".into(),
            under: vec!["a rule".into()],
        }]
    );
    let left: Vec<(&str, Unheard)> = told
        .left_out
        .iter()
        .map(|one| (one.who.as_str(), one.why))
        .collect();
    assert_eq!(
        left,
        [
            ("Zoe", Unheard::UnknownCommitter),
            ("carol", Unheard::NoAddress),
            ("dan", Unheard::Disabled),
            ("eve", Unheard::MayNotRead),
            ("nobody", Unheard::NoUser),
            ("none", Unheard::NoGroup),
            ("x@example.org\r\nBcc: y@example.org", Unheard::NotAnAddress),
        ]
    );
}

#[test]
fn what_is_to_be_looked_up_is_what_is_named() {
    let recipients = [
        Recipient::Watchers,
        Recipient::User { name: "ann".into() },
        Recipient::Group { name: "devs".into() },
        Recipient::Email {
            address: "a@example.org".into(),
        },
    ];
    let wanted = Wanted::of(&recipients);
    assert_eq!(wanted.users, BTreeSet::from(["ann".to_owned()]));
    assert_eq!(wanted.groups, BTreeSet::from(["devs".to_owned()]));
    assert!(wanted.watchers && !wanted.committers && !wanted.responsible);
}

fn under_one(recipients: &[Recipient]) -> impl Iterator<Item = (&str, &Recipient)> {
    recipients.iter().map(|one| ("a rule", one))
}

#[test]
fn each_hears_the_rules_that_name_it_alone_and_each_once() {
    let hook = |url: &str| Recipient::Webhook {
        name: "chat".into(),
        url: url.into(),
    };
    let ann = Recipient::User { name: "ann".into() };
    let (failed, completed) = ("Failed builds", "All builds completed");
    let first = hook("https://chat.example/a");
    let second = hook("https://chat.example/b");
    let named = [
        (failed, &ann),
        (completed, &first),
        (failed, &Recipient::Watchers),
        (failed, &second),
        (completed, &second),
        (completed, &second),
    ];
    let told = audience(named, &people());
    let ann = told.letters.iter().find(|one| one.user.as_deref() == Some("Ann"));
    assert_eq!(ann.map(|one| one.under.clone()), Some(vec![failed.to_owned()]));
    let calls: Vec<Vec<String>> = told.webhooks.into_iter().map(|one| one.under).collect();
    assert_eq!(
        calls,
        [
            vec![completed.to_owned()],
            vec![failed.to_owned(), completed.to_owned()]
        ]
    );
}

fn any_recipient() -> impl Strategy<Value = Recipient> {
    let name = "[a-e]{1,2}";
    prop_oneof![
        Just(Recipient::Responsible),
        Just(Recipient::Watchers),
        Just(Recipient::Committers),
        name.prop_map(|name| Recipient::User { name }),
        name.prop_map(|name| Recipient::Group { name }),
        "[a-c@ \\n,]{0,6}".prop_map(|address| Recipient::Email { address }),
        name.prop_map(|name| Recipient::Webhook {
            url: format!("https://{name}.example/"),
            name,
        }),
    ]
}

#[test]
fn webhooks_beyond_fifty_are_left_out_and_named() {
    let recipients: Vec<Recipient> = (0..60)
        .map(|number| Recipient::Webhook {
            name: format!("chat {number}"),
            url: format!("https://chat.example/{number}"),
        })
        .collect();
    let told = audience(under_one(&recipients), &people());
    assert_eq!((told.webhooks.len(), told.left_out.len()), (50, 10));
}

fn any_people() -> impl Strategy<Value = People> {
    let name = "[a-e]{1,2}";
    let names = || prop::collection::vec(name, 0..5);
    let person = (name, "[a-c]{0,1}(@x)?", any::<bool>(), any::<bool>()).prop_map(
        |(name, email, enabled, may_read)| {
            let person = Person {
                name: name.clone(),
                email,
                enabled,
                may_read,
            };
            (name, person)
        },
    );
    let committer = (name, prop::option::of(name)).prop_map(|(author, user)| Committer { author, user });
    (
        prop::collection::btree_map(name, names(), 0..4),
        prop::collection::vec(person, 0..8),
        names(),
        names(),
        prop::collection::vec(committer, 0..4),
    )
        .prop_map(|(groups, users, watchers, responsible, committers)| People {
            users: users.into_iter().collect::<BTreeMap<_, _>>(),
            groups,
            watchers,
            responsible,
            committers,
        })
}

proptest! {
    #[test]
    fn nobody_is_told_twice_or_without_right(
        recipients in prop::collection::vec(any_recipient(), 0..12),
        people in any_people(),
    ) {
        let told = audience(under_one(&recipients), &people);
        let addresses: BTreeSet<String> = told.letters.iter().map(|one| one.address.to_lowercase()).collect();
        prop_assert_eq!(addresses.len(), told.letters.len());
        let named: BTreeSet<String> = recipients
            .iter()
            .filter_map(|one| match one {
                Recipient::Email { address } => Some(address.trim().to_lowercase()),
                _ => None,
            })
            .collect();
        for letter in &told.letters {
            prop_assert!(!letter.because.is_empty());
            prop_assert!(!letter.address.contains(['\n', ' ', ',']));
            let of_a_reader = people
                .users
                .values()
                .any(|one| one.enabled && one.may_read && one.email.eq_ignore_ascii_case(&letter.address));
            prop_assert!(of_a_reader || named.contains(&letter.address.to_lowercase()), "{:?}", letter);
        }
    }

    #[test]
    fn whoever_is_named_is_told_or_left_out(name in "[a-e]{1,2}", people in any_people()) {
        let told = audience(under_one(&[Recipient::User { name: name.clone() }]), &people);
        prop_assert_eq!(told.letters.len() + told.left_out.len(), 1);
    }

    #[test]
    fn more_events_never_tell_less(happening in any_happening(), rules in any_rules()) {
        let alone: usize = rules.iter().map(|rule| fitting(std::slice::from_ref(rule), &happening).len()).sum();
        prop_assert_eq!(fitting(&rules, &happening).len(), alone);
        // What fails is told to whoever hears of each end.
        if let Happening::BuildEnded { .. } = happening {
            prop_assert!(tells(PlanEvent::PlanCompleted, &happening));
        }
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let build = prop::sample::select(vec![B::Successful, B::Failed, B::Stopped]);
    let job = prop::sample::select(vec![J::Successful, J::Failed, J::Error, J::Stopped]);
    prop_oneof![
        (build.clone(), prop::option::of(build), 0..5_u32).prop_map(
            |(verdict, before, failures_in_a_row)| {
                Happening::BuildEnded {
                    verdict,
                    before,
                    failures_in_a_row,
                }
            }
        ),
        (job.clone(), prop::option::of(job), any::<bool>()).prop_map(|(verdict, before, first_failure)| {
            Happening::JobEnded {
                verdict,
                before,
                first_failure,
            }
        }),
        Just(Happening::JobHung),
        Just(Happening::CommentAdded),
    ]
}

fn any_rules() -> impl Strategy<Value = Vec<Notification>> {
    let event = prop::sample::select(vec![
        PlanEvent::PlanCompleted,
        PlanEvent::PlanFailed { failures: 1 },
        PlanEvent::PlanFailed { failures: 2 },
        PlanEvent::JobFailed,
        PlanEvent::JobHung,
        PlanEvent::PlanCommentAdded,
    ]);
    let rule = prop::collection::vec(event, 0..4).prop_map(|events| Notification {
        recipients: vec![Recipient::Watchers],
        events,
    });
    prop::collection::vec(rule, 0..4)
}
