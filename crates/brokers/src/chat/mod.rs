//! Messages for people: what is said of a push or a build, and the mark-up of each chat.
//!
//! Whatever comes from commits, branches or people is a [`Piece`] that the mark-up escapes; there is no other way
//! for it into a message. So it can mention nobody, hide no link behind other words and use no control character.

mod markup;

pub(crate) use markup::{Html, Markdown, Markup, Plain, SlackMarkup, defused, safe_link};

use crate::event::{BrokerEvent, BuildResult, BuildState, RefAction, RefKind, RefMove, first_line, short_id};

/// The most refs that a message tells of.
const MAX_REFS: usize = 10;
/// The most commits that a message tells of.
const MAX_COMMITS: usize = 20;

/// What to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// What happened, in one line.
    pub(crate) title: Line,
    /// More about it.
    pub(crate) lines: Vec<Line>,
    /// How good the news is.
    pub(crate) tone: Tone,
    /// A page about it.
    pub(crate) link: Option<String>,
}

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Neutral,
    Good,
    Bad,
}

impl Tone {
    /// The colour as 0xRRGGBB; readable on light and dark ground.
    pub(crate) fn colour(self) -> u32 {
        match self {
            Self::Neutral => 0x5b_7083,
            Self::Good => 0x2e_8b57,
            Self::Bad => 0xc7_3e3a,
        }
    }
}

/// A line of pieces.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line(pub(crate) Vec<Piece>);

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// Words of ours, without anything that is mark-up anywhere.
    Own(String),
    /// Somebody else's words.
    Text(String),
    /// Somebody else's name, set off.
    Strong(String),
    /// An id, set off.
    Code(String),
    /// Somebody else's words as a link.
    Link { label: String, to: String },
}

impl Line {
    fn own(mut self, words: impl AsRef<str>) -> Self {
        match self.0.last_mut() {
            Some(Piece::Own(before)) => before.push_str(words.as_ref()),
            _ => self.0.push(Piece::Own(words.as_ref().to_owned())),
        }
        self
    }

    fn text(mut self, words: &str) -> Self {
        self.0.push(Piece::Text(words.to_owned()));
        self
    }

    fn strong(mut self, name: &str) -> Self {
        self.0.push(Piece::Strong(name.to_owned()));
        self
    }

    fn link_or_code(mut self, label: &str, to: Option<&String>) -> Self {
        self.0.push(match to.and_then(|to| safe_link(to)) {
            Some(to) => Piece::Link {
                label: label.to_owned(),
                to,
            },
            None => Piece::Code(label.to_owned()),
        });
        self
    }

    /// The line in a mark-up.
    pub(crate) fn render(&self, markup: &dyn Markup) -> String {
        self.0.iter().map(|piece| markup.piece(piece)).collect()
    }
}

/// What to say of an event.
pub(crate) fn message(event: &BrokerEvent) -> Message {
    match &event.build {
        Some(build) => of_build(event, build),
        None => of_push(event),
    }
}

fn of_build(event: &BrokerEvent, build: &BuildResult) -> Message {
    let mut title = Line::default().strong(&build.plan_name).own(" ");
    title = title
        .link_or_code(&build.build_key, Some(&build.link))
        .own(" ")
        .own(build.state.verb());
    if !build.branch.is_empty() {
        title = title.own(" on ").strong(&build.branch);
    }
    if build.previous_state.is_some_and(|before| before != build.state) {
        title = title.own(match build.state {
            BuildState::Successful => " (mended)",
            BuildState::Failed => " (it succeeded before)",
            BuildState::Stopped => "",
        });
    }
    let mut lines = vec![Line::default().text(&build.reason)];
    let mut facts = Line::default().own("Took ").own(duration(build.duration_ms));
    if let Some(revision) = &build.revision {
        facts = facts.own(", revision ").link_or_code(short_id(revision), None);
    }
    if let Some(repository) = &event.repository {
        facts = facts
            .own(" of ")
            .link_or_code(&repository.name, Some(&repository.browse_url));
    }
    lines.push(facts);
    if !build.failed_jobs.is_empty() {
        let mut failed = Line::default().own(if build.failed_jobs.len() == 1 {
            "Failed job: "
        } else {
            "Failed jobs: "
        });
        for (at, job) in build.failed_jobs.iter().take(MAX_REFS).enumerate() {
            failed = failed.own(if at > 0 { ", " } else { "" }).link_or_code(job, None);
        }
        lines.push(more(failed, build.failed_jobs.len(), MAX_REFS));
    }
    let tone = match build.state {
        BuildState::Successful => Tone::Good,
        BuildState::Failed => Tone::Bad,
        BuildState::Stopped => Tone::Neutral,
    };
    Message {
        title,
        lines,
        tone,
        link: safe_link(&build.link),
    }
}

