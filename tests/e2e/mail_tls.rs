//! Notifications by a mail server that wants STARTTLS and a password, and by one that cannot prove its name.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use madake_testkit::{Server, ServerOptions, wait_for};
use serde_json::Value;

use crate::plan_files::one_job;

/// `mail_server.py`, running.
struct MailServer {
    child: Child,
    port: u16,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl MailServer {
    fn start(folder: &Path, certificate: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/mail_server.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args([format!("{certificate}.pem"), format!("{certificate}.key")])
            .args(["ci", "s3cret-of-mail"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let port = lines
            .next()
            .expect("a line")
            .expect("a text")
            .parse()
            .expect("a port");
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("JSON");
                told.lock().expect("not poisoned").push(value);
            }
        });
        Self { child, port, heard }
    }

    fn heard(&self) -> Vec<Value> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// An authority, and certificates of it for this machine and for another.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
    );
    for (name, alternative) in [("mail", "IP:127.0.0.1"), ("other", "DNS:other.example")] {
        openssl(
            folder,
            &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
        );
        std::fs::write(
            folder.join("extensions"),
            format!("subjectAltName={alternative}\n"),
        )
        .expect("a file");
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem \
                 -extfile extensions"
            ),
        );
    }
}

async fn server(folder: &Path, mail: &MailServer, password: &str) -> Server {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).expect("a file");
    let configuration = format!(
        "[mail]\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"Madake <ci@example.org>\"\nsecurity = \"starttls\"\nuser = \"ci\"\n\
         password-file = \"{}\"\nauthorities-file = \"{}\"\n",
        mail.port,
        file.display(),
        folder.join("ca.pem").display()
    );
    let server = Server::start_with(ServerOptions {
        configuration,
        ..ServerOptions::default()
    })
    .await;
    let file = one_job(
        "true",
        "notifications:\n  - recipients: [{emails: [ann@example.org]}]\n    events: [plan-completed]\n",
    );
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &file)]);
    server.ended("PROJ-PLAN", 1).await;
    server
}

/// The first attempt to send the only message, and what the server says of it.
async fn first_attempt(server: &Server) -> String {
    wait_for("an attempt", || async {
        let list = server.get("/rest/madake/1.0/notifications").await;
        let id = list["notifications"].get(0)?["id"].as_i64()?;
        let one = server.get(&format!("/rest/madake/1.0/notifications/{id}")).await;
        Some(one["log"].get(0)?["answer"].as_str()?.to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_starttls_with_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let mail = MailServer::start(folder.path(), "mail");
    let server = server(folder.path(), &mail, "s3cret-of-mail").await;
    let heard = wait_for("a letter", || async {
        Some(mail.heard()).filter(|all| !all.is_empty())
    })
    .await;
    assert_eq!(heard.len(), 1, "{heard:#?}");
    assert_eq!(heard[0]["to"][0], "<ann@example.org>");
    let letter = heard[0]["letter"].as_str().expect("a letter");
    assert!(
        letter.contains("Subject:") && letter.contains("PROJ-PLAN-1"),
        "{letter}"
    );
    assert_eq!(first_attempt(&server).await, "taken by the mail server");
    assert!(!server.log().contains("s3cret-of-mail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_the_server_would_not_take_says_why_without_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    for (certificate, password, refused) in [
        ("mail", "wrong-s3cret", "password"),
        ("other", "s3cret-of-mail", "connection"),
    ] {
        let mail = MailServer::start(folder.path(), certificate);
        let server = server(folder.path(), &mail, password).await;
        let answer = first_attempt(&server).await;
        assert!(
            !answer.contains(password) && !answer.contains("taken"),
            "{answer}"
        );
        let heard = wait_for("a refusal", || async {
            Some(mail.heard()).filter(|all| !all.is_empty())
        })
        .await;
        assert!(heard.iter().all(|one| one["refused"] == refused), "{heard:#?}");
        assert!(!server.log().contains(password));
    }
}
