//! A plan, its branches and an event, in few words; the stories are in the modules.

mod filters;
mod properties;
mod pull_requests;
mod pushes;
mod triggers;

use super::*;
use crate::plan::{
    BranchCreation, ChangeDetection, FileFilter, PlanRepository, Trigger, TriggerCondition, TriggerKind,
};

fn key(text: &str) -> PlanKey {
    text.parse().expect(text)
}

/// A revision named by one letter.
fn rev(name: &str) -> Option<Revision> {
    Revision::new(&name.repeat(40))
}

fn plan(triggers: Option<Vec<Trigger>>) -> PlanConfiguration {
    PlanConfiguration {
        repositories: Some(vec![PlanRepository::named("app")]),
        triggers,
        ..PlanConfiguration::new(key("PROJ-PLAN"), "Plan")
    }
}

fn trigger(kind: TriggerKind) -> Trigger {
    Trigger::from(kind)
}

fn remote() -> Trigger {
    trigger(TriggerKind::Remote {
        addresses: Vec::new(),
    })
}

fn polling() -> Trigger {
    trigger(TriggerKind::Polling {
        period_seconds: Some(180),
        cron: None,
    })
}

fn cron(expression: &str) -> Trigger {
    trigger(TriggerKind::Cron {
        expression: expression.into(),
    })
}

/// The master and two plan branches, all of them settled at revision `a`.
fn rows() -> Vec<BranchRow> {
    let row = |key: PlanKey, vcs_branch: &str| BranchRow {
        is_master: key.as_str() == "PROJ-PLAN",
        key,
        vcs_branch: vcs_branch.into(),
        enabled: true,
        last_revision: rev("a"),
        missing_since_ms: None,
        proposal: None,
    };
    vec![
        row(key("PROJ-PLAN0"), "feature/foo"),
        row(key("PROJ-PLAN"), "master"),
        row(key("PROJ-PLAN1"), "feature/bar"),
    ]
}

fn branch(name: &str, old: &str, new: &str) -> MovedRef {
    MovedRef {
        kind: RefKind::Branch,
        name: name.into(),
        old: rev(old),
        new: rev(new),
    }
}

fn arrival(source: Source, news: News) -> Arrival {
    Arrival {
        source,
        repository: Some(ArrivedRepository {
            name: "app".into(),
            is_default: true,
            scm: Scm::Git,
            pushes_known: true,
            remote_counts: true,
            default_branch: Some("master".into()),
        }),
        news,
        current_heads: BTreeMap::new(),
        pusher: None,
        max_candidates: DEFAULT_MAX_CANDIDATES,
    }
}

fn push(refs: Vec<MovedRef>) -> Arrival {
    arrival(Source::Push, News::Moved(refs))
}

fn heads(source: Source, heads: &[(&str, &str)]) -> Arrival {
    let heads = heads
        .iter()
        .map(|(name, id)| ((*name).to_owned(), rev(id).expect("a revision")))
        .collect();
    arrival(
        source,
        News::Heads(Heads {
            heads,
            known: BTreeMap::new(),
            complete: true,
        }),
    )
}

fn remote_call(asked: &str, skip_branches: bool, all: &[(&str, &str)]) -> Arrival {
    heads(
        Source::RemoteTrigger {
            asked: key(asked),
            skip_branches,
        },
        all,
    )
}

fn moment_at<T>(now: &str, then: impl FnOnce(&Moment<'_>) -> T) -> T {
    let zone = TimeZone::UTC;
    then(&Moment {
        now: now.parse().expect("a time"),
        server_zone: &zone,
        zone_named: &|_| None,
    })
}

/// Everything that both passes decide, with the same facts for all candidates.
fn judge_with(
    plan: &PlanConfiguration,
    rows: &[BranchRow],
    arrival: &Arrival,
    facts: &ChangeFacts,
) -> Vec<Decision> {
    let judge = ChangeJudge::new(plan, arrival);
    let first = judge.first_pass(rows);
    let mut decisions = first.decisions;
    moment_at("2024-02-01T12:00:00Z", |moment| {
        decisions.extend(
            first
                .candidates
                .iter()
                .map(|candidate| judge.decide(candidate, facts, moment)),
        );
    });
    decisions
}

fn judge(plan: &PlanConfiguration, rows: &[BranchRow], arrival: &Arrival) -> Vec<Decision> {
    judge_with(plan, rows, arrival, &ChangeFacts::default())
}

/// `subject code` for each decision, sorted.
fn codes(decisions: &[Decision]) -> Vec<String> {
    let mut all: Vec<String> = decisions
        .iter()
        .map(|decision| format!("{} {}", decision.subject, decision.code))
        .collect();
    all.sort();
    all
}

fn only(decisions: &[Decision]) -> &Decision {
    assert_eq!(decisions.len(), 1, "{decisions:#?}");
    &decisions[0]
}
