//! A small HTTP server over the crate's services, for real git clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use madake_vcs::git::smart_http::{
    Command, PushReport, PushVerdict, ReceiveLimits, ReceivePack, RefVerdict, Service, advertise, upload_pack,
};
use madake_vcs::process::GitProgram;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// What the server does with pushes, and what it saw.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) refuse: Option<String>,
    /// Full names of refs that may not move.
    pub(crate) closed: Vec<&'static str>,
    /// Full names of refs that may only move forward.
    pub(crate) forward_only: Vec<&'static str>,
    pub(crate) fail: Option<String>,
    pub(crate) lines: Vec<String>,
    pub(crate) reports: Arc<Mutex<Vec<PushReport>>>,
    pub(crate) push_bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Behaviour {
    pub(crate) fn reports(&self) -> Vec<PushReport> {
        self.reports.lock().unwrap().clone()
    }

    pub(crate) fn only_report(&self) -> PushReport {
        let [report] = &self.reports()[..] else {
            panic!("one report, not {}", self.reports().len())
        };
        report.clone()
    }
}

/// Serves `repository` at any path; returns the address to clone from.
pub(crate) async fn serve(repository: PathBuf, behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, repository.clone(), behaviour.clone()));
        }
    });
    format!("http://{address}/repository.git")
}

async fn answer(connection: TcpStream, repository: PathBuf, behaviour: Behaviour) {
    let (input, mut output) = connection.into_split();
    let mut input = BufReader::new(input);
    let mut line = String::new();
    input.read_line(&mut line).await.unwrap();
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut chunked, mut protocol) = (0, false, None);
    loop {
        let mut header = String::new();
        input.read_line(&mut header).await.unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "transfer-encoding" => chunked = value == "chunked",
            "git-protocol" => protocol = Some(value.to_owned()),
            "expect" => output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap(),
            "content-encoding" => panic!("tests send small requests"),
            _ => {}
        }
    }
    let body = if chunked {
        read_chunks(&mut input).await
    } else {
        read_exactly(&mut input, length).await
    };
    let git = GitProgram::default();
    let mut reply = Vec::new();
    let kind;
    if let Some((_, service)) = target.split_once("/info/refs?service=") {
        let service = Service::from_name(service).unwrap();
        reply = advertise(&git, &repository, service, protocol.as_deref())
            .await
            .unwrap();
        kind = format!("application/x-{}-advertisement", service.name());
    } else if target.ends_with("/git-upload-pack") {
        upload_pack(&git, &repository, protocol.as_deref(), &body[..], &mut reply)
            .await
            .unwrap();
        kind = "application/x-git-upload-pack-result".into();
    } else {
        behaviour.push_bodies.lock().unwrap().push(body.clone());
        receive(&git, &repository, &behaviour, &body, &mut reply).await;
        kind = "application/x-git-receive-pack-result".into();
    }
    let length = reply.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    output.write_all(head.as_bytes()).await.unwrap();
    output.write_all(&reply).await.unwrap();
    output.shutdown().await.unwrap();
}

async fn receive(
    git: &GitProgram,
    repository: &PathBuf,
    behaviour: &Behaviour,
    body: &[u8],
    reply: &mut Vec<u8>,
) {
    let tails = TaskTracker::new();
    let service = ReceivePack {
        git,
        git_directory: repository,
        git_protocol: None,
        limits: ReceiveLimits::default(),
        tails: &tails,
    };
    let Behaviour {
        refuse,
        closed,
        forward_only,
        fail,
        lines,
        reports,
        ..
    } = behaviour.clone();
    let verdict = move |command: &Command| {
        let name = command.name.as_str();
        if closed.contains(&name) {
            RefVerdict::Refused(format!("{name} is closed"))
        } else if forward_only.contains(&name) {
            RefVerdict::ForwardOnly(format!("{name} moves forward only"))
        } else {
            RefVerdict::Allowed
        }
    };
    let permit = |commands: Vec<Command>| async move {
        let verdicts = PushVerdict(commands.iter().map(verdict).collect());
        refuse.map_or(Ok(verdicts), Err)
    };
    let record = move |report| async move {
        reports.lock().unwrap().push(report);
        fail.map_or(Ok(lines), Err)
    };
    service.serve(body, reply, permit, record).await.unwrap();
}

async fn read_exactly(input: &mut (impl AsyncBufRead + Unpin), length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    input.read_exact(&mut body).await.unwrap();
    body
}

async fn read_chunks(input: &mut (impl AsyncBufRead + Unpin)) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).await.unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let chunk = read_exactly(input, length).await;
        body.extend_from_slice(&chunk);
        read_exactly(input, 2).await;
        if length == 0 {
            return body;
        }
    }
}
