//! Logs of jobs, in pieces: whoever follows a build hands the cursor of the last answer back.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path as FilePath, PathBuf};

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use madake_engine::EngineError;
use madake_store::build::{self, Job};
use madake_store::build_query;
use serde_json::{Value, json};

use super::body::invalid;
use super::builds;
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Bytes of one job's log in one answer, at most.
const PIECE: u64 = 256 * 1024;

/// `GET /builds/{key}/log?job=&after=`: the log of each job of a build, or of one, behind the cursor `after`.
///
/// A line is given when it is complete. `finished` and no lines: there is no more.
pub(super) async fn read(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let asked = parameters.text("job").map(str::to_owned);
    let after = Cursor::parse(parameters.text("after").unwrap_or_default())
        .ok_or_else(|| invalid("`after` is the `next` of an earlier answer"))?;
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
    let answer = tokio::task::spawn_blocking(move || pieces(&wanted, finished))
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))??;
    Ok(Answer(answer))
}

fn pieces(wanted: &[(Job, PathBuf, u64)], finished: bool) -> Result<Value, EngineError> {
    let (mut rows, mut next) = (Vec::new(), Vec::new());
    for (job, path, offset) in wanted {
        let (text, end) = piece(path, *offset, job.finished_ms.is_some()).map_err(|error| {
            EngineError::Unavailable(format!("{} cannot be read: {error}", path.display()))
        })?;
        next.push(format!("{}.{}:{end}", job.id, job.attempt));
        rows.push(json!({
            "key": job.key,
            "name": job.name,
            "attempt": job.attempt,
            "offset": offset,
            "nextOffset": end,
            "ended": job.finished_ms.is_some(),
            "lines": text.lines().map(line_view).collect::<Vec<_>>(),
        }));
    }
    Ok(json!({ "finished": finished, "jobs": rows, "next": next.join(",") }))
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

/// `type<TAB>time<TAB>message`
pub(super) fn line_view(line: &str) -> Value {
    let mut parts = line.splitn(3, '\t');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(time), Some(message)) => json!({ "kind": kind, "time": time, "message": message }),
        _ => json!({ "kind": "build", "time": Value::Null, "message": line }),
    }
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
    fn cursors_of_other_attempts_start_over_and_damaged_ones_are_refused() {
        let cursor = Cursor::parse("3.1:40,4.2:7").expect("a cursor");
        assert_eq!(cursor.0.get(&(4, 2)), Some(&7));
        assert_eq!(cursor.0.get(&(4, 3)), None);
        for bad in ["3", "3:4", "x.1:2", "3.1:-1"] {
            assert!(Cursor::parse(bad).is_none(), "{bad}");
        }
    }
}
