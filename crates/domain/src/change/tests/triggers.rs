//! Which trigger answers to which event.

use super::*;

#[test]
fn each_event_is_answered_by_its_triggers() {
    let expression = || "0 0 4 * * ?".to_owned();
    let master = || vec![("master", "b")];
    let source = |name: &str| match name {
        "push" => push(vec![branch("master", "a", "b")]),
        "remote" => remote_call("PROJ-PLAN", true, &master()),
        "poll" => heads(Source::Poll, &master()),
        "cron" => heads(
            Source::Cron {
                expression: expression(),
            },
            &master(),
        ),
        _ => heads(Source::SpecsChange, &master()),
    };
    let push_trigger = || trigger(TriggerKind::Push);
    let table = [
        (
            "none named",
            None,
            [
                "changed",
                "no-remote-trigger",
                "no-polling-trigger",
                "no-cron-trigger",
                "changed",
            ],
        ),
        (
            "empty list",
            Some(vec![]),
            [
                "no-trigger",
                "no-remote-trigger",
                "no-trigger",
                "no-trigger",
                "no-trigger",
            ],
        ),
        (
            "push",
            Some(vec![push_trigger()]),
            [
                "changed",
                "no-remote-trigger",
                "no-polling-trigger",
                "no-cron-trigger",
                "changed",
            ],
        ),
        (
            "remote",
            Some(vec![remote()]),
            [
                "changed",
                "changed",
                "no-polling-trigger",
                "no-cron-trigger",
                "changed",
            ],
        ),
        (
            "polling",
            Some(vec![polling()]),
            [
                "no-push-trigger",
                "no-remote-trigger",
                "changed",
                "no-cron-trigger",
                "changed",
            ],
        ),
        (
            "cron",
            Some(vec![cron("0 0 5 * * ?"), cron(&expression())]),
            [
                "no-push-trigger",
                "no-remote-trigger",
                "no-polling-trigger",
                "scheduled",
                "no-trigger",
            ],
        ),
    ];
    for (name, triggers, expected) in table {
        let plan = plan(triggers);
        let rows: Vec<BranchRow> = rows().into_iter().filter(|row| row.is_master).collect();
        for (event, expected) in ["push", "remote", "poll", "cron", "specs"]
            .into_iter()
            .zip(expected)
        {
            let decisions = judge(&plan, &rows, &source(event));
            assert_eq!(
                codes(&decisions),
                [format!("PROJ-PLAN {expected}")],
                "{name} against {event}"
            );
            let decision = only(&decisions);
            assert_eq!(decision.settles, decision.build, "{name} against {event}");
            assert_eq!(
                decision.rules.iter().any(|rule| rule.outcome == Outcome::Stopped),
                !decision.build,
                "{name} against {event}"
            );
        }
    }
}

#[test]
fn a_webhook_does_not_answer_for_a_remote_trigger() {
    let mut arrival = push(vec![branch("master", "a", "b")]);
    arrival.repository.as_mut().expect("there is one").remote_counts = false;
    let decisions = judge(&plan(Some(vec![remote()])), &rows(), &arrival);
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is not built, because no trigger answers to a push to this repository \
         (the plan has a remote trigger)"
    );
}

#[test]
fn a_plan_without_triggers_is_polled_where_pushes_are_not_known() {
    let mut arrival = heads(Source::Poll, &[("master", "b")]);
    arrival.repository.as_mut().expect("there is one").pushes_known = false;
    let rows: Vec<BranchRow> = rows().into_iter().filter(|row| row.is_master).collect();
    assert_eq!(codes(&judge(&plan(None), &rows, &arrival)), ["PROJ-PLAN changed"]);
}

#[test]
fn s0_a_remote_call_looks_at_the_plan_and_all_its_branches() {
    let all = [("master", "a"), ("feature/foo", "a"), ("feature/bar", "b")];
    let plan = plan(Some(vec![remote()]));
    let decisions = judge(&plan, &rows(), &remote_call("PROJ-PLAN1", false, &all));
    assert_eq!(
        codes(&decisions),
        [
            "PROJ-PLAN no-changes",
            "PROJ-PLAN0 no-changes",
            "PROJ-PLAN1 changed"
        ]
    );
    let sentences: Vec<&str> = decisions
        .iter()
        .map(|decision| decision.sentence.as_str())
        .collect();
    assert!(sentences.contains(&"No changes found for 'PROJ-PLAN0'"));
    assert!(sentences.contains(&"No changes found for 'PROJ-PLAN'"));
    assert!(sentences.contains(
        &"PROJ-PLAN1 is built at bbbbbbbbbbbb of the branch feature/bar, \
          because the remote trigger of PROJ-PLAN1 found it; it was at aaaaaaaaaaaa before"
    ));

    let only_one = judge(&plan, &rows(), &remote_call("PROJ-PLAN1", true, &all));
    assert_eq!(codes(&only_one), ["PROJ-PLAN1 changed"]);
    let unknown = judge(&plan, &rows(), &remote_call("PROJ-PLAN9", true, &all));
    assert_eq!(codes(&unknown), ["PROJ-PLAN branch-not-found"]);
}

