//! An engine in a temporary home whose loops do not run, and requests into the router over it.
//!
//! Jobs end when a test says so: [`Fixture::run_jobs`] plays the agent.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::tz::TimeZone;
use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::permission::{Grantee, Permission, Scope};
use madake_domain::plan::PlanConfiguration;
use madake_domain::schedule::{Input, JobOutcome, step};
use madake_engine::access::Caller;
use madake_engine::home::Home;
use madake_engine::ops::change_permission::Subject;
use madake_engine::ops::create_token::CreateToken;
use madake_engine::ops::create_user::CreateUser;
use madake_engine::settings::Settings;
use madake_engine::{Engine, EngineError, clock};
use madake_server::App;
use madake_store::build::{self, Build};
use madake_store::plan::NewBranch;
use madake_store::{StoreError, build_query, label, plan, project};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The address that links of answers start with: it has a context path.
pub(crate) const BASE_URL: &str = "http://ci.example:8085/bamboo";

/// An engine and the router over it.
pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    pub(crate) engine: Engine,
    router: Router,
}

impl Fixture {
    /// An engine of an empty home, with its loops at rest.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            base_url: BASE_URL.into(),
            server_name: "test".into(),
            time_zone: TimeZone::UTC,
            agents: 1,
            concurrent_builds: None,
            pushes_in_a_row: madake_domain::push_chain::PUSHES_IN_A_ROW,
            job_timeout_seconds: 60,
            stop_grace_seconds: 1,
            hanging: madake_domain::hanging::HangingRules::default(),
            when_hanging: madake_engine::settings::WhenHanging::Tell,
            results: madake_engine::settings::ResultSettings::default(),
            agent: madake_engine::settings::AgentSettings {
                isolation: madake_protocol::IsolationChoice::Process,
                ..Default::default()
            },
            reconcile_seconds: 3600,
            poll_seconds: 3600,
            trigger_addresses: Vec::new(),
            anonymous_triggers: true,
            local_repositories: true,
            private_repositories: true,
            lfs_object_limit: Some(64 * 1024),
            refs_per_push: 1000,
            outgoing_policy: madake_outgoing::guard::AddressPolicy {
                allow: vec!["127.0.0.1".parse().expect("an address")],
                ..Default::default()
            },
            outgoing_client: madake_outgoing::client::ClientSettings::default(),
            mail: None,
            broker_programs: Vec::new(),
            program: "/bin/false".into(),
            git: "git".into(),
            hg: "hg".into(),
        };
        let home = Home::open(&folder.path().join("home")).expect("a home");
        let engine = Engine::open(home, settings).expect("an engine");
        let router = madake_server::build_router(&App::new(engine.clone(), Vec::new()));
        Self {
            _folder: folder,
            engine,
            router,
        }
    }

    /// The same with the plan `PROJ-PLAN`, which anonymous callers may read, and the administrator `admin`,
    /// whose token comes with it.
    pub(crate) async fn with_plan() -> (Self, String) {
        let fixture = Self::new();
        fixture.plan(&configuration("PROJ-PLAN")).await;
        fixture
            .grant(Scope::Plan, "PROJ-PLAN", Grantee::Anonymous, Permission::Read)
            .await;
        let token = fixture.user("admin", true).await;
        (fixture, token)
    }

    /// A user; gives a token that allows all that the user may.
    pub(crate) async fn user(&self, name: &str, administrator: bool) -> String {
        let new = CreateUser {
            name: name.into(),
            full_name: format!("{} Doe", name.to_uppercase()),
            email: format!("{name}@example.org"),
            password: None,
            administrator,
        };
        let local = Caller::local();
        self.engine.create_user(&local, new).await.expect("a user");
        let token = CreateToken {
            user: name.into(),
            name: "test".into(),
            permissions: Vec::new(),
            project: None,
            days_until_expiry: None,
        };
        self.engine.create_token(&local, token).await.expect("a token").1
    }

    pub(crate) async fn grant(&self, scope: Scope, key: &str, to: Grantee, permission: Permission) {
        let subject = Subject {
            scope,
            key: key.into(),
        };
        let local = Caller::local();
        self.engine
            .grant(&local, subject, to, permission)
            .await
            .expect("a grant");
    }

    /// Stores a plan.
    pub(crate) async fn plan(&self, configuration: &PlanConfiguration) {
        let configuration = configuration.clone();
        let stored: Result<(), StoreError> = self
            .engine
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let key: &ProjectKey = &configuration.project_key;
                let project = project::ensure(tx, key, now)?;
                project::rename(tx, project.id, &format!("Project {key}"))?;
                let id = plan::insert(tx, project.id, &configuration, None, now)?;
                let (version, _) = plan::ensure_version(tx, id, &configuration, "test", now)?;
                label::set_of_plan(tx, id, configuration.labels.as_deref().unwrap_or_default())?;
                plan::adopt_version(tx, id, version, &configuration)
            })
            .await;
        stored.expect("a plan");
    }

    /// Adds a plan branch as change detection does.
    pub(crate) async fn branch(&self, key: &str, vcs_branch: &str) {
        let (key, vcs_branch) = (plan_key(key), vcs_branch.to_owned());
        let stored: Result<(), StoreError> = self
            .engine
            .store()
            .write(move |tx| {
                let row = plan::by_key(tx, &key)?.expect("the plan");
                let new = NewBranch {
                    pull_request_id: None,
                    display_name: madake_domain::key::branch_display_name(&vcs_branch),
                    vcs_branch: Some(vcs_branch),
                    enabled: true,
                    cleanup_enabled: true,
                    automatic: true,
                };
                plan::insert_branch(tx, &row, &new, clock::now_ms()).map(|_| ())
            })
            .await;
        stored.expect("a plan branch");
    }

    /// Lets every job that waits run to this end, and whatever is queued after it.
    pub(crate) async fn run_jobs(&self, outcome: &JobOutcome) {
        while self.lease_next().await {
            let outcome = outcome.clone();
            self.every_held_job(move |job, attempt| Input::JobFinished {
                job,
                attempt,
                holder: "agent".into(),
                outcome: outcome.clone(),
            })
            .await;
        }
    }

    /// Lets an agent take the first job that waits and begin; says whether there was one.
    pub(crate) async fn lease_next(&self) -> bool {
        let next = self
            .engine
            .store()
            .read(|tx| build_query::queued_jobs(tx, 1))
            .await;
        let Some(job) = next.expect("the queue").pop() else {
            return false;
        };
        let attempt = u32::try_from(job.attempt).expect("an attempt");
        let holder = || "agent".to_owned();
        let leased = Input::JobLeased {
            job: job.id,
            attempt,
            holder: holder(),
        };
        self.apply(job.build_id, leased).await;
        let started = Input::JobStarted {
            job: job.id,
            attempt,
            holder: holder(),
        };
        self.apply(job.build_id, started).await;
        true
    }

    async fn every_held_job(&self, input: impl Fn(i64, u32) -> Input) {
        let held = self
            .engine
            .store()
            .read(|tx| build_query::held_jobs(tx, "agent"))
            .await;
        for job in held.expect("held jobs") {
            let attempt = u32::try_from(job.attempt).expect("an attempt");
            self.apply(job.build_id, input(job.id, attempt)).await;
        }
    }

    async fn apply(&self, build_id: i64, input: Input) {
        let stored: Result<(), EngineError> = self
            .engine
            .store()
            .write(move |tx| {
                let now = clock::now_ms();
                let before = build::by_id(tx, build_id)?;
                let (next, _) = step(&before.schedule, input, now).expect("a step of the build");
                Ok(build::save(tx, &before, &next, now)?)
            })
            .await;
        stored.expect("a saved build");
    }

    /// A build by its result key.
    pub(crate) async fn build(&self, key: &str) -> Build {
        let key = key.to_owned();
        let found = self.engine.store().read(move |tx| build::by_key(tx, &key)).await;
        found.expect("the store").expect("the build")
    }

    /// Changes something in the store.
    pub(crate) async fn store(
        &self,
        change: impl FnOnce(&madake_store::Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.engine.store().write(change).await.expect("a change");
    }

    /// Writes the log of a job of a build.
    pub(crate) async fn write_log(&self, build_key: &str, job_key: &str, text: &str) {
        let build_id = self.build(build_key).await.id;
        let jobs = self
            .engine
            .store()
            .read(move |tx| build_query::jobs(tx, build_id))
            .await
            .expect("jobs");
        let job = jobs.iter().find(|job| job.key == job_key).expect("the job");
        let path = self.engine.home().job_log(build_id, job.id, job.attempt);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a log");
    }

    /// A request; the path is taken below `/rest/api/latest` unless it starts elsewhere.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let elsewhere = ["/rest/", "/download/", "/build/", "/bamboo/", "/api/"];
        let path = if elsewhere.iter().any(|root| path.starts_with(root)) {
            path.to_owned()
        } else {
            format!("/rest/api/latest{path}")
        };
        Call {
            fixture: self,
            method,
            path,
            headers: Vec::new(),
            body: Body::empty(),
        }
    }

    /// GET with `Accept: application/json`.
    pub(crate) async fn get(&self, token: &str, path: &str) -> Reply {
        self.call(Method::GET, path).json().token(token).send().await
    }

    /// POST, PUT or DELETE as `requests` and PY send it: JSON in both headers, no body.
    pub(crate) async fn change(&self, method: Method, token: &str, path: &str) -> Reply {
        self.call(method, path)
            .json()
            .header("content-type", "application/json")
            .token(token)
            .send()
            .await
    }
}

