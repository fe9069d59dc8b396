//! Follows a build: a live picture of stages, jobs and the end of the log on a terminal, plain lines elsewhere.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anstream::ColorChoice;
use anstyle::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use madake_domain::text::inert;
use madake_engine::clock;
use serde_json::Value;

use crate::connection::{Connection, Target, at};
use crate::terminal::{
    BAD, BOLD, BUSY, DIM, GOOD, WARN, duration, flag, is_terminal, list, log_text, number, paint, say, text,
};

/// How often the build is looked at.
const REST: Duration = Duration::from_millis(100);
/// Lines of the log under the picture.
const TAIL: usize = 3;
/// Lines of a failed job's log that are shown at the end.
const FAILED_TAIL: usize = 12;
/// Columns up to the right edge of times and notes.
const WIDTH: usize = 44;
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// A build that ended, or rests at a manual stage; `None` when `cancelled` came first.
///
/// # Errors
/// When the server does not answer, or nobody reads what is printed.
pub(crate) fn follow(
    connection: &Connection,
    key: &str,
    cancelled: &dyn Fn() -> bool,
) -> anyhow::Result<Option<Value>> {
    let mut picture = if is_terminal() {
        Picture::Live(Live::default())
    } else {
        Picture::Plain(HashMap::new())
    };
    let mut cursor = String::new();
    loop {
        let build = connection.get(at(&["builds", key]))?;
        if let Picture::Live(live) = &mut picture {
            let piece = connection.get(log_target(key, None, &cursor))?;
            cursor = text(&piece, "next");
            live.take_in(&piece);
        }
        let finished = flag(&build, "finished");
        match &mut picture {
            Picture::Live(live) => live.draw(&build),
            Picture::Plain(seen) => say_changes(&build, seen)?,
        }
        if finished || cancelled() {
            if let Picture::Live(live) = &picture {
                live.clear();
                for row in rows(&build, 0) {
                    say(row)?;
                }
            }
            return Ok(finished.then_some(build));
        }
        std::thread::sleep(REST);
    }
}

/// The log of a build, or of one job, behind a cursor.
pub(crate) fn log_target(key: &str, job: Option<&str>, after: &str) -> Target {
    let mut target = at(&["builds", key, "log"]);
    if let Some(job) = job {
        target = target.with("job", job);
    }
    if after.is_empty() {
        target
    } else {
        target.with("after", after)
    }
}

/// The verdict in a line, and what failed.
///
/// # Errors
/// When the server does not answer, or nobody reads what is printed.
pub(crate) fn say_verdict(connection: &Connection, build: &Value) -> anyhow::Result<()> {
    let key = paint(BOLD, text(build, "key"));
    let took = ran_for(build);
    match (
        text(build, "state").as_str(),
        text(build, "lifeCycleState").as_str(),
    ) {
        ("Successful", _) => {
            say(format_args!(
                "{} {key} {}{took}",
                paint(GOOD, "✓"),
                paint(GOOD, "successful")
            ))?;
            if let Some(stage) = waiting_stage(build) {
                say(format_args!("  waits for you before the manual stage {stage}"))?;
            }
            Ok(())
        }
        ("Failed", _) => {
            say(format_args!(
                "{} {key} {}{took}",
                paint(BAD, "✗"),
                paint(BAD, "failed")
            ))?;
            say_failures(connection, build)
        }
        (_, "NotBuilt") => {
            let (problem, by) = (text(build, "problem"), text(build, "stoppedBy"));
            let verdict = match (problem.is_empty(), by.is_empty()) {
                (false, _) => format!("{}: {problem}", paint(WARN, "not built")),
                (true, false) => format!("{} by {by}{took}", paint(WARN, "stopped")),
                (true, true) => paint(WARN, "not built"),
            };
            say(format_args!("{} {key} {verdict}", paint(WARN, "–")))
        }
        (_, "Finished") => say(format_args!(
            "{} {key} waits for you before its first stage",
            paint(WARN, "–")
        )),
        (_, "Pending" | "Queued") => say(format_args!("{} {key} waits for an agent", paint(BUSY, "…"))),
        _ => say(format_args!("{} {key} is in progress", paint(BUSY, "…"))),
    }
}

/// The manual stage that a build waits at.
pub(crate) fn waiting_stage(build: &Value) -> Option<String> {
    list(build, "stages")
        .iter()
        .find(|stage| flag(stage, "runnable"))
        .map(|stage| text(stage, "name"))
}

/// The stages and jobs of a build as they stand.
///
/// # Errors
/// When nobody reads what is printed.
pub(crate) fn say_stages(build: &Value) -> anyhow::Result<()> {
    for row in rows(build, 0) {
        say(row)?;
    }
    for job in jobs(build).filter(|job| !text(job, "trouble").is_empty()) {
        say(format_args!(
            "  {}  {}",
            paint(WARN, text(job, "name")),
            text(job, "trouble")
        ))?;
    }
    Ok(())
}

