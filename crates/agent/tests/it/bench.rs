//! A folder to run jobs in, and short ways to write orders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use madake_agent::job_directory::JobDirectory;
use madake_agent::local::{JobEnd, LocalAgent};
use madake_agent::log_tail::tail;
use madake_domain::plan::{Interpreter, ScriptSource, ScriptTask, Task, TaskAction};
use madake_protocol::log::{LogKind, LogLine};
use madake_protocol::{
    ArtifactOrder, FORMAT, Isolation, JobOrder, JobOutcome, JobVariable, Purpose, TestOrder,
};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    home: tempfile::TempDir,
    pub(crate) agent: LocalAgent,
}

/// The agent of a home, whose supervisors are this program.
pub(crate) fn agent(home: &Path) -> LocalAgent {
    LocalAgent::new(home.join("jobs"), std::env::current_exe().unwrap()).with_arguments([
        "supervisor_entry",
        "--exact",
        "--test-threads=1",
    ])
}

impl Bench {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let agent = agent(home.path());
        Self { home, agent }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.home().join("work")
    }

    pub(crate) fn directory(&self) -> JobDirectory {
        self.agent.job_directory(1, 1)
    }

    pub(crate) fn order(&self, tasks: Vec<Task>) -> JobOrder {
        JobOrder {
            format: FORMAT,
            job_result_key: "PROJ-PLAN-JOB1-7".into(),
            plan_name: "Project - Plan".into(),
            job_name: "Default Job".into(),
            agent_name: "Default Agent".into(),
            job_id: 1,
            attempt: 1,
            working_directory: self.work(),
            log_path: self.home().join("job.log"),
            tasks,
            final_tasks: Vec::new(),
            repositories: Vec::new(),
            push_rights: Vec::new(),
            credentials: Vec::new(),
            variables: Vec::new(),
            capabilities: Vec::new(),
            environment: Vec::new(),
            masks: Vec::new(),
            timeout_seconds: None,
            stop_grace_seconds: 20,
            final_tasks_seconds: 20,
            log_limit_bytes: None,
            time_zone: "UTC".into(),
            git_program: "git".into(),
            hg_program: "hg".into(),
            hg_settings: self.home().join("hg-settings"),
            clean_working_directory: false,
            untrusted: false,
            purpose: Purpose::Build,
            isolation: Isolation::default(),
            artifacts: ArtifactOrder::default(),
            tests: TestOrder::default(),
        }
    }

    /// Runs an order to its end.
    pub(crate) async fn run(&self, order: &JobOrder) -> JobOutcome {
        let mut job = self.agent.start(order).unwrap();
        match job.finished().await.unwrap() {
            JobEnd::Finished(outcome) => outcome,
            lost @ JobEnd::Lost { .. } => panic!("{lost:?}\n{}", self.log_text()),
        }
    }

    /// Runs one script to its end.
    pub(crate) async fn run_script(&self, body: &str) -> JobOutcome {
        self.run(&self.order(vec![script(body)])).await
    }

    pub(crate) fn log_text(&self) -> String {
        tail(&self.home().join("job.log"), 0, usize::MAX).unwrap().text
    }

    /// Kind and message of each line of the log.
    pub(crate) fn log(&self) -> Vec<(LogKind, String)> {
        self.log_text()
            .lines()
            .map(|line| {
                let line = LogLine::parse(line).unwrap_or_else(|| panic!("no log line: {line}"));
                (line.kind, line.message.to_owned())
            })
            .collect()
    }

    /// What scripts wrote to their standard output: the lines between the words of the agent.
    pub(crate) fn output(&self) -> Vec<String> {
        let own = [
            "Executing",
            "Starting",
            "Finished",
            "Running",
            "Skipping",
            "Checking",
            "The ",
            "Ended",
        ];
        self.log()
            .into_iter()
            .filter(|(kind, text)| *kind == LogKind::Build && !own.iter().any(|word| text.starts_with(word)))
            .map(|(_, text)| text)
            .collect()
    }

    /// Starts a server of its own process that runs this order, with this environment besides ours.
    pub(crate) fn serve(&self, order: &JobOrder, environment: &[(&str, &str)]) -> Child {
        fs::write(self.home().join("order.to-start.json"), order.to_json().unwrap()).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args(["server_entry", "--exact", "--test-threads=1"])
            .arg(self.home())
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Removes containers of dead jobs as a server that starts does; the names of those that it removed.
    pub(crate) fn remove_left_containers(&self, docker_host: &str) -> String {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["sweep_entry", "--exact", "--test-threads=1"])
            .arg(self.home())
            .env("DOCKER_HOST", docker_host)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        fs::read_to_string(self.home().join("removed")).unwrap()
    }

    /// Starts a supervisor as a server would, without an agent; its exit code tells what it did.
    pub(crate) fn supervisor(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["supervisor_entry", "--exact", "--test-threads=1"])
            .arg(self.directory().path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Writes the order as a server does before it starts anything.
    pub(crate) fn write_order(&self, order: &JobOrder) {
        fs::create_dir_all(self.directory().path()).unwrap();
        fs::write(
            self.directory().path().join("order.json"),
            order.to_json().unwrap(),
        )
        .unwrap();
    }

    /// Waits for a file in the working directory and returns its text.
    pub(crate) fn await_file(&self, name: &str) -> String {
        let path = self.work().join(name);
        await_that(name, || path.exists());
        fs::read_to_string(path).unwrap()
    }

    /// Makes a file in the working directory.
    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.work().join(name), "").unwrap();
    }
}

pub(crate) fn task(action: TaskAction) -> Task {
    Task::from(action)
}

pub(crate) fn inline(body: &str) -> ScriptTask {
    ScriptTask {
        interpreter: Interpreter::Shell,
        source: ScriptSource::Inline(body.to_owned()),
        argument: String::new(),
        environment: String::new(),
        working_directory: String::new(),
    }
}

pub(crate) fn script(body: &str) -> Task {
    task(TaskAction::Script(inline(body)))
}

pub(crate) fn variable(name: &str, value: &str) -> JobVariable {
    JobVariable {
        name: name.into(),
        value: value.into(),
        secret: false,
        may_refer: true,
    }
}

pub(crate) fn secret(name: &str, value: &str) -> JobVariable {
    JobVariable {
        secret: true,
        ..variable(name, value)
    }
}

/// Waits until something holds.
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process lives; a zombie does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let pid = pid.trim();
    assert!(!pid.is_empty());
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

pub(crate) fn kill_hard(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}
