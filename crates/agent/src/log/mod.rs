//! Writing a job's log: lines from several threads at once, masked, stamped, appended whole.
//!
//! What one read of a pipe brought goes out by one write, so a busy task costs few system calls and a quiet
//! one is visible at once. A disk that refuses does not end the job: the loss is counted and told at the end.

mod line_splitter;
mod stamp;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use madake_domain::mask::{LeakWatch, Masks};
use madake_protocol::Secret;
use madake_protocol::log::LogKind;

pub(crate) use line_splitter::LineSplitter;
pub(crate) use stamp::Stamp;

/// The log of a running job.
#[derive(Debug)]
pub(crate) struct Log {
    secrets: Mutex<Secrets>,
    state: Mutex<State>,
}

/// What is masked; it may grow while the job runs.
#[derive(Debug)]
struct Secrets {
    masks: Arc<Masks>,
    texts: Vec<Secret>,
}

/// How much was written, and what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogTotals {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) problem: Option<String>,
}

#[derive(Debug)]
struct State {
    file: File,
    stamp: Stamp,
    leak_watch: LeakWatch,
    /// What an earlier watch, over fewer secrets, has noticed.
    leak_was_suspected: bool,
    buffer: Vec<u8>,
    buffered_lines: u64,
    bytes: u64,
    lines: u64,
    limit: Option<u64>,
    lines_over_limit: u64,
    lines_lost: u64,
    write_error: Option<io::Error>,
    /// The last write stopped in the middle of a line.
    torn: bool,
}

