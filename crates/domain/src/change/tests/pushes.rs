//! Pushes: which branches, new ones, deleted ones, late ones, too many.

use super::*;

#[test]
fn a_push_builds_the_branch_that_it_moved_and_no_other() {
    let decisions = judge(&plan(None), &rows(), &push(vec![branch("feature/foo", "a", "b")]));
    let decision = only(&decisions);
    assert!(decision.build && decision.settles);
    assert_eq!(
        decision.subject,
        Subject::Branch {
            key: key("PROJ-PLAN0")
        }
    );
    assert_eq!(
        decision.sentence,
        "PROJ-PLAN0 is built at bbbbbbbbbbbb of the branch feature/foo, because a push moved the branch; \
         it was at aaaaaaaaaaaa before"
    );
    let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(rules, ["plan-enabled", "trigger", "branch-enabled", "changed"]);
    assert_eq!(
        (decision.revision.clone(), decision.previous.clone()),
        (rev("b"), rev("a"))
    );
}

#[test]
fn the_plans_own_branch_comes_first() {
    let moved = ["feature/foo", "feature/bar", "master"].map(|name| branch(name, "a", "b"));
    let decisions = judge(&plan(None), &rows(), &push(moved.to_vec()));
    assert_eq!(
        decisions[0].subject,
        Subject::Branch {
            key: key("PROJ-PLAN")
        }
    );
    assert_eq!(decisions.len(), 3);
}

#[test]
fn a_new_branch_becomes_a_plan_branch_and_is_built() {
    let (plan, arrival) = (plan(None), push(vec![branch("feature/new", "0", "b")]));
    let judge = ChangeJudge::new(&plan, &arrival);
    let first = judge.first_pass(&rows());
    assert_eq!(
        first.branch_changes,
        [BranchChange::Create {
            vcs_branch: "feature/new".into()
        }]
    );
    let made = first.candidates[0].clone().created_as(key("PROJ-PLAN2"));
    let decision = moment_at("2024-02-01T12:00:00Z", |moment| {
        judge.decide(&made, &ChangeFacts::default(), moment)
    });
    assert_eq!(decision.code, ReasonCode::FirstBuild);
    assert_eq!(
        decision.sentence,
        "PROJ-PLAN2 is built at bbbbbbbbbbbb of the branch feature/new for the first time, \
         because a push moved the branch"
    );
}

#[test]
fn the_policy_says_which_new_branches_count() {
    let pattern = |text: &str| BranchCreation::ForNewBranch {
        pattern: Some(text.into()),
    };
    let rows_of = [
        (
            BranchCreation::ForNewBranch { pattern: None },
            "feature/x",
            "first-build",
        ),
        (pattern("feature/.*"), "feature/x", "first-build"),
        (pattern("feature"), "feature/x", "new-branch-not-matching"),
        (pattern("x|feature/x"), "feature/x", "first-build"),
        (pattern("x|feature/"), "feature/x", "new-branch-not-matching"),
        (pattern("feature/.*"), "Feature/x", "new-branch-not-matching"),
        (pattern("(wip.*"), "feature/x", "unreadable-branch-pattern"),
        (pattern("(?!wip).*"), "feature/x", "first-build"),
        (pattern("(?!wip).*"), "wip/x", "new-branch-not-matching"),
        (pattern("a)|(b"), "b", "unreadable-branch-pattern"),
        (BranchCreation::Manually, "feature/x", "new-branch-by-hand"),
        (
            BranchCreation::ForPullRequest { accept_fork: false },
            "feature/x",
            "new-branch-for-pull-request",
        ),
    ];
    for (create, name, expected) in rows_of {
        let mut plan = plan(None);
        plan.branches.create = create.clone();
        let decisions = judge(&plan, &rows(), &push(vec![branch(name, "0", "b")]));
        assert!(
            codes(&decisions)[0].ends_with(expected),
            "{create:?} {name}: {decisions:#?}"
        );
    }
}

#[test]
fn l1_hostile_patterns_take_linear_time() {
    let mut plan = plan(None);
    plan.branches.create = BranchCreation::ForNewBranch {
        pattern: Some("(a+)+$".into()),
    };
    let name = format!("{}!", "a".repeat(900));
    let decisions = judge(&plan, &rows(), &push(vec![branch(&name, "0", "b")]));
    assert_eq!(only(&decisions).code, ReasonCode::NewBranchNotMatching);
}

#[test]
fn w10_w11_g7_names_that_are_options_or_no_names_are_refused_with_the_reason() {
    for name in [
        "--upload-pack=touch /tmp/x",
        "-",
        "HEAD",
        "@{-1}",
        "a..b",
        "x.lock",
        "a\nb",
    ] {
        let decisions = judge(&plan(None), &rows(), &push(vec![branch(name, "0", "b")]));
        assert_eq!(
            only(&decisions).code,
            ReasonCode::UnacceptableBranchName,
            "{name:?}"
        );
        assert!(!only(&decisions).sentence.contains('\n'));
    }
    let decisions = judge(&plan(None), &rows(), &push(vec![branch("-x", "0", "b")]));
    assert_eq!(
        only(&decisions).sentence,
        "nothing is built for -x: the name starts with a dash, which programs take for an option"
    );
    let decisions = judge(&plan(None), &rows(), &push(vec![branch("a$(id);`id`", "0", "b")]));
    assert_eq!(only(&decisions).code, ReasonCode::FirstBuild);
}

