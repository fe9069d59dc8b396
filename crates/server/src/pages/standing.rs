//! Results as lists show them: a number, a word and a colour that lead to the page of the result; and what waits or runs.

use madake_store::overview::{LastResult, UnderWay};
use serde::Serialize;

use super::address::Site;
use super::hearing::{Moment, moment, span};
use super::shown;

/// A result in a list.
#[derive(Debug, Serialize)]
pub(super) struct ResultChip {
    url: String,
    key: String,
    number: i64,
    /// `successful`, `failed` or `stopped`: a class of the style sheet.
    verdict: &'static str,
    words: &'static str,
    at: Moment,
    /// How long it ran; empty where nothing of it did.
    took: String,
}

impl ResultChip {
    pub(super) fn of(one: &LastResult, site: &Site, now_ms: i64) -> Self {
        let (verdict, words) = match (one.life_cycle.as_str(), one.state.as_str()) {
            (_, "Successful") => ("successful", "successful"),
            (_, "Failed") => ("failed", "failed"),
            ("NotBuilt", _) => ("stopped", "not built"),
            _ => ("stopped", "without a verdict"),
        };
        Self {
            url: site.result(&one.key),
            key: one.key.clone(),
            number: one.number,
            verdict,
            words,
            at: moment(one.ended_ms, now_ms),
            took: match one.started_ms.map(|started| one.ended_ms.saturating_sub(started)) {
                None => String::new(),
                Some(..1000) => "under 1 s".to_owned(),
                Some(took) => span(took),
            },
        }
    }
}

/// A build that waits or runs.
#[derive(Debug, Serialize)]
pub(super) struct UnderWayRow {
    url: String,
    title: String,
    of: String,
    /// `runs` or `waits`: a class of the style sheet.
    state: &'static str,
    words: &'static str,
    since: Moment,
}

impl UnderWayRow {
    pub(super) fn of_build(one: &UnderWay, site: &Site, now_ms: i64) -> Self {
        let (state, words) = match one.life_cycle.as_str() {
            "InProgress" => ("runs", "runs"),
            "Queued" => ("waits", "waits for an agent"),
            _ => ("waits", "is about to start"),
        };
        Self {
            url: site.result(&one.key),
            title: one.key.clone(),
            of: match &one.branch_name {
                Some(branch) => shown::line(&format!("{} › {branch}", one.plan_name)),
                None => shown::line(&one.plan_name),
            },
            state,
            words,
            since: moment(one.since_ms, now_ms),
        }
    }

    /// A deployment: its release and where it goes.
    pub(super) fn of_deployment(
        (url, release, place): (String, &str, &str),
        is_running: bool,
        since: Moment,
    ) -> Self {
        Self {
            url,
            title: shown::line(release),
            of: shown::line(place),
            state: if is_running { "runs" } else { "waits" },
            words: if is_running {
                "is being deployed"
            } else {
                "waits for an agent"
            },
            since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_a_word_and_a_class() {
        let site = Site::of_context("/ci");
        let table = [
            ("Finished", "Successful", "successful", "successful"),
            ("Finished", "Failed", "failed", "failed"),
            ("NotBuilt", "Unknown", "stopped", "not built"),
            ("Finished", "Unknown", "stopped", "without a verdict"),
        ];
        for (life_cycle, state, verdict, words) in table {
            let one = LastResult {
                key: "PROJ-PLAN-7".into(),
                number: 7,
                life_cycle: life_cycle.into(),
                state: state.into(),
                started_ms: Some(1_000),
                ended_ms: 61_000,
            };
            let chip = ResultChip::of(&one, &site, 121_000);
            assert_eq!(
                (chip.verdict, chip.words),
                (verdict, words),
                "{life_cycle} {state}"
            );
            assert_eq!(
                (chip.url.as_str(), chip.took.as_str()),
                ("/ci/browse/PROJ-PLAN-7", "60 s")
            );
        }
    }
}
