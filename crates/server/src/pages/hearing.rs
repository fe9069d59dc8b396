//! `/hearing`: for each linked repository when it was last told, last looked at, and what was missed.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use madake_engine::clock;
use madake_engine::ops::show_hearing::{HearingState, ShownHearing};
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page};
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;

#[derive(Debug, Serialize)]
struct HearingPage {
    serving_all: String,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    address: String,
    state: &'static str,
    sentence: String,
    told: Option<Moment>,
    told_by: String,
    looked: Option<Moment>,
    pause: String,
    missed: Option<Moment>,
    missed_count: i64,
    entry: Option<i64>,
    entry_url: String,
}

/// How long ago, with the moment itself for those who point at it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    exact: String,
    shown: String,
}

/// The page. It lists what the visitor may read.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let (found, serving_all) = app.engine().show_hearing(&visitor.caller).await?;
    let (site, now_ms) = (Site::of(&app), clock::now_ms());
    let page = HearingPage {
        serving_all: match serving_all {
            0 => String::new(),
            1 => "One webhook serves all linked repositories.".to_owned(),
            count => format!("{count} webhooks serve all linked repositories."),
        },
        rows: found.iter().map(|one| row(one, &site, now_ms)).collect(),
    };
    let frame = asked.frame(&app, &visitor, "How we hear of pushes");
    Ok(render(StatusCode::OK, "hearing.html", &frame, &page))
}

fn row(one: &ShownHearing, site: &Site, now_ms: i64) -> Row {
    let hearing = &one.heard.hearing;
    let sentence = match one.state {
        HearingState::Told => "Webhooks tell of its pushes.".to_owned(),
        HearingState::Missed => "Webhooks told of its pushes, and then one was missed.".to_owned(),
        HearingState::Polled if one.webhooks > 0 => "Its webhook has not told of a push yet.".to_owned(),
        HearingState::Polled => "It is looked at.".to_owned(),
        HearingState::Unreachable => {
            let problem = one.repository.problem.as_deref().unwrap_or_default();
            format!("It cannot be read: {}", shown::line(problem))
        }
    };
    let format = one.heard.told_as.as_deref().unwrap_or_default();
    let entry = one.heard.missed_event_id;
    Row {
        name: shown::line(&one.repository.name),
        address: shown::line(&one.repository.url),
        state: one.state.as_str(),
        sentence,
        told: hearing.told_ms.map(|at_ms| moment(at_ms, now_ms)),
        told_by: one
            .heard
            .told_by
            .map_or_else(String::new, |id| format!("webhook {id}, {format}")),
        looked: hearing.polled_ms.map(|at_ms| moment(at_ms, now_ms)),
        pause: span(one.pause_ms),
        missed: hearing.missed_ms.map(|at_ms| moment(at_ms, now_ms)),
        missed_count: hearing.missed,
        entry,
        entry_url: entry.map_or_else(String::new, |id| {
            site.at(&format!("/rest/madake/1.0/events/{id}"))
        }),
    }
}

/// A time as pages show it.
pub(super) fn moment(at_ms: i64, now_ms: i64) -> Moment {
    let passed = now_ms.saturating_sub(at_ms);
    Moment {
        exact: Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |moment| moment.to_string()),
        shown: if passed < 1000 {
            "just now".to_owned()
        } else {
            format!("{} ago", span(passed))
        },
    }
}

/// A time to come as pages show it.
pub(super) fn coming(at_ms: i64, now_ms: i64) -> Moment {
    let left = at_ms.saturating_sub(now_ms);
    Moment {
        shown: if left < 1000 {
            "now".to_owned()
        } else {
            format!("in {}", span(left))
        },
        ..moment(at_ms, now_ms)
    }
}

/// A length of time in words.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_as_the_time_that_has_passed() {
        let table = [
            (61_000, 61_500, "just now"),
            (61_000, 60_000, "just now"),
            (1_000, 61_000, "60 s ago"),
            (0, 600_000, "10 min ago"),
            (0, 3 * 3_600_000, "3 h ago"),
            (0, 3 * 86_400_000, "3 days ago"),
        ];
        for (at_ms, now_ms, expected) in table {
            assert_eq!(moment(at_ms, now_ms).shown, expected, "{at_ms} {now_ms}");
        }
        assert_eq!(moment(1_000, 61_000).exact, "1970-01-01T00:00:01Z");
        assert_eq!(coming(600_000, 0).shown, "in 10 min");
        assert_eq!(coming(600_000, 600_000).shown, "now");
    }
}