#[test]
fn w13_a_deleted_branch_is_marked_and_not_built() {
    let (plan, mut all) = (plan(None), rows());
    let arrival = push(vec![branch("feature/foo", "a", "0"), branch("master", "a", "0")]);
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&all);
    assert!(first.candidates.is_empty());
    assert_eq!(
        first.branch_changes,
        [BranchChange::MarkMissing {
            key: key("PROJ-PLAN0")
        }]
    );
    let sentences: Vec<&str> = first
        .decisions
        .iter()
        .map(|decision| decision.sentence.as_str())
        .collect();
    assert_eq!(
        sentences,
        [
            "nothing is built, because the branch feature/foo was deleted; PROJ-PLAN0 is removed after 1 day",
            "nothing is built, because the branch master was deleted; PROJ-PLAN is the plan itself and stays",
        ]
    );

    all[0].missing_since_ms = Some(1);
    let back = push(vec![branch("feature/foo", "0", "b")]);
    let first = ChangeJudge::new(&plan, &back).first_pass(&all);
    assert_eq!(
        first.branch_changes,
        [BranchChange::MarkFound {
            key: key("PROJ-PLAN0")
        }]
    );
    assert_eq!(first.candidates.len(), 1);

    let unknown = judge(&plan, &all, &push(vec![branch("gone", "a", "0")]));
    assert_eq!(only(&unknown).code, ReasonCode::BranchDeleted);
}

#[test]
fn w14_a_force_push_backwards_builds_the_old_commit() {
    let mut arrival = push(vec![branch("master", "a", "9")]);
    arrival.current_heads.insert("master".into(), rev("9"));
    let plan = plan(None);
    let candidate = &ChangeJudge::new(&plan, &arrival).first_pass(&rows()).candidates[0].clone();
    assert!(!ChangeJudge::new(&plan, &arrival).facts_needed(candidate).ancestry);
    let facts = ChangeFacts {
        commits: Some(Vec::new()),
        history_rewritten: true,
        revision_precedes_previous: Some(true),
        ..ChangeFacts::default()
    };
    let decisions = judge_with(&plan, &rows(), &arrival, &facts);
    assert_eq!(only(&decisions).code, ReasonCode::HistoryRewritten);
    assert_eq!(only(&decisions).revision, rev("9"));
}

#[test]
fn w15_a_repeated_delivery_finds_no_changes() {
    let mut all = rows();
    all[1].last_revision = rev("b");
    let decisions = judge(&plan(None), &all, &push(vec![branch("master", "a", "b")]));
    assert_eq!(only(&decisions).sentence, "No changes found for 'PROJ-PLAN'");
}

#[test]
fn w16_a_late_delivery_is_superseded_with_the_reason() {
    // a > b > c; the delivery of c came first and was settled.
    let mut all = rows();
    all[1].last_revision = rev("c");
    let mut late = push(vec![branch("master", "a", "b")]);
    late.current_heads.insert("master".into(), rev("c"));
    let decisions = judge(&plan(None), &all, &late);
    assert_eq!(only(&decisions).code, ReasonCode::Superseded);
    assert_eq!(
        only(&decisions).sentence,
        "PROJ-PLAN is not built, because the event came late: the branch master is at cccccccccccc, \
         which was considered already"
    );
    assert!(!only(&decisions).settles);

    // The branch has moved on to d, which is not considered yet: ancestry tells late from new.
    late.current_heads.insert("master".into(), rev("d"));
    let needed = {
        let plan = plan(None);
        let judge = ChangeJudge::new(&plan, &late);
        judge.facts_needed(&judge.first_pass(&all).candidates[0])
    };
    assert!(needed.ancestry);
    for (precedes, expected) in [
        (Some(true), ReasonCode::Superseded),
        (Some(false), ReasonCode::Changed),
        (None, ReasonCode::Changed),
    ] {
        let facts = ChangeFacts {
            revision_precedes_previous: precedes,
            ..ChangeFacts::default()
        };
        assert_eq!(
            only(&judge_with(&plan(None), &all, &late, &facts)).code,
            expected,
            "{precedes:?}"
        );
    }
}

#[test]
fn w16_events_in_order_are_built_though_the_branch_has_moved_on() {
    let mut first = push(vec![branch("master", "a", "b")]);
    first.current_heads.insert("master".into(), rev("c"));
    assert_eq!(
        only(&judge(&plan(None), &rows(), &first)).code,
        ReasonCode::Changed
    );

    first.current_heads.insert("master".into(), None);
    assert_eq!(
        only(&judge(&plan(None), &rows(), &first)).code,
        ReasonCode::Superseded
    );
}

