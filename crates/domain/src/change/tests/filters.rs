//! Filters over files and commits, and conditions.

use super::*;

fn filtered(detection: ChangeDetection) -> PlanConfiguration {
    let mut plan = plan(None);
    plan.repositories.as_mut().expect("there are some")[0].change_detection = detection;
    plan
}

fn paths(paths: &[&str]) -> ChangeFacts {
    ChangeFacts {
        paths: Some(paths.iter().map(ToString::to_string).collect()),
        ..ChangeFacts::default()
    }
}

fn commits(messages: &[&str]) -> ChangeFacts {
    let commit = |message: &&str| Commit {
        author: Person::default(),
        message: (*message).to_owned(),
    };
    ChangeFacts {
        commits: Some(messages.iter().map(commit).collect()),
        ..ChangeFacts::default()
    }
}

fn push_master() -> Arrival {
    push(vec![branch("master", "a", "b")])
}

fn code(plan: &PlanConfiguration, facts: &ChangeFacts) -> ReasonCode {
    only(&judge_with(plan, &rows(), &push_master(), facts)).code
}

#[test]
fn push_outside_path_filter_is_ignored() {
    let include = |text: &str| {
        filtered(ChangeDetection {
            file_filter: Some(FileFilter::IncludeOnly(text.into())),
            ..ChangeDetection::default()
        })
    };
    let exclude = |text: &str| {
        filtered(ChangeDetection {
            file_filter: Some(FileFilter::ExcludeAll(text.into())),
            ..ChangeDetection::default()
        })
    };
    use ReasonCode::{Changed, NoMatchingFiles, OnlyExcludedFiles};
    let table = [
        (include("src/.*"), paths(&["src/a.rs", "README"]), Changed),
        (
            include("src/.*"),
            paths(&["README", "tests/src/a.rs"]),
            NoMatchingFiles,
        ),
        (include("src"), paths(&["src/a.rs"]), NoMatchingFiles),
        (include("src/.*"), paths(&[]), NoMatchingFiles),
        (include("src/.*"), ChangeFacts::default(), Changed), // W18: not known
        (include("src/(.*"), paths(&["README"]), Changed),    // cannot be read
        (
            include("src/(?!gen).*"),
            paths(&["src/gen/a.rs"]),
            NoMatchingFiles,
        ),
        (include("src/(?!gen).*"), paths(&["src/a.rs"]), Changed),
        (
            exclude(r".*\.md|docs/.*"),
            paths(&["README.md", "docs/x"]),
            OnlyExcludedFiles,
        ),
        (exclude(r".*\.md|docs/.*"), paths(&["README.md", "a.rs"]), Changed),
        (exclude(r".*\.md"), paths(&["a.md.rs"]), Changed),
        (exclude(r".*\.md"), paths(&[]), Changed),
        (exclude(r".*\.md"), ChangeFacts::default(), Changed),
        (exclude("*"), paths(&["x"]), Changed),
    ];
    for (plan, facts, expected) in table {
        assert_eq!(code(&plan, &facts), expected, "{facts:?}");
    }
    let decisions = judge_with(&include("src/.*"), &rows(), &push_master(), &paths(&["a", "b"]));
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is not built, because no changed file matches `src/.*` (changed: a and 1 more)"
    );
    assert!(only(&decisions).settles, "what does not count is dealt with");
}

#[test]
fn commits_whose_message_matches_do_not_count() {
    let plan = filtered(ChangeDetection {
        exclude_changeset_pattern: Some(r"\[skip ci\]".into()),
        ..ChangeDetection::default()
    });
    let table = [
        (
            commits(&["x [skip ci]", "y\n\nbody [skip ci]"]),
            ReasonCode::CommitsExcluded,
        ),
        (commits(&["x [skip ci]", "y"]), ReasonCode::Changed),
        (commits(&[]), ReasonCode::Changed),
        (ChangeFacts::default(), ReasonCode::Changed),
        (
            ChangeFacts {
                history_rewritten: true,
                ..commits(&["x [skip ci]"])
            },
            ReasonCode::HistoryRewritten,
        ),
    ];
    for (facts, expected) in table {
        assert_eq!(code(&plan, &facts), expected, "{facts:?}");
    }
}

#[test]
fn filters_do_not_bear_on_first_builds() {
    let plan = filtered(ChangeDetection {
        file_filter: Some(FileFilter::IncludeOnly("src/.*".into())),
        exclude_changeset_pattern: Some(".*".into()),
        ..ChangeDetection::default()
    });
    let facts = ChangeFacts {
        commits: commits(&["x"]).commits,
        ..paths(&["README"])
    };
    let decisions = judge_with(&plan, &rows(), &push(vec![branch("new", "0", "b")]), &facts);
    assert_eq!(only(&decisions).code, ReasonCode::FirstBuild);
    assert!(
        only(&decisions)
            .rules
            .iter()
            .any(|rule| rule.name == "change-detection")
    );
}

