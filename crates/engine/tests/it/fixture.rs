//! A home in a temporary folder, a work tree that pushes to a bare repository, and waiting without sleeping long.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use madake_domain::key::PlanKey;
use madake_domain::repository::Scm;
use madake_engine::Engine;
use madake_engine::access::Caller;
use madake_engine::home::Home;
use madake_engine::ops::link_repository::LinkRepository;
use madake_engine::settings::Settings;
use madake_store::build::Build;
use madake_store::{StoreError, build_query, plan};

/// A started engine and what it works on.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) engine: Engine,
}

impl Fixture {
    /// An engine that is going.
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    /// As [`Self::start`], with a `git` that writes down each time that it is started.
    pub(crate) async fn start_counting() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let count = folder.path().join("git-count");
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{}'\nexec git \"$@\"\n",
            count.display()
        );
        write_program(&folder.path().join("git"), &script);
        Self::start_in(folder).await
    }

    /// What the counted `git` was started with since the last question.
    pub(crate) fn git_processes(&self) -> Vec<String> {
        let path = self.path().join("git-count");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, "").expect("a new count");
        text.lines().map(str::to_owned).collect()
    }

    /// As [`Self::start`], with settings changed.
    pub(crate) async fn start_with(change: fn(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let engine = Engine::open(Home::open(&folder.path().join("home")).expect("a home"), settings)
            .expect("an engine");
        engine.start().await.expect("the engine starts");
        Self { folder, engine }
    }

    async fn start_in(folder: tempfile::TempDir) -> Self {
        let engine = open(folder.path());
        engine.start().await.expect("the engine starts");
        Self { folder, engine }
    }

    /// Stops the engine as a server does, and starts another on the same home.
    pub(crate) async fn restart(&mut self) {
        self.engine.stop().await;
        self.engine = open(self.folder.path());
        self.engine.start().await.expect("the engine starts again");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A bare repository and a work tree that pushes to it.
    pub(crate) fn repository(&self, name: &str) -> WorkTree {
        let bare = self.path().join(format!("{name}.git"));
        git(
            self.path(),
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=master",
                bare.to_str().expect("utf-8"),
            ],
        );
        let tree = self.path().join(name);
        git(
            self.path(),
            &[
                "clone",
                "--quiet",
                bare.to_str().expect("utf-8"),
                tree.to_str().expect("utf-8"),
            ],
        );
        WorkTree { tree, bare }
    }

    /// A bare repository that is attached as `PROJ/name`, and a work tree that pushes to it.
    pub(crate) async fn attached(&self, name: &str) -> WorkTree {
        let work = self.repository(name);
        let full = format!("PROJ/{name}");
        self.engine
            .attach_repository(&Caller::local(), &full, &work.bare)
            .await
            .expect("attached");
        work
    }

    /// Links a repository by its path on this machine.
    pub(crate) async fn link(&self, name: &str, scm: Option<Scm>, path: &Path) {
        let request = LinkRepository {
            name: name.to_owned(),
            scm,
            url: path.display().to_string(),
            credential: None,
            shared: None,
            default_branch: None,
        };
        self.engine
            .link_repository(&Caller::local(), request)
            .await
            .expect("linked");
    }

    /// Tells the engine of a push, as the hook of an attached repository does.
    pub(crate) async fn hook(&self, name: &str, old: &str, new: &str, branch: &str) {
        let line = format!("{old} {new} refs/heads/{branch}\n");
        self.engine
            .receive_hook(&Caller::local(), name, &line, Some("joe".into()))
            .await
            .expect("the hook is taken");
    }

    /// The builds of a plan or plan branch, oldest first.
    pub(crate) async fn builds(&self, key: &str) -> Vec<Build> {
        let key: PlanKey = key.parse().expect("a key");
        self.engine
            .store()
            .read(move |tx| {
                let Some(branch) = plan::branch_by_key(tx, &key)? else {
                    return Ok(Vec::new());
                };
                let filter = build_query::Filter {
                    include_all_states: true,
                    ..Default::default()
                };
                let (mut builds, _) = build_query::of_branch(tx, branch.id, &filter, 0, 1000)?;
                builds.reverse();
                Ok::<_, StoreError>(builds)
            })
            .await
            .expect("builds")
    }

    /// Waits until `ready` gives something; what it looks at changes within the time that a job takes.
    pub(crate) async fn wait_for<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        ready: impl Fn() -> F,
    ) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = ready().await {
                return found;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "waited in vain for {what}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the plan branch has `count` builds and all have ended.
    pub(crate) async fn ended(&self, key: &str, count: usize) -> Vec<Build> {
        self.wait_for(&format!("{count} ended builds of {key}"), || async {
            let builds = self.builds(key).await;
            let ended = builds.iter().all(|build| build.finished_ms.is_some());
            (builds.len() >= count && ended).then_some(builds)
        })
        .await
    }

    /// What the jobs of a build logged.
    pub(crate) fn log(&self, build_id: i64) -> String {
        let folder = self.engine.home().build_logs(build_id);
        let entries = std::fs::read_dir(folder).expect("logs");
        entries
            .map(|entry| std::fs::read_to_string(entry.expect("a log").path()).expect("a text"))
            .collect()
    }

    /// Waits until no arrival is undecided.
    pub(crate) async fn settled(&self) {
        self.wait_for("all arrivals to be decided", || async {
            let waiting = self
                .engine
                .store()
                .read(|tx| madake_store::event::next_waiting_repository(tx, -1))
                .await
                .expect("arrivals");
            waiting.is_none().then_some(())
        })
        .await;
    }
}

