//! Every payload of the corpus of captured deliveries, where it is at hand: `MADAKE_CORPUS`, or
//! `shared/corpus` beside the repository. Without it there is nothing to check, and nothing is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use madake_formats::signature::delivery::{DeliveryCheck, check};
use madake_formats::{Action, Limits, NotAPush, Push, PushError, RefKind, SenderFormat, read_push};
use serde_json::Value;

use crate::samples::as_form;

struct Sample {
    sender: String,
    file: String,
    headers: Vec<(String, String)>,
    body: String,
    expected: Option<Value>,
}

impl Sample {
    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn read(&self) -> Result<Push, PushError> {
        let headers = self.with_event_header();
        read_push(&headers, self.body.as_bytes(), &Limits::default())
    }

    /// The headers, with the event header that the sender's documentation says where the source has none.
    fn with_event_header(&self) -> Vec<(&str, &str)> {
        let mut headers = self.headers();
        let header = match self.sender.as_str() {
            "github" => "X-GitHub-Event",
            "gitlab" => "X-Gitlab-Event",
            "gitea" => "X-Gitea-Event",
            "forgejo" => "X-Forgejo-Event",
            "gogs" => "X-Gogs-Event",
            _ => return headers,
        };
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(header)) {
            let event = match self.file.split('-').next().unwrap_or_default() {
                "system" => "System Hook",
                "tag" => "Tag Push Hook",
                "push" if self.sender == "gitlab" => "Push Hook",
                other => other.trim_end_matches(".json"),
            };
            headers.push((header, event));
        }
        headers
    }
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = std::env::var_os("MADAKE_CORPUS").map_or(beside, PathBuf::from);
    Some(corpus.join("payloads")).filter(|folder| folder.is_dir())
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for sender in folder().iter().flat_map(|folder| folder.read_dir().unwrap()) {
        let sender = sender.unwrap().path();
        let name = sender.file_name().unwrap().to_str().unwrap().to_owned();
        if !sender.is_dir() || name == "LICENSES" {
            continue;
        }
        for file in sender.read_dir().unwrap() {
            let path = file.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(stem) = file.strip_suffix(".json").filter(|stem| !stem.contains('.')) else {
                continue;
            };
            let beside = |kind: &str| std::fs::read(sender.join(format!("{stem}.{kind}.json"))).ok();
            let headers: BTreeMap<String, String> =
                beside("headers").map_or_else(BTreeMap::new, |json| serde_json::from_slice(&json).unwrap());
            samples.push(Sample {
                sender: name.clone(),
                headers: headers.into_iter().collect(),
                body: std::fs::read_to_string(&path).unwrap(),
                expected: beside("expected").map(|json| serde_json::from_slice(&json).unwrap()),
                file,
            });
        }
    }
    samples
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Expected files are a lower bound: what they say is there has to be there.
fn compare(file: &str, push: &Push, expected: &Value) {
    if push.changes.is_empty() {
        // The event of a new ref without its commit: the refs are read then.
        assert_eq!(text(expected, "/Action"), "created", "{file}");
        assert_eq!(text(expected, "/Ref/Sha"), "", "{file}");
        assert!(!push.changes_complete, "{file}");
        return;
    }
    let change = &push.changes[0];
    let old = change.old.as_ref().map_or("", |id| id.as_str());
    let new = change.new.as_ref().map_or("", |id| id.as_str());
    let told = |pointer: &str, found: &str| {
        // An id of zeros means that the ref was or is not there.
        let wanted = text(expected, pointer).trim_start_matches('0');
        let found = found.trim_start_matches('0');
        assert!(
            wanted.is_empty() || wanted == found,
            "{file}: {pointer} is {found}, not {wanted}"
        );
    };
    if expected["Ref"].is_string() {
        told("/Ref", &change.name);
        told("/Before", old);
        told("/After", new);
        told("/Commit/Sha", new);
        for commit in expected["Commits"].as_array().into_iter().flatten() {
            let id = text(commit, "/Sha");
            let found = push.commits.iter().find(|commit| commit.id.as_str() == id);
            assert!(found.is_some() || id == new, "{file}: no commit {id}");
            let message = text(commit, "/Message");
            assert!(
                message.is_empty() || found.is_some_and(|found| found.message == message),
                "{file}"
            );
        }
    } else {
        let prefix = if change.kind == RefKind::Tag {
            "refs/tags/"
        } else {
            "refs/heads/"
        };
        assert_eq!(
            change.name,
            format!("{prefix}{}", text(expected, "/Ref/Name")),
            "{file}"
        );
        let (action, id) = match text(expected, "/Action") {
            "created" => (Action::Add, new),
            _ => (Action::Delete, old),
        };
        assert_eq!(change.action, action, "{file}");
        told("/Ref/Sha", id);
    }
    told("/Repo/Namespace", &push.repository.owner);
    told("/Repo/Name", &push.repository.slug);
    let pusher = push.pusher.as_deref().unwrap_or_default();
    assert!(
        pusher.eq_ignore_ascii_case(text(expected, "/Sender/Login")),
        "{file}: pushed by {pusher}"
    );
}

