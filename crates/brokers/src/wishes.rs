//! What a broker wants to hear of: the settings `events` and `refs`, which every type has.
//!
//! They are no secrets, so that one can ask before anything sealed is opened.

use crate::catalogue::{BrokerType, Takes};
use crate::event::{BrokerEvent, BuildState, EventKind};
use crate::refs::RefFilter;
use crate::settings::{Reader, Settings};

/// Why an event is left out by `events`, as a sentence.
const NOT_ASKED_FOR: &str = "the setting `events` leaves this event out";

/// What a broker wants to hear of.
#[derive(Debug, Default)]
pub struct Wishes {
    refs: RefFilter,
    tags_too: bool,
    push: bool,
    build: bool,
    failure: bool,
    change: bool,
}

impl Wishes {
    /// The wishes in settings that were checked when they were saved; covered ones will do.
    #[must_use]
    pub fn of(of: &'static BrokerType, settings: &Settings) -> Self {
        Self::read(of, &mut Reader::new(of, settings))
    }

    pub(crate) fn read(of: &BrokerType, reader: &mut Reader<'_>) -> Self {
        let mut wishes = Self {
            refs: reader.filter("refs"),
            tags_too: of.tags_too,
            ..Self::default()
        };
        for word in reader.list("events") {
            match word.to_ascii_lowercase().as_str() {
                "push" => wishes.push = true,
                "build" | "failure" | "change" if of.takes == Takes::Pushes => {
                    reader.problem(
                        "events",
                        format!(
                            "has `{word}`, but {} is told of pushes only; leave it out",
                            of.title
                        ),
                    );
                }
                "build" => wishes.build = true,
                "failure" => wishes.failure = true,
                "change" => wishes.change = true,
                _ => reader.problem(
                    "events",
                    format!(
                        "has `{}`; write `push`, `build`, `failure` or `change`",
                        madake_formats::text::line(word, 50)
                    ),
                ),
            }
        }
        wishes
    }

    /// Whether any build is wanted at all.
    #[must_use]
    pub fn builds(&self) -> bool {
        self.build || self.failure || self.change
    }

    /// Whether `events` asks for this one.
    #[must_use]
    pub fn asks_for(&self, event: &BrokerEvent) -> bool {
        let build = event.build.as_ref();
        match event.kind {
            EventKind::Push => self.push,
            EventKind::Build => build.is_some_and(|build| {
                self.build
                    || (self.failure && build.state == BuildState::Failed)
                    || (self.change && build.previous_state.is_some_and(|before| before != build.state))
            }),
        }
    }

    /// The event as it is wanted: with the refs that `refs` lets in.
    ///
    /// # Errors
    /// The sentence that says why it is not wanted.
    pub fn apply(&self, event: &BrokerEvent) -> Result<BrokerEvent, &'static str> {
        if !self.asks_for(event) {
            return Err(NOT_ASKED_FOR);
        }
        self.with_wanted_refs(event)
            .ok_or("the setting `refs` leaves every ref of this event out")
    }

    pub(crate) fn with_wanted_refs(&self, event: &BrokerEvent) -> Option<BrokerEvent> {
        self.refs.apply(event, self.tags_too)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;
    use crate::sample::{sample_build, sample_push};
    use crate::secret::COVER;

    #[test]
    fn wishes_are_known_while_secrets_are_covered() {
        let slack = find("slack").unwrap();
        let wishes = |events: &str, refs: &str| {
            let settings = [("webhook_url", COVER), ("events", events), ("refs", refs)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            Wishes::of(slack, &settings.into())
        };
        let (push, failed) = (sample_push(), sample_build());
        for (events, refs, push_wanted, build_wanted) in [
            ("", "", true, false),
            ("push, build", "", true, true),
            ("failure", "", false, true),
            ("change", "", false, true),
            ("push, failure", "release/*", false, false),
            ("push, failure", "main", true, true),
        ] {
            let wishes = wishes(events, refs);
            assert_eq!(wishes.apply(&push).is_ok(), push_wanted, "{events} {refs}");
            assert_eq!(wishes.apply(&failed).is_ok(), build_wanted, "{events} {refs}");
        }
        assert_eq!(wishes("push", "main").apply(&push).unwrap().refs.len(), 1);
        assert!(!wishes("push", "").builds() && wishes("change", "").builds());
    }
}
