//! Messages to a mail server that follows a script.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use madake_outgoing::Secret;
use madake_outgoing::mail::{Attachment, Mail, MailError, MailSettings, MailTls, Mailer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the scripted server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Takes,
    RefusesRecipients,
    IsBusy,
    SaysNothing,
}

/// Starts a server for one conversation, which it returns: all lines of the client.
async fn server(manner: Manner) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let conversation = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut heard = Vec::new();
        if manner == Manner::SaysNothing {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.push(line);
            }
            return heard;
        }
        writer.write_all(b"220 mail.example ready\r\n").await.unwrap();
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let word = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let answer = match word.as_str() {
                _ if in_data && line == "." => {
                    in_data = false;
                    "250 queued"
                }
                _ if in_data => "",
                "EHLO" => "250-mail.example\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => "235 welcome",
                "RCPT" if manner == Manner::RefusesRecipients => "550 5.1.1 nobody here",
                "MAIL" if manner == Manner::IsBusy => "451 4.3.0 later",
                "DATA" => {
                    in_data = true;
                    "354 go on"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            heard.push(line);
            if !answer.is_empty() {
                writer
                    .write_all(format!("{answer}\r\n").as_bytes())
                    .await
                    .unwrap();
            }
            if answer.starts_with("221") {
                break;
            }
        }
        heard
    });
    (address, conversation)
}

fn settings(address: SocketAddr) -> MailSettings {
    MailSettings {
        port: Some(address.port()),
        tls: MailTls::None,
        ..MailSettings::new("127.0.0.1", "Madake <ci@example.org>")
    }
}

fn mail() -> Mail {
    Mail {
        to: vec!["Ann <ann@example.org>".to_owned(), "bob@example.org".to_owned()],
        subject: "PROJ/app: 2 commits to main".to_owned(),
        text: "Two commits.\n.\nEnd of the list.\n".to_owned(),
        date_ms: 784_111_777_000,
        ..Mail::default()
    }
}

async fn sent(mail: &Mail) -> Vec<String> {
    let (address, conversation) = server(Manner::Takes).await;
    let mut settings = settings(address);
    settings.credentials = Some(("ci".to_owned(), Secret::new("s3cret")));
    let mailer = Mailer::new(&settings).unwrap();
    assert!(!format!("{mailer:?} {settings:?}").contains("s3cret"));
    mailer.send(mail).await.unwrap();
    drop(mailer);
    conversation.await.unwrap()
}

/// The header lines of what was sent, continuation lines included.
fn headers(lines: &[String]) -> Vec<String> {
    let start = lines.iter().position(|line| line == "DATA").unwrap() + 1;
    lines[start..]
        .iter()
        .take_while(|line| !line.is_empty())
        .cloned()
        .collect()
}

#[tokio::test]
async fn message_arrives_with_its_text_and_patch() {
    let mut mail = mail();
    mail.attachment = Some(Attachment {
        name: "../a b\r\nX: y\".patch".to_owned(),
        content: "--- a/x\n+++ b/x\n".to_owned(),
    });
    mail.message_id = Some("7f3a@ci.example.org".to_owned());
    mail.in_reply_to = Some("7f39@ci.example.org".to_owned());
    mail.reply_to = Some("dev@example.org".to_owned());
    let lines = sent(&mail).await;
    let has = |line: &str| lines.iter().any(|heard| heard == line);
    assert!(lines[0].starts_with("EHLO example.org"), "{lines:#?}");
    assert!(has("MAIL FROM:<ci@example.org>"), "{lines:#?}");
    assert!(has("RCPT TO:<ann@example.org>"), "{lines:#?}");
    assert!(has("RCPT TO:<bob@example.org>"), "{lines:#?}");
    assert!(has("Subject: PROJ/app: 2 commits to main"), "{lines:#?}");
    assert!(has("Date: Sun, 06 Nov 1994 08:49:37 +0000"), "{lines:#?}");
    assert!(has("Message-ID: <7f3a@ci.example.org>"), "{lines:#?}");
    assert!(has("In-Reply-To: <7f39@ci.example.org>"), "{lines:#?}");
    assert!(has("Reply-To: dev@example.org"), "{lines:#?}");
    assert!(has("Auto-Submitted: auto-generated"), "{lines:#?}");
    assert!(has("Two commits."), "{lines:#?}");
    assert!(has(".."), "a lone dot is doubled: {lines:#?}");
    assert!(has("End of the list."), "{lines:#?}");
    assert!(has("+++ b/x"), "{lines:#?}");
    let name = lines.iter().find(|line| line.contains("filename=")).unwrap();
    assert!(name.contains("\"_a_b__X__y_.patch\""), "{name}");
}

#[tokio::test]
async fn page_goes_beside_the_text_and_readers_choose() {
    let mail = Mail {
        html: Some("<p>Two commits.</p>".to_owned()),
        ..mail()
    };
    let lines = sent(&mail).await;
    let at = |part: &str| lines.iter().position(|line| line.contains(part));
    assert!(at("multipart/alternative").is_some(), "{lines:#?}");
    // The last alternative is the one that is liked best.
    assert!(at("text/plain") < at("text/html"), "{lines:#?}");
    assert!(at("End of the list.") < at("<p>Two commits.</p>"), "{lines:#?}");
    let with_file = Mail {
        attachment: Some(Attachment {
            name: "x.patch".to_owned(),
            content: "+++ b/x\n".to_owned(),
        }),
        ..mail
    };
    let lines = sent(&with_file).await;
    let at = |part: &str| lines.iter().position(|line| line.contains(part));
    assert!(at("multipart/mixed") < at("multipart/alternative"), "{lines:#?}");
    assert!(at("text/html") < at("x.patch"), "{lines:#?}");
}