/// A request that is being made.
pub(crate) struct Call<'f> {
    fixture: &'f Fixture,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self) -> Self {
        self.header("accept", "application/json")
    }

    /// Bearer, unless the token is empty.
    pub(crate) fn token(self, token: &str) -> Self {
        if token.is_empty() {
            return self;
        }
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, content_type: &str, body: &str) -> Self {
        self.body = Body::from(body.to_owned());
        self.header("content-type", content_type)
    }

    pub(crate) async fn send(self) -> Reply {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(self.body).expect("a request");
        let peer = SocketAddr::from(([192, 0, 2, 7], 40_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self
            .fixture
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("utf-8"),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body, which must be JSON in an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks the status of an answer without a body.
    #[track_caller]
    pub(crate) fn is_empty(&self, status: u16) {
        assert_eq!((self.status.as_u16(), self.text.as_str()), (status, ""));
    }

    pub(crate) fn content_type(&self) -> &str {
        let value = self.headers.get("content-type");
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn plan_key(text: &str) -> PlanKey {
    text.parse().expect("a plan key")
}

/// A plan of one automatic stage with one job, and no repository.
pub(crate) fn configuration(key: &str) -> PlanConfiguration {
    staged(key, &[("Build", false, &["JOB1"])])
}

/// A plan of stages: name, whether it is manual, keys of its jobs.
pub(crate) fn staged(key: &str, stages: &[(&str, bool, &[&str])]) -> PlanConfiguration {
    let key = plan_key(key);
    let name = |job: &str| format!("Job {job}");
    let stages_json: Vec<Value> = stages
        .iter()
        .map(|(stage, manual, jobs)| {
            let jobs: Vec<String> = jobs.iter().map(|job| name(job)).collect();
            json!({"name": stage, "manual": manual, "jobs": jobs})
        })
        .collect();
    let jobs: Vec<Value> = stages
        .iter()
        .flat_map(|(_, _, jobs)| jobs.iter())
        .map(|job| json!({"name": name(job), "key": job, "enabled": true, "tasks": []}))
        .collect();
    let text = json!({
        "project_key": key.project().as_str(),
        "key": key.as_str(),
        "name": format!("Plan {}", key.short()),
        "enabled": true,
        "stages": stages_json,
        "jobs": jobs,
        "variables": [{"name": "colour", "value": "red"}, {"name": "db.password", "value": "hunter2"}],
        "repositories": [],
    });
    serde_json::from_value(text).expect("a configuration")
}
