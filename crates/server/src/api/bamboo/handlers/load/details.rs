//! What results of plans and of jobs have in common (bamboo-rest.md 5.2, 5.5).

use madake_domain::issue::issue_keys;
use madake_domain::key::ResultKey;
use madake_domain::schedule::{LifeCycleState, ResultState};
use madake_domain::variables::{GivenVariable, looks_secret};
use madake_engine::EngineError;
use madake_engine::commit_page::commit_page;
use madake_engine::handed_on::{self, ShownVariable};
use madake_store::build::{self, Build};
use madake_store::repository::{self, Repository};
use madake_store::{StoreError, build_query, label, variable};

use super::super::super::expand::Expand;
use super::super::super::view::{
    ChangeView, ChangedFile, IssueView, Reason, ResultDetails, RevisionView, Slice, Status, VariableView,
};
use super::Loader;

/// The name under which the metadata of a result say where its files belong.
pub(super) const STORAGE_TAG: &str = "plan.storageTag";

impl Loader<'_, '_> {
    /// The details of a plan's result. `in_list` leaves out what lists do not even count.
    pub(super) fn details(
        &mut self,
        build: &Build,
        expand: &Expand,
        in_list: bool,
    ) -> Result<ResultDetails, EngineError> {
        let summary = build.schedule.summary();
        let status = status_of(summary.life_cycle, summary.state);
        let reason = self.reason(&build.reason)?;
        let mut metadata = vec![(STORAGE_TAG.to_owned(), format!("plan-{}", build.plan_branch_id))];
        if let Some(user) = reason.user() {
            metadata.push(("ManualBuildTriggerReason.userName".to_owned(), user.name.clone()));
        }
        let average_duration_ms = match status {
            Status::InProgress => build_query::average_duration_ms(self.tx, build.plan_branch_id)?,
            _ => None,
        };
        let changes = if in_list && !expand.contains("changes") {
            Slice::default()
        } else {
            self.changes(build.id)?
        };
        let issues = if in_list && !expand.contains("jiraIssues") {
            Slice::default()
        } else {
            self.issues(build.id)?.into()
        };
        Ok(ResultDetails {
            id: build.id,
            status,
            continuable: summary.continuable,
            once_off: build.once_off,
            specs_result: false,
            started_ms: build.started_ms,
            completed_ms: build.finished_ms,
            average_duration_ms,
            reason,
            revision: build.revision.clone(),
            revisions: self.revisions(build.id)?.into(),
            tests: self.tests_of_build(build.id)?,
            changes,
            artifacts: self.artifacts(build, None, expand)?,
            comments: self.comments(build.id)?.into(),
            labels: self.labels_of(build.id)?.into(),
            issues,
            variables: self.variables_of(build)?.into(),
            metadata: metadata.into(),
        })
    }

    /// The names of what was set as a secret and bears on a plan.
    pub(in super::super) fn secrets_of(&mut self, plan_id: i64) -> Result<Vec<String>, EngineError> {
        let key = self.plan(plan_id)?.key.clone();
        Ok(variable::secret_names(
            self.tx,
            key.project().as_str(),
            key.as_str(),
        )?)
    }

    /// The labels of a result.
    pub(in super::super) fn labels_of(&self, build_id: i64) -> Result<Vec<String>, EngineError> {
        Ok(label::of_build(self.tx, build_id)?)
    }

    /// Why a build was started, with the names of users.
    pub(in super::super) fn reason(&mut self, reason: &build::Reason) -> Result<Reason, EngineError> {
        Ok(match reason {
            build::Reason::CodeChanged => Reason::CodeChanged,
            build::Reason::FirstBuild => Reason::FirstBuild,
            build::Reason::Scheduled => Reason::Scheduled,
            build::Reason::Parent { build, .. } => match build.parse() {
                Ok(parent) => Reason::ChildOf { parent },
                Err(_) => Reason::CodeChanged,
            },
            build::Reason::Tag { name } => Reason::Tag { name: name.clone() },
            build::Reason::Deployment {
                project,
                environment,
                release,
                ..
            } => Reason::Deployment {
                project: project.clone(),
                environment: environment.clone(),
                release: release.clone(),
            },
            build::Reason::Manual { user } => Reason::ManualBuild {
                user: self.user(user)?,
            },
            build::Reason::CustomRevision { user, revision } => Reason::CustomRevision {
                user: self.user(user)?,
                revision: revision.clone(),
            },
            build::Reason::StageContinued { user, stage } => Reason::StageContinued {
                stage: stage.clone(),
                user: self.user(user)?,
            },
            build::Reason::Rebuilt { user } => Reason::Rebuilt {
                user: self.user(user)?,
            },
        })
    }

