//! Logs of jobs: lines in answers, and the whole file (bamboo-rest.md 5.8).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path as FilePath, PathBuf};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use madake_domain::key::{EntityKey, JobKey, JobResultKey, ResultNumber, result_number};
use madake_domain::text::inert;
use madake_engine::EngineError;
use madake_protocol::log::{LogKind, LogLine as WrittenLine};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::super::error::ApiError;
use super::super::paging::{DEFAULT_SIZE, MAX_LOG_LINES, Page};
use super::super::view::{JobResultView, LogLine, ResultEntry, ResultView, Slice};
use super::asked::Window;
use super::load::LogPlace;
use super::{load, refuse};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// Bytes of log lines that one answer holds at most; what lies behind is left to the next page.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Characters that are shown of one line.
const MAX_LINE: usize = 64 * 1024;
/// Lines from one remembered offset to the next.
const LINES_PER_MARK: usize = 1000;
/// Jobs of one answer whose logs are read.
const MAX_LOGS: usize = 50;

/// `GET /download/{job}/build_logs/{job}-{number}.log`, also with the number behind the folder's key, and with
/// the newer file name `plan-{id}-{job}-{number}.log`. The log of a job that runs ends where it ended just now.
pub(super) async fn download(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, file)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let wanted = named_log(&key, &file).ok_or_else(|| no_such_log(&file))?;
    let (build_id, job_id, attempt) = load::read(&app, &visitor, move |loader| {
        let number = ResultNumber::Number(wanted.number);
        let build = loader.build_for(&wanted.job.plan, number, true)?;
        let row = loader.job_row(&build, &wanted.job)?;
        Ok((build.id, row.id, row.attempt))
    })
    .await?;
    let path = app.engine().home().job_log(build_id, job_id, attempt);
    let opened = match tokio::fs::File::open(&path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(no_such_log(&file)),
        opened => opened.map_err(|error| unreadable(&error))?,
    };
    let length = opened.metadata().await.map_err(|error| unreadable(&error))?.len();
    let headers = [
        (CONTENT_TYPE, "text/plain;charset=UTF-8".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
    ];
    let body = Body::from_stream(ReaderStream::with_capacity(opened.take(length), 64 * 1024));
    Ok((headers, body).into_response())
}

/// The job's result whose log a folder and a file name mean.
fn named_log(folder: &str, file: &str) -> Option<JobResultKey> {
    let name = file.strip_suffix(".log")?;
    let folder: EntityKey = folder.parse().ok()?;
    let job: &JobKey = match &folder {
        EntityKey::Job(job) => job,
        EntityKey::JobResult(key) => &key.job,
        _ => return None,
    };
    let (front, last) = name.rsplit_once('-')?;
    let ResultNumber::Number(number) = result_number(last)? else {
        return None;
    };
    let newer_name = || {
        let (plan_id, short) = front.strip_prefix("plan-")?.split_once('-')?;
        let digits = !plan_id.is_empty() && plan_id.bytes().all(|b| b.is_ascii_digit());
        (digits && short == job.job).then_some(())
    };
    let same_number = match &folder {
        EntityKey::JobResult(key) => key.number == number,
        _ => true,
    };
    let fits = same_number && (front == job.to_string() || newer_name().is_some());
    fits.then(|| JobResultKey {
        job: job.clone(),
        number,
    })
}

fn no_such_log(file: &str) -> Failure {
    refuse(ApiError::not_found(format!(
        "Log {} not found.",
        inert(file, 120)
    )))
}

fn unreadable(error: &io::Error) -> Failure {
    EngineError::Internal(format!("a log cannot be read: {error}")).into()
}

/// The jobs in full of a list of results.
pub(super) fn jobs_of(entries: &mut [ResultEntry]) -> Vec<&mut JobResultView> {
    entries
        .iter_mut()
        .flat_map(|entry| match entry {
            ResultEntry::FullPlan(view) => jobs_in(view),
            ResultEntry::FullJob(view) => vec![&mut **view],
            ResultEntry::Plan(_) | ResultEntry::Job(_) => Vec::new(),
        })
        .collect()
}

