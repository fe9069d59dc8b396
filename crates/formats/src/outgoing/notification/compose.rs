//! Says what there is to say, once for every form.

use super::facts::{BuildTold, DeploymentTold, Happened, JobTold, NotificationFacts, State, Subject};
use super::{Item, Letter, Section, Tone};
use crate::outgoing::clock;

/// What is said of what happened.
pub fn compose(facts: &NotificationFacts) -> Letter {
    match &facts.subject {
        Subject::Build(build) => of_build(facts, build),
        Subject::Deployment(deployment) => of_deployment(facts, deployment),
    }
}

fn of_build(facts: &NotificationFacts, build: &BuildTold) -> Letter {
    let page = |key: &str| format!("{}/browse/{key}", facts.server_url);
    let path = format!("{} › #{}", facts.path.join(" › "), build.number);
    let (headline, tone) = headline(&path, build);
    let mut rows = vec![("Plan", format!("{} ({})", facts.path.join(" › "), build.plan_key))];
    rows.extend(build.branch.clone().map(|branch| ("Branch", branch)));
    rows.extend(build.revision.clone().map(|revision| ("Revision", revision)));
    if !build.reason.is_empty() {
        rows.push(("Reason", build.reason.clone()));
    }
    rows.extend(times(build.started_ms, build.finished_ms));
    if !build.responsible.is_empty() {
        rows.push(("Responsible", listed(&build.responsible, 10)));
    }
    let mut sections = Vec::new();
    match &build.happened {
        Happened::JobTrouble { reason, .. } => rows.push(("Why", reason.clone())),
        Happened::Commented { by, text } => sections.push(Section {
            title: "Comment".into(),
            items: vec![Item {
                name: by.clone(),
                text: text.clone(),
                link: Some(page(&build.key)),
            }],
            more: 0,
        }),
        Happened::ResponsibilityChanged { by } => rows.push(("Changed by", by.clone())),
        Happened::Ended | Happened::JobEnded { .. } => {}
    }
    let told_job = |one: &&JobTold| match &build.happened {
        Happened::JobEnded { job } => one.key == *job,
        _ => one.state == State::Failed,
    };
    let jobs: Vec<Item> = build
        .jobs
        .iter()
        .filter(told_job)
        .map(|one| Item {
            name: format!("{} › {}", one.stage, one.name),
            text: one.message.clone(),
            link: Some(page(&one.key)),
        })
        .collect();
    let title = match build.happened {
        Happened::JobEnded { .. } => "Job",
        _ => "Failed jobs",
    };
    push(&mut sections, title, jobs, 0);
    if let Some(tests) = &build.tests {
        let items: Vec<Item> = tests
            .failures
            .iter()
            .map(|one| Item {
                name: one.name.clone(),
                text: one.job.clone(),
                link: None,
            })
            .collect();
        let more = tests.failed.saturating_sub(items.len());
        push(&mut sections, "Failed tests", items, more);
    }
    let commits = build.commits.iter().map(|one| Item {
        name: one.id.chars().take(12).collect(),
        text: format!("{} ({})", first_line(&one.message), one.author),
        link: one.link.clone(),
    });
    push(&mut sections, "Commits", commits.collect(), build.more_commits);
    Letter {
        headline,
        tone,
        link: page(&build.key),
        facts: rows,
        sections,
    }
}

fn push(sections: &mut Vec<Section>, title: &str, items: Vec<Item>, more: usize) {
    if !items.is_empty() {
        sections.push(Section {
            title: title.to_owned(),
            items,
            more,
        });
    }
}