fn of_push(event: &BrokerEvent) -> Message {
    let mut title = match &event.pusher {
        Some(pusher) => Line::default().strong(pusher.shown()).own(" "),
        None => Line::default().own("Somebody "),
    };
    let one = match event.refs.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    title = match one {
        Some(moved) => title
            .own(did(moved))
            .own(" ")
            .own(kind(moved.kind))
            .own(" ")
            .strong(&moved.name),
        None => title.own(format!("pushed {} refs", event.refs.len())),
    };
    if let Some(repository) = &event.repository {
        title = title
            .own(" in ")
            .link_or_code(&repository.name, Some(&repository.browse_url));
    }
    let mut lines = Vec::new();
    let mut told = 0;
    for moved in event.refs.iter().take(MAX_REFS) {
        if one.is_none() {
            lines.push(
                Line::default()
                    .own(capital(&did(moved)))
                    .own(" ")
                    .own(kind(moved.kind))
                    .own(" ")
                    .strong(&moved.name),
            );
        }
        for commit in moved.commits.iter().take(MAX_COMMITS - told) {
            let line = Line::default()
                .link_or_code(short_id(&commit.id), commit.link.as_ref())
                .own(" ");
            lines.push(
                line.text(first_line(&commit.message))
                    .own(" (")
                    .text(commit.author.shown())
                    .own(")"),
            );
            told += 1;
        }
    }
    let commits: usize = event.refs.iter().map(|moved| moved.commits.len()).sum();
    if commits > told || event.refs.iter().any(|moved| moved.commits_truncated) {
        lines.push(Line::default().own("and more commits"));
    }
    if event.refs.len() > MAX_REFS {
        lines.push(Line::default().own(format!("and {} more refs", event.refs.len() - MAX_REFS)));
    }
    let link = one
        .and_then(|moved| moved.link.as_ref())
        .or(event.repository.as_ref().map(|repository| &repository.browse_url))
        .and_then(|link| safe_link(link));
    Message {
        title,
        lines,
        tone: Tone::Neutral,
        link,
    }
}

fn did(moved: &RefMove) -> String {
    let commits = match moved.commits.len() {
        0 => String::new(),
        1 if !moved.commits_truncated => " one commit".to_owned(),
        count if moved.commits_truncated => format!(" more than {count} commits"),
        count => format!(" {count} commits"),
    };
    match moved.action {
        RefAction::Add if commits.is_empty() => "created".to_owned(),
        RefAction::Add => format!("pushed{commits} to the new"),
        RefAction::Delete => "deleted".to_owned(),
        RefAction::Update if moved.forced => format!("pushed{commits} by force to"),
        RefAction::Update if commits.is_empty() => "moved".to_owned(),
        RefAction::Update => format!("pushed{commits} to"),
    }
}

fn kind(kind: RefKind) -> &'static str {
    match kind {
        RefKind::Branch | RefKind::NamedBranch => "branch",
        RefKind::Tag => "tag",
        RefKind::Bookmark => "bookmark",
    }
}

fn more(line: Line, count: usize, shown: usize) -> Line {
    if count > shown {
        line.own(format!(" and {} more", count - shown))
    } else {
        line
    }
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}

/// `1 h 2 min`, `1 min 23 s`, `850 ms`.
fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    match (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60) {
        (0, 0, 0) => format!("{ms} ms"),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

impl Message {
    /// The lines in a mark-up, as many as fit into `most` bytes; the rest is told by a word.
    pub(crate) fn body(&self, markup: &dyn Markup, between: &str, most: usize) -> String {
        const REST: &str = "and more";
        let mut body = String::new();
        for line in &self.lines {
            let line = line.render(markup);
            if body.len() + line.len() + 2 * between.len() + REST.len() > most {
                body.push_str(if body.is_empty() { "" } else { between });
                body.push_str(REST);
                break;
            }
            body.push_str(if body.is_empty() { "" } else { between });
            body.push_str(&line);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::{Plain, duration, message};
    use crate::sample::{sample_build, sample_push};

    #[test]
    fn push_and_build_are_told_in_words() {
        let mut event = sample_push();
        assert_eq!(
            message(&event).title.render(&Plain),
            "Mei Grove pushed 2 refs in Harvest"
        );
        event.refs.truncate(1);
        let one = message(&event);
        assert_eq!(
            one.title.render(&Plain),
            "Mei Grove pushed 2 commits to branch main in Harvest"
        );
        assert_eq!(
            one.body(&Plain, "\n", 1000),
            "7c1f0c9 GROVE-12: weigh each culm twice (Mei Grove)\n3e9b52d Read the scale through a trait (Mei Grove)"
        );
        assert_eq!(
            one.body(&Plain, "\n", 80),
            "7c1f0c9 GROVE-12: weigh each culm twice (Mei Grove)\nand more"
        );
        let build = message(&sample_build());
        assert_eq!(
            build.title.render(&Plain),
            "Cut and dry GROVE-CUT-42 failed on main (it succeeded before)"
        );
        assert_eq!(
            build.body(&Plain, "\n", 1000),
            "Mei Grove pushed 2 commits\nTook 1 min 23 s, revision 7c1f0c9 of Harvest\nFailed job: GROVE-CUT-TEST"
        );
    }

    #[test]
    fn durations_are_rounded_down() {
        let table = [
            (-1, "0 ms"),
            (850, "850 ms"),
            (59_999, "59 s"),
            (83_000, "1 min 23 s"),
            (3_720_000, "1 h 2 min"),
        ];
        for (ms, expected) in table {
            assert_eq!(duration(ms), expected);
        }
    }
}
