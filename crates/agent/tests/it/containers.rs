//! Jobs in containers, with a real engine. Where none can be started (it takes root and Debian's `docker.io`), the
//! same tests hold a job that wants a container to its sentence.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use madake_agent::local::{Adoption, JobEnd};
use madake_domain::plan::{RemoteAuthentication, RemoteLogin, ScpTask, SecretText, TaskAction};
use madake_protocol::{ContainerOrder, Isolation, JobOrder, JobOutcome, JobResult};

use crate::bench::{Bench, await_that, kill_hard, script, secret, task};
use crate::checkouts::with_repository;
use crate::remote::ssh;

/// A container engine of a test's own, with one image.
struct Engine {
    folder: tempfile::TempDir,
    daemon: Child,
}

const IMAGE: &str = "local/busybox:1";

impl Engine {
    /// `None` where an engine cannot run.
    fn start() -> Option<Self> {
        let busybox = Path::new("/bin/busybox");
        let is_root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|it| it.stdout == b"0\n");
        if !is_root || !busybox.exists() || Command::new("dockerd").arg("--version").output().is_err() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let daemon = Command::new("dockerd")
            .args([
                "--iptables=false",
                "--bridge=none",
                "--storage-driver=vfs",
                "--data-root",
            ])
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("docker.sock").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let engine = Self { folder, daemon };
        await_that("the container engine", || {
            UnixStream::connect(engine.socket()).is_ok() && engine.ask("GET", "/_ping", "").ends_with("OK")
        });
        engine.import(busybox);
        Some(engine)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Makes the image out of the one program that is all of Debian's busybox.
    fn import(&self, busybox: &Path) {
        let root = self.folder.path().join("root");
        for name in ["bin", "tmp", "etc"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::copy(busybox, root.join("bin/busybox")).unwrap();
        for name in ["sh", "sleep", "cat", "id", "ls", "touch", "true"] {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let archive = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["-c", "."])
            .output()
            .unwrap();
        assert!(archive.status.success());
        let (repository, tag) = IMAGE.split_once(':').unwrap();
        let path = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
        let answer = self.send("POST", &path, "application/x-tar", &archive.stdout);
        assert!(answer.contains("sha256:"), "{answer}");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.send(method, path, "application/json", body.as_bytes())
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: d\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// How many containers there are, running or not.
    fn containers(&self) -> usize {
        self.ask("GET", "/containers/json?all=true", "")
            .matches("\"Id\":")
            .count()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends its containers and their helpers when it is asked in a friendly way.
        let pid = self.daemon.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.daemon.wait();
    }
}

pub(crate) fn contained(bench: &Bench, bodies: &[&str]) -> JobOrder {
    let mut order = bench.order(bodies.iter().map(|body| script(body)).collect());
    order.isolation = Isolation::Container(container());
    order
}

fn container() -> ContainerOrder {
    ContainerOrder {
        image: IMAGE.into(),
        default_volumes: true,
        network: true,
        ..ContainerOrder::default()
    }
}

/// Runs an order as a server with this environment would.
pub(crate) async fn run(bench: &Bench, order: &JobOrder, host: &str) -> JobOutcome {
    let status = bench.serve(order, &[("DOCKER_HOST", host)]).wait().unwrap();
    assert!(status.success());
    match bench.agent.adopt(bench.directory()).await.unwrap() {
        Adoption::Finished(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn job_that_wants_a_container_says_at_once_that_there_is_no_engine() {
    for (host, reason) in [
        (
            "tcp://127.0.0.1:2375",
            "DOCKER_HOST is `tcp://127.0.0.1:2375`, but the workspace of a job can be mounted by an engine of this \
             machine only",
        ),
        (
            "unix:///nonexistent/docker.sock",
            "the container engine at /nonexistent/docker.sock does not answer",
        ),
    ] {
        let bench = Bench::new();
        let outcome = run(&bench, &contained(&bench, &["echo no"]), host).await;
        assert!(matches!(outcome.result, JobResult::Error(_)), "{outcome:?}");
        assert!(outcome.message.contains(reason), "{}", outcome.message);
        assert!(bench.log_text().contains(reason), "{}", bench.log_text());
        assert!(bench.output().is_empty());
    }
}

#[tokio::test]
async fn scripts_share_one_container_with_the_workspace_and_it_goes_with_the_job() {
    let Some(engine) = Engine::start() else { return };
    let bench = Bench::new();
    let mut order = with_repository(&bench);
    order.isolation = Isolation::Container(ContainerOrder {
        run_arguments: vec!["--env".into(), "MINE=from the plan".into(), "--memory=64m".into()],
        ..container()
    });
    order.variables = vec![secret("password", "hunter22")];
    order.tasks.push(script(
        "cat app.txt; echo; touch /installed; echo \"$MINE, $bamboo_password\"; echo careful >&2; echo out > made; \
         ls -d /home 2> /dev/null || echo 'not this machine'; (sleep 1000 &) ; touch \"$bamboo_tmp_directory/here\"",
    ));
    order.tasks.push(script(
        "ls /installed; ls \"$bamboo_tmp_directory/here\" > /dev/null && exit 7",
    ));
    order.final_tasks = vec![script("echo final")];
    let outcome = run(&bench, &order, &engine.host()).await;
    let text = bench.log_text();
    assert_eq!(
        (outcome.result, outcome.exit_code),
        (JobResult::Failed, Some(7)),
        "{text}"
    );
    let output = bench.output();
    assert!(
        output.ends_with(
            &[
                "second",
                "from the plan, ********",
                "not this machine",
                "/installed",
                "final"
            ]
            .map(str::to_owned)
        ),
        "{output:?}"
    );
    assert!(text.contains("error\t") && text.contains("\tcareful"), "{text}");
    assert!(
        text.contains("Isolation: scripts run in the container madake-"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(bench.work().join("made")).unwrap(), "out\n");
    assert_eq!(engine.containers(), 0);

    let bench = Bench::new();
    let mut order = contained(&bench, &["echo no"]);
    let missing = ContainerOrder {
        image: "127.0.0.1:1/none/such:2".into(),
        ..container()
    };
    order.isolation = Isolation::Container(missing);
    let outcome = run(&bench, &order, &engine.host()).await;
    assert!(
        outcome
            .message
            .contains("the container engine cannot pull the image"),
        "{}",
        outcome.message
    );
    assert!(
        bench
            .log_text()
            .contains("Pulling the image 127.0.0.1:1/none/such:2, which is not on this machine")
    );
    let bench = Bench::new();
    let mut order = contained(&bench, &["echo no"]);
    let privileged = ContainerOrder {
        run_arguments: vec!["--privileged".into()],
        ..container()
    };
    order.isolation = Isolation::Container(privileged);
    let outcome = run(&bench, &order, &engine.host()).await;
    assert!(
        outcome.message.contains("set agent.container-privileges"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn tasks_on_other_machines_have_no_network_where_a_container_has_none() {
    let Some(engine) = Engine::start() else { return };
    for (network, reason) in [
        (true, "cannot reach 127.0.0.1:1"),
        (false, "jobs have no network here, as agent.network says"),
    ] {
        let login = RemoteLogin {
            hosts: vec!["127.0.0.1".into()],
            port: Some(1),
            host_fingerprint: None,
            username: "anna".into(),
            authentication: RemoteAuthentication::Password {
                password: SecretText::new("correct horse"),
            },
        };
        let files = ScpTask {
            login: login.clone(),
            local_path: "file".into(),
            use_ant_pattern: false,
            destination_path: String::new(),
        };
        for remote in [ssh(login, "echo in"), task(TaskAction::Scp(files))] {
            let bench = Bench::new();
            let mut order = contained(&bench, &["echo x > file"]);
            order.tasks.push(remote);
            order.isolation = Isolation::Container(ContainerOrder {
                network,
                ..container()
            });
            let outcome = run(&bench, &order, &engine.host()).await;
            assert!(outcome.message.contains(reason), "{}", outcome.message);
        }
    }
}

#[tokio::test]
async fn container_is_paused_while_a_checkout_works_and_goes_on_behind_it() {
    let Some(engine) = Engine::start() else { return };
    let bench = Bench::new();
    let mut order = with_repository(&bench);
    let checkout = order.tasks[0].clone();
    order.isolation = Isolation::Container(container());
    let told = bench.home().join("told");
    let git = bench.home().join("asking-git");
    let made = Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\ndocker -H %s ps --quiet --filter status=paused | wc -l >> %s\nexec git "$@"\n' "$2" "$3" > "$1"
               chmod +x "$1""#,
            "sh",
        ])
        .arg(&git)
        .arg(engine.host())
        .arg(&told)
        .status();
    assert!(made.unwrap().success());
    order.git_program = git;
    order.tasks.extend([
        script("(while [ ! -e go ]; do sleep 0.01; done; touch late) &"),
        checkout,
        script("touch go; while [ ! -e late ]; do sleep 0.01; done; cat app.txt; echo"),
    ]);
    let outcome = run(&bench, &order, &engine.host()).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        fs::read_to_string(told).unwrap(),
        "1\n1\n",
        "before the first script, and behind it"
    );
    assert_eq!(bench.output().last().unwrap(), "second");
    assert_eq!(engine.containers(), 0);
}

#[tokio::test]
async fn stop_and_time_limit_end_a_container_and_final_tasks_run_in_it_still() {
    let Some(engine) = Engine::start() else { return };
    let body = "trap 'echo bye; exit 0' TERM; touch /mark ready; while :; do sleep 0.01; done";
    let bench = Bench::new();
    let mut order = contained(&bench, &[body]);
    order.final_tasks = vec![script("ls /mark")];
    let mut server = bench.serve(&order, &[("DOCKER_HOST", &engine.host())]);
    bench.await_file("ready");
    bench.agent.request_stop(&bench.directory(), "anna").unwrap();
    assert!(server.wait().unwrap().success());
    let Adoption::Finished(outcome) = bench.agent.adopt(bench.directory()).await.unwrap() else {
        panic!("it did not end")
    };
    assert_eq!(outcome.result, JobResult::Stopped);
    assert_eq!(bench.output(), ["bye", "/mark"]);

    let bench = Bench::new();
    let mut order = contained(&bench, &["trap '' TERM; while :; do sleep 1; done"]);
    order.timeout_seconds = Some(1);
    order.stop_grace_seconds = 0;
    let outcome = run(&bench, &order, &engine.host()).await;
    assert_eq!(outcome.result, JobResult::TimedOut);
    assert_eq!(engine.containers(), 0);
}

#[tokio::test]
async fn container_outlives_the_server_and_not_its_supervisor() {
    let Some(engine) = Engine::start() else { return };
    let host = engine.host();
    let bench = Bench::new();
    let body = "touch ready; while [ ! -e go ]; do sleep 0.01; done; echo went on";
    let mut server = bench.serve(&contained(&bench, &[body]), &[("DOCKER_HOST", &host)]);
    bench.await_file("ready");
    server.kill().unwrap();
    server.wait().unwrap();
    let Adoption::Running(mut job) = bench.agent.adopt(bench.directory()).await.unwrap() else {
        panic!("the job does not run")
    };
    // A sweep that comes meanwhile knows that the job lives.
    assert_eq!(bench.remove_left_containers(&host), "");
    bench.touch("go");
    let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
        panic!("the job got lost")
    };
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(bench.output(), ["went on"]);

    for is_judged in [true, false] {
        let bench = Bench::new();
        let body = "touch ready; while :; do sleep 1; done";
        let mut server = bench.serve(&contained(&bench, &[body]), &[("DOCKER_HOST", &host)]);
        bench.await_file("ready");
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(engine.containers(), 1);
        kill_hard(bench.directory().read_started().unwrap().unwrap().pid);
        if is_judged {
            let is_lost = match bench.agent.adopt(bench.directory()).await.unwrap() {
                // The system has not ended it yet.
                Adoption::Running(mut job) => matches!(job.finished().await.unwrap(), JobEnd::Lost { .. }),
                other => matches!(other, Adoption::Lost { .. }),
            };
            assert!(is_lost);
        } else {
            await_that("the lock of the dead", || {
                bench.remove_left_containers(&host).contains("madake-")
            });
        }
        assert_eq!(engine.containers(), 0, "judged: {is_judged}");
    }
}
