//! E-mail, and e-mail with the patch: one mail for a push or a build (push-payloads.md C.3).

use super::Service;
use crate::call::{Action, Call, Mail, PatchWanted};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Plain, message};
use crate::event::{BrokerEvent, Commit, FileAction, RefAction, RefMove, first_line, short_id};
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The most addresses of one mail.
const MAX_ADDRESSES: usize = 20;
/// The most commits that a mail tells of.
const MAX_COMMITS: usize = 50;
/// The most files that a mail lists for a commit.
const MAX_FILES: usize = 50;

const TO: Field = Field::new("address", FieldKind::List, "Who gets it: one or more addresses.")
    .required()
    .alias(&["to", "email", "addresses"]);
const REPLY: Field = Field::new(
    "reply_to_pusher",
    FieldKind::Bool,
    "Send answers to the person who pushed.",
)
.default("false");

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "email",
    title: "Email",
    aliases: &["mail", "e-mail"],
    description: "Sends a mail for each push or build.",
    fields: &[TO, REPLY],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

pub(crate) static DIFF_TYPE: BrokerType = BrokerType {
    key: "email_diff",
    title: "Email Diff",
    aliases: &["mail diff", "e-mail diff", "email with diff"],
    description: "Sends a mail for each push, with the patch attached.",
    fields: &[
        TO,
        REPLY,
        Field::new(
            "max_patch_kb",
            FieldKind::Number(1, 10_240),
            "A longer patch is cut, in KiB.",
        )
        .default("512"),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read: read_diff,
};

#[derive(Debug)]
struct Email {
    to: Vec<String>,
    reply_to_pusher: bool,
    max_patch_bytes: Option<u64>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(email(reader, None))
}

fn read_diff(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let most = reader.number("max_patch_kb") * 1024;
    Box::new(email(reader, Some(most)))
}

fn email(reader: &mut Reader<'_>, max_patch_bytes: Option<u64>) -> Email {
    let to: Vec<String> = reader
        .list("address")
        .iter()
        .flat_map(|entry| entry.split([' ', ';']))
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect();
    for entry in to.iter().filter(|entry| !is_address(entry)) {
        let entry = madake_formats::text::line(entry, 100);
        reader.problem(
            "address",
            format!("has `{entry}`, which is no address; write `name@example.org`, without a name around it"),
        );
    }
    if to.len() > MAX_ADDRESSES {
        reader.problem(
            "address",
            format!("has more than {MAX_ADDRESSES} entries; use the address of a mailing list"),
        );
    }
    Email {
        to,
        reply_to_pusher: reader.flag("reply_to_pusher"),
        max_patch_bytes,
    }
}

/// A plain address: no quotes, no comments, nothing that means something in a header.
fn is_address(text: &str) -> bool {
    let local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let domain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    text.len() <= 254
        && text.rsplit_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && name.len() <= 64
                && !name.starts_with('-')
                && name.chars().all(local)
                && !host.is_empty()
                && !host.starts_with(['.', '-'])
                && !host.ends_with('.')
                && host.chars().all(domain)
        })
}

impl Service for Email {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let reply_to = event
            .pusher
            .as_ref()
            .filter(|_| self.reply_to_pusher)
            .and_then(|pusher| pusher.email.clone())
            .filter(|address| is_address(address));
        let patch = self.max_patch_bytes.and_then(|max_bytes| {
            let ranges: Vec<_> = event
                .refs
                .iter()
                .filter(|moved| !moved.commits.is_empty())
                .filter_map(|moved| Some((moved.old.clone(), moved.new.clone()?)))
                .collect();
            (!ranges.is_empty()).then(|| PatchWanted {
                ranges,
                file_name: "changes.patch".to_owned(),
                max_bytes,
            })
        });
        let mail = Mail {
            to: self.to.clone(),
            reply_to,
            subject: subject(event),
            text: text(event),
            patch,
        };
        Ok(vec![Call {
            key: "mail".to_owned(),
            title: format!("mail to {}", self.to.join(", ")),
            action: Action::Mail(mail),
        }])
    }
}