#[test]
fn a_remote_call_finds_new_and_deleted_branches() {
    let all = [
        ("master", "a"),
        ("feature/foo", "a"),
        ("feature/new", "b"),
        ("feature/old", "c"),
    ];
    let plan = plan(Some(vec![remote()]));
    let mut arrival = remote_call("PROJ-PLAN", false, &all);
    let News::Heads(read) = &mut arrival.news else {
        panic!("these are heads")
    };
    read.known
        .insert("feature/old".into(), rev("c").expect("a revision"));
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
    assert_eq!(
        first.branch_changes,
        [
            BranchChange::MarkMissing {
                key: key("PROJ-PLAN1")
            },
            BranchChange::Create {
                vcs_branch: "feature/new".into()
            }
        ]
    );
    assert_eq!(first.candidates.len(), 1);

    let News::Heads(read) = &mut arrival.news else {
        panic!("these are heads")
    };
    read.complete = false;
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
    assert_eq!(
        first.branch_changes,
        [BranchChange::Create {
            vcs_branch: "feature/new".into()
        }]
    );

    let unanswered = ChangeJudge::new(&super::plan(None), &arrival)
        .first_pass(&rows())
        .branch_changes;
    assert!(
        unanswered.is_empty(),
        "a call that no trigger answers makes no branches: {unanswered:?}"
    );
}

#[test]
fn cron_builds_each_enabled_branch_whether_or_not_it_changed() {
    let mut all = rows();
    all[0].enabled = false;
    let mut scheduled = plan(Some(vec![cron("0 0 4 * * ?")]));
    let source = || Source::Cron {
        expression: "0 0 4 * * ?".into(),
    };
    let arrival = heads(
        source(),
        &[
            ("master", "a"),
            ("feature/foo", "a"),
            ("feature/bar", "b"),
            ("new", "b"),
        ],
    );
    let first = ChangeJudge::new(&scheduled, &arrival).first_pass(&all);
    assert!(first.branch_changes.is_empty());
    assert_eq!(
        codes(&judge(&scheduled, &all, &arrival)),
        [
            "PROJ-PLAN scheduled",
            "PROJ-PLAN0 branch-disabled",
            "PROJ-PLAN1 scheduled"
        ]
    );

    scheduled.repositories = Some(Vec::new());
    let bare = Arrival {
        repository: None,
        ..super::arrival(source(), News::NoRepository)
    };
    let decisions = judge(&scheduled, &all, &bare);
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is built, because the cron trigger `0 0 4 * * ?` fired"
    );
}

#[test]
fn triggers_may_name_the_repositories_that_fire_them() {
    let mut narrow = trigger(TriggerKind::Push);
    narrow.repositories = vec!["lib".into()];
    let arrival = push(vec![branch("master", "a", "b")]);
    let decisions = judge(&plan(Some(vec![narrow.clone()])), &rows(), &arrival);
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is not built, because app may not fire its triggers, which name lib"
    );
    narrow.repositories.push("app".into());
    assert!(only(&judge(&plan(Some(vec![narrow])), &rows(), &arrival)).build);
}

#[test]
fn a_plan_that_is_started_by_hand_still_gets_its_branches() {
    let (plan, arrival) = (plan(Some(vec![])), push(vec![branch("feature/new", "0", "b")]));
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
    assert_eq!(
        first.branch_changes,
        [BranchChange::Create {
            vcs_branch: "feature/new".into()
        }]
    );
    assert!(first.candidates.is_empty());
    assert_eq!(only(&first.decisions).code, ReasonCode::NoTrigger);
}

fn tag_trigger(filter: Option<&str>, in_branch: bool) -> Trigger {
    trigger(TriggerKind::Tag {
        filter: filter.map(Into::into),
        in_branch,
    })
}

/// A new tag at a commit.
fn tagged(name: &str, commit: &str) -> Arrival {
    let moved = MovedRef {
        kind: RefKind::Tag,
        name: name.into(),
        old: None,
        new: rev(commit),
    };
    arrival(Source::Tag { name: name.into() }, News::Moved(vec![moved]))
}

