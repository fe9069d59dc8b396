//! What scenarios need besides a server: a mail server, and a program that is called.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use madake_testkit::{Server, wait_for};
use serde_json::Value;

use crate::brokers_support::{MailServer, Product};

/// What a scenario needs.
pub(crate) struct Outside {
    mail: Option<MailServer>,
    hook: Option<Product>,
}

impl Outside {
    pub(crate) fn of(needs: &[String]) -> Self {
        for need in needs {
            assert!(
                matches!(need.as_str(), "smtp" | "webhook"),
                "`{need}` is not known"
            );
        }
        let needed = |name: &str| needs.iter().any(|need| need == name);
        Self {
            mail: needed("smtp").then(MailServer::start),
            hook: needed("webhook").then(|| Product::start(|_| (200, "", "ok"))),
        }
    }

    /// How the server finds them.
    pub(crate) fn configuration(&self) -> String {
        let mut text = String::new();
        if let Some(mail) = &self.mail {
            text.push_str(&format!(
                "\n[mail]\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"Madake <ci@example.org>\"\nsecurity = \"none\"\n",
                mail.port
            ));
        }
        if self.hook.is_some() {
            text.push_str("\n[outgoing]\nallow = [\"127.0.0.1\"]\n");
        }
        text
    }

    /// Writes the address of the program into the plan file.
    pub(crate) fn name_in(&self, plan_file: &Path) {
        if let Some(hook) = &self.hook {
            let text = fs::read_to_string(plan_file).expect("the plan file");
            fs::write(plan_file, text.replace("@HOOK@", &hook.url())).expect("the plan file");
        }
    }

    /// Waits for a mail to this address that is as `check` wants it.
    pub(crate) async fn mail(
        &self,
        address: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        let server = self.mail.as_ref().ok_or("the scenario needs `smtp`")?;
        let line = format!("RCPT TO:<{address}>");
        let fits = |letter: &String| letter.starts_with(&line) && check(&readable(letter)).is_ok();
        let found = within_patience(|| server.letters().iter().any(fits)).await;
        if found {
            return Ok(());
        }
        let letters: Vec<String> = server.letters().iter().map(|letter| readable(letter)).collect();
        let problem = letters
            .iter()
            .filter(|letter| letter.starts_with(&line))
            .find_map(|letter| check(letter).err());
        Err(problem.unwrap_or_else(|| format!("no mail to {address} came, but\n{}", letters.join("\n---\n"))))
    }

    /// Waits until these mails came, each address as often as it is named, nothing waits, and no other came.
    pub(crate) async fn mails(&self, server: &Server, wanted: &[String]) -> Result<(), String> {
        let mail = self.mail.as_ref().ok_or("the scenario needs `smtp`")?;
        let mut wanted: Vec<String> = wanted
            .iter()
            .map(|address| format!("RCPT TO:<{address}>"))
            .collect();
        wanted.sort();
        let came = || {
            let letters = mail.letters();
            let mut came: Vec<String> = letters
                .iter()
                .filter_map(|letter| letter.lines().next().map(str::to_owned))
                .collect();
            came.sort();
            came
        };
        within_patience(|| came().len() >= wanted.len()).await;
        // What was entered after the last of them would be listed by now, or is sent.
        let listed = wait_for("all messages to be sent", || async {
            let list = server.get("/rest/madake/1.0/notifications").await;
            let all = list["notifications"].as_array().cloned().unwrap_or_default();
            all.iter().all(|one| one["state"] == "ended").then_some(all.len())
        })
        .await;
        let came = came();
        if came == wanted {
            Ok(())
        } else {
            Err(format!("came: {came:#?}\nwanted: {wanted:#?}\nlisted: {listed}"))
        }
    }

    /// Waits until the program was called at a path with JSON that is as `check` wants it.
    pub(crate) async fn called(
        &self,
        path: &str,
        check: impl Fn(&Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let hook = self.hook.as_ref().ok_or("the scenario needs `webhook`")?;
        let line = format!("POST {path}");
        let found = within_patience(|| {
            hook.asked().iter().any(|one| {
                one.line == line
                    && serde_json::from_str(&one.body).is_ok_and(|body: Value| check(&body).is_ok())
            })
        })
        .await;
        if found {
            return Ok(());
        }
        let asked: Vec<String> = hook
            .asked()
            .iter()
            .map(|one| format!("{}\n{}", one.line, one.body))
            .collect();
        Err(format!(
            "{path} was not called so, but\n{}",
            asked.join("\n---\n")
        ))
    }
}

/// Whether it comes true within the time that a step has.
async fn within_patience(is_true: impl Fn() -> bool) -> bool {
    for _ in 0..1200 {
        if is_true() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    false
}

/// A letter as a person reads it: headers that were folded are whole, and what was encoded is text.
pub(crate) fn readable(letter: &str) -> String {
    let (recipients, letter) = letter.split_once("\r\n").unwrap_or(("", letter));
    let mut text = format!("{recipients}\n");
    let boundary = letter
        .split_once("boundary=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(boundary, _)| format!("--{boundary}"));
    let parts: Vec<&str> = match &boundary {
        Some(boundary) => letter.split(boundary.as_str()).collect(),
        None => vec![letter],
    };
    for part in parts {
        let (head, body) = part.split_once("\r\n\r\n").unwrap_or((part, ""));
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        text.push_str(&words(&head));
        text.push('\n');
        let lower = head.to_lowercase();
        if lower.contains("transfer-encoding: base64") {
            let packed: String = body.split_whitespace().collect();
            text.push_str(&String::from_utf8_lossy(
                &STANDARD.decode(packed).unwrap_or_default(),
            ));
        } else if lower.contains("transfer-encoding: quoted-printable") {
            text.push_str(&unquoted(&body.replace("=\r\n", "")));
        } else {
            text.push_str(body);
        }
        text.push('\n');
    }
    text.replace("\r\n", "\n")
}

/// Text with `=C3=A9` in it.
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, next)) = rest.split_first() {
        let code = next.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'=' => {
                bytes.push(byte);
                rest = &next[2..];
            }
            _ => {
                bytes.push(*first);
                rest = next;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Headers with their encoded words (`=?utf-8?b?...?=`) as text.
fn words(head: &str) -> String {
    let mut text = String::new();
    let mut rest = head;
    while let Some((before, word)) = rest.split_once("=?utf-8?b?") {
        // Blanks between encoded words are no part of the text.
        if !before.trim().is_empty() || text.is_empty() {
            text.push_str(before);
        }
        let (packed, after) = word.split_once("?=").unwrap_or((word, ""));
        text.push_str(&String::from_utf8_lossy(
            &STANDARD.decode(packed).unwrap_or_default(),
        ));
        rest = after;
    }
    text + rest
}
