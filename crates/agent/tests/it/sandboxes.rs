//! Jobs in a system of their own. Where bubblewrap does not work, the same tests hold the fall-back to its word.

use std::fs;

use madake_agent::isolation::choose;
use madake_agent::local::{Adoption, JobEnd};
use madake_protocol::{Bubblewrap, Isolation, IsolationChoice, JobOrder, JobResult};

use crate::bench::{Bench, await_that, is_alive, kill_hard, script};
use crate::checkouts::with_repository;

/// What the server of this bench would choose; `None` after having checked that the reason for something else is
/// told in the log.
pub(crate) async fn sandbox(bench: &Bench) -> Option<Bubblewrap> {
    let settings = Bubblewrap {
        program: "bwrap".into(),
        hidden: vec![bench.home().to_owned()],
        network: true,
        ..Bubblewrap::default()
    };
    match choose(IsolationChoice::Auto, &settings).unwrap() {
        Isolation::Bubblewrap(settings) => Some(settings),
        Isolation::Container(_) => panic!("a container is the choice of plans alone"),
        Isolation::Process { reason } => {
            let mut order = bench.order(vec![script("echo done")]);
            order.isolation = Isolation::Process {
                reason: reason.clone(),
            };
            assert_eq!(bench.run(&order).await.result, JobResult::Successful);
            let told = format!("Isolation: none; scripts are plain processes of the agent, because {reason}");
            assert!(bench.log_text().contains(&told), "{}", bench.log_text());
            assert!(choose(IsolationChoice::Bubblewrap, &settings).is_err());
            None
        }
    }
}

pub(crate) fn sandboxed(bench: &Bench, settings: &Bubblewrap, bodies: &[&str]) -> JobOrder {
    let mut order = bench.order(bodies.iter().map(|body| script(body)).collect());
    order.isolation = Isolation::Bubblewrap(settings.clone());
    order
}

#[test]
fn what_was_asked_for_is_chosen_or_refused_with_the_reason() {
    let missing = Bubblewrap {
        program: "no-such-bubblewrap".into(),
        ..Bubblewrap::default()
    };
    assert_eq!(
        choose(IsolationChoice::Process, &missing),
        Ok(Isolation::default())
    );
    let reason = "the program `no-such-bubblewrap` is not installed";
    assert_eq!(
        choose(IsolationChoice::Auto, &missing),
        Ok(Isolation::Process {
            reason: reason.into()
        })
    );
    assert_eq!(
        choose(IsolationChoice::Bubblewrap, &missing),
        Err(format!(
            "agent.isolation is `bubblewrap`, but {reason}; mend that and start the server anew, or set it to `auto`"
        ))
    );
    let broken = Bubblewrap {
        program: "/bin/false".into(),
        ..Bubblewrap::default()
    };
    assert_eq!(
        choose(IsolationChoice::Auto, &broken),
        Ok(Isolation::Process {
            reason: "/bin/false does not work here (exit status: 1)".into()
        })
    );
}

