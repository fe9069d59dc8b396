//! The start of a push: the list of commands, the capabilities, the push options (gitprotocol-pack).

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::pkt_line::{self, Packet};
use super::{ReceiveLimits, ServeError};
use crate::name::{ObjectId, RefName};

/// One ref that a push wants to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The ref.
    pub name: RefName,
    /// Where the client believes it to be; zero if it creates the ref. Git verifies it.
    pub old: ObjectId,
    /// Where it shall be; zero if it deletes the ref.
    pub new: ObjectId,
}

/// The start of a push, as it came and as it was understood.
pub(in crate::git) struct PushRequest {
    pub(in crate::git) commands: Vec<Command>,
    pub(in crate::git) push_options: Vec<String>,
    pub(in crate::git) capabilities: Capabilities,
    /// What the process is to read: the start as it came, a request for a report added if there was none.
    pub(in crate::git) raw: Vec<u8>,
}

/// What the client asked for beside its commands.
#[derive(Clone, Debug, Default)]
pub(in crate::git) struct Capabilities {
    pub(in crate::git) report_status: bool,
    /// Longest packet of a side band, if the client wants one.
    pub(in crate::git) side_band: Option<usize>,
    pub(in crate::git) atomic: bool,
    pub(in crate::git) push_options: bool,
}

impl PushRequest {
    /// Reads up to the first byte of the pack. `None` if the client only probes with an empty request.
    /// `capabilities` is set as soon as they are known, so that a refusal can be worded for the client.
    pub(in crate::git) async fn read(
        body: &mut (impl AsyncRead + Unpin),
        limits: &ReceiveLimits,
        capabilities: &mut Option<Capabilities>,
    ) -> Result<Option<Self>, ServeError> {
        let mut reader = HeadReader {
            body,
            raw: Vec::new(),
            line_start: 0,
            max_bytes: limits.max_head_bytes,
        };
        let mut commands = Vec::new();
        while let Some(line) = reader.line().await? {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if line.starts_with(b"shallow ") {
                continue;
            }
            if line.starts_with(b"push-cert") {
                return Err(ServeError::Refused(
                    "signed pushes are not supported: push without --signed".into(),
                ));
            }
            let (command, asked) = match line.iter().position(|&byte| byte == 0) {
                Some(end) => (&line[..end], Some(&line[end + 1..])),
                None => (line, None),
            };
            if capabilities.is_none() {
                *capabilities = Some(Capabilities::parse(asked.unwrap_or_default()));
                reader.ask_for_report();
            }
            commands.push(parse_command(command)?);
            if commands.len() > limits.max_commands {
                let limit = limits.max_commands;
                return Err(ServeError::Refused(format!(
                    "a push may move at most {limit} refs: push in parts"
                )));
            }
        }
        let Some(capabilities) = capabilities.clone() else {
            return Ok(None);
        };
        let mut push_options = Vec::new();
        if capabilities.push_options {
            while let Some(line) = reader.line().await? {
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                push_options.push(String::from_utf8_lossy(line).into_owned());
                if push_options.len() > limits.max_push_options {
                    let limit = limits.max_push_options;
                    return Err(ServeError::Refused(format!(
                        "a push may carry at most {limit} push options"
                    )));
                }
            }
        }
        Ok(Some(Self {
            commands,
            push_options,
            capabilities,
            raw: reader.raw,
        }))
    }

