//! Tasks on other machines, against an SSH server that runs real shells and the real `scp`.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use madake_agent::local::JobEnd;
use madake_domain::plan::{
    RemoteAuthentication, RemoteLogin, ScpTask, SecretText, SshTask, Task, TaskAction,
};
use madake_protocol::{Bubblewrap, CredentialContent, Isolation, JobCredential, JobResult, Secret};
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bench::{Bench, await_that, script, secret, task, variable};
use crate::sandboxes::sandbox;

/// Another machine: a home for its user, and what the user logs in with.
struct Machine {
    port: u16,
    fingerprint: String,
    /// The line of `known_hosts` for it.
    known: String,
    home: tempfile::TempDir,
}

#[derive(Clone)]
struct User {
    home: PathBuf,
    password: &'static str,
    key: Option<String>,
    channels: Arc<Mutex<HashMap<ChannelId, Channel<Msg>>>>,
    /// The process groups of commands, which signals reach; `None`: it hands no signals on.
    groups: Option<Arc<Mutex<HashMap<ChannelId, u32>>>>,
}

fn keys(folder: &Path, name: &str, passphrase: &str) -> (PrivateKey, String, String) {
    let path = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let text = fs::read_to_string(&path).unwrap();
    let public = fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned();
    let opened = russh::keys::decode_secret_key(&text, Some(passphrase).filter(|text| !text.is_empty()));
    (opened.unwrap(), text, public)
}

impl Machine {
    async fn start(password: &'static str, key: Option<String>) -> Self {
        Self::start_with(password, key, Some(Arc::default())).await
    }

    async fn start_with(
        password: &'static str,
        key: Option<String>,
        groups: Option<Arc<Mutex<HashMap<ChannelId, u32>>>>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (host_key, _, public) = keys(home.path(), "host_key", "");
        let fingerprint = host_key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(russh::server::Config {
            keys: vec![host_key],
            auth_rejection_time: std::time::Duration::ZERO,
            ..russh::server::Config::default()
        });
        let user = User {
            home: home.path().join("home"),
            password,
            key,
            channels: Arc::default(),
            groups,
        };
        fs::create_dir(&user.home).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, user) = (Arc::clone(&config), user.clone());
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, user).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            port,
            fingerprint,
            known: format!("[127.0.0.1]:{port} {public}\n"),
            home,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("home").join(name)
    }

    fn login(&self, authentication: RemoteAuthentication) -> RemoteLogin {
        RemoteLogin {
            hosts: vec!["127.0.0.1".into()],
            port: Some(self.port),
            host_fingerprint: Some(self.fingerprint.clone()),
            username: "anna".into(),
            authentication,
        }
    }
}

impl Handler for User {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let is_right = user == "anna" && password == self.password && !password.is_empty();
        Ok(if is_right { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let shown = key.public_key.to_openssh().unwrap_or_default();
        let is_right = user == "anna"
            && self
                .key
                .as_ref()
                .is_some_and(|key| shown.starts_with(key.trim()) || key.starts_with(shown.trim()));
        Ok(if is_right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.lock().unwrap().insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let channel = self.channels.lock().unwrap().remove(&id).unwrap();
        session.channel_success(id)?;
        let (command, home, handle) = (
            String::from_utf8_lossy(command).into_owned(),
            self.home.clone(),
            session.handle(),
        );
        let groups = self.groups.clone();
        tokio::spawn(async move {
            let mut shell = tokio::process::Command::new("/bin/sh")
                .args(["-c", &command])
                .current_dir(&home)
                .env("HOME", &home)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            if let Some(groups) = groups {
                groups.lock().unwrap().insert(id, shell.id().unwrap());
            }
            let (mut input, mut out, mut err) = (
                shell.stdin.take().unwrap(),
                shell.stdout.take().unwrap(),
                shell.stderr.take().unwrap(),
            );
            let stream = channel.into_stream();
            let (mut from_client, mut to_client) = tokio::io::split(stream);
            let reading = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut input).await;
            });
            let mut part = vec![0; 4096];
            loop {
                match out.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => {
                        to_client.write_all(&part[..length]).await.unwrap();
                        to_client.flush().await.unwrap();
                    }
                }
            }
            let mut said = Vec::new();
            let _ = err.read_to_end(&mut said).await;
            if !said.is_empty() {
                let _ = handle.extended_data(id, 1, said).await;
            }
            let status = shell.wait().await.unwrap();
            reading.abort();
            let code = u32::try_from(status.code().unwrap_or(255)).unwrap();
            let _ = handle.exit_status_request(id, code).await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _: &mut Session) -> Result<(), Self::Error> {
        let group = self.groups.as_ref().map(|groups| groups.lock().unwrap()[&id]);
        let signal = match signal {
            Sig::TERM => Signal::TERM,
            Sig::KILL => Signal::KILL,
            other => panic!("{other:?}"),
        };
        if let Some(group) = group {
            kill_process_group(Pid::from_raw(group.cast_signed()).unwrap(), signal).unwrap();
        }
        Ok(())
    }
}