fn headline(path: &str, build: &BuildTold) -> (String, Tone) {
    let job_name = |key: &str| {
        let found = build.jobs.iter().find(|one| one.key == key);
        found.map_or_else(|| key.to_owned(), |one| one.name.clone())
    };
    match &build.happened {
        Happened::Ended => {
            let (verb, tone) = verdict(build.state);
            let changed = made_by(build);
            (format!("{path} {verb}{}{changed}", tests(build)), tone)
        }
        Happened::JobEnded { job } => {
            let state = build.jobs.iter().find(|one| one.key == *job).map(|one| one.state);
            let (verb, tone) = verdict(state.unwrap_or(State::Stopped));
            (
                format!("{path} › {} {verb}{}", job_name(job), made_by(build)),
                tone,
            )
        }
        Happened::JobTrouble { job, what, .. } => (format!("{path} › {} {what}", job_name(job)), Tone::Bad),
        Happened::Commented { by, .. } => (format!("{by} commented on {path}"), Tone::Neutral),
        Happened::ResponsibilityChanged { .. } if build.responsible.is_empty() => (
            format!("Nobody is responsible for {path} any more"),
            Tone::Neutral,
        ),
        Happened::ResponsibilityChanged { .. } => {
            let verb = if build.responsible.len() == 1 { "is" } else { "are" };
            let who = listed(&build.responsible, 3);
            (format!("{who} {verb} responsible for {path}"), Tone::Neutral)
        }
    }
}

fn verdict(state: State) -> (&'static str, Tone) {
    match state {
        State::Successful => ("was SUCCESSFUL", Tone::Good),
        State::Failed => ("has FAILED", Tone::Bad),
        State::Stopped => ("was STOPPED", Tone::Neutral),
        State::Running => ("has STARTED", Tone::Neutral),
    }
}

fn tests(build: &BuildTold) -> String {
    let Some(tests) = &build.tests else {
        return String::new();
    };
    let plural = |count: usize| if count == 1 { "test" } else { "tests" };
    match build.state {
        _ if tests.failed > 0 => format!(" ({} {} failed)", tests.failed, plural(tests.failed)),
        State::Successful if tests.total > 0 => format!(" (with {} {})", tests.total, plural(tests.total)),
        _ => String::new(),
    }
}

/// `. Change made by Ann`, as Bamboo says it.
fn made_by(build: &BuildTold) -> String {
    let mut authors: Vec<String> = Vec::new();
    for commit in &build.commits {
        if !authors.contains(&commit.author) {
            authors.push(commit.author.clone());
        }
    }
    match (authors.is_empty(), build.commits.len() + build.more_commits) {
        (true, _) => String::new(),
        (false, 1) => format!(". Change made by {}", listed(&authors, 2)),
        (false, _) => format!(". Changes made by {}", listed(&authors, 2)),
    }
}

fn of_deployment(facts: &NotificationFacts, told: &DeploymentTold) -> Letter {
    let (verb, tone) = match told.state {
        State::Successful => ("was deployed to", Tone::Good),
        State::Failed => ("could NOT be deployed to", Tone::Bad),
        State::Stopped => ("was STOPPED on the way to", Tone::Neutral),
        State::Running => ("is being deployed to", Tone::Neutral),
    };
    let project = facts.path.join(" › ");
    let mut rows = vec![
        ("Deployment", project.clone()),
        ("Environment", told.environment.clone()),
        ("Release", told.release.clone()),
    ];
    if !told.reason.is_empty() {
        rows.push(("Reason", told.reason.clone()));
    }
    rows.extend(times(told.started_ms, told.finished_ms));
    if !told.message.is_empty() && told.state != State::Running {
        rows.push(("Said", told.message.clone()));
    }
    Letter {
        headline: format!("{project} › {} {verb} {}", told.release, told.environment),
        tone,
        link: told.link.clone(),
        facts: rows,
        sections: Vec::new(),
    }
}

fn times(started_ms: Option<i64>, finished_ms: Option<i64>) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.extend(started_ms.map(|at| ("Started", clock::for_people(at))));
    if let (Some(started), Some(finished)) = (started_ms, finished_ms) {
        rows.push(("Took", duration((finished - started).max(0))));
    }
    rows
}

/// `1 h 2 min`, `1 min 23 s`, `23 s`.
fn duration(ms: i64) -> String {
    match (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60) {
        (0, 0, 0) => "less than a second".into(),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// `Ann`, `Ann and Bob`, `Ann, Bob and 3 others`.
fn listed(names: &[String], most: usize) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        _ if names.len() > most => {
            let (shown, rest) = names.split_at(most.saturating_sub(1).max(1));
            let others = if rest.len() == 1 { "other" } else { "others" };
            format!("{} and {} {others}", shown.join(", "), rest.len())
        }
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}
