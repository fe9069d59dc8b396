//! Runs the tasks of an order one after the other, and says what came of them.

mod commands;
mod credential;
mod docker;
mod ending;
mod in_the_open;
mod node;
mod program;
mod remote;
mod repositories;
#[cfg(test)]
mod tests;
mod variables;
mod verdict;
mod working_copy;
mod workspace;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use madake_domain::plan::{NodeTool, Task, TaskAction, TaskTests, TestReportKind};
use madake_domain::task_condition::first_unmet;
use madake_protocol::log::LogKind;
use madake_protocol::{JobOrder, JobOutcome, JobResult, JobVariable, Purpose, Secret};

use crate::job_directory::{JobDirectory, make_private_directory};
use crate::log::{Log, Stamp};

use super::interruption::{Interruption, Lookout};
use super::script_environment::ScriptEnvironment;
use super::surroundings::{Ahead, Surroundings};
use super::task_process::PipeReader;
use super::task_test_parser::Tests;
use super::{artifacts, panics, unrunnable};
use verdict::task_name;

/// Where Maven's Surefire writes its reports.
const MAVEN_REPORTS: &str = "**/target/surefire-reports/*.xml";
/// Where reports of Ant's JUnit task, and of Nodeunit, are looked for.
const ANT_REPORTS: &str = "**/test-reports/*.xml";
/// Where Mocha's reporter for Bamboo writes, in the folder that it runs in.
const MOCHA_REPORTS: &str = "**/mocha.json";

/// How a task ended.
enum TaskEnd {
    Succeeded,
    Failed {
        reason: String,
        exit_code: Option<i32>,
    },
    Interrupted(Interruption),
    /// It says that the job ends here.
    EndsJob {
        success: bool,
    },
}

/// What is known of the job's result so far.
struct Verdict {
    result: JobResult,
    exit_code: Option<i32>,
    message: String,
}

/// A job under way.
struct Job<'a> {
    order: &'a JobOrder,
    directory: &'a JobDirectory,
    log: Arc<Log>,
    environment: ScriptEnvironment,
    surroundings: Surroundings,
    ahead: Option<Ahead>,
    tests: Tests<'a>,
    /// Whether the artifacts of earlier stages are in the working directory.
    is_supplied: bool,
    readers: Vec<PipeReader>,
    scripts: usize,
    /// Variables that outlive the job.
    made_variables: Vec<JobVariable>,
    /// Where repositories were checked out, by their names in the plan.
    checkouts: Vec<(String, PathBuf)>,
    /// How many pushes there were.
    pushes: usize,
    /// How many files there are with variables of containers.
    environment_files: usize,
    /// Containers that tasks left running beside it, by name.
    detached: Vec<String>,
    checkout_ms: i64,
    first_command_started_ms: Option<i64>,
}

/// Runs the job to its end. When this returns the log is complete and no process of the job is left.
pub(crate) fn run(order: &JobOrder, directory: &JobDirectory, started_ms: i64) -> JobOutcome {
    run_by(order, directory, started_ms, Job::run_all)
}

/// As [`run`], by what runs all of its tasks in a folder for temporary files.
fn run_by<'a>(
    order: &'a JobOrder,
    directory: &'a JobDirectory,
    started_ms: i64,
    run_all: impl FnOnce(&mut Job<'a>, &Path) -> Verdict,
) -> JobOutcome {
    let secrets: Vec<&str> = order
        .variables
        .iter()
        .filter(|variable| variable.secret)
        .map(|v| v.value.as_str())
        .chain(order.masks.iter().map(Secret::reveal))
        .chain(
            order
                .credentials
                .iter()
                .flat_map(|one| one.content.secrets())
                .map(Secret::reveal),
        )
        .collect();
    let stamp = Stamp::new(&order.time_zone);
    let log = match Log::open(&order.log_path, stamp, &secrets, order.log_limit_bytes) {
        Ok(log) => Arc::new(log),
        Err(error) => {
            let reason = format!("cannot open the log {}: {error}", order.log_path.display());
            return unrunnable(order.job_id, order.attempt, started_ms, reason);
        }
    };
    let tmp_directory = directory.tmp_path();
    let mut job = Job {
        order,
        directory,
        log,
        environment: ScriptEnvironment::new(order, &tmp_directory),
        surroundings: Surroundings::default(),
        ahead: None,
        tests: Tests::new(order, started_ms),
        is_supplied: false,
        readers: Vec::new(),
        scripts: 0,
        made_variables: Vec::new(),
        checkouts: Vec::new(),
        pushes: 0,
        environment_files: 0,
        detached: Vec::new(),
        checkout_ms: 0,
        first_command_started_ms: None,
    };
    let verdict = panics::caught(|| run_all(&mut job, &tmp_directory)).unwrap_or_else(|panic| {
        job.log.say(LogKind::Error, &panic.sentence());
        Verdict::error(panic.reason())
    });
    job.finish(verdict, &tmp_directory, started_ms)
}