#[test]
fn a_new_tag_builds_the_plan_itself_at_its_commit() {
    let releases = || Some(vec![tag_trigger(Some(r"v\d+(\.\d+)*"), false)]);
    for (what, triggers, name, commit, codes_of) in [
        (
            "any tag",
            Some(vec![tag_trigger(None, false)]),
            "nightly",
            "c",
            "PROJ-PLAN tagged",
        ),
        ("matching", releases(), "v1.2", "c", "PROJ-PLAN tagged"),
        (
            "what was considered last",
            releases(),
            "v1.2",
            "a",
            "PROJ-PLAN tagged",
        ),
        (
            "the whole name counts",
            releases(),
            "v1.2-rc1",
            "c",
            "PROJ-PLAN no-tag-trigger",
        ),
        ("a tag of a tree", releases(), "v1", "0", "PROJ-PLAN tag-ignored"),
        (
            "push triggers",
            Some(vec![trigger(TriggerKind::Push)]),
            "v1",
            "c",
            "PROJ-PLAN no-tag-trigger",
        ),
        ("nothing said", None, "v1", "c", "PROJ-PLAN no-tag-trigger"),
        ("by hand", Some(vec![]), "v1", "c", "PROJ-PLAN no-trigger"),
        (
            "bad filter",
            Some(vec![tag_trigger(Some("("), false)]),
            "v1",
            "c",
            "PROJ-PLAN no-tag-trigger",
        ),
    ] {
        let decisions = judge(&plan(triggers), &rows(), &tagged(name, commit));
        assert_eq!(codes(&decisions), [codes_of], "{what}");
        assert!(
            !only(&decisions).settles,
            "{what}: a tag does not move the branch"
        );
    }
    let decisions = judge(&plan(releases()), &rows(), &tagged("v1", "c"));
    let decision = only(&decisions);
    assert_eq!(decision.revision, rev("c"));
    assert_eq!(
        decision.sentence,
        "PROJ-PLAN is built at cccccccccccc, because the tag v1 was pushed"
    );
}

#[test]
fn a_tag_may_have_to_be_on_the_branch() {
    let tagged = tagged("v1", "c");
    for (what, triggers, on_branch, code) in [
        (
            "on it",
            vec![tag_trigger(None, true)],
            Some(true),
            ReasonCode::Tagged,
        ),
        (
            "not on it",
            vec![tag_trigger(None, true)],
            Some(false),
            ReasonCode::TagNotInBranch,
        ),
        (
            "not known",
            vec![tag_trigger(None, true)],
            None,
            ReasonCode::Tagged,
        ),
        (
            "another trigger takes it anyway",
            vec![tag_trigger(None, true), tag_trigger(Some("v.*"), false)],
            Some(false),
            ReasonCode::Tagged,
        ),
    ] {
        let facts = ChangeFacts {
            on_branch,
            ..ChangeFacts::default()
        };
        let decisions = judge_with(&plan(Some(triggers)), &rows(), &tagged, &facts);
        assert_eq!(only(&decisions).code, code, "{what}");
    }
}

#[test]
fn tags_that_are_not_new_are_named() {
    let plan = plan(Some(vec![tag_trigger(None, false)]));
    for (old, new, why) in [
        (
            "a",
            "b",
            "nothing is built for v1: it was moved, and new tags alone start builds",
        ),
        ("a", "0", "nothing is built for v1: it was deleted"),
    ] {
        let moved = MovedRef {
            kind: RefKind::Tag,
            ..branch("v1", old, new)
        };
        let decisions = judge(&plan, &rows(), &push(vec![moved]));
        assert_eq!(only(&decisions).sentence, why);
    }
}

#[test]
fn a_deployment_starts_the_plans_that_listen_to_it() {
    let listens = |project: &str, environment: Option<&str>| {
        trigger(TriggerKind::AfterDeployment {
            deployment_project: project.into(),
            environment: environment.map(Into::into),
        })
    };
    let source = Source::Deployment {
        project: "Shop".into(),
        environment: "Staging".into(),
        release: "1.4".into(),
    };
    let arrival = heads(source, &[("master", "a")]);
    for (triggers, code) in [
        (Some(vec![listens("Shop", Some("Staging"))]), ReasonCode::Deployed),
        (Some(vec![listens("Shop", None)]), ReasonCode::Deployed),
        (
            Some(vec![listens("Shop", Some("Production"))]),
            ReasonCode::NoDeploymentTrigger,
        ),
        (
            Some(vec![listens("Other", None)]),
            ReasonCode::NoDeploymentTrigger,
        ),
        (None, ReasonCode::NoDeploymentTrigger),
    ] {
        let decisions = judge(&plan(triggers), &rows()[1..2], &arrival);
        assert_eq!(only(&decisions).code, code);
    }
    let decisions = judge(&plan(Some(vec![listens("Shop", None)])), &rows()[1..2], &arrival);
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is built at aaaaaaaaaaaa of the branch master, because 1.4 of Shop was deployed to Staging"
    );
}
