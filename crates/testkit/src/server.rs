//! A server: the real binary, in a home of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::wait::wait_for_at_most;
use crate::{HgClone, PASSWORD, WorkTree};

/// The madake program: named by `MADAKE_BIN`, or built beside the test.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("MADAKE_BIN") {
        return named.into();
    }
    let this = std::env::current_exe().expect("the path of this test");
    let built = this
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps")
        .join("madake");
    assert!(
        built.is_file(),
        "{} is not built: run `cargo build -p madake` or `cargo xtask test`",
        built.display()
    );
    built
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Environment, such as `MADAKE__BUILDS__CONCURRENT`.
    pub environment: Vec<(String, String)>,
    /// The text of `madake.toml`.
    pub configuration: String,
}

/// A server and its home. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    folder: tempfile::TempDir,
    child: Option<Child>,
    port: u16,
    options: ServerOptions,
    client: reqwest::Client,
}

impl Server {
    /// A running server with the administrator `admin`.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    /// A running server with the administrator `admin`, and options.
    pub async fn start_with(options: ServerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the home");
        // One provider for all of TLS; a second test in this process finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut server = Self {
            folder,
            child: None,
            port: 0,
            options,
            client,
        };
        std::fs::create_dir_all(server.home()).expect("a home");
        std::fs::write(server.home().join("madake.toml"), &server.options.configuration)
            .expect("a configuration");
        server.madake_with_input(&["user", "add", "admin", "--admin", "--password-stdin"], PASSWORD);
        server.launch().await;
        server
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder for what the test makes.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process id of the server.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Starts the process; the port is kept over restarts.
    ///
    /// # Panics
    /// When it does not say that it listens.
    pub async fn launch(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .expect("a log");
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port), "--home"])
            .arg(self.home())
            // Jobs write down there what a test looks at, in a sandbox as well.
            .env("MADAKE__AGENT__WRITABLE", self.folder.path())
            .envs(self.options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("its output");
        let line = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next())
            .await
            .expect("its first line")
            .unwrap_or_else(|| panic!("the server ended at once: {}", self.log()))
            .expect("a line");
        let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        self.port = port.unwrap_or_else(|| panic!("`{line}` names no port"));
        self.child = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When the server does not end well.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("a running server");
        let status = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .expect("kill");
        assert!(status.success());
        assert!(
            child.wait().expect("its end").success(),
            "the server did not stop well: {}",
            self.log()
        );
    }

    /// Runs a madake command on this home and gives its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn madake(&self, arguments: &[&str]) -> String {
        self.madake_with_input(arguments, "")
    }

    /// As [`Self::madake`], with text on standard input.
    ///
    /// # Panics
    /// When it fails.
    pub fn madake_with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new(binary())
            .args(arguments)
            .arg("--home")
            .arg(self.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("madake starts");
        child
            .stdin
            .take()
            .expect("its input")
            .write_all(input.as_bytes())
            .expect("input");
        let output = child.wait_with_output().expect("its end");
        assert!(
            output.status.success(),
            "madake {arguments:?} failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A hosted repository and a work tree that pushes to it as the administrator.
    #[must_use]
    pub fn hosted(&self, name: &str) -> WorkTree {
        self.madake(&["repo", "create", name]);
        WorkTree::new(self.scratch().join(name.replace('/', "-")), &self.clone_url(name))
    }

    /// The clone URL of a hosted repository with the administrator's credentials in it.
    #[must_use]
    pub fn clone_url(&self, name: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!(
            "http://admin:{password}@127.0.0.1:{}/scm/{}.git",
            self.port,
            name.to_lowercase()
        )
    }

    /// A hosted Mercurial repository and a clone of it that pushes as the administrator.
    #[must_use]
    pub fn hosted_hg(&self, name: &str) -> HgClone {
        self.madake(&["repo", "create", name, "--scm", "hg"]);
        HgClone::of(
            &self.hg_url(name, "admin", PASSWORD),
            self.scratch().join(name.replace('/', "-")),
        )
    }

    /// The address of a Mercurial repository with somebody's credentials in it.
    #[must_use]
    pub fn hg_url(&self, name: &str, user: &str, password: &str) -> String {
        let password = password.replace(' ', "%20");
        format!(
            "http://{user}:{password}@127.0.0.1:{}/hg/{}",
            self.port,
            name.to_lowercase()
        )
    }

    /// A request as the administrator, path and query given.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, path).basic_auth("admin", Some(PASSWORD))
    }

    /// A request without credentials.
    pub fn anonymous(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url()))
    }

    /// The JSON that a GET as the administrator gives.
    ///
    /// # Panics
    /// When the answer is not 2xx and JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self
            .request(reqwest::Method::GET, path)
            .header("accept", "application/json")
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {path}: {error}: {text}"))
    }

    /// All results of a plan or plan branch in all states, newest first; empty when there is no such plan yet.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn results(&self, key: &str) -> Vec<Value> {
        let path = format!(
            "/rest/api/latest/result/{key}?includeAllStates=true&max-results=1000&expand=results.result.vcsRevisions"
        );
        let answer = self
            .request(reqwest::Method::GET, &path)
            .header("accept", "application/json")
            .send()
            .await
            .expect("an answer");
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Vec::new();
        }
        let body: Value = answer.json().await.expect("JSON");
        body["results"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a plan or plan branch has at least `count` results and all have ended.
    pub async fn ended(&self, key: &str, count: usize) -> Vec<Value> {
        // A job may start dozens of programs one after the other, on a machine that has other work.
        let limit = Duration::from_secs(90);
        wait_for_at_most(limit, &format!("{count} ended results of {key}"), || async {
            let results = self.results(key).await;
            let open = |result: &Value| {
                matches!(
                    result["lifeCycleState"].as_str(),
                    Some("Pending" | "Queued" | "InProgress")
                )
            };
            (results.len() >= count && !results.iter().any(open)).then_some(results)
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
