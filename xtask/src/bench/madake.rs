//! This server under measurement: a home of its own, an administrator, repositories, and rows of its store.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Setting;
use super::http::{Client, basic, free_port};
use super::server::Server;
use crate::process::{cargo, output_of};

const ADMINISTRATOR: &str = "admin";
const PASSWORD: &str = "only-for-measurements";

/// A home with its configuration and the address that its server listens on.
#[derive(Debug)]
pub(crate) struct Madake<'a> {
    setting: &'a Setting,
    home: PathBuf,
    /// Host and port.
    pub(crate) address: String,
}

/// Builds the program that is measured, and returns its path.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    println!("building madake as it is handed out");
    let status = cargo(&["build", "--profile", "dist", "--package", "madake"])
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("madake does not build");
    }
    let metadata = output_of(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("cargo names no target folder")?;
    Ok(Path::new(folder).join("dist/madake"))
}

impl<'a> Madake<'a> {
    /// Makes a home below `folder` with an administrator. `configuration` is added to its `madake.toml`.
    ///
    /// # Errors
    /// When a command fails.
    pub(crate) fn new(setting: &'a Setting, folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        let home = folder.join("home");
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("madake.toml"), configuration)?;
        let made = Self {
            setting,
            home,
            address: format!("127.0.0.1:{}", free_port()?),
        };
        made.command(
            &["user", "add", ADMINISTRATOR, "--admin", "--password-stdin"],
            PASSWORD,
        )?;
        Ok(made)
    }

    /// Runs one of our commands on the home, with `input` on its standard input; returns what it prints.
    ///
    /// # Errors
    /// When it fails; with what it says.
    pub(crate) fn command(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = Command::new(&self.setting.madake)
            .arg("--home")
            .arg(&self.home)
            .args(arguments)
            .env_remove("MADAKE_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start madake")?;
        if let Some(mut pipe) = child.stdin.take() {
            // A command that does not read its input may have closed it.
            let _ = pipe.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "`madake {}` failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes a webhook with a secret and returns the path that deliveries are posted to.
    ///
    /// # Errors
    /// When the command fails or prints no token.
    pub(crate) fn webhook(&self, repository: &str, secret: &str) -> anyhow::Result<String> {
        let printed = self.command(&["webhook", "create", repository, "--secret-stdin"], secret)?;
        let token: String = printed
            .find("wh_")
            .map(|start| {
                printed[start..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
                    .collect()
            })
            .with_context(|| format!("no token in what `webhook create` printed: {printed}"))?;
        Ok(format!("/intake/{token}"))
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        self.start_until("/rest/api/latest/server")
    }

    /// Starts the server and waits until `path` answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start_until(&self, path: &str) -> anyhow::Result<Server> {
        let mut command = self.setting.pinning.server(&self.setting.madake);
        command
            .arg("--home")
            .arg(&self.home)
            .args(["serve", "--listen", &self.address])
            // Jobs leave their marks beside the home, in a sandbox as well.
            .env(
                "MADAKE__AGENT__WRITABLE",
                self.home.parent().unwrap_or(&self.home),
            );
        Server::start(
            command,
            &self.home.join("serve.log"),
            &self.address,
            path,
            &[("Authorization", &Self::credentials())],
        )
    }

    /// The administrator's credentials as a header's value.
    pub(crate) fn credentials() -> String {
        basic(ADMINISTRATOR, PASSWORD)
    }

    /// A client that is logged in as the administrator.
    pub(crate) fn client(&self) -> Client {
        Client::new(
            &self.address,
            &[
                ("Authorization", &Self::credentials()),
                ("Accept", "application/json"),
            ],
        )
    }

    /// The address that a hosted repository is cloned from and pushed to.
    pub(crate) fn clone_url(&self, owner: &str, slug: &str) -> String {
        format!("http://{}/scm/{owner}/{slug}.git", self.address)
    }

    /// Rows of the store, read by another program.
    ///
    /// # Errors
    /// When the statement fails.
    pub(crate) fn rows(&self, statement: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        rows(&self.home.join("madake.db"), statement)
    }

    /// The one number that a statement gives.
    ///
    /// # Errors
    /// When the statement fails or gives no number.
    pub(crate) fn count(&self, statement: &str) -> anyhow::Result<i64> {
        number(&self.rows(statement)?)
    }
}

/// Rows of an SQLite file, read by Python's module.
///
/// # Errors
/// When the file cannot be opened or the statement fails.
pub(crate) fn rows(database: &Path, statement: &str) -> anyhow::Result<Vec<Vec<Value>>> {
    const READ: &str = "import json,sqlite3,sys\n\
        connection = sqlite3.connect(sys.argv[1], timeout=20)\n\
        print(json.dumps(connection.execute(sys.argv[2]).fetchall()))";
    let printed = output_of(
        Command::new("python3")
            .args(["-c", READ])
            .arg(database)
            .arg(statement),
    )
    .with_context(|| format!("cannot read {}", database.display()))?;
    serde_json::from_str(&printed).context("python3 printed no JSON")
}

/// The first number of the first row.
///
/// # Errors
/// When there is none.
pub(crate) fn number(rows: &[Vec<Value>]) -> anyhow::Result<i64> {
    rows.first()
        .and_then(|row| row.first())
        .and_then(Value::as_i64)
        .context("the statement gave no number")
}