/// ` in 1.2 s`: how long the jobs of an ended build ran; nothing where none did.
pub(crate) fn ran_for(build: &Value) -> String {
    match (number(build, "finishedMs"), number(build, "ranMs")) {
        (Some(_), Some(ran)) if ran > 0 => format!(" in {}", duration(ran)),
        _ => String::new(),
    }
}

fn say_failures(connection: &Connection, build: &Value) -> anyhow::Result<()> {
    let key = text(build, "key");
    for job in jobs(build).filter(|job| text(job, "state") == "Failed") {
        say("")?;
        say(format_args!(
            "  {}  {}",
            paint(BAD, text(job, "name")),
            text(job, "message")
        ))?;
        for line in last_lines(connection, &key, &text(job, "key"))? {
            say(format_args!("  {} {line}", paint(DIM, "│")))?;
        }
    }
    Ok(())
}

fn last_lines(connection: &Connection, key: &str, job: &str) -> anyhow::Result<VecDeque<String>> {
    let mut last = VecDeque::new();
    let mut cursor = String::new();
    loop {
        let piece = connection.get(log_target(key, Some(job), &cursor))?;
        let next = text(&piece, "next");
        let lines = list(&piece, "jobs").iter().flat_map(|job| list(job, "lines"));
        for line in lines.filter(|line| !is_from_agent(line)) {
            last.push_back(log_text(line["message"].as_str().unwrap_or_default(), 400));
            if last.len() > FAILED_TAIL {
                last.pop_front();
            }
        }
        if next == cursor {
            return Ok(last);
        }
        cursor = next;
    }
}

enum Picture {
    Live(Live),
    /// What was said of each job.
    Plain(HashMap<String, String>),
}

fn say_changes(build: &Value, seen: &mut HashMap<String, String>) -> anyhow::Result<()> {
    for stage in list(build, "stages") {
        for job in list(stage, "jobs") {
            let state = match (text(job, "lifeCycleState").as_str(), text(job, "state").as_str()) {
                ("InProgress", _) => "started",
                ("Finished", "Successful") => "successful",
                ("Finished", _) => "failed",
                ("NotBuilt", _) if number(job, "finishedMs").is_some() => "stopped",
                _ => continue,
            };
            let id = format!("{} {}", text(stage, "name"), text(job, "key"));
            if seen.insert(id, state.to_owned()).as_deref() == Some(state) {
                continue;
            }
            let took = match (state, number(job, "startedMs"), number(job, "finishedMs")) {
                ("started", ..) => String::new(),
                (_, Some(started), Some(finished)) => format!("  {}", duration(finished - started)),
                _ => String::new(),
            };
            say(format_args!(
                "  {state:<10}  {}: {}{took}",
                text(stage, "name"),
                text(job, "name")
            ))?;
        }
    }
    Ok(())
}

/// The picture on a terminal.
#[derive(Default)]
struct Live {
    screen: Option<Screen>,
    tail: VecDeque<String>,
    turn: usize,
}

struct Screen {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
    bar: ProgressBar,
    /// Kept, as a bar that is dropped goes from the screen.
    _blanks: [ProgressBar; 2],
    tail: Vec<ProgressBar>,
}

impl Live {
    fn take_in(&mut self, piece: &Value) {
        for job in list(piece, "jobs") {
            for line in list(job, "lines") {
                let message = line["message"].as_str().unwrap_or_default();
                if message.trim().is_empty() || is_from_agent(line) {
                    continue;
                }
                self.tail.push_back(format!(
                    "{} {}",
                    paint(DIM, format_args!("  │ {:<15}", inert(&text(job, "name"), 15))),
                    paint(DIM, log_text(message, 300))
                ));
                if self.tail.len() > TAIL {
                    self.tail.pop_front();
                }
            }
        }
    }

    fn draw(&mut self, build: &Value) {
        self.turn += 1;
        let rows = rows(build, self.turn);
        let screen = self.screen.get_or_insert_with(|| Screen::new(rows.len()));
        for (bar, row) in screen.rows.iter().zip(rows) {
            bar.set_message(shown(row));
        }
        let all = jobs(build).filter(|job| text(job, "lifeCycleState") != "NotBuilt");
        let (done, total) = all.fold((0, 0), |(done, total), job| {
            (
                done + u64::from(text(job, "lifeCycleState") == "Finished"),
                total + 1,
            )
        });
        screen.bar.set_length(total);
        screen.bar.set_position(done);
        for (index, bar) in screen.tail.iter().enumerate() {
            bar.set_message(shown(self.tail.get(index).cloned().unwrap_or_default()));
        }
    }

