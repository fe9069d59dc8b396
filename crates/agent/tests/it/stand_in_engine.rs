//! Jobs in containers of an engine that cannot pause, as that of a person without cgroups of its own, and what is said of
//! a job that does not begin. The engine is a stand-in: it answers as one would, runs nothing, and writes down what it was
//! asked for.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use madake_domain::plan::TaskAction;
use madake_protocol::{ContainerOrder, Isolation, JobResult};

use crate::bench::{Bench, script, secret, task};
use crate::containers::{contained, run};

/// An engine that refuses to pause.
struct Engine {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    /// `stops`: whether it can stop a container.
    fn start(stops: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut stream.unwrap(), stops, &noted);
            }
        });
        Self { folder, asked }
    }

    fn host(&self) -> String {
        let socket: PathBuf = self.folder.path().join("docker.sock");
        format!("unix://{}", socket.display())
    }

    /// What was done with the container, in order.
    fn deeds(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(stream: &mut UnixStream, stops: bool, noted: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let last = Path::new(path).file_name().unwrap().to_str().unwrap();
    let refused = r#"{"message": "cgroups are not there"}"#;
    let output = b"\x01\0\0\0\0\0\0\x04ran\n";
    let (deed, status, body): (&str, u16, &[u8]) = match (method, last) {
        ("POST", "create") => ("create", 201, br#"{"Id": "c"}"#),
        ("POST", "start") if path.starts_with("/exec/") => ("run", 200, output),
        ("POST", "start") => ("start", 204, b""),
        ("POST", "exec") => ("", 201, br#"{"Id": "e"}"#),
        ("POST", "pause") => ("refuse to pause", 500, refused.as_bytes()),
        ("POST", "stop") if stops => ("stop", 204, b""),
        ("POST", "stop") => ("refuse to stop", 500, refused.as_bytes()),
        ("POST", other) => panic!("{other}"),
        ("DELETE", _) => ("remove", 204, b""),
        _ => ("", 200, br#"{"Running": false, "ExitCode": 0}"#),
    };
    if !deed.is_empty() {
        noted.lock().unwrap().push(deed.to_owned());
    }
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

#[tokio::test]
async fn container_that_cannot_be_paused_is_stopped_while_the_agent_works_and_started_for_the_next_script() {
    let engine = Engine::start(true);
    let bench = Bench::new();
    let mut order = contained(&bench, &["one"]);
    order.tasks.push(task(TaskAction::Clean));
    order.tasks.push(task(TaskAction::Clean));
    order.tasks.push(script("two"));
    order.tasks.push(script("three"));
    let outcome = run(&bench, &order, &engine.host()).await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    assert_eq!(
        engine.deeds(),
        [
            "create",
            "start",
            "run",
            "refuse to pause",
            "stop",
            "start",
            "run",
            "run",
            "remove"
        ]
    );
    assert_eq!(bench.output(), ["ran", "ran", "ran"]);
}

#[tokio::test]
async fn nothing_is_done_beside_a_container_that_can_be_neither_paused_nor_stopped() {
    let engine = Engine::start(false);
    let bench = Bench::new();
    fs::create_dir_all(bench.work()).unwrap();
    bench.touch("kept");
    let mut order = contained(&bench, &["one"]);
    order.tasks.push(task(TaskAction::Clean));
    let outcome = run(&bench, &order, &engine.host()).await;
    assert_eq!(outcome.result, JobResult::Failed, "{}", bench.log_text());
    let reason = "the container engine cannot stop the container: cgroups are not there";
    assert!(bench.log_text().contains(reason), "{}", bench.log_text());
    assert!(bench.work().join("kept").exists());
    assert_eq!(
        engine.deeds(),
        [
            "create",
            "start",
            "run",
            "refuse to pause",
            "refuse to stop",
            "remove"
        ]
    );
}

#[tokio::test]
async fn s6_reason_why_a_job_does_not_begin_has_no_secret() {
    let engine = Engine::start(true);
    let bench = Bench::new();
    let mut order = contained(&bench, &["one"]);
    order.variables = vec![secret("token", "correct horse battery")];
    order.isolation = Isolation::Container(ContainerOrder {
        image: "${bamboo.token}/app".into(),
        ..ContainerOrder::default()
    });
    let outcome = run(&bench, &order, &engine.host()).await;
    let JobResult::Error(reason) = &outcome.result else {
        panic!("{outcome:?}")
    };
    for text in [reason, &outcome.message, &bench.log_text()] {
        assert!(
            text.contains("`********/app` is not the name of an image"),
            "{text}"
        );
        assert!(!text.contains("correct horse"), "{text}");
    }
}