#[test]
fn w16_a_deletion_that_is_told_late_marks_nothing() {
    let mut arrival = push(vec![branch("feature/foo", "a", "0")]);
    arrival.current_heads.insert("feature/foo".into(), rev("b"));
    let plan = plan(None);
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
    assert!(first.branch_changes.is_empty() && first.candidates.is_empty());
    assert_eq!(
        only(&first.decisions).sentence,
        "nothing is built for feature/foo: its deletion was told late; it exists again, at bbbbbbbbbbbb"
    );

    let mut all = rows();
    all[0].missing_since_ms = Some(1);
    let mut arrival = push(vec![branch("feature/foo", "0", "b")]);
    arrival.current_heads.insert("feature/foo".into(), None);
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&all);
    assert!(first.branch_changes.is_empty(), "the branch is gone again");
    assert_eq!(only(&first.decisions).code, ReasonCode::Superseded);
}

#[test]
fn w17_too_many_branches_are_named_and_not_dropped() {
    let mut arrival = push((0..1000).map(|n| branch(&format!("b{n:04}"), "0", "b")).collect());
    arrival.max_candidates = 10;
    let plan = plan(None);
    let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
    assert_eq!((first.candidates.len(), first.branch_changes.len()), (10, 10));
    let decision = only(&first.decisions);
    assert_eq!(decision.code, ReasonCode::TooManyBranches);
    assert_eq!(decision.refs.len(), 990);
    assert!(
        decision.sentence.starts_with(
            "1000 branches changed, 10 are taken up at once; b0010, b0011, b0012, b0013, b0014, b0015, b0016, \
             b0017, b0018, b0019 and 980 more must wait"
        ),
        "{}",
        decision.sentence
    );

    arrival.max_candidates = DEFAULT_MAX_CANDIDATES;
    assert_eq!(
        ChangeJudge::new(&plan, &arrival)
            .first_pass(&rows())
            .candidates
            .len(),
        1000
    );
}

#[test]
fn tags_and_other_refs_are_ignored_in_one_decision_each() {
    let mut refs: Vec<MovedRef> = (0..30)
        .map(|n| MovedRef {
            kind: RefKind::Tag,
            ..branch(&format!("v{n}"), "0", "b")
        })
        .collect();
    refs.push(MovedRef {
        kind: RefKind::Other,
        ..branch("refs/notes/x", "0", "b")
    });
    refs.push(branch("nothing", "0", "0"));
    let decisions = judge(&plan(None), &rows(), &push(refs));
    assert_eq!(
        codes(&decisions),
        ["PROJ-PLAN ref-ignored", "PROJ-PLAN tag-ignored"]
    );
    assert_eq!(
        decisions
            .iter()
            .map(|decision| decision.refs.len())
            .sum::<usize>(),
        32
    );
}

#[test]
fn g6_names_that_differ_in_case_or_unicode_form_are_different_branches() {
    let names = ["feature/foo", "Feature/foo", "caf\u{e9}", "cafe\u{301}"];
    let decisions = judge(
        &plan(None),
        &rows(),
        &push(names.iter().map(|name| branch(name, "a", "b")).collect()),
    );
    assert_eq!(decisions.iter().filter(|decision| decision.build).count(), 4);
    assert_eq!(
        decisions
            .iter()
            .filter(|decision| decision.code == ReasonCode::FirstBuild)
            .count(),
        3
    );
}

#[test]
fn disabled_plans_and_branches_keep_the_revision_open() {
    let mut all = rows();
    all[0].enabled = false;
    let arrival = push(vec![branch("feature/foo", "a", "b")]);
    let decisions = judge(&plan(None), &all, &arrival);
    assert_eq!(only(&decisions).code, ReasonCode::BranchDisabled);
    assert!(!only(&decisions).settles);

    let mut disabled = plan(None);
    disabled.enabled = false;
    let new = push(vec![branch("feature/new", "0", "b")]);
    let first = ChangeJudge::new(&disabled, &new).first_pass(&all);
    assert!(first.branch_changes.is_empty() && first.candidates.is_empty());
    assert_eq!(only(&first.decisions).code, ReasonCode::PlanDisabled);
}

#[test]
fn a_further_repository_builds_all_plan_branches_from_its_watched_branch() {
    let mut plan = plan(None);
    let mut arrival = push(vec![branch("stable", "1", "2"), branch("other", "1", "2")]);
    if let Some(repository) = &mut arrival.repository {
        repository.name = "lib".into();
        repository.is_default = false;
    }
    plan.repositories
        .as_mut()
        .expect("there are some")
        .push(PlanRepository {
            branch: Some("stable".into()),
            ..PlanRepository::named("lib")
        });
    let decisions = judge(&plan, &rows(), &arrival);
    assert_eq!(
        codes(&decisions),
        [
            "PROJ-PLAN branch-not-watched",
            "PROJ-PLAN changed",
            "PROJ-PLAN0 changed",
            "PROJ-PLAN1 changed"
        ]
    );
    let unwatched = only(&decisions[..1]);
    assert_eq!(
        unwatched.sentence,
        "nothing is built for other: of lib the plan builds with the branch stable"
    );
}
