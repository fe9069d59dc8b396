//! Logs of jobs, in pieces: whoever follows a build hands the cursor of the last answer back.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path as FilePath, PathBuf};

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use madake_engine::EngineError;
use madake_store::build::{self, Job};
use madake_store::build_query;
use serde::{Serialize, Serializer};
use tokio::sync::Semaphore;

use super::body::invalid;
use super::builds;
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Bytes of one job's log in one answer, at most.
const PIECE: u64 = 256 * 1024;

/// Pieces that are read and written down at once: a piece is in memory twice while it is, and viewers are many.
static READING: Semaphore = Semaphore::const_new(4);

/// `GET /builds/{key}/log?job=&attempt=&after=&behind=`: the log of each job of a build, or of one, behind the cursor
/// `after`; of the last attempt at it, or of an earlier one.
///
/// A line is given when it is complete. `finished` and no lines: there is no more. Whoever is more than `behind` bytes
/// behind the end of a log goes on with its newest lines, and the answer says how much was passed over.
pub(super) async fn read(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let asked = parameters.text("job").map(str::to_owned);
    let attempt = match (parameters.text("attempt").map(str::parse::<i64>), &asked) {
        (None, _) => None,
        (Some(Ok(attempt)), Some(_)) => Some(attempt),
        (Some(_), _) => {
            return Err(invalid("`attempt` is a number from 1, and `job` says of which job").into());
        }
    };
    let after = Cursor::parse(parameters.text("after").unwrap_or_default())
        .ok_or_else(|| invalid("`after` is the `next` of an earlier answer"))?;
    let behind = match parameters.text("behind").map(str::parse::<u64>) {
        None => None,
        Some(Ok(bytes)) => Some(bytes.max(PIECE)),
        Some(Err(_)) => return Err(invalid("`behind` is a number of bytes").into()),
    };
    let home = app.engine().home().clone();
    let (finished, jobs) = app
        .engine()
        .store()
        .read(move |tx| {
            let found = builds::find(tx, &visitor.caller, &key)?;
            let mut jobs = build_query::jobs(tx, found.id)?;
            if let Some(asked) = asked {
                jobs.retain(|job| job.key == asked || job.name == asked);
                if jobs.is_empty() {
                    return Err(EngineError::NotFound(format!(
                        "the build {} has no job {}",
                        found.key,
                        madake_domain::text::inert(&asked, 80)
                    )));
                }
            }
            if let Some(attempt) = attempt {
                jobs.retain(|job| (1..=job.attempt).contains(&attempt));
                if jobs.is_empty() {
                    return Err(EngineError::NotFound(format!(
                        "the build {} has no attempt {attempt} at this job",
                        found.key
                    )));
                }
                for job in &mut jobs {
                    turn_to(job, attempt);
                }
            }
            let finished = !build::is_active(found.schedule.summary().life_cycle);
            Ok::<_, EngineError>((
                finished,
                jobs.into_iter().map(|job| (found.id, job)).collect::<Vec<_>>(),
            ))
        })
        .await?;
    let wanted: Vec<(Job, PathBuf, u64)> = jobs
        .into_iter()
        .filter(|(_, job)| job.attempt > 0)
        .map(|(build_id, job)| {
            let offset = after.offset(&job);
            let path = home.job_log(build_id, job.id, job.attempt);
            (job, path, offset)
        })
        .collect();
    let _turn = READING.acquire().await;
    let answer = tokio::task::spawn_blocking(move || pieces(&wanted, finished, behind))
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))??;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

/// Makes the row tell of this attempt at its job.
fn turn_to(job: &mut Job, attempt: i64) {
    if attempt < job.attempt {
        // What was tried again had ended by then; the row knows the end of the last attempt alone.
        job.finished_ms = job.finished_ms.or(job.queued_ms);
    }
    job.attempt = attempt;
}

/// The answer. It is written down line by line: a log may be long, and each of its viewers asks for all of it.
#[derive(Serialize)]
struct Pieces<'a> {
    finished: bool,
    jobs: Vec<Piece<'a>>,
    next: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    key: &'a str,
    name: &'a str,
    attempt: i64,
    offset: u64,
    next_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_bytes: Option<u64>,
    ended: bool,
    lines: Lines,
}

/// Lines of a log as they are stored.
struct Lines(String);

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.lines().map(Line::of))
    }
}

/// `type<TAB>time<TAB>message`
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line<'a> {
    kind: &'a str,
    time: Option<&'a str>,
    message: &'a str,
}

impl<'a> Line<'a> {
    /// A line that has another form is all message.
    pub(super) fn of(line: &'a str) -> Self {
        let mut parts = line.splitn(3, '\t');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(kind), Some(time), Some(message)) => Self {
                kind,
                time: Some(time),
                message,
            },
            _ => Self {
                kind: "build",
                time: None,
                message: line,
            },
        }
    }
}