    /// Takes the other commands out of what the process reads; `commands` keeps all of them.
    pub(super) fn keep(&mut self, keep: &[bool]) {
        let Ok(packets) = pkt_line::packets(&self.raw) else {
            return;
        };
        let mut raw = Vec::with_capacity(self.raw.len());
        let mut keep = keep.iter();
        let mut capabilities: Option<Vec<u8>> = None;
        let mut in_commands = true;
        for packet in packets {
            match packet {
                Packet::Flush => {
                    in_commands = false;
                    raw.extend_from_slice(pkt_line::FLUSH);
                }
                Packet::Data(mut line) if in_commands && !line.starts_with(b"shallow ") => {
                    if let Some(end) = line.iter().position(|&byte| byte == 0) {
                        capabilities = Some(line.split_off(end));
                    }
                    if keep.next().copied().unwrap_or(true) {
                        // They stand behind the first command, whichever that is.
                        line.extend_from_slice(&capabilities.take().unwrap_or_default());
                        raw.extend_from_slice(&pkt_line::packet(&line));
                    }
                }
                Packet::Data(line) => raw.extend_from_slice(&pkt_line::packet(&line)),
            }
        }
        self.raw = raw;
    }
}

impl Capabilities {
    fn parse(text: &[u8]) -> Self {
        let mut found = Self::default();
        for word in String::from_utf8_lossy(text).split_ascii_whitespace() {
            match word {
                "report-status" | "report-status-v2" => found.report_status = true,
                "side-band-64k" => found.side_band = Some(65_520),
                "side-band" if found.side_band.is_none() => found.side_band = Some(1000),
                "atomic" => found.atomic = true,
                "push-options" => found.push_options = true,
                _ => {}
            }
        }
        found
    }
}

struct HeadReader<'a, R> {
    body: &'a mut R,
    raw: Vec<u8>,
    line_start: usize,
    max_bytes: usize,
}

impl<R: AsyncRead + Unpin> HeadReader<'_, R> {
    /// The next line; `None` at a flush.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, ServeError> {
        let left = self.max_bytes.saturating_sub(self.raw.len());
        let mut limited = (&mut *self.body).take(left as u64);
        match pkt_line::read_packet(&mut limited).await {
            Ok(Some(Packet::Data(payload))) => {
                self.line_start = self.raw.len();
                self.raw.extend_from_slice(&pkt_line::packet(&payload));
                Ok(Some(payload))
            }
            Ok(Some(Packet::Flush)) => {
                self.raw.extend_from_slice(pkt_line::FLUSH);
                Ok(None)
            }
            Ok(None) | Err(_) if limited.limit() == 0 => Err(ServeError::Refused(
                "the list of refs and options of the push is too long: push in parts".into(),
            )),
            Ok(None) => Err(ServeError::Malformed("the request ended inside the list of refs")),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(ServeError::Malformed("a line of the list of refs has no length"))
            }
            Err(source) => Err(ServeError::Client(source)),
        }
    }

    /// Without a report nobody knows which refs moved, so the process is always asked for one.
    fn ask_for_report(&mut self) {
        let payload = &self.raw[self.line_start + 4..];
        let line = payload.strip_suffix(b"\n").unwrap_or(payload);
        let capabilities = line
            .iter()
            .position(|&byte| byte == 0)
            .map(|end| &line[end + 1..]);
        if !Capabilities::parse(capabilities.unwrap_or_default()).report_status {
            let mut line = line.to_vec();
            if capabilities.is_none() {
                line.push(0);
            }
            line.extend_from_slice(b" report-status");
            self.raw.truncate(self.line_start);
            self.raw.extend_from_slice(&pkt_line::packet(&line));
        }
    }
}

fn parse_command(line: &[u8]) -> Result<Command, ServeError> {
    let malformed = || ServeError::Malformed("a line of the list of refs is not `old new name`");
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let mut id = || {
        let digits = std::str::from_utf8(parts.next().unwrap_or_default()).map_err(|_| malformed())?;
        ObjectId::parse(digits).map_err(|_| malformed())
    };
    let (old, new) = (id()?, id()?);
    let name = parts.next().ok_or_else(malformed)?;
    let name = RefName::from_bytes(name).map_err(|reason| {
        let shown = crate::text::display_line(&String::from_utf8_lossy(name), 200);
        ServeError::Refused(format!("the ref name {shown} is not accepted: {reason}"))
    })?;
    Ok(Command { name, old, new })
}
