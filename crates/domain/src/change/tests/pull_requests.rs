//! Pull requests: who gets a plan branch, when it ends, and what other events make of it.

use proptest::prelude::*;

use super::*;

const FORK: &str = "refs/pull/7/head";

fn following(accept_fork: bool) -> PlanConfiguration {
    let mut plan = plan(None);
    plan.branches.create = BranchCreation::ForPullRequest { accept_fork };
    plan
}

fn news(open: bool, fork: Option<Result<&str, &str>>) -> Source {
    Source::PullRequest(PullRequestNews {
        number: 7,
        open,
        fork: fork.map(|verdict| verdict.map(str::to_owned).map_err(str::to_owned)),
    })
}

fn told(source: Source, name: &str, new: &str) -> Arrival {
    let moved = MovedRef {
        kind: RefKind::Branch,
        name: name.into(),
        old: None,
        new: rev(new),
    };
    arrival(source, News::Moved(vec![moved]))
}

/// The usual rows, and one of pull request 7.
fn rows_with(name: &str, open: bool, from_fork: bool) -> Vec<BranchRow> {
    let mut all = rows();
    all.push(BranchRow {
        key: key("PROJ-PLAN2"),
        is_master: false,
        vcs_branch: name.into(),
        enabled: true,
        last_revision: rev("a"),
        missing_since_ms: None,
        proposal: Some(Proposal { open, from_fork }),
    });
    all
}

#[test]
fn a_plan_branch_is_made_for_whom_plan_and_repository_trust() {
    let by_branch = BranchCreation::ForNewBranch { pattern: None };
    let of_pull_requests = |accept_fork| BranchCreation::ForPullRequest { accept_fork };
    let table = [
        (of_pull_requests(false), None, "topic", "first-build"),
        (
            of_pull_requests(false),
            None,
            "-topic",
            "unacceptable-branch-name",
        ),
        (of_pull_requests(true), Some(Ok("trusted")), FORK, "first-build"),
        (
            of_pull_requests(true),
            Some(Err("not trusted")),
            FORK,
            "fork-not-allowed",
        ),
        (
            of_pull_requests(false),
            Some(Ok("trusted")),
            FORK,
            "fork-not-accepted",
        ),
        (
            of_pull_requests(false),
            Some(Err("not trusted")),
            FORK,
            "fork-not-accepted",
        ),
        (by_branch.clone(), None, "topic", "pull-requests-not-followed"),
        (by_branch, Some(Ok("trusted")), FORK, "pull-requests-not-followed"),
        (
            BranchCreation::Manually,
            None,
            "topic",
            "pull-requests-not-followed",
        ),
    ];
    for (create, fork, name, expected) in table {
        let mut plan = plan(None);
        plan.branches.create = create.clone();
        let arrival = told(news(true, fork), name, "b");
        let decisions = judge(&plan, &rows(), &arrival);
        let decision = only(&decisions);
        assert_eq!(
            decision.code.as_str(),
            expected,
            "{create:?} {fork:?}: {decision:#?}"
        );
        let first = ChangeJudge::new(&plan, &arrival).first_pass(&rows());
        let made = first.branch_changes.len();
        assert_eq!(made, usize::from(decision.build), "{create:?} {fork:?}");
    }
    let decisions = judge(
        &following(true),
        &rows(),
        &told(news(true, Some(Ok("hana is a trusted author"))), FORK, "b"),
    );
    let decision = only(&decisions);
    assert_eq!(
        decision.sentence,
        "the new branch refs/pull/7/head of PROJ-PLAN is built at bbbbbbbbbbbb of the branch refs/pull/7/head for the \
         first time, because pull request 7 brings it"
    );
    let rule = decision
        .rules
        .iter()
        .find(|rule| rule.name == "new-branch")
        .expect("a rule");
    assert_eq!(
        rule.input,
        "the plan accepts pull requests from forks, and hana is a trusted author"
    );
}

#[test]
fn new_commits_are_built_and_known_ones_are_not() {
    for (new, expected) in [("b", "changed"), ("a", "no-changes")] {
        for (name, from_fork) in [("topic", false), (FORK, true)] {
            let fork = from_fork.then_some(Ok("trusted"));
            let decisions = judge(
                &following(true),
                &rows_with(name, true, from_fork),
                &told(news(true, fork), name, new),
            );
            let decision = only(&decisions);
            assert_eq!(
                (decision.code.as_str(), decision.subject.to_string().as_str()),
                (expected, "PROJ-PLAN2")
            );
        }
    }
    // A push to the branch of an open one is a push like any other.
    let push = push(vec![branch("topic", "a", "b")]);
    let decisions = judge(&following(false), &rows_with("topic", true, false), &push);
    assert_eq!(codes(&decisions), ["PROJ-PLAN2 changed"]);
}