fn pieces(
    wanted: &[(Job, PathBuf, u64)],
    finished: bool,
    behind: Option<u64>,
) -> Result<Vec<u8>, EngineError> {
    let (mut jobs, mut next, mut length) = (Vec::new(), Vec::new(), 1024);
    for (job, path, offset) in wanted {
        let ended = job.finished_ms.is_some();
        let read = || {
            let from = newest(path, *offset, behind)?;
            piece(path, from, ended).map(|(text, end)| (from, text, end))
        };
        let (from, text, end) = read().map_err(|error| {
            EngineError::Unavailable(format!("{} cannot be read: {error}", path.display()))
        })?;
        next.push(format!("{}.{}:{end}", job.id, job.attempt));
        length += text.len() * 2;
        jobs.push(Piece {
            key: &job.key,
            name: &job.name,
            attempt: job.attempt,
            offset: from,
            next_offset: end,
            skipped_bytes: Some(from - offset).filter(|bytes| *bytes > 0),
            ended,
            lines: Lines(text),
        });
    }
    let mut answer = Vec::with_capacity(length);
    let pieces = Pieces {
        finished,
        jobs,
        next: next.join(","),
    };
    serde_json::to_writer(&mut answer, &pieces).map_err(|error| EngineError::Internal(error.to_string()))?;
    Ok(answer)
}

/// Where to read on: at `offset`, or at the first line that begins among the last `behind` bytes.
fn newest(path: &FilePath, offset: u64, behind: Option<u64>) -> std::io::Result<u64> {
    let Some(behind) = behind else { return Ok(offset) };
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(offset),
        Err(error) => return Err(error),
    };
    let from = file.metadata()?.len().saturating_sub(behind);
    if from <= offset {
        return Ok(offset);
    }
    // One byte before: it may be the end of a line.
    file.seek(SeekFrom::Start(from - 1))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    Ok(from + u64::try_from(line).unwrap_or(0))
}

/// Whole lines of a log from `offset` on; of an ended job's log also a last line without a line feed.
pub(super) fn piece(path: &FilePath, offset: u64, ended: bool) -> std::io::Result<(String, u64)> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        // The job has been given away and has not written yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((String::new(), offset)),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    let full = u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= PIECE;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    let length = match whole {
        Some(length) => length,
        None if ended || full => bytes.len(),
        None => 0,
    };
    let length = if ended && !full { bytes.len() } else { length };
    bytes.truncate(length);
    let end = offset.saturating_add(u64::try_from(length).unwrap_or(0));
    Ok((String::from_utf8_lossy(&bytes).into_owned(), end))
}

/// How far each job's log was read: `ID.ATTEMPT:BYTES,...`. Opaque to clients.
struct Cursor(HashMap<(i64, i64), u64>);

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let mut offsets = HashMap::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (job, offset) = part.split_once(':')?;
            let (id, attempt) = job.split_once('.')?;
            offsets.insert((id.parse().ok()?, attempt.parse().ok()?), offset.parse().ok()?);
        }
        Some(Self(offsets))
    }

    /// A new attempt has a log of its own.
    fn offset(&self, job: &Job) -> u64 {
        self.0.get(&(job.id, job.attempt)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_given_until_the_job_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert_eq!(piece(&path, 0, false).expect("no log yet"), (String::new(), 0));
        std::fs::write(&path, "one\ntwo\nthr").expect("a log");
        assert_eq!(piece(&path, 0, false).expect("a piece"), ("one\ntwo\n".into(), 8));
        assert_eq!(piece(&path, 8, false).expect("a piece"), (String::new(), 8));
        assert_eq!(piece(&path, 8, true).expect("the end"), ("thr".into(), 11));
    }

    #[test]
    fn viewer_who_is_far_behind_goes_on_with_the_newest_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert_eq!(newest(&path, 7, Some(1)).expect("no log yet"), 7);
        std::fs::write(&path, "one\ntwo\nthree\n").expect("a log");
        for (offset, behind, expected) in [
            (0, None, 0),
            (0, Some(14), 0),
            (0, Some(13), 4),
            (0, Some(10), 4),
            (0, Some(9), 8),
            (8, Some(10), 8),
        ] {
            let from = newest(&path, offset, behind).expect("a place");
            assert_eq!(from, expected, "{offset} {behind:?}");
        }
    }

    #[test]
    fn lines_are_written_down_as_they_are() {
        let text = "error\t31-Jan-2026 06:17:37\ta \"b\"\u{1b}[m\tc\nodd";
        let json = serde_json::to_value(Lines(text.into())).expect("JSON");
        let expected = serde_json::json!([
            {"kind": "error", "time": "31-Jan-2026 06:17:37", "message": "a \"b\"\u{1b}[m\tc"},
            {"kind": "build", "time": null, "message": "odd"},
        ]);
        assert_eq!(json, expected);
    }

    #[test]
    fn cursors_of_other_attempts_start_over_and_damaged_ones_are_refused() {
        let cursor = Cursor::parse("3.1:40,4.2:7").expect("a cursor");
        assert_eq!(cursor.0.get(&(4, 2)), Some(&7));
        assert_eq!(cursor.0.get(&(4, 3)), None);
        for bad in ["3", "3:4", "x.1:2", "3.1:-1"] {
            assert!(Cursor::parse(bad).is_none(), "{bad}");
        }
    }
}