    /// The commits that are new in a build.
    pub(in super::super) fn changes(&mut self, build_id: i64) -> Result<Slice<ChangeView>, EngineError> {
        let rows = build_query::changes(self.tx, build_id)?;
        let built_from = match rows.is_empty() {
            true => None,
            false => self.first_repository(build_id)?,
        };
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let user = self.user_by_email(&row.email)?;
            let files: Vec<ChangedFile> = row
                .files
                .into_iter()
                .map(|name| ChangedFile {
                    name,
                    revision: row.changeset.clone(),
                })
                .collect();
            let commit_url = built_from
                .as_ref()
                .and_then(|found| commit_page(&self.base_url, found, &row.changeset));
            views.push(ChangeView {
                changeset_id: row.changeset,
                full_name: user
                    .as_ref()
                    .map_or_else(|| row.author.clone(), |user| user.full_name.clone()),
                user_name: user.map(|user| user.name),
                author: row.author,
                comment: row.message,
                date_ms: row.at_ms,
                commit_url,
                files: files.into(),
            });
        }
        Ok(views.into())
    }

    /// The repository whose commits a build lists.
    fn first_repository(&self, build_id: i64) -> Result<Option<Repository>, EngineError> {
        let first = build_query::revisions(self.tx, build_id)?.into_iter().next();
        match first.and_then(|first| first.repository_id) {
            Some(id) => Ok(repository::by_id(self.tx, id)?),
            None => Ok(None),
        }
    }

    /// The issues that the commits of a build name, each once.
    fn issues(&self, build_id: i64) -> Result<Vec<IssueView>, EngineError> {
        let mut keys: Vec<String> = Vec::new();
        for change in build_query::changes(self.tx, build_id)? {
            for key in issue_keys(&change.message) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Ok(keys.into_iter().map(|key| IssueView { key }).collect())
    }

    /// Whether a commit of a build names one of these issues, or none is asked for.
    pub(in super::super) fn names_issue(
        &self,
        build_id: i64,
        wanted: &[String],
    ) -> Result<bool, EngineError> {
        Ok(wanted.is_empty() || build_query::names_issue(self.tx, build_id, wanted)?)
    }

    /// Those given by hand, and those that its jobs made for the result.
    fn variables_of(&mut self, build: &Build) -> Result<Vec<VariableView>, EngineError> {
        let secrets = self.secrets_of(build.plan_id)?;
        let given = |one: &GivenVariable| VariableView {
            name: one.name.clone(),
            value: one.value.clone(),
            kind: "MANUAL",
            is_password: looks_secret(&one.name) || secrets.contains(&one.name),
        };
        let made = |one: ShownVariable| VariableView {
            name: one.name,
            value: one.value,
            kind: "RESULT",
            is_password: one.secret,
        };
        let made_of_jobs = handed_on::shown(self.tx, build.id)?;
        Ok(build
            .variables
            .iter()
            .map(given)
            .chain(made_of_jobs.into_iter().map(made))
            .collect())
    }

    fn revisions(&self, build_id: i64) -> Result<Vec<RevisionView>, EngineError> {
        let rows = build_query::revisions(self.tx, build_id)?;
        let view = |row: build::Revision| RevisionView {
            repository_id: row.repository_id.unwrap_or(0),
            repository_name: row.name,
            revision: row.revision,
        };
        Ok(rows.into_iter().map(view).collect())
    }
}

/// The key of a build as it is stored.
pub(in super::super) fn result_key(build: &Build) -> Result<ResultKey, StoreError> {
    build
        .key
        .parse()
        .map_err(|error| StoreError::Damaged(format!("{error}")))
}

/// One word for what the state machine says in two. A build that ended without a verdict and was not stopped
/// has not run at all: it waits at a first stage that is manual.
pub(in super::super) fn status_of(life_cycle: LifeCycleState, state: ResultState) -> Status {
    match (life_cycle, state) {
        (LifeCycleState::Pending, _) => Status::Pending,
        (LifeCycleState::Queued, _) => Status::Queued,
        (LifeCycleState::InProgress, _) => Status::InProgress,
        (LifeCycleState::NotBuilt, _) => Status::NotBuilt,
        (LifeCycleState::Finished, ResultState::Successful) => Status::Successful,
        (LifeCycleState::Finished, ResultState::Failed) => Status::Failed,
        (LifeCycleState::Finished, ResultState::Unknown) => Status::Untouched,
    }
}
