//! The page `/hearing`: for each linked repository when it was last told, last looked at, and what was missed. It works
//! without scripts and loads nothing.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Method, header};
use jiff::Timestamp;
use madake_engine::clock;
use madake_engine::ops::show_hearing::{HearingState, ShownHearing};

use crate::App;
use crate::auth::Visitor;
use crate::path::context_path;
use crate::refusal::Failure;
use crate::routes::{Access, Routes};

/// Nothing is loaded, run or sent by the page; its own style is all that it has.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem;max-width:80rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #ccc;\
vertical-align:top}.missed,.unreachable{color:#a40000;font-weight:600}.told{color:#0a6b2d}.small{color:#555;\
font-size:.875rem}@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}th,td{border-color:#444}\
a{color:#8ab4f8}.told{color:#7ccf94}.missed,.unreachable{color:#ff9b9b}.small{color:#aaa}}";

/// The page, for `GET` and `HEAD`. It lists what the caller may read.
pub(crate) fn routes() -> Routes {
    Routes::default().add(Method::GET, "/hearing", Access::Public, page)
}

async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let (shown, serving_all) = app.engine().show_hearing(&visitor.caller).await?;
    let context = escaped(context_path(app.base_url()).unwrap_or_default());
    let text = render(&shown, serving_all, &context, clock::now_ms());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, text).into_response())
}

fn render(shown: &[ShownHearing], serving_all: usize, context: &str, now_ms: i64) -> String {
    let mut rows = String::new();
    for one in shown {
        rows.push_str(&row(one, context, now_ms));
    }
    let body = if rows.is_empty() {
        "<p>There is no linked repository that you may see.</p>".to_owned()
    } else {
        format!(
            "<table>\n<thead><tr><th scope=\"col\">Repository</th><th scope=\"col\">How it stands</th>\
             <th scope=\"col\">Last told</th><th scope=\"col\">Last looked at</th><th scope=\"col\">Missed</th></tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table>"
        )
    };
    let all = match serving_all {
        0 => String::new(),
        1 => "<p>One webhook serves all linked repositories.</p>\n".to_owned(),
        count => format!("<p>{count} webhooks serve all linked repositories.</p>\n"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Hearing - Madake</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n<body>\n\
         <p><a href=\"{context}/\">Madake</a></p>\n<h1>How we hear of pushes</h1>\n\
         <p>Webhooks tell of pushes to linked repositories. Looks find what was not told: they become rare while webhooks \
         arrive, and frequent again when one was missed.</p>\n{all}{body}\n</body>\n</html>\n"
    )
}

fn row(one: &ShownHearing, context: &str, now_ms: i64) -> String {
    let hearing = &one.heard.hearing;
    let state = one.state.as_str();
    let sentence = match one.state {
        HearingState::Told => "Webhooks tell of its pushes.".to_owned(),
        HearingState::Missed => "Webhooks told of its pushes, and then one was missed.".to_owned(),
        HearingState::Polled if one.webhooks > 0 => "Its webhook has not told of a push yet.".to_owned(),
        HearingState::Polled => "It is looked at.".to_owned(),
        HearingState::Unreachable => {
            format!(
                "It cannot be read: {}",
                escaped(one.repository.problem.as_deref().unwrap_or_default())
            )
        }
    };
    let told = match (hearing.told_ms, one.heard.told_by) {
        (Some(at_ms), Some(id)) => format!(
            "{}<br><span class=\"small\">webhook {id}, {}</span>",
            moment(at_ms, now_ms),
            escaped(one.heard.told_as.as_deref().unwrap_or_default())
        ),
        (Some(at_ms), None) => moment(at_ms, now_ms),
        (None, _) => "never".to_owned(),
    };
    let looked = format!(
        "{}<br><span class=\"small\">every {} at the server's interval</span>",
        hearing
            .polled_ms
            .map_or_else(|| "never".to_owned(), |at_ms| moment(at_ms, now_ms)),
        span(one.pause_ms)
    );
    let missed = match (hearing.missed_ms, one.heard.missed_event_id) {
        (Some(at_ms), Some(event)) => format!(
            "{}, last {}<br><a class=\"small\" href=\"{context}/rest/madake/1.0/events/{event}\">entry {event}</a>",
            hearing.missed,
            moment(at_ms, now_ms)
        ),
        (Some(at_ms), None) => format!("{}, last {}", hearing.missed, moment(at_ms, now_ms)),
        (None, _) => "nothing".to_owned(),
    };
    format!(
        "<tr><th scope=\"row\">{}<br><span class=\"small\">{}</span></th><td class=\"{state}\">{sentence}</td><td>{told}</td>\
         <td>{looked}</td><td>{missed}</td></tr>\n",
        escaped(&one.repository.name),
        escaped(&one.repository.url),
    )
}

/// How long ago, with the moment itself for those who point at it.
fn moment(at_ms: i64, now_ms: i64) -> String {
    let exact =
        Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |moment| moment.to_string());
    let passed = now_ms.saturating_sub(at_ms);
    let shown = if passed < 1000 {
        "just now".to_owned()
    } else {
        format!("{} ago", span(passed))
    };
    format!("<time datetime=\"{exact}\" title=\"{exact}\">{shown}</time>")
}

fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Text that stays text, also within an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other if other.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use madake_domain::hearing::Hearing;
    use madake_domain::repository::RepositoryKind;
    use madake_store::hearing::Heard;
    use madake_store::repository::Repository;

    use super::*;

    fn sample(name: &str, state: HearingState, hearing: Hearing) -> ShownHearing {
        ShownHearing {
            repository: Repository {
                id: 1,
                kind: RepositoryKind::Linked,
                name: name.into(),
                owner: String::new(),
                slug: String::new(),
                path: String::new(),
                url: "https://forge.example/a/b.git".into(),
                credential: None,
                default_branch: "main".into(),
                hook_installed: false,
                hears_pushes: true,
                refs_known: true,
                specs_enabled: true,
                last_checked_ms: None,
                problem: Some("<b>no route</b>".into()),
            },
            heard: Heard {
                repository_id: 1,
                hearing,
                told_by: Some(3),
                told_as: Some("github".into()),
                missed_event_id: Some(42),
            },
            webhooks: 1,
            pause_ms: 120_000,
            state,
        }
    }

    #[test]
    fn the_page_says_how_each_repository_stands_and_lets_no_mark_up_in() {
        let heard = Hearing {
            told_ms: Some(1_000),
            polled_ms: Some(60_000),
            missed_ms: Some(60_000),
            missed: 2,
            quiet: 0,
        };
        let shown = [
            sample("<script>alert(1)</script>", HearingState::Missed, heard),
            sample("b", HearingState::Unreachable, Hearing::default()),
        ];
        let page = render(&shown, 1, "/ci", 61_000);
        assert!(!page.contains("<script>") && !page.contains("<b>no"), "{page}");
        for part in [
            "&lt;script&gt;",
            "&lt;b&gt;no route",
            "webhook 3, github",
            "60 s ago",
            "2, last",
            "/ci/rest/madake/1.0/events/42",
            "every 2 min",
            "One webhook serves all",
            "datetime=\"1970-01-01T00:00:01Z\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(render(&[], 0, "", 0).contains("no linked repository"));
    }
}