#[tokio::test]
async fn line_breaks_make_no_headers_and_no_commands() {
    let mut hostile = mail();
    hostile.subject = "main\r\nBcc: all@example.org\r\n\r\nHello\nDATA".to_owned();
    hostile.text = "x\r\n.\r\nMAIL FROM:<evil@example.org>\r\n".to_owned();
    let lines = sent(&hostile).await;
    let headers = headers(&lines);
    assert!(
        headers.contains(&"Subject: main Bcc: all@example.org Hello DATA".to_owned())
            || headers.iter().any(|line| line.starts_with("Subject: main ")),
        "{headers:#?}"
    );
    assert!(
        headers.iter().all(|line| !line.starts_with("Bcc")),
        "{headers:#?}"
    );
    // What follows the dot stays text: it comes before the dot that ends the message.
    let evil = lines
        .iter()
        .position(|line| line.starts_with("MAIL FROM:<evil"))
        .unwrap();
    let end = lines.iter().position(|line| line == ".").unwrap();
    assert!(evil < end, "{lines:#?}");
}

#[tokio::test]
async fn addresses_and_ids_that_are_none_are_refused_before_anything_is_sent() {
    let mailer = Mailer::new(&settings(SocketAddr::from(([127, 0, 0, 1], 1)))).unwrap();
    for address in [
        "ann",
        "",
        "ann@example.org\r\nRCPT TO:<x@example.org>",
        "ann@example.org, bob@example.org",
        "ann@example.org\n",
        "<ann@example.org> x",
    ] {
        let mail = Mail {
            to: vec![address.to_owned()],
            ..mail()
        };
        let error = mailer.send(&mail).await.unwrap_err();
        assert!(matches!(error, MailError::Address { .. }), "{address}: {error}");
    }
    for id in ["x", "a@b\r\nBcc: x@y", "a@b>", "a b@c", "@b", "a@", "a@b@c"] {
        let mail = Mail {
            message_id: Some(id.to_owned()),
            ..mail()
        };
        let error = mailer.send(&mail).await.unwrap_err();
        assert!(matches!(error, MailError::Id { .. }), "{id}: {error}");
    }
    for count in [0, 101] {
        let mail = Mail {
            to: vec!["ann@example.org".to_owned(); count],
            ..mail()
        };
        assert_eq!(mailer.send(&mail).await, Err(MailError::Recipients { count }));
    }
}

#[tokio::test]
async fn impossible_dates_are_moved_into_the_calendar() {
    for date_ms in [i64::MIN, i64::MAX] {
        let lines = sent(&Mail { date_ms, ..mail() }).await;
        assert!(headers(&lines).iter().any(|line| line.starts_with("Date: ")));
    }
}

#[tokio::test]
async fn answer_of_the_server_says_whether_to_try_again() {
    for (manner, permanent, part) in [
        (Manner::RefusesRecipients, true, "550 5.1.1 nobody here"),
        (Manner::IsBusy, false, "451 4.3.0 later"),
    ] {
        let (address, _conversation) = server(manner).await;
        let error = Mailer::new(&settings(address))
            .unwrap()
            .send(&mail())
            .await
            .unwrap_err();
        match error {
            MailError::Rejected {
                permanent: found,
                answer,
                ..
            } => assert_eq!((found, answer.as_str()), (permanent, part)),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn server_that_says_nothing_is_given_up() {
    let (address, _conversation) = server(Manner::SaysNothing).await;
    let mut settings = settings(address);
    settings.timeout = Duration::from_millis(200);
    let error = Mailer::new(&settings).unwrap().send(&mail()).await.unwrap_err();
    assert_eq!(
        error,
        MailError::Timeout {
            host: "127.0.0.1".to_owned()
        }
    );
}

#[tokio::test]
async fn server_without_starttls_gets_neither_password_nor_message() {
    let (address, conversation) = server(Manner::Takes).await;
    let mut settings = settings(address);
    settings.tls = MailTls::StartTls;
    settings.credentials = Some(("ci".to_owned(), Secret::new("s3cret")));
    assert!(Mailer::new(&settings).unwrap().send(&mail()).await.is_err());
    let lines = conversation.await.unwrap();
    assert!(
        lines
            .iter()
            .all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
        "{lines:#?}"
    );
}

#[test]
fn password_in_the_clear_is_refused() {
    let mut settings = MailSettings::new("mail.example.org", "ci@example.org");
    settings.tls = MailTls::None;
    settings.credentials = Some(("ci".to_owned(), Secret::new("s3cret")));
    let error = Mailer::new(&settings).unwrap_err();
    assert!(matches!(error, MailError::PlainPassword { .. }));
    assert!(!error.to_string().contains("s3cret"));
    settings.tls = MailTls::Implicit;
    assert!(Mailer::new(&settings).is_ok());
    settings.from = "nobody".to_owned();
    assert!(Mailer::new(&settings).is_err());
}