#[test]
fn captured_deliveries_of_supported_senders_are_read_as_their_sources_read_them() {
    for sample in samples() {
        let Some(format) = SenderFormat::from_name(&sample.sender) else {
            continue;
        };
        let name = format!("{}/{}", sample.sender, sample.file);
        if sample.file == "ping.json" {
            assert_eq!(sample.read(), Err(PushError::NotAPush(NotAPush::Ping)), "{name}");
            continue;
        }
        let push = sample.read().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(push.sender, format, "{name}");
        assert!(
            push.changes.iter().all(|change| change.checked_name().is_ok()),
            "{name}"
        );
        if let Some(expected) = &sample.expected {
            compare(&name, &push, expected);
        }
        if format == SenderFormat::CloudPost {
            let form = read_push(&[], as_form(&sample.body).as_bytes(), &Limits::default());
            assert_eq!(form, Ok(push), "{name} as a form");
        }
    }
}

#[test]
fn every_sender_of_the_corpus_is_supported() {
    for sample in samples() {
        assert!(
            SenderFormat::from_name(&sample.sender).is_some(),
            "{}",
            sample.sender
        );
    }
}

/// The secret in the row of a file, where the row says that the signature verifies.
fn secret<'r>(readme: &'r str, sample: &Sample) -> Option<&'r str> {
    let (_, section) = readme.split_once(&format!("## {} (", sample.sender))?;
    let section = section.split("\n## ").next()?;
    let row = section
        .lines()
        .find(|line| line.starts_with(&format!("| `{}`", sample.file)))?;
    let (_, after) = row.split_once("secret `")?;
    (row.contains("verif") && !row.contains("does not verify")).then(|| after.split('`').next())?
}

#[test]
fn captured_signatures_verify_with_their_secrets() {
    let readme = folder().map(|folder| std::fs::read_to_string(folder.join("README.md")).unwrap());
    for sample in samples() {
        let signed = sample.headers.iter().any(|(name, value)| {
            let name = name.to_ascii_lowercase();
            value.starts_with("sha256=") || (name.ends_with("-signature") && !name.starts_with("x-hub"))
        });
        let Some(secret) = readme.as_deref().and_then(|readme| secret(readme, &sample)) else {
            continue;
        };
        if !signed {
            continue;
        }
        let name = format!("{}/{}", sample.sender, sample.file);
        let body = sample.body.as_bytes();
        let headers = sample.headers();
        assert_eq!(
            check(&headers, body, &[secret.as_bytes()], 0),
            DeliveryCheck::Valid,
            "{name}"
        );
        let other = check(&headers, body, &[b"other"], 0);
        assert!(matches!(other, DeliveryCheck::Mismatch(_)), "{name}: {other:?}");
    }
}
