//! Buildbot, a peer: a master with a worker of its own, its change hook, and its store.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::Setting;
use super::http::{Client, encoded, free_port};
use super::madake::{number, rows};
use super::server::Server;
use crate::process::output_of;

/// An installed Buildbot.
#[derive(Debug, Clone)]
pub(crate) struct Buildbot {
    programs: PathBuf,
    /// Its version, for the report.
    pub(crate) version: String,
}

/// A master's folder and the address that it listens on.
#[derive(Debug)]
pub(crate) struct Master<'a> {
    setting: &'a Setting,
    programs: PathBuf,
    folder: PathBuf,
    /// Host and port.
    pub(crate) address: String,
}

impl Buildbot {
    /// Finds Buildbot in a virtual environment below `tools`, and installs it there from the package index when
    /// it is not.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub(crate) fn install(tools: &Path) -> anyhow::Result<Self> {
        let environment = tools.join("buildbot");
        let programs = environment.join("bin");
        if !programs.join("buildbot").exists() {
            println!("installing Buildbot into {} with pip", environment.display());
            output_of(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let packages = ["buildbot", "buildbot-worker", "buildbot-www", "setuptools"];
            output_of(
                Command::new(programs.join("pip"))
                    .args(["install", "-q"])
                    .args(packages),
            )?;
        }
        let printed = output_of(Command::new(programs.join("buildbot")).arg("--version"))?;
        let version = printed.lines().next().unwrap_or_default().to_owned();
        Ok(Self { programs, version })
    }

    /// Makes a master below `folder` whose one builder runs `command` (a shell line, in which `%(prop:revision)s`
    /// stands for the revision and `%` is written twice) for changes of the branch `branch`. With `repository`,
    /// the revision is checked out first.
    ///
    /// # Errors
    /// When the master cannot be made.
    pub(crate) fn master<'a>(
        &self,
        setting: &'a Setting,
        folder: &Path,
        branch: &str,
        repository: Option<&Path>,
        command: &str,
    ) -> anyhow::Result<Master<'a>> {
        let folder = folder.join("master");
        output_of(
            Command::new(self.programs.join("buildbot"))
                .args(["create-master", "-q"])
                .arg(&folder),
        )?;
        let port = free_port()?;
        let checkout = repository.map_or_else(String::new, |path| {
            format!(
                "factory.addStep(steps.Git(repourl={:?}, mode='incremental'))\n",
                path.display().to_string()
            )
        });
        let configuration = format!(
            "from buildbot.plugins import schedulers, steps, util, worker\n\
             factory = util.BuildFactory()\n\
             {checkout}\
             factory.addStep(steps.ShellCommand(command=['sh', '-c', util.Interpolate({command:?})]))\n\
             BuildmasterConfig = dict(\n\
             \x20   workers=[worker.LocalWorker('local', max_builds=2)],\n\
             \x20   builders=[util.BuilderConfig(name='build', workernames=['local'], factory=factory)],\n\
             \x20   schedulers=[schedulers.AnyBranchScheduler(name='any', treeStableTimer=None, builderNames=['build'],\n\
             \x20       change_filter=util.ChangeFilter(branch={branch:?}))],\n\
             \x20   www=dict(port='tcp:{port}:interface=127.0.0.1', change_hook_dialects=dict(base=True)),\n\
             \x20   db=dict(db_url='sqlite:///state.sqlite'),\n\
             \x20   protocols=dict(null=dict()),\n\
             \x20   collapseRequests=False,\n\
             \x20   buildbotNetUsageData=None,\n\
             )\n"
        );
        std::fs::write(folder.join("master.cfg"), configuration)?;
        Ok(Master {
            setting,
            programs: self.programs.clone(),
            folder,
            address: format!("127.0.0.1:{port}"),
        })
    }
}

impl Master<'_> {
    /// Starts the master and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        let mut command = self.setting.pinning.server(&self.programs.join("python"));
        command
            .arg(self.programs.join("twistd"))
            .args([
                "--nodaemon",
                "--no_save",
                "--pidfile=",
                "--logfile=twistd.log",
                "-y",
                "buildbot.tac",
            ])
            .current_dir(&self.folder);
        Server::start(
            command,
            &self.folder.join("twistd.log"),
            &self.address,
            "/api/v2/builders",
            &[],
        )
        .with_context(|| "Buildbot")
    }

    /// The path that its change hook listens at.
    pub(crate) const HOOK: &'static str = "/change_hook/base";

    /// The form that tells the change hook of a commit.
    pub(crate) fn form(branch: &str, revision: &str, repository: &str, comments: &str) -> String {
        format!(
            "author=bench&branch={}&revision={revision}&repository={}&comments={}&project=bench",
            encoded(branch),
            encoded(repository),
            encoded(comments)
        )
    }

    /// Tells the change hook of a commit; whether it was taken.
    ///
    /// # Errors
    /// When the master cannot be reached.
    pub(crate) fn tell(&self, branch: &str, revision: &str, repository: &str) -> anyhow::Result<bool> {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = Client::new(&self.address, &headers).send(
            "POST",
            Self::HOOK,
            &[],
            Self::form(branch, revision, repository, "a change").as_bytes(),
        )?;
        Ok(answer.is_success())
    }

    /// How many changes its store has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn changes(&self) -> anyhow::Result<i64> {
        number(&rows(
            &self.folder.join("state.sqlite"),
            "SELECT COUNT(*) FROM changes",
        )?)
    }
}