#[tokio::test]
async fn script_has_a_system_of_its_own_and_writes_to_its_workspace_alone() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    fs::write(bench.home().join("secret.key"), "top secret").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bodies = [
        "touch /tmp/one \"$HOME/two\" && echo kept > file; ls -d /proc/[0-9]* | wc -l > processes",
        &format!(
            "ls /tmp/one \"$HOME/two\" > /dev/null && echo 'same home and tmp'
             [ \"$(cat processes)\" -lt 20 ] && echo 'own processes'
             cat {home}/secret.key 2> /dev/null || echo 'home is hidden'
             ls {home}/jobs/*/order.json 2> /dev/null || echo 'orders are hidden'
             touch /etc/new 2> /dev/null || echo 'system is read-only'
             touch {home}/new 2> /dev/null || echo 'home is read-only'
             ls {outside} 2> /dev/null || echo 'other folders of tmp are hidden'
             touch \"$bamboo_tmp_directory/mine\" && echo 'tmp of the job'
             cat file",
            home = bench.home().display(),
            outside = outside.path().display(),
        ),
    ];
    let outcome = bench.run(&sandboxed(&bench, &settings, &bodies)).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        bench.output(),
        [
            "same home and tmp",
            "own processes",
            "home is hidden",
            "orders are hidden",
            "system is read-only",
            "home is read-only",
            "other folders of tmp are hidden",
            "tmp of the job",
            "kept"
        ]
    );
    let text = bench.log_text();
    let told = "Isolation: bubblewrap; scripts have processes, home and /tmp of their own, read the system, write to \
                the working directory, and have the machine's network";
    assert!(text.lines().take(6).any(|line| line.contains(told)), "{text}");
    assert_eq!(fs::read_to_string(bench.work().join("file")).unwrap(), "kept\n");
    let private = bench.directory().path().join("private");
    assert!(!private.exists());
}

#[tokio::test]
async fn network_is_cut_off_where_the_policy_says_so() {
    let bench = Bench::new();
    let Some(mut settings) = sandbox(&bench).await else {
        return;
    };
    settings.network = false;
    let count = "grep -c : /proc/net/dev";
    let outcome = bench.run(&sandboxed(&bench, &settings, &[count])).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["1"], "the loopback alone");
    assert!(bench.log_text().contains("and have no network"));
}

#[tokio::test]
async fn folders_that_an_administrator_shows_are_seen_and_written() {
    let bench = Bench::new();
    let Some(mut settings) = sandbox(&bench).await else {
        return;
    };
    let (tools, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(tools.path().join("tool"), "tool\n").unwrap();
    settings.readable = vec![tools.path().to_owned()];
    settings.writable = vec![cache.path().to_owned(), "/dev/full".into()];
    let body = format!(
        "cat {tools}/tool; touch {tools}/new 2> /dev/null || echo read-only; echo x > {cache}/new
         echo x > /dev/full || echo device",
        tools = tools.path().display(),
        cache = cache.path().display()
    );
    let outcome = bench.run(&sandboxed(&bench, &settings, &[&body])).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["tool", "read-only", "device"]);
    assert_eq!(fs::read_to_string(cache.path().join("new")).unwrap(), "x\n");
}

#[tokio::test]
async fn exit_codes_and_missing_programs_are_told_as_without() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    for (body, code, message) in [
        ("exit 7", Some(7), "the script ended with exit code 7"),
        (
            "kill -SEGV $$",
            Some(139),
            "exit code 139, as after SIGSEGV (signal 11)",
        ),
        (
            "#!/opt/none/such -x\n",
            None,
            "cannot run `/opt/none/such`: No such file",
        ),
    ] {
        let bench = Bench::new();
        let outcome = bench.run(&sandboxed(&bench, &settings, &[body])).await;
        assert_eq!((&outcome.result, outcome.exit_code), (&JobResult::Failed, code));
        assert!(outcome.message.contains(message), "{}", outcome.message);
    }
}

#[tokio::test]
async fn stop_is_friendly_first_and_leaves_nothing() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let body = "
        setsid sh -c 'trap \"\" TERM; while :; do sleep 1000; done' &
        trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let mut order = sandboxed(&bench, &settings, &[body, "echo next"]);
    order.final_tasks = vec![script("echo final")];
    let mut job = bench.agent.start(&order).unwrap();
    bench.await_file("ready");
    bench.agent.request_stop(job.directory(), "anna").unwrap();
    let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
        panic!("the job got lost")
    };
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Stopped, None));
    assert_eq!(bench.output(), ["bye", "final"]);
}

#[tokio::test]
async fn time_limit_ends_those_who_do_not_listen() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let mut order = sandboxed(
        &bench,
        &settings,
        &["trap '' TERM; touch ready; while :; do sleep 1000; done"],
    );
    order.timeout_seconds = Some(1);
    order.stop_grace_seconds = 0;
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::TimedOut);
}

#[tokio::test]
async fn process_in_the_background_lives_until_the_job_ends() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let bodies = [
        "sleep 1000 & (while [ ! -e go ]; do sleep 0.01; done; echo late; touch late) & echo first",
        "touch go; while [ ! -e late ]; do sleep 0.01; done; echo second",
    ];
    let outcome = bench.run(&sandboxed(&bench, &settings, &bodies)).await;
    assert_eq!(outcome.result, JobResult::Successful);
    let mut output = bench.output();
    output.sort();
    assert_eq!(output, ["first", "late", "second"]);
    let text = bench.log_text();
    assert!(
        text.contains("Ended processes that the job left running: sleep ("),
        "{text}"
    );
    assert!(!text.contains("bwrap ("), "{text}");
}

#[tokio::test]
async fn job_goes_on_when_the_server_is_killed() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let order = sandboxed(
        &bench,
        &settings,
        &[
            "touch ready; while [ ! -e go ]; do sleep 0.01; done",
            "echo second",
        ],
    );
    let mut server = bench.serve(&order, &[]);
    bench.await_file("ready");
    server.kill().unwrap();
    server.wait().unwrap();
    let Adoption::Running(mut job) = bench.agent.adopt(bench.directory()).await.unwrap() else {
        panic!("the job does not run")
    };
    bench.touch("go");
    let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
        panic!("the job got lost")
    };
    assert_eq!(outcome.result, JobResult::Successful);
    assert_eq!(bench.output(), ["second"]);
}

#[tokio::test]
async fn killed_supervisor_leaves_nothing_running() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let marker = bench.home().display().to_string();
    let body =
        "setsid env -i sh -c 'while :; do sleep 1000; done' & touch ready; while :; do sleep 1000; done";
    let mut job = bench.agent.start(&sandboxed(&bench, &settings, &[body])).unwrap();
    bench.await_file("ready");
    let started = bench.directory().read_started().unwrap().unwrap();
    let family: Vec<String> = processes_below(started.pid);
    assert!(
        family.len() >= 4,
        "sandbox, its first process, script and daemon: {family:?}"
    );
    kill_hard(started.pid);
    let JobEnd::Lost { .. } = job.finished().await.unwrap() else {
        panic!("it is not lost")
    };
    for pid in family {
        await_that(&format!("the end of {pid} of {marker}"), || !is_alive(&pid));
    }
}

#[tokio::test]
async fn first_script_is_made_ready_while_the_checkout_runs_and_sees_what_it_brought() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let mut order = with_repository(&bench);
    order.isolation = Isolation::Bubblewrap(settings);
    order
        .tasks
        .push(script("git log --format=%s -1; ls; read line; echo \"[$line]\""));
    order.tasks.push(script("echo second"));
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    let output = bench.output();
    assert_eq!(&output[output.len() - 2..], ["[]", "second"], "{output:?}");
    assert!(output.len() > 3, "{output:?}");
}

#[tokio::test]
async fn script_that_was_made_ready_does_not_run_after_a_checkout_that_failed() {
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    let mut order = with_repository(&bench);
    order.isolation = Isolation::Bubblewrap(settings);
    order.repositories[0].revision = "1".repeat(40);
    order.tasks.push(script("echo ran > ran"));
    order.final_tasks = vec![script("echo final")];
    let outcome = bench.run(&order).await;
    assert_eq!(outcome.result, JobResult::Failed);
    assert_eq!(bench.output(), ["final"]);
    assert!(!bench.work().join("ran").exists());
    assert!(!bench.log_text().contains("left running"), "{}", bench.log_text());
}

/// Everything below a process in the tree.
fn processes_below(pid: i32) -> Vec<String> {
    let parents: Vec<(String, String)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned();
            Some((entry.file_name().into_string().ok()?, parent))
        })
        .collect();
    let mut found = vec![pid.to_string()];
    let mut next = 0;
    while let Some(parent) = found.get(next).cloned() {
        let below = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(below.map(|(pid, _)| pid.clone()));
        next += 1;
    }
    found.split_off(1)
}