#[test]
fn a_plan_branch_ends_with_its_pull_request_and_comes_back_with_it() {
    let mut plan = following(true);
    plan.branches.delete_after_deleted_days = Some(7);
    for (name, from_fork) in [("topic", false), (FORK, true)] {
        let fork = from_fork.then_some(Err("it is closed"));
        let closed = told(news(false, fork), name, "0");
        let mut rows = rows_with(name, false, from_fork);
        let first = ChangeJudge::new(&plan, &closed).first_pass(&rows);
        let ended = BranchChange::MarkMissing {
            key: key("PROJ-PLAN2"),
        };
        assert_eq!(first.branch_changes, [ended]);
        assert_eq!(
            only(&first.decisions).sentence,
            "nothing is built, because pull request 7 was closed; PROJ-PLAN2 is removed after 7 days"
        );
        // Nothing but the pull request wakes it again: neither pushes nor looks.
        rows[3].missing_since_ms = Some(1);
        let others = [
            push(vec![branch(name, "a", "b")]),
            heads(
                Source::Poll,
                &[
                    ("master", "a"),
                    ("feature/foo", "a"),
                    ("feature/bar", "a"),
                    (name, "b"),
                ],
            ),
        ];
        for other in others {
            let first = ChangeJudge::new(&plan, &other).first_pass(&rows);
            assert_eq!(first.branch_changes, []);
            assert_eq!(first.candidates, []);
        }
        rows[3].proposal = Some(Proposal {
            open: true,
            from_fork,
        });
        let reopened = told(news(true, from_fork.then_some(Ok("trusted"))), name, "b");
        let first = ChangeJudge::new(&plan, &reopened).first_pass(&rows);
        let found = BranchChange::MarkFound {
            key: key("PROJ-PLAN2"),
        };
        assert_eq!(first.branch_changes, [found]);
        assert_eq!(first.candidates.len(), 1);
    }
    // Another one from the same branch keeps it; a branch that was made by hand is nobody's.
    let closed = told(news(false, None), "topic", "0");
    let first = ChangeJudge::new(&plan, &closed).first_pass(&rows_with("topic", true, false));
    assert_eq!(first.branch_changes, []);
    let closed = told(news(false, None), "feature/foo", "0");
    let first = ChangeJudge::new(&plan, &closed).first_pass(&rows());
    assert_eq!((first.branch_changes.len(), first.decisions.len()), (0, 1));
}

#[test]
fn a_fork_does_not_take_a_branch_of_the_repository_over() {
    let mut all = rows();
    all[2].vcs_branch = FORK.into();
    let decisions = judge(
        &following(true),
        &all,
        &told(news(true, Some(Ok("trusted"))), FORK, "b"),
    );
    assert_eq!(only(&decisions).code, ReasonCode::UnacceptableBranchName);
}

proptest! {
    #[test]
    fn what_a_fork_brought_is_built_by_its_pull_request_alone(
        which in 0..4_usize,
        refs in proptest::collection::vec((0..4_usize, 0..4_usize, 0..4_usize), 1..6),
        open: bool,
        accept_fork: bool,
        trusted: bool,
    ) {
        let names = [FORK, "master", "feature/foo", "topic"];
        let ids = ["0", "a", "b", "c"];
        let moved = refs.iter().map(|(name, old, new)| branch(names[*name], ids[*old], ids[*new])).collect();
        let all: Vec<(&str, &str)> = refs.iter().map(|(name, _, new)| (names[*name], ids[(*new).max(1)])).collect();
        let plan = following(accept_fork);
        let arrival = match which {
            0 => push(moved),
            1 => heads(Source::Poll, &all),
            2 => heads(Source::Cron { expression: "0 0 * * * ?".into() }, &all),
            _ => told(news(open, Some(if trusted { Ok("trusted") } else { Err("not trusted") })), FORK, "b"),
        };
        let built = judge(&plan, &rows_with(FORK, open, true), &arrival)
            .iter()
            .any(|decision| decision.build && decision.subject == Subject::Branch { key: key("PROJ-PLAN2") });
        prop_assert_eq!(built, which == 3 && open && accept_fork && trusted);
    }
}
