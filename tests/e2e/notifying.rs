//! Notifications when things go wrong: a mail server that is busy, a server that is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use madake_testkit::{Server, ServerOptions, wait_for};

/// A mail server that is busy so many times, and takes everything then.
struct BusyMailServer {
    port: u16,
    left: Arc<AtomicUsize>,
    letters: Arc<Mutex<Vec<String>>>,
}

impl BusyMailServer {
    fn start(times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let made = Self {
            port: listener.local_addr().expect("an address").port(),
            left: Arc::new(AtomicUsize::new(times)),
            letters: Arc::default(),
        };
        let (left, letters) = (Arc::clone(&made.left), Arc::clone(&made.letters));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (left, letters) = (Arc::clone(&left), Arc::clone(&letters));
                std::thread::spawn(move || converse(stream, &left, &letters));
            }
        });
        made
    }
}

fn converse(stream: TcpStream, left: &AtomicUsize, letters: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| {
        reader.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()
    };
    say(&mut reader, "220 mail.example ready")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.starts_with("MAIL") {
            let busy = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            say(
                &mut reader,
                if busy.is_ok() {
                    "451 4.3.0 later"
                } else {
                    "250 fine"
                },
            )?;
        } else if line.starts_with("DATA") {
            say(&mut reader, "354 go on")?;
            let mut letter = String::new();
            while !letter.ends_with("\r\n.\r\n") {
                if reader.read_line(&mut letter).ok()? == 0 {
                    return None;
                }
            }
            letters.lock().expect("not poisoned").push(letter);
            say(&mut reader, "250 taken")?;
        } else if line.starts_with("QUIT") {
            return say(&mut reader, "221 bye");
        } else {
            say(&mut reader, "250 mail.example")?;
        }
    }
}

const PLAN: &str = "version: 2
plan: {project-key: PROJ, key: PLAN, name: Shop}
stages: [{Build: [Compile]}]
Compile:
  key: JOB1
  tasks: [{script: 'true'}]
notifications:
  - recipients: [{emails: [team@example.org]}]
    events: [plan-completed]
";

async fn server(port: u16) -> Server {
    Server::start_with(ServerOptions {
        configuration: format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"Madake <ci@example.org>\"\nsecurity = \"none\"\n"
        ),
        ..ServerOptions::default()
    })
    .await
}

/// The attempts of the first message, once there are so many.
async fn attempts(server: &Server, count: usize) -> Vec<serde_json::Value> {
    wait_for("attempts to mail", || async {
        let list = server.get("/rest/madake/1.0/notifications").await;
        let id = list["notifications"].as_array()?.first()?["id"].as_i64()?;
        let shown = server.get(&format!("/rest/madake/1.0/notifications/{id}")).await;
        let log = shown["log"].as_array()?.clone();
        (log.len() >= count).then_some(log)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_put_off_is_sent_again_and_each_attempt_is_listed() {
    let mail = BusyMailServer::start(1);
    let server = server(mail.port).await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", PLAN)]);
    let log = attempts(&server, 2).await;
    assert!(
        log[0]["answer"].as_str().is_some_and(|text| text.contains("451")),
        "{log:?}"
    );
    assert_eq!(log[1]["answer"], "taken by the mail server");
    assert_eq!(mail.letters.lock().expect("not poisoned").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_outlives_the_server_and_keeps_its_id() {
    let mail = BusyMailServer::start(usize::MAX);
    let mut server = server(mail.port).await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", PLAN)]);
    attempts(&server, 1).await;
    let listed = server.get("/rest/madake/1.0/notifications").await;
    let uid = listed["notifications"][0]["uid"]
        .as_str()
        .expect("an id")
        .to_owned();
    server.kill();
    mail.left.store(0, Ordering::SeqCst);
    server.launch().await;
    let id = listed["notifications"][0]["id"]
        .as_i64()
        .expect("a number")
        .to_string();
    server.madake(&["notification", "send", &id]);
    let letters = wait_for("the mail", || async {
        let letters = mail.letters.lock().expect("not poisoned").clone();
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert!(
        letters[0].contains(&format!("Message-ID: <{uid}@example.org>")),
        "{uid}: {}",
        letters[0]
    );
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
}
