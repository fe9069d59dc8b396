//! Views that the tests render.

use jiff::tz::TimeZone;
use madake_domain::key::JobResultKey;

use super::super::expand::Expand;
use super::super::link::Links;
use super::super::render::RenderContext;
use super::super::view::*;

/// 2026-01-31T06:17:36.936Z
pub(super) const STARTED_MS: i64 = 1_769_840_256_936;

pub(super) fn context(expand: &str) -> RenderContext {
    RenderContext {
        links: Links::new("http://ci.example"),
        zone: TimeZone::UTC,
        now_ms: STARTED_MS + 15_004 + 120_000,
        expand: Expand::parse(expand),
    }
}

pub(super) fn project() -> ProjectRef {
    ProjectRef {
        id: 720_897,
        key: "PROJ".parse().unwrap(),
        name: "My project".to_owned(),
        description: String::new(),
    }
}

pub(super) fn plan() -> PlanRef {
    PlanRef {
        id: 360_449,
        key: "PROJ-PLAN".parse().unwrap(),
        project_name: "My project".to_owned(),
        short_name: "Build".to_owned(),
        enabled: true,
        master: None,
    }
}

pub(super) fn branch_plan() -> PlanRef {
    PlanRef {
        id: 360_460,
        key: "PROJ-PLAN0".parse().unwrap(),
        short_name: "feature-bar".to_owned(),
        master: Some(Box::new(plan())),
        ..plan()
    }
}

pub(super) fn job() -> JobRef {
    JobRef {
        id: 360_470,
        key: "PROJ-PLAN-JOB1".parse().unwrap(),
        short_name: "Unit tests".to_owned(),
        enabled: true,
        plan: plan(),
    }
}

pub(super) fn full_plan() -> PlanView {
    PlanView {
        description: "Builds & tests".to_owned(),
        is_active: true,
        average_build_time_ms: 16_500,
        stages: vec![StageDefinition {
            name: "First".to_owned(),
            description: String::new(),
            manual: false,
            jobs: vec![job()].into(),
        }]
        .into(),
        branches: vec![branch()].into(),
        variables: vec![
            variable("level", "1", false),
            variable("deploy.password", "hunter2", true),
        ]
        .into(),
        ..PlanView::short(plan(), project())
    }
}

pub(super) fn variable(name: &str, value: &str, is_password: bool) -> VariableView {
    VariableView {
        name: name.to_owned(),
        value: value.to_owned(),
        kind: "PLAN",
        is_password,
    }
}

pub(super) fn branch() -> BranchView {
    BranchView {
        plan: branch_plan(),
        description: String::new(),
        is_favourite: false,
        latest_result: None,
        latest_active: None,
    }
}

pub(super) fn summary() -> ResultSummary {
    ResultSummary {
        id: 360_450,
        key: "PROJ-PLAN-7".parse().unwrap(),
        plan: plan(),
        status: Status::Successful,
    }
}

pub(super) fn details(status: Status) -> ResultDetails {
    ResultDetails {
        id: 360_450,
        status,
        continuable: status == Status::Successful,
        once_off: false,
        specs_result: false,
        started_ms: Some(STARTED_MS),
        completed_ms: Some(STARTED_MS + 15_004),
        average_duration_ms: Some(16_000),
        reason: Reason::CodeChanged,
        revision: Some("3f1c9a".to_owned()),
        revisions: vec![RevisionView {
            repository_id: 5,
            repository_name: "main".to_owned(),
            revision: "3f1c9a".to_owned(),
        }]
        .into(),
        tests: TestCounts {
            successful: 6,
            ..TestCounts::default()
        },
        changes: vec![change()].into(),
        artifacts: Slice::default(),
        comments: Slice::default(),
        labels: Slice::default(),
        issues: Slice::default(),
        variables: Slice::default(),
        metadata: vec![("plan.storageTag".to_owned(), "plan-1".to_owned())].into(),
    }
}

pub(super) fn change() -> ChangeView {
    ChangeView {
        changeset_id: "3f1c9a".to_owned(),
        author: "Ann <ann@example.org>".to_owned(),
        user_name: Some("ann".to_owned()),
        full_name: "Ann".to_owned(),
        comment: "mend\nthe \u{1b}[1mdoor".to_owned(),
        date_ms: STARTED_MS - 60_000,
        commit_url: None,
        files: vec![ChangedFile {
            name: "src/door.rs".to_owned(),
            revision: "3f1c9a".to_owned(),
        }]
        .into(),
    }
}

pub(super) fn job_result_key() -> JobResultKey {
    JobResultKey {
        job: "PROJ-PLAN-JOB1".parse().unwrap(),
        number: 7,
    }
}

pub(super) fn job_summary(status: Status) -> JobResultSummary {
    JobResultSummary {
        id: 360_480,
        key: job_result_key(),
        job: job(),
        status,
    }
}

fn stage(id: i64, name: &str, status: Status, manual: bool, runnable: bool) -> StageResult {
    StageResult {
        id,
        name: name.to_owned(),
        description: None,
        status,
        manual,
        restartable: false,
        runnable,
        jobs: vec![ResultEntry::Job(job_summary(status))].into(),
    }
}

/// First is done, Second waits to be started by hand, Third comes after it.
pub(super) fn result() -> ResultView {
    ResultView {
        key: "PROJ-PLAN-7".parse().unwrap(),
        plan: plan(),
        full_plan: None,
        details: details(Status::Successful),
        stages: vec![
            stage(360_451, "First", Status::Successful, false, false),
            stage(360_452, "Second", Status::NotBuilt, true, true),
            stage(360_453, "Third", Status::NotBuilt, true, false),
        ]
        .into(),
    }
}

pub(super) fn running_result() -> ResultView {
    let mut result = result();
    result.details = ResultDetails {
        continuable: false,
        completed_ms: None,
        ..details(Status::InProgress)
    };
    result.stages = vec![
        stage(360_451, "First", Status::InProgress, false, false),
        stage(360_452, "Second", Status::Pending, true, false),
    ]
    .into();
    result
}

pub(super) fn job_result() -> JobResultView {
    let line = |offset: i64, text: &str| LogLine {
        text: text.to_owned(),
        time_ms: STARTED_MS + offset,
        is_error: offset > 0,
    };
    let test = TestView {
        id: 123,
        class_name: "pkg.Door".to_owned(),
        method_name: "opens".to_owned(),
        status: "failed".to_owned(),
        duration_ms: 12,
        errors: vec!["stuck".to_owned()].into(),
    };
    JobResultView {
        key: job_result_key(),
        job: job(),
        details: ResultDetails {
            continuable: false,
            artifacts: vec![ArtifactView {
                name: "jar".to_owned(),
                producer: job_result_key(),
                shared: true,
                size_bytes: 6_999_999,
                path: "out/door.jar".to_owned(),
            }]
            .into(),
            ..details(Status::Failed)
        },
        stage: "First".to_owned(),
        queue: Some(Span {
            started_ms: STARTED_MS - 16_000,
            duration_ms: 16_000,
        }),
        vcs_update: Some(Span {
            started_ms: STARTED_MS,
            duration_ms: 400,
        }),
        has_executable_agents: Some(true),
        test_results: TestResults {
            all: Slice::counted(6),
            successful: Slice::counted(5),
            failed: vec![test].into(),
            new_failed: Slice::counted(1),
            ..TestResults::default()
        },
        log: vec![line(0, "make \"all\" <here> & now"), line(64, "boom")].into(),
    }
}
