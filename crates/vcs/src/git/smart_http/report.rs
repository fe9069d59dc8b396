//! The end of a push: which refs git moved, and the answer to the client.

use std::collections::HashMap;

use super::pkt_line::{self, Packet};
use super::request::{Capabilities, Command};
use crate::name::{ObjectId, RefName};
use crate::text::display_line;

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushReport {
    /// Every ref of the push, in the order of the client.
    pub updates: Vec<RefUpdate>,
    /// The push options as the client sent them: text of a stranger, to be treated as data.
    pub push_options: Vec<String>,
    /// Whether all refs were to move, or none.
    pub atomic: bool,
    /// Why the objects were not accepted, if they were not.
    pub unpack_error: Option<String>,
}

/// What became of one ref of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// Where it was; zero if it was created.
    pub old: ObjectId,
    /// Where it is now, if it moved; zero if it was deleted.
    pub new: ObjectId,
    /// Whether it moved.
    pub status: UpdateStatus,
}

/// Whether git moved a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateStatus {
    /// It did.
    Ok,
    /// It did not, for this reason.
    Rejected(String),
    /// It did not, because the caller had ruled that it may only move forward
    /// ([`super::RefVerdict::ForwardOnly`]), with the caller's words.
    NotForward(String),
}

impl PushReport {
    /// The refs that moved.
    pub fn moved(&self) -> impl Iterator<Item = &RefUpdate> {
        self.updates
            .iter()
            .filter(|update| update.status == UpdateStatus::Ok)
    }
}

/// Git's `report-status`, read.
#[derive(Debug, Default)]
pub(in crate::git) struct StatusReport {
    pub(super) unpack_error: Option<String>,
    pub(super) statuses: HashMap<Vec<u8>, UpdateStatus>,
}

impl StatusReport {
    /// `None` if `raw` is not a complete report.
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let mut report = Self::default();
        let mut unpack_seen = false;
        for packet in pkt_line::packets(raw).ok()? {
            let Packet::Data(line) = packet else {
                return unpack_seen.then_some(report);
            };
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Some(outcome) = line.strip_prefix(b"unpack ") {
                unpack_seen = true;
                report.unpack_error =
                    (outcome != b"ok").then(|| display_line(&String::from_utf8_lossy(outcome), 500));
            } else if let Some(name) = line.strip_prefix(b"ok ") {
                report.statuses.insert(name.to_vec(), UpdateStatus::Ok);
            } else if let Some(rest) = line.strip_prefix(b"ng ") {
                let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
                let reason = display_line(String::from_utf8_lossy(&rest[end..]).trim(), 500);
                report
                    .statuses
                    .insert(rest[..end].to_vec(), UpdateStatus::Rejected(reason));
            }
        }
        None
    }

    pub(super) fn status_of(&self, command: &Command) -> UpdateStatus {
        let silent = || UpdateStatus::Rejected("git gave no answer for this ref".into());
        self.statuses
            .get(command.name.as_str().as_bytes())
            .cloned()
            .unwrap_or_else(silent)
    }

    /// Whether git refused it because it does not move forward.
    pub(super) fn is_not_forward(&self, command: &Command) -> bool {
        self.status_of(command) == UpdateStatus::Rejected("non-fast-forward".to_owned())
    }

    pub(super) fn set(&mut self, command: &Command, status: UpdateStatus) {
        self.statuses
            .insert(command.name.as_str().as_bytes().to_vec(), status);
    }

    /// The report as git words it, on these refs.
    pub(super) fn render(&self, commands: &[Command]) -> Vec<u8> {
        let unpack = self.unpack_error.as_deref().unwrap_or("ok");
        let mut raw = pkt_line::packet(format!("unpack {unpack}\n").as_bytes());
        for command in commands {
            let line = match self.status_of(command) {
                UpdateStatus::Ok => format!("ok {}\n", command.name),
                UpdateStatus::Rejected(reason) | UpdateStatus::NotForward(reason) => {
                    format!("ng {} {reason}\n", command.name)
                }
            };
            raw.extend_from_slice(&pkt_line::packet(line.as_bytes()));
        }
        raw.extend_from_slice(pkt_line::FLUSH);
        raw
    }
}

/// The answer to a push that ended: `lines` for the user, then git's report.
pub(super) fn answer(
    capabilities: &Capabilities,
    lines: &[String],
    fatal: Option<&str>,
    report: &[u8],
) -> Vec<u8> {
    let wanted = if capabilities.report_status { report } else { &[] };
    let Some(max_packet) = capabilities.side_band else {
        return wanted.to_vec();
    };
    let mut body = Vec::new();
    for line in lines {
        body.extend_from_slice(&pkt_line::band(2, format!("{line}\n").as_bytes(), max_packet));
    }
    body.extend_from_slice(&pkt_line::band(1, wanted, max_packet));
    if let Some(fatal) = fatal {
        body.extend_from_slice(&pkt_line::band(3, fatal.as_bytes(), max_packet));
    }
    body.extend_from_slice(pkt_line::FLUSH);
    body
}

/// The answer to a push that fails as a whole: `commands` are all refused with `sentence`.
pub(in crate::git) fn refusal(capabilities: &Capabilities, commands: &[Command], sentence: &str) -> Vec<u8> {
    let reason = display_line(sentence, 400);
    let mut report = pkt_line::packet(b"unpack ok\n");
    for command in commands {
        report.extend_from_slice(&pkt_line::packet(
            format!("ng {} {reason}\n", command.name).as_bytes(),
        ));
    }
    report.extend_from_slice(pkt_line::FLUSH);
    let lines: Vec<String> = if sentence.contains('\n') || commands.is_empty() {
        sentence.lines().map(ToOwned::to_owned).collect()
    } else {
        Vec::new()
    };
    answer(capabilities, &lines, None, &report)
}

/// The answer that ends the client with an error, whatever git did.
pub(in crate::git) fn fatal(capabilities: &Capabilities, commands: &[Command], sentence: &str) -> Vec<u8> {
    match capabilities.side_band {
        Some(max_packet) => {
            let mut body = pkt_line::band(3, format!("{sentence}\n").as_bytes(), max_packet);
            body.extend_from_slice(pkt_line::FLUSH);
            body
        }
        None if commands.is_empty() || !capabilities.report_status => {
            pkt_line::packet(format!("ERR {}\n", display_line(sentence, 400)).as_bytes())
        }
        None => refusal(capabilities, commands, sentence),
    }
}