/// The jobs in full of a result.
pub(super) fn jobs_in(view: &mut ResultView) -> Vec<&mut JobResultView> {
    view.stages
        .items
        .iter_mut()
        .flat_map(|stage| jobs_of(&mut stage.jobs.items))
        .collect()
}

/// Reads the lines that were asked for into the views. The paging parameters of a request apply to the log of a
/// job that stands alone; other jobs show the first lines or an index range.
pub(super) async fn fill(
    app: &App,
    views: Vec<&mut JobResultView>,
    places: HashMap<i64, LogPlace>,
    page: Option<Page>,
) -> Result<(), Failure> {
    let page = page.unwrap_or(Page {
        start: 0,
        size: DEFAULT_SIZE,
    });
    let wanted = views
        .into_iter()
        .filter_map(|view| Some((places.get(&view.details.id)?, view)))
        .take(MAX_LOGS);
    for (place, view) in wanted {
        let path = app
            .engine()
            .home()
            .job_log(place.build_id, view.details.id, place.attempt);
        let zone = app.engine().settings().time_zone.clone();
        let range = place.range;
        let window = move |total| Window::new(page, range, total, MAX_LOG_LINES).items;
        view.log = tokio::task::spawn_blocking(move || read_lines(&path, window, &zone))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| unreadable(&error))?;
    }
    Ok(())
}

/// Whole lines of a log: how many there are, and those that `window` chooses of that number.
pub(super) fn read_lines(
    path: &PathBuf,
    window: impl FnOnce(usize) -> std::ops::Range<usize>,
    zone: &TimeZone,
) -> io::Result<Slice<LogLine>> {
    let mut file = match File::open(FilePath::new(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Slice::default()),
        file => file?,
    };
    let marks = Marks::of(&mut file)?;
    let total = marks.lines;
    let window = window(total);
    let (first, offset) = marks.before(window.start);
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut items = Vec::new();
    let mut time_ms = 0;
    let mut bytes = 0;
    let mut line = Vec::new();
    for index in first..window.end {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        if index < window.start {
            continue;
        }
        bytes += text.len();
        if bytes > MAX_BYTES {
            break;
        }
        items.push(shown(&text, &mut time_ms, zone));
    }
    Ok(Slice {
        total,
        start: window.start,
        items,
    })
}

/// Where some of the lines of a file begin, so that what lies before a line need not be taken apart again.
struct Marks {
    /// How many whole lines there are.
    lines: usize,
    /// The offset of each line whose number is a multiple of [`LINES_PER_MARK`].
    offsets: Vec<u64>,
}

impl Marks {
    fn of(file: &mut File) -> io::Result<Self> {
        let mut buffer = vec![0; 256 * 1024];
        let mut marks = Self {
            lines: 0,
            offsets: vec![0],
        };
        let mut read = 0;
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                return Ok(marks);
            }
            for (end, at) in memchr::memchr_iter(b'\n', &buffer[..length]).zip(marks.lines + 1..) {
                marks.lines = at;
                if at.is_multiple_of(LINES_PER_MARK) {
                    marks.offsets.push(read + end as u64 + 1);
                }
            }
            read += length as u64;
        }
    }

    /// The number and the offset of the last mark that is not behind a line.
    fn before(&self, line: usize) -> (usize, u64) {
        let mark = (line / LINES_PER_MARK).min(self.offsets.len() - 1);
        (mark * LINES_PER_MARK, self.offsets[mark])
    }
}