fn subject(event: &BrokerEvent) -> String {
    let subject = match (&event.build, event.commits().as_slice()) {
        (Some(build), _) => {
            let branch = if build.branch.is_empty() {
                String::new()
            } else {
                format!(" on {}", build.branch)
            };
            format!("{} {}{branch}", build.build_key, build.state.verb())
        }
        (None, [one]) => format!("[{}] {}", event.repository_path(), first_line(&one.message)),
        (None, []) => {
            let names: Vec<_> = event
                .refs
                .iter()
                .map(|moved| format!("{} {}", moved.name, word(moved)))
                .collect();
            format!("[{}] {}", event.repository_path(), names.join(", "))
        }
        (None, many) => {
            let names: Vec<_> = event
                .refs
                .iter()
                .filter(|moved| !moved.commits.is_empty())
                .map(|moved| moved.name.as_str())
                .collect();
            format!(
                "[{}] {} commits to {}",
                event.repository_path(),
                many.len(),
                names.join(", ")
            )
        }
    };
    madake_formats::text::line(&subject, 150)
}

fn word(moved: &RefMove) -> &'static str {
    match moved.action {
        RefAction::Add => "created",
        RefAction::Update if moved.forced => "moved by force",
        RefAction::Update => "moved",
        RefAction::Delete => "deleted",
    }
}

fn text(event: &BrokerEvent) -> String {
    let line = |text: &str| madake_formats::text::line(text, 500);
    let message = message(event);
    let mut lines = vec![line(&message.title.render(&Plain).replace('\u{2060}', ""))];
    if let Some(link) = &message.link {
        lines.push(link.clone());
    }
    lines.push(String::new());
    if let Some(build) = &event.build {
        lines.push(line(&build.reason));
        if let Some(revision) = &build.revision {
            lines.push(format!("Revision: {}", line(revision)));
        }
        for job in build.failed_jobs.iter().take(MAX_FILES) {
            lines.push(format!("Failed job: {}", line(job)));
        }
    }
    let mut told = 0;
    for moved in &event.refs {
        lines.push(format!("{} {}", line(&moved.full_name), word(moved)));
        let (old, new) = (
            moved.old.as_deref().unwrap_or("-"),
            moved.new.as_deref().unwrap_or("-"),
        );
        lines.push(format!("    {} .. {}", line(short_id(old)), line(short_id(new))));
        for commit in &moved.commits {
            if told == MAX_COMMITS {
                break;
            }
            told += 1;
            lines.push(String::new());
            of_commit(&mut lines, commit);
        }
        if moved.commits_truncated || told == MAX_COMMITS {
            lines.push("and more commits".to_owned());
        }
        lines.push(String::new());
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn of_commit(lines: &mut Vec<String>, commit: &Commit) {
    let line = |text: &str| madake_formats::text::line(text, 500);
    lines.push(format!("commit {}", line(&commit.id)));
    let email = commit
        .author
        .email
        .as_deref()
        .map(|email| format!(" <{}>", line(email)))
        .unwrap_or_default();
    lines.push(format!("author {}{email}", line(commit.author.shown())));
    if let Ok(time) = jiff::Timestamp::from_millisecond(commit.time_ms) {
        lines.push(format!("date   {time}"));
    }
    if let Some(link) = commit.link.as_deref().and_then(crate::chat::safe_link) {
        lines.push(link);
    }
    lines.push(String::new());
    for words in madake_formats::text::lines(commit.message.trim_end(), 4000).lines() {
        lines.push(format!("    {words}"));
    }
    lines.push(String::new());
    for file in commit.files.iter().take(MAX_FILES) {
        let mark = match file.action {
            FileAction::Added => 'A',
            FileAction::Modified => 'M',
            FileAction::Removed => 'D',
        };
        lines.push(format!("  {mark} {}", line(&file.path)));
    }
    if commit.files_truncated || commit.files.len() > MAX_FILES {
        lines.push("  and more files".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses_cannot_reach_into_the_head_of_a_mail() {
        for good in [
            "a@b.org",
            "first.last+tag@sub.example",
            "ü@bücher.example",
            "root@localhost",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b\r\nBcc: x@y",
            "<a@b>",
            "\"a\"@b",
            "a@b,c@d",
            "-oQ@b",
            "a@.b",
            "a@b.",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }
}
