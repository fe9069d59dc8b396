//! Messages to a mail server that speaks TLS, with certificates made by the `openssl` program.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use madake_outgoing::Secret;
use madake_outgoing::mail::{Mail, MailError, MailSettings, MailTls, Mailer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tls::Authority;

/// What a mail server heard.
#[derive(Debug, Default)]
struct Heard {
    in_the_clear: Vec<String>,
    over_tls: Vec<String>,
}

/// Starts a mail server for one conversation, which it returns.
fn server(mode: MailTls, config: Arc<ServerConfig>) -> (SocketAddr, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let conversation = std::thread::spawn(move || {
        let mut heard = Heard::default();
        let (mut stream, _) = listener.accept().unwrap();
        if mode == MailTls::StartTls {
            stream.write_all(b"220 mail.example ready\r\n").unwrap();
            heard.in_the_clear = converse(&mut stream, "STARTTLS");
            if heard.in_the_clear.last().is_none_or(|last| last != "STARTTLS") {
                return heard;
            }
        }
        let connection = ServerConnection::new(config).unwrap();
        let mut tls = StreamOwned::new(connection, stream);
        let greeted = match mode {
            MailTls::Implicit => tls.write_all(b"220 mail.example ready\r\n"),
            // The client speaks first: a refused certificate is seen when it is read from.
            MailTls::StartTls | MailTls::None => Ok(()),
        };
        if greeted.is_ok() {
            heard.over_tls = converse(&mut tls, "AUTH PLAIN");
        }
        heard
    });
    (address, conversation)
}

/// Answers line by line, until the client leaves, asks for TLS or says QUIT; returns what it said.
fn converse(stream: &mut (impl Read + Write), offer: &str) -> Vec<String> {
    let mut heard = Vec::new();
    let mut reader = BufReader::with_capacity(1, stream);
    let mut in_data = false;
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return heard,
            Ok(_) => {}
        }
        let line = line.trim_end().to_owned();
        let word = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        heard.push(line.clone());
        let answer = match word.as_str() {
            _ if in_data && line == "." => {
                in_data = false;
                "250 queued".to_owned()
            }
            _ if in_data => continue,
            "EHLO" => format!("250-mail.example\r\n250 {offer}"),
            "STARTTLS" => "220 go on".to_owned(),
            "AUTH" => "235 welcome".to_owned(),
            "DATA" => {
                in_data = true;
                "354 go on".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        if reader
            .get_mut()
            .write_all(format!("{answer}\r\n").as_bytes())
            .is_err()
            || matches!(word.as_str(), "STARTTLS" | "QUIT")
        {
            return heard;
        }
    }
}

/// Sends one message with a password and returns what came of it and what was heard.
async fn send(
    authority: &Authority,
    certificate: &str,
    mode: MailTls,
    trusts: bool,
) -> (Result<(), MailError>, Heard) {
    let (address, conversation) = server(mode, authority.server_config(certificate, false));
    let settings = MailSettings {
        port: Some(address.port()),
        tls: mode,
        extra_ca_pem: trusts.then(|| authority.text("ca.pem")),
        credentials: Some(("ci".to_owned(), Secret::new("s3cret"))),
        ..MailSettings::new("127.0.0.1", "Madake <ci@example.org>")
    };
    let mailer = Mailer::new(&settings).unwrap();
    let outcome = mailer
        .send(&Mail {
            to: vec!["ann@example.org".to_owned()],
            subject: "PROJ/app: 2 commits to main".to_owned(),
            text: "Two commits.\n".to_owned(),
            ..Mail::default()
        })
        .await;
    drop(mailer);
    let heard = tokio::task::spawn_blocking(|| conversation.join().unwrap())
        .await
        .unwrap();
    (outcome, heard)
}

#[tokio::test]
async fn password_and_message_go_over_tls_alone() {
    let authority = Authority::new();
    authority.sign("mail", "IP:127.0.0.1");
    for (mode, in_the_clear) in [
        (MailTls::StartTls, vec!["EHLO example.org", "STARTTLS"]),
        (MailTls::Implicit, vec![]),
    ] {
        let (outcome, heard) = send(&authority, "mail", mode, true).await;
        assert_eq!(outcome, Ok(()), "{mode:?} {heard:#?}");
        assert_eq!(heard.in_the_clear, in_the_clear);
        // The server is asked again what it can do: what was said in the clear, anybody can have said.
        assert_eq!(heard.over_tls[0], "EHLO example.org", "{mode:?}");
        for part in ["AUTH PLAIN", "MAIL FROM:<ci@example.org>", "Two commits."] {
            let said = heard.over_tls.iter().any(|line| line.starts_with(part));
            assert!(said, "{mode:?} {part}: {heard:#?}");
        }
    }
}

#[tokio::test]
async fn mail_server_that_cannot_prove_its_name_gets_nothing() {
    let authority = Authority::new();
    authority.sign("mail", "IP:127.0.0.1");
    authority.sign("other", "DNS:other.example");
    for mode in [MailTls::StartTls, MailTls::Implicit] {
        for (certificate, trusts) in [("mail", false), ("other", true)] {
            let (outcome, heard) = send(&authority, certificate, mode, trusts).await;
            let error = outcome.unwrap_err();
            assert!(
                matches!(&error, MailError::Connection { reason, .. } if reason.contains("certificate")),
                "{mode:?} {certificate}: {error:?}"
            );
            assert_eq!(heard.over_tls, Vec::<String>::new(), "{mode:?} {certificate}");
        }
    }
}