/// A line as answers show it. One that does not look like a log line is shown whole, with the time of the one
/// before.
fn shown(text: &str, time_ms: &mut i64, zone: &TimeZone) -> LogLine {
    let Some(written) = WrittenLine::parse(text) else {
        return LogLine {
            text: inert(text, MAX_LINE),
            time_ms: *time_ms,
            is_error: false,
        };
    };
    let time = DateTime::strptime("%d-%b-%Y %H:%M:%S", written.time)
        .ok()
        .and_then(|time| zone.to_timestamp(time).ok());
    if let Some(time) = time {
        *time_ms = time.as_millisecond();
    }
    LogLine {
        text: inert(written.message, MAX_LINE),
        time_ms: *time_ms,
        is_error: written.kind == LogKind::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_folders_and_both_file_names_mean_the_same_log() {
        let rows = [
            ("PROJ-PLAN-JOB1", "PROJ-PLAN-JOB1-7.log"),
            ("PROJ-PLAN-JOB1-7", "PROJ-PLAN-JOB1-7.log"),
            ("PROJ-PLAN-JOB1", "plan-360449-JOB1-7.log"),
        ];
        for (folder, file) in rows {
            let key = named_log(folder, file).map(|key| key.to_string());
            assert_eq!(key.as_deref(), Some("PROJ-PLAN-JOB1-7"), "{folder}/{file}");
        }
        for (folder, file) in [
            ("PROJ-PLAN-JOB1", "PROJ-PLAN-JOB2-7.log"),
            ("PROJ-PLAN-JOB1-8", "PROJ-PLAN-JOB1-7.log"),
            ("PROJ-PLAN", "PROJ-PLAN-7.log"),
            ("PROJ-PLAN-JOB1", "PROJ-PLAN-JOB1-latest.log"),
            ("PROJ-PLAN-JOB1", "PROJ-PLAN-JOB1-7"),
            ("PROJ-PLAN-JOB1", "plan-x-JOB1-7.log"),
            ("PROJ-PLAN-JOB1", "../madake.db"),
        ] {
            assert_eq!(named_log(folder, file), None, "{folder}/{file}");
        }
    }

    #[test]
    fn any_line_of_a_long_log_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let line = |number: usize| format!("line {number}{}", "-".repeat(number % 150));
        let text: String = (0..10_500).map(|number| line(number) + "\n").collect();
        std::fs::write(&path, text).unwrap();
        for start in [0, 1, 999, 1000, 1001, 5999, 9_000, 10_000, 10_498] {
            let found = read_lines(&path, |_| start..start + 2, &TimeZone::UTC).unwrap();
            let texts: Vec<_> = found.items.iter().map(|line| line.text.clone()).collect();
            assert_eq!(texts, [line(start), line(start + 1)]);
            assert_eq!((found.total, found.start), (10_500, start));
        }
    }

    #[test]
    fn lines_of_a_window_are_read_with_their_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = "simple\t31-Jan-2026 06:17:36\tBuild started\n\
                    error\t31-Jan-2026 06:17:37\t\u{1b}[31mno <such>\u{1b}[0m\tfile\nwithout form\nunfini";
        std::fs::write(&path, text).unwrap();
        let all = read_lines(&path, |total| 0..total, &TimeZone::UTC).unwrap();
        assert_eq!(all.total, 3);
        let shown: Vec<(&str, i64, bool)> = all
            .items
            .iter()
            .map(|line| (line.text.as_str(), line.time_ms, line.is_error))
            .collect();
        assert_eq!(
            shown,
            [
                ("Build started", 1_769_840_256_000, false),
                ("no <such>\tfile", 1_769_840_257_000, true),
                ("without form", 1_769_840_257_000, false),
            ]
        );
        let last = read_lines(&path, |total| total - 1..total, &TimeZone::UTC).unwrap();
        assert_eq!((last.start, last.items.len()), (2, 1));
        let missing = read_lines(&folder.path().join("none"), |total| 0..total, &TimeZone::UTC).unwrap();
        assert_eq!(missing, Slice::default());
    }
}