#[test]
fn only_what_a_rule_looks_at_is_asked_for() {
    let needed = |plan: &PlanConfiguration, arrival: &Arrival| {
        let judge = ChangeJudge::new(plan, arrival);
        judge.facts_needed(&judge.first_pass(&rows()).candidates[0])
    };
    assert_eq!(needed(&plan(None), &push_master()), FactsNeeded::default());

    let mut full = filtered(ChangeDetection {
        file_filter: Some(FileFilter::IncludeOnly("x".into())),
        exclude_changeset_pattern: Some("x".into()),
        ..ChangeDetection::default()
    });
    let everything = needed(&full, &push_master());
    assert!(everything.paths && everything.commits && !everything.commits_since_build);
    assert_eq!(
        needed(&full, &push(vec![branch("new", "0", "b")])),
        FactsNeeded::default()
    );

    full.triggers = Some(vec![Trigger {
        conditions: vec![
            TriggerCondition::MinimumCommits { count: 2 },
            TriggerCondition::Committers {
                names: vec!["joe".into()],
            },
            TriggerCondition::GreenPlan {
                plans: vec![key("A-B"), key("A-B")],
            },
        ],
        ..trigger(TriggerKind::Push)
    }]);
    let first = needed(&full, &push(vec![branch("new", "0", "b")]));
    assert!(first.commits && first.commits_since_build && !first.paths);
    assert_eq!(first.latest_results, [key("A-B")]);
}

fn with_conditions(all: &[Vec<TriggerCondition>]) -> PlanConfiguration {
    let triggers = all.iter().map(|conditions| Trigger {
        conditions: conditions.clone(),
        ..trigger(TriggerKind::Push)
    });
    plan(Some(triggers.collect()))
}

fn evening() -> TriggerCondition {
    TriggerCondition::TimeWindow {
        from_minute: 1020,
        until_minute: 1440,
        time_zone: None,
    }
}

fn joe() -> TriggerCondition {
    TriggerCondition::Committers {
        names: vec!["joe".into()],
    }
}

#[test]
fn conditions_of_one_trigger_must_all_hold_and_one_trigger_is_enough() {
    let mut arrival = push_master();
    arrival.pusher = Some(Person {
        name: "Joe".into(),
        email: None,
    });
    let thursday = || TriggerCondition::Weekdays {
        days: vec![4],
        time_zone: None,
    };
    let table = [
        (vec![vec![joe()]], true),
        (vec![vec![joe(), thursday()]], true),
        (vec![vec![joe(), evening()]], false),
        (vec![vec![evening()], vec![joe()]], true),
        (vec![vec![evening()], vec![]], true),
        (vec![vec![evening()], vec![evening(), joe()]], false),
    ];
    for (conditions, expected) in table {
        let decisions = judge(&with_conditions(&conditions), &rows(), &arrival);
        assert_eq!(only(&decisions).build, expected, "{decisions:#?}");
        let stopped = only(&decisions)
            .rules
            .iter()
            .any(|rule| rule.outcome == Outcome::Stopped);
        assert_eq!(stopped, !expected);
    }
}

#[test]
fn what_a_closed_window_refuses_stays_open_and_what_a_stranger_pushed_does_not() {
    let late = only(&judge(
        &with_conditions(&[vec![evening()]]),
        &rows(),
        &push_master(),
    ))
    .clone();
    assert_eq!(
        late.sentence,
        "PROJ-PLAN is not built, because it is 12:00 in UTC and the trigger builds from 17:00 until 24:00"
    );
    assert!(!late.settles);
    let stranger = only(&judge(
        &with_conditions(&[vec![joe(), evening()]]),
        &rows(),
        &push_master(),
    ))
    .clone();
    assert_eq!(stranger.code, ReasonCode::ConditionFailed);
    assert!(stranger.settles);
    let either = judge(
        &with_conditions(&[vec![joe()], vec![evening()]]),
        &rows(),
        &push_master(),
    );
    assert!(
        !only(&either).settles,
        "the second trigger may fire in the evening"
    );
}

#[test]
fn small_pushes_add_up() {
    let plan = with_conditions(&[vec![TriggerCondition::MinimumCommits { count: 3 }]]);
    let facts = |count| ChangeFacts {
        commits_since_build: Some(count),
        ..ChangeFacts::default()
    };
    let few = only(&judge_with(&plan, &rows(), &push_master(), &facts(2))).clone();
    assert!(
        !few.build && !few.settles,
        "the paths of these commits count with the next ones"
    );
    assert!(only(&judge_with(&plan, &rows(), &push_master(), &facts(3))).build);
}

#[test]
fn decisions_survive_the_ledger() {
    let decisions = judge(
        &plan(None),
        &rows(),
        &push(vec![branch("new", "0", "b"), branch("master", "a", "b")]),
    );
    let text = serde_json::to_string(&decisions).expect("decisions are plain data");
    assert_eq!(
        serde_json::from_str::<Vec<Decision>>(&text).expect("the same"),
        decisions
    );
}