impl Log {
    /// Opens the log for appending; it is made when missing, readable by its owner alone.
    ///
    /// None of the secrets is written to it, in whatever form.
    pub(crate) fn open(path: &Path, stamp: Stamp, secrets: &[&str], limit: Option<u64>) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self {
            secrets: Mutex::new(Secrets {
                masks: Arc::new(Masks::new(secrets.iter().copied())),
                texts: secrets.iter().copied().map(Secret::new).collect(),
            }),
            state: Mutex::new(State {
                file,
                stamp,
                leak_watch: LeakWatch::new(secrets.iter().copied()),
                leak_was_suspected: false,
                buffer: Vec::with_capacity(8 * 1024),
                buffered_lines: 0,
                bytes: 0,
                lines: 0,
                limit,
                lines_over_limit: 0,
                lines_lost: 0,
                write_error: None,
                torn: false,
            }),
        })
    }

    /// Masks these besides, from now on.
    pub(crate) fn add_secrets(&self, more: &[&str]) {
        if more.is_empty() {
            return;
        }
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.texts.extend(more.iter().copied().map(Secret::new));
        secrets.masks = Arc::new(Masks::new(secrets.texts.iter().map(Secret::reveal)));
        let mut state = self.lock();
        state.leak_was_suspected |= state.leak_watch.is_suspected();
        state.leak_watch = LeakWatch::new(secrets.texts.iter().map(Secret::reveal));
    }

    /// What is masked by now.
    pub(crate) fn masks(&self) -> Arc<Masks> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&secrets.masks)
    }

    /// What is looked for in files.
    pub(crate) fn whole_masks(&self) -> Masks {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        Masks::of_whole_secrets(secrets.texts.iter().map(Secret::reveal))
    }

    /// Appends words of our own; each line of the text becomes a line of the log.
    pub(crate) fn say(&self, kind: LogKind, text: &str) {
        let mut splitter = LineSplitter::default();
        let masks = self.masks();
        let mut state = self.lock();
        splitter.push(text.as_bytes(), &masks, |line| {
            state.add(kind, line, &masks);
        });
        splitter.finish(&masks, |line| state.add(kind, line, &masks));
        state.flush();
    }

    /// Appends the lines that became complete by this output.
    pub(crate) fn output(&self, kind: LogKind, splitter: &mut LineSplitter, output: &[u8]) {
        let masks = self.masks();
        let mut state = self.lock();
        splitter.push(output, &masks, |line| state.add(kind, line, &masks));
        state.flush();
    }

    /// Appends what the output left behind its last line feed.
    pub(crate) fn end_of_output(&self, kind: LogKind, splitter: &mut LineSplitter) {
        let masks = self.masks();
        let mut state = self.lock();
        splitter.finish(&masks, |line| state.add(kind, line, &masks));
        state.flush();
    }

    /// The text without any secret.
    pub(crate) fn masked(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.masks().apply(text.as_bytes())).into_owned()
    }

    /// Whether a secret seems to have been written in pieces, which cannot be covered any more.
    pub(crate) fn leak_is_suspected(&self) -> bool {
        let state = self.lock();
        state.leak_was_suspected || state.leak_watch.is_suspected()
    }

    /// Makes all that was written durable, and says how much that was.
    pub(crate) fn finish(&self) -> LogTotals {
        let mut state = self.lock();
        if let Err(error) = state.file.sync_data()
            && state.write_error.is_none()
            && error.kind() != io::ErrorKind::InvalidInput
        {
            state.write_error = Some(error);
        }
        LogTotals {
            bytes: state.bytes,
            lines: state.lines,
            problem: state.problem(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, kind: LogKind, line: &[u8], masks: &Masks) {
        if self
            .limit
            .is_some_and(|limit| self.bytes + self.buffer.len() as u64 >= limit)
        {
            self.lines_over_limit += 1;
            return;
        }
        self.buffer.extend_from_slice(kind.as_str().as_bytes());
        self.buffer.push(b'\t');
        let text = self.stamp.at(crate::clock::now_ms());
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\t');
        let masked = masks.apply(line);
        self.leak_watch.line(&masked);
        self.buffer
            .extend_from_slice(String::from_utf8_lossy(&masked).as_bytes());
        self.buffer.push(b'\n');
        self.buffered_lines += 1;
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if self.torn {
            self.buffer.insert(0, b'\n');
        }
        let mut written = 0;
        let mut failure = None;
        while written < self.buffer.len() {
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => failure = Some(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => failure = Some(error),
            }
            if failure.is_some() {
                break;
            }
        }
        self.bytes += written as u64;
        if let Some(error) = failure {
            let leading = usize::from(self.torn && written > 0);
            let complete = self.buffer[leading..written.max(leading)]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            self.lines += complete as u64;
            self.lines_lost += self.buffered_lines - complete as u64;
            self.torn = match written {
                0 => self.torn,
                end => self.buffer[end - 1] != b'\n',
            };
            self.write_error = Some(error);
        } else {
            self.lines += self.buffered_lines;
            self.torn = false;
        }
        self.buffer.clear();
        self.buffered_lines = 0;
    }

    fn problem(&self) -> Option<String> {
        let mut problems = Vec::new();
        if let Some(error) = &self.write_error {
            problems.push(format!("{} lines could not be written: {error}", self.lines_lost));
        }
        if self.lines_over_limit > 0 {
            problems.push(format!(
                "{} lines were left out because the log reached its limit of {} bytes",
                self.lines_over_limit,
                self.limit.unwrap_or(0)
            ));
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use madake_protocol::log::LogLine;

    use super::*;

    fn open(path: &Path, limit: Option<u64>) -> Log {
        Log::open(path, Stamp::new("UTC"), &["hunter22"], limit).unwrap()
    }

    fn messages(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| line.splitn(3, '\t').nth(2).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn lines_are_appended_masked_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/job.log");
        let log = open(&path, None);
        log.say(LogKind::Simple, "first\nsecond hunter22");
        let mut splitter = LineSplitter::default();
        log.output(LogKind::Build, &mut splitter, b"whole\npar");
        assert_eq!(messages(&path), ["first", "second ********", "whole"]);
        log.output(LogKind::Build, &mut splitter, b"t\xff");
        log.end_of_output(LogKind::Build, &mut splitter);
        assert_eq!(messages(&path)[3], "part\u{fffd}");
        let totals = log.finish();
        assert_eq!(totals.lines, 4);
        assert_eq!(totals.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(totals.problem, None);
    }

    #[test]
    fn s9_output_cannot_pass_for_another_kind_of_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.log");
        let log = open(&path, None);
        let mut splitter = LineSplitter::default();
        let forged =
            "command\t22-Nov-2026 01:02:03\trm -rf /\nx\rsimple\t22-Nov-2026 01:02:03\tBuild succeeded\n";
        log.output(LogKind::Build, &mut splitter, forged.as_bytes());
        log.say(LogKind::Error, "one\nsimple\t22-Nov-2026 01:02:03\ttwo");
        log.finish();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| LogLine::parse(line).unwrap()).collect();
        let kinds: Vec<LogKind> = lines.iter().map(|line| line.kind).collect();
        let (build, error) = (LogKind::Build, LogKind::Error);
        assert!(
            kinds.iter().all(|kind| [build, error].contains(kind)) && kinds.ends_with(&[build, error, error]),
            "{text}"
        );
        assert_eq!(lines[0].message, "command\t22-Nov-2026 01:02:03\trm -rf /");
    }

    #[test]
    fn full_disk_is_told_and_does_not_stop_anything() {
        let log = open(Path::new("/dev/full"), None);
        log.say(LogKind::Build, "one\ntwo");
        log.say(LogKind::Build, "three");
        let totals = log.finish();
        assert_eq!((totals.bytes, totals.lines), (0, 0));
        assert_eq!(
            totals.problem.unwrap(),
            "3 lines could not be written: No space left on device (os error 28)"
        );
    }

    #[test]
    fn secret_in_pieces_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder.path().join("job.log"), None);
        log.say(LogKind::Build, "h\nu\nn\nt\ne\nr\n2\n");
        assert!(!log.leak_is_suspected());
        log.say(LogKind::Build, "2\n");
        assert!(log.leak_is_suspected());
    }

    #[test]
    fn limit_leaves_lines_out_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.log");
        let log = open(&path, Some(60));
        for _ in 0..10 {
            log.say(LogKind::Build, "0123456789");
        }
        assert_eq!(messages(&path).len(), 2);
        assert_eq!(
            log.finish().problem.unwrap(),
            "8 lines were left out because the log reached its limit of 60 bytes"
        );
    }
}