impl Job<'_> {
    fn run_all(&mut self, tmp_directory: &Path) -> Verdict {
        let (order, log) = (self.order, Arc::clone(&self.log));
        let working_directory = order.working_directory.display();
        log.say(
            LogKind::Simple,
            &match order.purpose {
                Purpose::Deployment => format!(
                    "Deployment {} started on agent {}",
                    order.job_result_key, order.agent_name
                ),
                Purpose::Build | Purpose::Trial => format!(
                    "Build {} started building on agent {}",
                    order.job_result_key, order.agent_name
                ),
            },
        );
        log.say(
            LogKind::Simple,
            &format!("The working directory is {working_directory}"),
        );
        log.say(
            LogKind::Build,
            &format!(
                "Executing {} {} - {} ({})",
                order.purpose.noun(),
                order.plan_name,
                order.job_name,
                order.job_result_key
            ),
        );
        for folder in [&order.working_directory, tmp_directory] {
            if let Err(error) = make_private_directory(folder) {
                let reason = format!("cannot create {}: {error}", folder.display());
                log.say(LogKind::Error, &reason);
                return Verdict::error(reason);
            }
        }
        let lookout = Lookout::for_job(self.directory, order.timeout_seconds);
        let surroundings = Surroundings::of(order, self.directory, &mut self.environment, &log, &lookout);
        match surroundings {
            Ok(surroundings) => self.surroundings = surroundings,
            Err(error) => {
                log.say(LogKind::Error, &error.to_string());
                return Verdict::not_begun(&error);
            }
        }
        log.say(LogKind::Simple, &self.surroundings.sentence());
        self.begin_ahead(tmp_directory);
        let mut verdict = self.run_tasks(&lookout);
        // Whatever was made ready and not used must not run in the place of a final task.
        self.ahead = None;
        if order.final_tasks.iter().any(|task| task.enabled) {
            self.log.say(LogKind::Build, "Running the final tasks");
            self.run_final_tasks(lookout, &mut verdict);
        }
        verdict
    }

    fn run_tasks(&mut self, lookout: &Lookout<'_>) -> Verdict {
        let order = self.order;
        let count = order.tasks.len();
        for (index, task) in order.tasks.iter().enumerate() {
            let called = format!("task {} of {count}", index + 1);
            match self.run_task(task, lookout) {
                TaskEnd::Succeeded => {}
                TaskEnd::Failed { reason, exit_code } => {
                    return Verdict::failed(&called, task, &reason, exit_code);
                }
                TaskEnd::Interrupted(interruption) => {
                    return Verdict::interrupted(&called, task, &interruption);
                }
                TaskEnd::EndsJob { success } => return Verdict::ended(&called, task, success),
            }
        }
        Verdict {
            result: JobResult::Successful,
            exit_code: None,
            message: match count {
                0 => "the job has no tasks".to_owned(),
                1 => "the task succeeded".to_owned(),
                _ => format!("all {count} tasks succeeded"),
            },
        }
    }

    /// Each final task runs, whatever became of those before it.
    fn run_final_tasks(&mut self, lookout: Lookout<'_>, verdict: &mut Verdict) {
        let order = self.order;
        let limited = || Lookout::for_final_tasks(order.final_tasks_seconds);
        let mut lookout = match verdict.result {
            JobResult::Stopped | JobResult::TimedOut => limited(),
            _ => lookout,
        };
        for (index, task) in order.final_tasks.iter().enumerate() {
            let called = format!("final task {} of {}", index + 1, order.final_tasks.len());
            let was_successful = verdict.result == JobResult::Successful;
            self.environment.set_failed(!was_successful);
            match self.run_task(task, &lookout) {
                TaskEnd::Succeeded => {}
                TaskEnd::Failed { reason, exit_code } if was_successful => {
                    *verdict = Verdict::failed(&called, task, &reason, exit_code);
                }
                TaskEnd::Failed { .. } => {}
                TaskEnd::EndsJob { success } => {
                    if was_successful {
                        *verdict = Verdict::ended(&called, task, success);
                    }
                    return;
                }
                TaskEnd::Interrupted(interruption) => {
                    if was_successful {
                        *verdict = Verdict::interrupted(&called, task, &interruption);
                    }
                    lookout = limited();
                }
            }
        }
    }

    fn run_task(&mut self, task: &Task, lookout: &Lookout<'_>) -> TaskEnd {
        let name = task_name(task);
        if !task.enabled {
            self.log.say(
                LogKind::Build,
                &format!("Skipping task '{name}', which is disabled"),
            );
            return TaskEnd::Succeeded;
        }
        if let Some(interruption) = lookout.look() {
            self.log.say(
                LogKind::Error,
                &format!("Task '{name}' is not begun: {}", interruption.reason()),
            );
            return TaskEnd::Interrupted(interruption);
        }
        let unmet = first_unmet(&task.conditions, &|name| self.environment.value(name));
        if let Ok(Some(reason)) = &unmet {
            self.log.say(
                LogKind::Build,
                &format!("Skipping task '{name}', whose condition does not hold: {reason}"),
            );
            return TaskEnd::Succeeded;
        }
        self.log.say(
            LogKind::Build,
            &format!("Starting task '{name}' of type '{}'", task.action.type_name()),
        );
        let end = match unmet {
            Err(error) => TaskEnd::failed(error.to_string()),
            Ok(_) if let Err(reason) = self.supply(&task.action) => TaskEnd::failed(reason),
            Ok(_) => self.act(&task.action, lookout),
        };
        let result = match &end {
            TaskEnd::Succeeded | TaskEnd::EndsJob { .. } => "Success",
            TaskEnd::Failed { reason, .. } => {
                self.log.say(LogKind::Error, reason);
                "Failed"
            }
            TaskEnd::Interrupted(Interruption::Stop { .. }) => "Stopped",
            TaskEnd::Interrupted(Interruption::TimeLimit { .. }) => "Timed out",
        };
        self.log.say(
            LogKind::Build,
            &format!("Finished task '{name}' with result: {result}"),
        );
        end
    }

    fn act(&mut self, action: &TaskAction, lookout: &Lookout<'_>) -> TaskEnd {
        match action {
            TaskAction::Script(script) => self.run_script(script, lookout),
            TaskAction::Checkout(checkout) => self.run_checkout(checkout, lookout),
            TaskAction::Clean => self.run_clean(),
            TaskAction::Command(command) => self.run_command(command, lookout),
            TaskAction::Maven(maven) => {
                let end = self.run_maven(maven, lookout);
                self.with_tests(end, &maven.tests, TestReportKind::Junit, MAVEN_REPORTS)
            }
            TaskAction::Ant(ant) => {
                let end = self.run_ant(ant, lookout);
                self.with_tests(end, &ant.tests, TestReportKind::Junit, ANT_REPORTS)
            }
            TaskAction::Node(node) => {
                let end = self.run_node(node, lookout);
                let (kind, usual) = match node.tool {
                    NodeTool::Mocha => (TestReportKind::Mocha, MOCHA_REPORTS),
                    _ => (TestReportKind::Junit, ANT_REPORTS),
                };
                self.with_tests(end, &node.tests, kind, usual)
            }
            TaskAction::Docker(docker) => self.run_docker(docker, lookout),
            TaskAction::InjectVariables(inject) => self.inject_variables(inject),
            TaskAction::DumpVariables => self.dump_variables(),
            TaskAction::StopJob(stop) => TaskEnd::EndsJob {
                success: stop.success,
            },
            TaskAction::VcsTag(tag) => self.push_tag(tag, lookout),
            TaskAction::VcsBranch(branch) => self.push_branch(branch, lookout),
            TaskAction::VcsCommit(commit) => self.commit(commit, lookout),
            TaskAction::VcsPush(push) => self.push_commits(push, lookout),
            TaskAction::Ssh(ssh) => self.run_ssh(ssh, lookout),
            TaskAction::Scp(scp) => self.run_scp(scp, lookout),
            TaskAction::Plugin(app) if app.plugin_key == variables::MAVEN_POM => self.read_pom(app),
            TaskAction::Plugin(app) => TaskEnd::failed(format!(
                "this version of madake does not know the app of the task, `{}`; a `script` task may do the same, \
                 and `enabled: false` passes it over",
                app.plugin_key
            )),
            TaskAction::TestParser(parser) => {
                TaskEnd::of(self.tests.run(parser, &self.environment, &self.log))
            }
            TaskAction::ArtifactDownload(download) => TaskEnd::of(artifacts::download(
                download,
                self.order,
                &self.environment,
                &self.log,
            )),
            other => TaskEnd::failed(format!(
                "this version of madake does not run tasks of type `{}`",
                other.type_name()
            )),
        }
    }

    /// Reads the test reports of a build tool, whatever became of the tool.
    fn with_tests(&mut self, end: TaskEnd, tests: &TaskTests, kind: TestReportKind, usual: &str) -> TaskEnd {
        let patterns = match tests {
            TaskTests::None => return end,
            TaskTests::Usual => usual.to_owned(),
            TaskTests::Pattern(pattern) => self.environment.substituted(pattern),
        };
        if matches!(end, TaskEnd::Interrupted(_)) {
            return end;
        }
        match (self.tests.read(kind, &patterns, false, &self.log), end) {
            (Err(reason), TaskEnd::Succeeded) => TaskEnd::failed(reason),
            (_, end) => end,
        }
    }
}
