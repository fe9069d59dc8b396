//! Our own body that tells of a build: `build:started` and `build:finished`, signed as pushes are.
//!
//! ```text
//! {"type": "build:started"|"build:finished", "version": 1,
//!  "timestamp": "…Z",         when that was
//!  "data": {
//!    "server":     {"url"},
//!    "repository": {"id", "owner", "slug", "name"},
//!    "plan":       {"key", "name"},
//!    "build":      {"key", "number", "branch", "revision", "state": running|successful|failed|stopped,
//!                   "previousState": successful|failed|stopped|null, "reason", "triggeredBy",
//!                   "startedAt"|null, "finishedAt"|null, "durationMs"|null, "failedJobs": [key], "link"}}}
//! ```

use serde::Serialize;

use super::{JSON, Rendered, clock, writer};

/// What happened to a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFacts {
    /// The server's address without a slash at the end.
    pub server_url: String,
    /// The repository whose receivers are told.
    pub repository: BuiltRepository,
    /// The key of the plan: `PROJ-PLAN`.
    pub plan_key: String,
    /// Its name for people.
    pub plan_name: String,
    /// The key of the build: `PROJ-PLAN0-7`.
    pub key: String,
    /// Its number.
    pub number: i64,
    /// The branch that it checked out of the repository.
    pub branch: String,
    /// The revision, a full id.
    pub revision: String,
    /// How it ended; `None`: it began.
    pub state: Option<BuiltState>,
    /// How the build before it on the same plan branch ended.
    pub previous_state: Option<BuiltState>,
    /// Why it runs, as a sentence.
    pub reason: String,
    /// Who or what started it.
    pub triggered_by: String,
    /// When its first job began, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// When it ended, likewise.
    pub finished_ms: Option<i64>,
    /// Keys of the jobs that failed: `PROJ-PLAN-JOB1`.
    pub failed_jobs: Vec<String>,
    /// When what is told happened, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The repository of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltRepository {
    /// The number of the repository, the same for ever.
    pub id: i64,
    /// The owner in addresses.
    pub owner: String,
    /// The name in addresses.
    pub slug: String,
    /// The name for people.
    pub name: String,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BuiltState {
    /// Every job succeeded.
    Successful,
    /// A job failed.
    Failed,
    /// It was stopped, or could not run.
    Stopped,
}

impl BuildFacts {
    /// `build:started` or `build:finished`.
    pub fn event(&self) -> &'static str {
        if self.state.is_some() {
            "build:finished"
        } else {
            "build:started"
        }
    }

    /// The page of the build.
    pub fn link(&self) -> String {
        format!("{}/browse/{}", self.server_url, self.key)
    }

    /// The delivery.
    pub fn render(&self) -> Rendered {
        let time = |ms: i64| clock::utc_with_milliseconds(ms);
        let took = match (self.started_ms, self.finished_ms) {
            (Some(started), Some(finished)) => Some((finished - started).max(0)),
            _ => None,
        };
        Rendered {
            content_type: JSON,
            headers: vec![("X-Madake-Event", self.event().to_owned())],
            body: writer::compact(&Body {
                r#type: self.event(),
                version: 1,
                timestamp: time(self.at_ms),
                data: Data {
                    server: Server {
                        url: &self.server_url,
                    },
                    repository: Repository {
                        id: self.repository.id,
                        owner: &self.repository.owner,
                        slug: &self.repository.slug,
                        name: &self.repository.name,
                    },
                    plan: Plan {
                        key: &self.plan_key,
                        name: &self.plan_name,
                    },
                    build: Build {
                        key: &self.key,
                        number: self.number,
                        branch: &self.branch,
                        revision: &self.revision,
                        state: self.state.map_or(State::Running, State::Ended),
                        previous_state: self.previous_state,
                        reason: &self.reason,
                        triggered_by: &self.triggered_by,
                        started_at: self.started_ms.map(time),
                        finished_at: self.finished_ms.map(time),
                        duration_ms: took,
                        failed_jobs: &self.failed_jobs,
                        link: self.link(),
                    },
                },
            }),
        }
    }
}

#[derive(Serialize)]
struct Body<'f> {
    r#type: &'static str,
    version: u32,
    timestamp: String,
    data: Data<'f>,
}

#[derive(Serialize)]
struct Data<'f> {
    server: Server<'f>,
    repository: Repository<'f>,
    plan: Plan<'f>,
    build: Build<'f>,
}

#[derive(Serialize)]
struct Server<'f> {
    url: &'f str,
}

#[derive(Serialize)]
struct Repository<'f> {
    id: i64,
    owner: &'f str,
    slug: &'f str,
    name: &'f str,
}

#[derive(Serialize)]
struct Plan<'f> {
    key: &'f str,
    name: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build<'f> {
    key: &'f str,
    number: i64,
    branch: &'f str,
    revision: &'f str,
    state: State,
    previous_state: Option<BuiltState>,
    reason: &'f str,
    triggered_by: &'f str,
    started_at: Option<String>,
    finished_at: Option<String>,
    duration_ms: Option<i64>,
    failed_jobs: &'f [String],
    link: String,
}

enum State {
    Running,
    Ended(BuiltState),
}

impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running => serializer.serialize_str("running"),
            Self::Ended(state) => state.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_told_from_their_start_to_their_end() {
        let started = BuildFacts {
            server_url: "https://ci.example".into(),
            repository: BuiltRepository {
                id: 4,
                owner: "PROJ".into(),
                slug: "app".into(),
                name: "PROJ/app".into(),
            },
            plan_key: "PROJ-PLAN".into(),
            plan_name: "Plan".into(),
            key: "PROJ-PLAN-7".into(),
            number: 7,
            branch: "main".into(),
            revision: "7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90".into(),
            state: None,
            previous_state: None,
            reason: "changes were found".into(),
            triggered_by: "mei".into(),
            started_ms: None,
            finished_ms: None,
            failed_jobs: Vec::new(),
            at_ms: 1_772_451_296_000,
        };
        let read = |facts: &BuildFacts| -> serde_json::Value {
            serde_json::from_slice(&facts.render().body).unwrap()
        };
        let told = read(&started);
        assert_eq!(told["type"], "build:started");
        assert_eq!(told["timestamp"], "2026-03-02T11:34:56.000Z");
        assert_eq!(told["data"]["build"]["state"], "running");
        assert_eq!(told["data"]["build"]["durationMs"], serde_json::Value::Null);
        let ended = BuildFacts {
            state: Some(BuiltState::Failed),
            previous_state: Some(BuiltState::Successful),
            started_ms: Some(1000),
            finished_ms: Some(84_000),
            failed_jobs: vec!["PROJ-PLAN-TEST".into()],
            ..started
        };
        let told = read(&ended);
        assert_eq!(told["type"], "build:finished");
        let build = &told["data"]["build"];
        assert_eq!(
            (&build["state"], &build["previousState"], &build["durationMs"]),
            (&"failed".into(), &"successful".into(), &83_000.into())
        );
        assert_eq!(build["link"], "https://ci.example/browse/PROJ-PLAN-7");
    }
}