fn password() -> RemoteAuthentication {
    RemoteAuthentication::Password {
        password: SecretText::new("${bamboo.deploy.password}"),
    }
}

pub(crate) fn ssh(login: RemoteLogin, command: &str) -> Task {
    task(TaskAction::Ssh(SshTask {
        login,
        command: command.into(),
    }))
}

async fn run(bench: &Bench, tasks: Vec<Task>) -> madake_protocol::JobOutcome {
    let mut order = bench.order(tasks);
    order.variables = vec![
        variable("version", "1.2"),
        secret("deploy.password", "correct horse"),
    ];
    bench.run(&order).await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_over_there_and_their_output_and_exit_code_count() {
    let machine = Machine::start("correct horse", None).await;
    let bench = Bench::new();
    let outcome = run(
        &bench,
        vec![
            ssh(
                machine.login(password()),
                "echo \"${bamboo.version} in $(basename $PWD)\"\necho 'correct horse'\necho oops >&2",
            ),
            ssh(machine.login(password()), "exit 7"),
        ],
    )
    .await;
    assert_eq!(
        bench.output(),
        ["1.2 in home", "********"],
        "{}",
        bench.log_text()
    );
    assert!(bench.log_text().contains("oops"));
    assert!(!bench.log_text().contains("correct horse"));
    assert_eq!((outcome.result, outcome.exit_code), (JobResult::Failed, Some(7)));
    assert!(
        outcome.message.contains("the command on 127.0.0.1:"),
        "{}",
        outcome.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn command_over_there_is_ended_with_its_job_or_the_log_says_that_it_may_go_on() {
    let friendly = "trap 'echo bye; exit 1' TERM; touch ready; while :; do sleep 0.01; done";
    let deaf = "trap '' TERM; touch ready; while :; do sleep 0.01; done";
    for (hands_on, command, says_bye) in [(true, friendly, true), (true, deaf, false), (false, deaf, false)] {
        let groups = hands_on.then(Arc::default);
        let machine = Machine::start_with("correct horse", None, groups).await;
        let bench = Bench::new();
        let mut order = bench.order(vec![ssh(machine.login(password()), command)]);
        order.variables = vec![secret("deploy.password", "correct horse")];
        order.stop_grace_seconds = u64::from(says_bye);
        let mut job = bench.agent.start(&order).unwrap();
        await_that("the command to run", || machine.file("ready").exists());
        bench.agent.request_stop(job.directory(), "anna").unwrap();
        let JobEnd::Finished(outcome) = job.finished().await.unwrap() else {
            panic!("it was lost");
        };
        assert_eq!(outcome.result, JobResult::Stopped);
        let log = bench.log_text();
        assert_eq!(bench.output().contains(&"bye".to_owned()), says_bye, "{log}");
        let told = format!("The command may go on on 127.0.0.1:{}:", machine.port);
        assert_eq!(log.contains(&told), !hands_on, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_log_in_also_behind_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    for passphrase in ["", "open sesame"] {
        let (_, text, public) = keys(folder.path(), &format!("key-{}", passphrase.len()), passphrase);
        let machine = Machine::start("", Some(public)).await;
        let bench = Bench::new();
        let key = |passphrase: Option<&str>| {
            machine.login(RemoteAuthentication::Key {
                key: SecretText::new(&*text),
                passphrase: passphrase.map(SecretText::new),
            })
        };
        let given = Some(passphrase).filter(|text| !text.is_empty());
        let outcome = run(&bench, vec![ssh(key(given), "echo in")]).await;
        assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
        assert_eq!(bench.output(), ["in"]);
        if given.is_some() {
            let bench = Bench::new();
            let outcome = run(&bench, vec![ssh(key(Some("wrong")), "echo in")]).await;
            assert!(
                outcome.message.contains("the private key cannot be read"),
                "{}",
                outcome.message
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_credentials_log_in_with_their_user_and_stay_out_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (key, text, public) = keys(folder.path(), "key", "open sesame");
    let shown = key.public_key().fingerprint(HashAlg::Sha256).to_string();
    let found = madake_agent::private_key::fingerprint(&text, Some("open sesame"));
    assert_eq!(found.unwrap(), shown);
    for wrong in [None, Some("open")] {
        let error = madake_agent::private_key::fingerprint(&text, wrong).unwrap_err();
        assert!(error.contains("passphrase") && !error.contains(&text), "{error}");
    }
    let content = [
        CredentialContent::Password {
            username: "anna".into(),
            password: Secret::new("correct horse"),
        },
        CredentialContent::Key {
            username: "anna".into(),
            key: Secret::new(&*text),
            passphrase: Some(Secret::new("open sesame")),
        },
        CredentialContent::Refused {
            reason: "plans of PROJ/app may not use it".into(),
        },
    ];
    let expected = [
        (JobResult::Successful, "", "correct horse"),
        (JobResult::Successful, "", "open sesame"),
        (
            JobResult::Failed,
            "plans of PROJ/app may not use it",
            "Running on",
        ),
    ];
    for (content, (result, message, absent)) in content.into_iter().zip(expected) {
        let machine = Machine::start("correct horse", Some(public.clone())).await;
        let bench = Bench::new();
        let mut login = machine.login(RemoteAuthentication::Shared {
            name: "Deploy".into(),
        });
        login.username = String::new();
        let printing = "echo in; echo 'correct horse' 'open sesame'";
        let mut order = bench.order(vec![ssh(login, printing)]);
        order.credentials = vec![JobCredential {
            name: "deploy".into(),
            content,
        }];
        let outcome = bench.run(&order).await;
        let log = bench.log_text();
        assert_eq!(outcome.result, result, "{log}");
        assert!(outcome.message.contains(message), "{}", outcome.message);
        assert!(!log.contains(absent), "{log}");
        assert_eq!(bench.output().is_empty(), result == JobResult::Failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told() {
    let machine = Machine::start("another", None).await;
    let bench = Bench::new();
    let outcome = run(&bench, vec![ssh(machine.login(password()), "echo in")]).await;
    assert!(
        outcome
            .message
            .contains("does not let `anna` in with this password"),
        "{}",
        outcome.message
    );
    assert_eq!(bench.output(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_no_variable_gives_are_named_and_sent_to_nobody() {
    let machine = Machine::start("${bamboo.box.password}", None).await;
    for (given, said) in [
        (
            "${bamboo.box.password}",
            "the password is written as `${bamboo.box.password}`, which no variable of this job answers",
        ),
        (
            "${bamboo.deploy.password} ${system.NEVER_SET}",
            "the password is written as `${system.NEVER_SET}`, which no variable of this job answers",
        ),
    ] {
        let bench = Bench::new();
        let login = machine.login(RemoteAuthentication::Password {
            password: SecretText::new(given),
        });
        let outcome = run(&bench, vec![ssh(login, "echo in")]).await;
        assert!(outcome.message.contains(said), "{}", outcome.message);
        assert_eq!(bench.output(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_nobody_vouches_for_are_refused_before_the_password_is_sent() {
    let machine = Machine::start("correct horse", None).await;
    for (fingerprint, said) in [
        (None, "is not known: make sure that its fingerprint is SHA256:"),
        (
            Some("SHA256:AAAA".to_owned()),
            "is not the machine that the task wants",
        ),
    ] {
        let bench = Bench::new();
        let login = RemoteLogin {
            host_fingerprint: fingerprint,
            ..machine.login(password())
        };
        let outcome = run(&bench, vec![ssh(login, "echo in")]).await;
        assert!(outcome.message.contains(said), "{}", outcome.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_in_known_hosts_are_believed_and_changed_ones_are_not() {
    let machine = Machine::start("correct horse", None).await;
    let other = Machine::start("correct horse", None).await;
    for (known, said) in [
        (machine.known.clone(), "in line"),
        (
            other
                .known
                .replace(&other.port.to_string(), &machine.port.to_string()),
            "somebody may stand in between",
        ),
    ] {
        let bench = Bench::new();
        let home = bench.home().join("home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(home.join(".ssh/known_hosts"), known).unwrap();
        let login = RemoteLogin {
            host_fingerprint: None,
            ..machine.login(RemoteAuthentication::Password {
                password: SecretText::new("correct horse"),
            })
        };
        let order = bench.order(vec![ssh(login, "echo 'in line'")]);
        let environment = [("HOME", home.to_str().unwrap())];
        assert!(bench.serve(&order, &environment).wait().unwrap().success());
        assert!(bench.log_text().contains(said), "{}", bench.log_text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_folders_and_patterns_are_copied_with_their_folders() {
    let machine = Machine::start("correct horse", None).await;
    let bench = Bench::new();
    for (path, text) in [
        ("app.jar", "jar"),
        ("conf/a.xml", "a"),
        ("conf/deep/b.xml", "b"),
        ("conf/c.txt", "c"),
        ("big", &"x".repeat(300_000)),
    ] {
        let path = bench.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("/etc/passwd", bench.work().join("conf/stolen.xml")).unwrap();
    let scp = |local_path: &str, use_ant_pattern, destination_path: &str| {
        task(TaskAction::Scp(ScpTask {
            login: machine.login(password()),
            local_path: local_path.into(),
            use_ant_pattern,
            destination_path: destination_path.into(),
        }))
    };
    let outcome = run(
        &bench,
        vec![
            scp("app.jar,big", false, "app v${bamboo.version}/it's"),
            scp("conf", false, "folders"),
            scp("conf/**/*.xml", true, "patterns"),
        ],
    )
    .await;
    assert_eq!(outcome.result, JobResult::Successful, "{}", bench.log_text());
    for (path, text) in [
        ("app v1.2/it's/app.jar", "jar"),
        ("folders/conf/a.xml", "a"),
        ("folders/conf/deep/b.xml", "b"),
        ("folders/conf/c.txt", "c"),
        ("patterns/conf/a.xml", "a"),
        ("patterns/conf/deep/b.xml", "b"),
    ] {
        assert_eq!(fs::read_to_string(machine.file(path)).unwrap(), text, "{path}");
    }
    assert_eq!(
        fs::metadata(machine.file("app v1.2/it's/big")).unwrap().len(),
        300_000
    );
    for path in [
        "folders/conf/stolen.xml",
        "patterns/conf/stolen.xml",
        "patterns/conf/c.txt",
    ] {
        assert!(!machine.file(path).exists(), "{path}");
    }
    assert!(
        bench.log_text().contains("`conf/stolen.xml` is not copied"),
        "{}",
        bench.log_text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_outside_and_folders_that_cannot_be_made_are_refused() {
    let machine = Machine::start("correct horse", None).await;
    for (local_path, use_ant_pattern, destination, said) in [
        ("../outside", false, "x", "the local path"),
        ("/etc/passwd", false, "x", "the local path"),
        ("missing", false, "x", "the local path"),
        ("here", false, "/proc/none", "cannot be made over there"),
        ("*.none", true, "x", "no file matches `*.none`"),
    ] {
        let bench = Bench::new();
        fs::create_dir_all(bench.work()).unwrap();
        fs::write(bench.work().join("here"), "x").unwrap();
        let copy = task(TaskAction::Scp(ScpTask {
            login: machine.login(password()),
            local_path: local_path.into(),
            use_ant_pattern,
            destination_path: destination.into(),
        }));
        let outcome = run(&bench, vec![copy]).await;
        assert_eq!(outcome.result, JobResult::Failed, "{local_path}");
        assert!(
            outcome.message.contains(said),
            "{local_path}: {}",
            outcome.message
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_command_runs_over_there() {
    let machine = Machine::start("correct horse", None).await;
    let bench = Bench::new();
    let mut order = bench.order(vec![ssh(
        machine.login(password()),
        "echo began > began; sleep 600",
    )]);
    order.variables = vec![secret("deploy.password", "correct horse")];
    let mut job = bench.agent.start(&order).unwrap();
    let began = machine.file("began");
    tokio::task::block_in_place(|| await_that("the command", || began.exists()));
    bench.agent.request_stop(&bench.directory(), "anna").unwrap();
    job.finished().await.unwrap();
    assert!(
        bench.log_text().contains("stopped by anna"),
        "{}",
        bench.log_text()
    );
}

/// An SSH agent of a test's own, with one key.
struct KeyAgent {
    socket: PathBuf,
    process: std::process::Child,
}

impl KeyAgent {
    fn start(folder: &Path, key: &Path) -> Self {
        let socket = folder.join("agent");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        await_that("the SSH agent", || socket.exists());
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &socket)
            .stderr(Stdio::null())
            .status();
        assert!(added.unwrap().success());
        Self { socket, process }
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_forks_get_no_ssh_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, public) = keys(folder.path(), "key", "");
    let agent = KeyAgent::start(folder.path(), &folder.path().join("key"));
    let machine = Machine::start("", Some(public)).await;
    let bench = Bench::new();
    let isolations = [
        Some(Isolation::default()),
        sandbox(&bench).await.map(Isolation::Bubblewrap),
    ];
    for isolation in isolations.into_iter().flatten() {
        for untrusted in [false, true] {
            let bench = Bench::new();
            let mut order = bench.order(vec![
                script(&format!(
                    "[ -S '{}' ] && [ -n \"$SSH_AUTH_SOCK\" ] && ssh-add -l > /dev/null && echo keys || echo \"none [$SSH_AUTH_SOCK]\"",
                    agent.socket.display()
                )),
                ssh(machine.login(RemoteAuthentication::Agent), "echo in"),
            ]);
            order.untrusted = untrusted;
            order.isolation = isolation.clone();
            let environment = [("SSH_AUTH_SOCK", agent.socket.to_str().unwrap())];
            assert!(bench.serve(&order, &environment).wait().unwrap().success());
            let (text, output) = (bench.log_text(), bench.output());
            if untrusted {
                assert_eq!(output, ["none []"], "{text}");
                assert!(
                    text.contains("there is no SSH agent for the server's user"),
                    "{text}"
                );
            } else {
                assert_eq!(output, ["keys", "in"], "{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_on_other_machines_have_no_network_where_a_sandbox_has_none() {
    let machine = Machine::start("correct horse", None).await;
    let bench = Bench::new();
    let Some(settings) = sandbox(&bench).await else {
        return;
    };
    for network in [true, false] {
        let files = ScpTask {
            login: machine.login(password()),
            local_path: "file".into(),
            use_ant_pattern: false,
            destination_path: "there".into(),
        };
        for remote in [
            ssh(machine.login(password()), "echo in"),
            task(TaskAction::Scp(files)),
        ] {
            let bench = Bench::new();
            let mut order = bench.order(vec![script("echo x > file"), remote]);
            order.variables = vec![secret("deploy.password", "correct horse")];
            order.isolation = Isolation::Bubblewrap(Bubblewrap {
                network,
                ..settings.clone()
            });
            let outcome = bench.run(&order).await;
            let is_refused = outcome
                .message
                .contains("jobs have no network here, as agent.network says");
            assert_eq!(is_refused, !network, "{}", bench.log_text());
            assert_eq!(outcome.result == JobResult::Successful, network);
        }
    }
}