fn open(folder: &Path) -> Engine {
    Engine::open(
        Home::open(&folder.join("home")).expect("a home"),
        settings(folder),
    )
    .expect("an engine")
}

fn settings(folder: &Path) -> Settings {
    let program = folder.join("supervise.sh");
    let this = std::env::current_exe().expect("this program");
    let script = format!(
        "#!/bin/sh\nMADAKE_TEST_SUPERVISE=\"$2\" exec '{}' --exact supervisor_entry --nocapture\n",
        this.display()
    );
    write_program(&program, &script);
    let counted = folder.join("git");
    Settings {
        base_url: "http://ci.example:8085".into(),
        server_name: "test".into(),
        time_zone: TimeZone::UTC,
        agents: 2,
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
        lfs_object_limit: None,
        refs_per_push: 1000,
        outgoing_policy: madake_outgoing::guard::AddressPolicy {
            allow: vec!["127.0.0.1".parse().expect("an address")],
            ..Default::default()
        },
        outgoing_client: madake_outgoing::client::ClientSettings::default(),
        mail: None,
        broker_programs: Vec::new(),
        program,
        git: if counted.is_file() { counted } else { "git".into() },
        hg: "hg".into(),
    }
}

fn write_program(path: &Path, script: &str) {
    std::fs::write(path, script).expect("a script");
    let mut permissions = std::fs::metadata(path).expect("the script").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(path, permissions).expect("runnable");
}

/// A work tree whose origin is a bare repository.
pub(crate) struct WorkTree {
    pub(crate) tree: PathBuf,
    pub(crate) bare: PathBuf,
}

impl WorkTree {
    /// Commits files on a branch and pushes it; gives the commit.
    pub(crate) fn push(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let known = Command::new("git")
            .args(["rev-parse", "--verify", "--quiet", branch])
            .current_dir(&self.tree)
            .output()
            .expect("git")
            .status
            .success();
        if !known {
            let _ = try_git(&self.tree, &["checkout", "--quiet", "-b", branch]);
        } else {
            git(&self.tree, &["checkout", "--quiet", branch]);
        }
        for (name, text) in files {
            let path = self.tree.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        git(&self.tree, &["add", "--all"]);
        git(
            &self.tree,
            &["commit", "--quiet", "--allow-empty", "--message", "a change"],
        );
        git(&self.tree, &["push", "--quiet", "origin", branch]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        let output = Command::new("git")
            .args(["rev-parse", "HEAD"])
            .current_dir(&self.tree)
            .output()
            .expect("git");
        String::from_utf8(output.stdout).expect("utf-8").trim().to_owned()
    }
}

/// Runs git without the developer's own configuration.
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    assert!(try_git(folder, arguments), "git {arguments:?} failed");
}

fn try_git(folder: &Path, arguments: &[&str]) -> bool {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Joe Doe")
        .env("GIT_AUTHOR_EMAIL", "joe@example.org")
        .env("GIT_COMMITTER_NAME", "Joe Doe")
        .env("GIT_COMMITTER_EMAIL", "joe@example.org")
        .status()
        .expect("git runs")
        .success()
}

/// The id of nothing.
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";

/// A plan file with one job whose script is given, and further sections.
pub(crate) fn plan_file(script: &str, more: &str) -> String {
    format!(
        "---\nversion: 2\nplan:\n  project-key: PROJ\n  key: PLAN\n  name: Build it\nstages:\n  - Build: [Compile]\nCompile:\n  key: JOB1\n  tasks:\n    - script: |\n{}\n{more}\n",
        script
            .lines()
            .map(|line| format!("        {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    )
}