    fn clear(&self) {
        if let Some(screen) = &self.screen {
            // What cannot be cleared stays; there is nothing to do about it.
            let _ = screen.all.clear();
        }
    }
}

impl Screen {
    fn new(count: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let line =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let add = |style: &ProgressStyle| all.add(ProgressBar::new(1).with_style(style.clone()));
        let rows = (0..count).map(|_| add(&line)).collect();
        let above = add(&line);
        let style = ProgressStyle::with_template("  {bar:30.green/8}  {pos} of {len} jobs")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━─");
        let bar = add(&style);
        let below = add(&line);
        let tail = (0..TAIL).map(|_| add(&line)).collect();
        for blank in [&above, &below] {
            blank.set_message(" ");
        }
        Self {
            all,
            rows,
            bar,
            _blanks: [above, below],
            tail,
        }
    }
}

/// Escapes go where the terminal shows no colour; the picture does not pass the stream that sees to it elsewhere.
fn shown(row: String) -> String {
    if anstream::AutoStream::choice(&std::io::stdout()) == ColorChoice::Never {
        anstream::adapter::strip_str(&row).to_string()
    } else {
        row
    }
}

fn jobs(build: &Value) -> impl Iterator<Item = &Value> {
    list(build, "stages").iter().flat_map(|stage| list(stage, "jobs"))
}

/// What the agent says round each task; people look for what the task itself says.
fn is_from_agent(line: &Value) -> bool {
    let message = line["message"].as_str().unwrap_or_default();
    line["kind"] == "simple"
        || line["kind"] == "command"
        || message.starts_with("Starting task '")
        || message.starts_with("Finished task '")
}

/// One row for each stage and each job; `turn` moves what turns.
fn rows(build: &Value, turn: usize) -> Vec<String> {
    let now = clock::now_ms();
    let mut rows = Vec::new();
    for stage in list(build, "stages") {
        let jobs = list(stage, "jobs");
        let (mark, note) = stage_look(stage, turn);
        rows.push(row(2, &mark, BOLD, &text(stage, "name"), note));
        for job in jobs {
            let (mark, note) = job_look(job, now, turn);
            rows.push(row(6, &mark, Style::new(), &text(job, "name"), note));
        }
    }
    rows
}

/// A mark, a name, and at the right edge a note in its style.
fn row(indent: usize, mark: &str, style: Style, name: &str, note: (Style, String)) -> String {
    let (note_style, note) = note;
    let name = inert(name, WIDTH - indent - 12);
    let start = format!("{:indent$}{mark} {}", "", paint(style, &name));
    if note.is_empty() {
        return start;
    }
    let room = WIDTH.saturating_sub(indent + 2 + name.chars().count());
    format!("{start}{}", paint(note_style, format_args!("{note:>room$}")))
}

fn stage_look(stage: &Value, turn: usize) -> (String, (Style, String)) {
    match (
        text(stage, "lifeCycleState").as_str(),
        text(stage, "state").as_str(),
    ) {
        ("Finished", "Successful") => (paint(GOOD, "✓"), (DIM, String::new())),
        ("Finished", _) => (paint(BAD, "✗"), (BAD, text(stage, "message"))),
        ("InProgress" | "Queued", _) => (spinner(turn), (DIM, String::new())),
        _ if flag(stage, "runnable") => (paint(WARN, "◆"), (WARN, "waits for you".into())),
        ("NotBuilt", _) if flag(stage, "manual") => (paint(DIM, "◇"), (DIM, "manual".into())),
        ("NotBuilt", _) if !text(stage, "heldUpBy").is_empty() => {
            let note = format!("waits behind the manual stage {}", text(stage, "heldUpBy"));
            (paint(DIM, "○"), (DIM, note))
        }
        _ => (paint(DIM, "○"), (DIM, String::new())),
    }
}

fn job_look(job: &Value, now: i64, turn: usize) -> (String, (Style, String)) {
    let started = number(job, "startedMs");
    let took = started.map_or_else(String::new, |started| {
        duration(number(job, "finishedMs").unwrap_or(now) - started)
    });
    let took = (DIM, took);
    match (text(job, "lifeCycleState").as_str(), text(job, "state").as_str()) {
        ("Finished", "Successful") => (paint(GOOD, "✓"), took),
        ("Finished", _) => (paint(BAD, "✗"), took),
        ("InProgress", _) => (spinner(turn), took),
        ("Queued", _) => (paint(DIM, "○"), (DIM, "queued".into())),
        ("NotBuilt", _) if number(job, "finishedMs").is_some() => {
            (paint(WARN, "–"), (WARN, "stopped".into()))
        }
        _ => (paint(DIM, "○"), (DIM, String::new())),
    }
}

fn spinner(turn: usize) -> String {
    paint(BUSY, SPINNER[turn % SPINNER.len()])
}
