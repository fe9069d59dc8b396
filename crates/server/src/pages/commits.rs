//! Histories, commits with what they changed, and comparisons.

use axum::extract::State;
use http::StatusCode;
use madake_engine::EngineError;
use madake_engine::ops::read_repository::{ReadableRepository, WantedLog};
use madake_engine::reading::CommitRead;
use madake_vcs::git::read::Signature;
use madake_vcs::name::ObjectId;
use serde::Serialize;

use super::asked::{Asked, Name, Page, Refused};
use super::differences::{Differences, FileDifference, PATCH};
use super::shown::{self, CommitRow, Crumb};
use super::template::render;
use super::{head, title, turn};
use crate::App;
use crate::auth::Visitor;

/// Commits on one page.
const COMMITS: usize = 50;
/// Commits of a comparison.
const COMPARED: usize = 200;
/// How far back pages of a history go; a clone has all of it.
const FURTHEST: usize = 100_000;
/// Characters of a message.
const MESSAGE: usize = 32 * 1024;

#[derive(Debug, Serialize)]
pub(super) struct HistoryPage {
    pub(super) at: String,
    pub(super) crumbs: Vec<Crumb>,
    pub(super) rows: Vec<CommitRow>,
    pub(super) newer_url: Option<String>,
    pub(super) older_url: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct CommitPage {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) author: String,
    pub(super) authored: String,
    pub(super) committer: Option<String>,
    pub(super) committed: String,
    pub(super) parents: Vec<Parent>,
    pub(super) browse_url: String,
    pub(super) note: String,
    pub(super) files: Vec<FileDifference>,
    pub(super) truncated: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Parent {
    pub(super) title: String,
    pub(super) url: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ComparePage {
    pub(super) heading: String,
    pub(super) note: String,
    pub(super) rows: Vec<CommitRow>,
    pub(super) files: Vec<FileDifference>,
    pub(super) truncated: bool,
}

/// `commits?until=&path=&start=`, and in the Cloud's form `branch/NAME` and `commits/tag/NAME`.
pub(super) async fn history(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let site = asked.site(&app, &visitor, found.repository())?;
    let _turn = turn().await;
    let text = asked.query.text("until").or_else(|| asked.query.text("at"));
    let text = text.filter(|text| !text.is_empty());
    let name = match (asked.part("branch"), asked.part("tag")) {
        ("", "") => Name::of(text),
        ("", tag) => Name::Tag(tag),
        (branch, _) => Name::Branch(branch),
    };
    let path = asked.query.text("path").unwrap_or_default().trim_matches('/');
    let start = asked.number("start").min(FURTHEST);
    let frame = asked
        .frame(&app, &visitor, &title(found.repository(), "Commits"))
        .with_repository(head(State(app.clone()), found.repository(), &site, "Commits").await?);
    let unreadable = |error| asked.unreadable(&app, &visitor, &error);
    let mut page = HistoryPage {
        at: shown::line(&found.repository().default_branch),
        crumbs: shown::crumbs(&found.repository().slug, path, &site, text),
        rows: Vec::new(),
        newer_url: None,
        older_url: None,
    };
    if matches!(name, Name::Default) && matches!(found.revision(None).await, Err(EngineError::NotFound(_))) {
        // The default branch of a repository to which nobody has pushed.
        return Ok(render(StatusCode::OK, "commits.html", &frame, &page));
    }
    let revision = asked.revision(&app, &visitor, &found, name).await?;
    page.at = revision.short.as_ref().map_or_else(
        || revision.id.abbreviated(shown::SHORT_ID),
        |name| shown::line(name),
    );
    // What the links of this page name: a branch or a tag that was named by its kind goes on as such.
    let until = match name {
        Name::Default => None,
        Name::Any(text) => Some(text.to_owned()),
        Name::Branch(_) | Name::Tag(_) => Some(revision.name.clone()),
    };
    page.crumbs = shown::crumbs(&found.repository().slug, path, &site, until.as_deref());
    let wanted = WantedLog {
        path: (!path.is_empty()).then(|| path.to_owned()),
        skip: start,
        limit: COMMITS,
        ..WantedLog::default()
    };
    let listed = found.history(&revision.id, &wanted).await.map_err(unreadable)?;
    page.rows = listed
        .commits
        .iter()
        .map(|commit| CommitRow::new(commit, &site))
        .collect();
    let at = |start| site.history(path, until.as_deref(), start);
    page.newer_url = (start > 0).then(|| at(start.saturating_sub(COMMITS)));
    page.older_url = (listed.truncated && start < FURTHEST).then(|| at(start + COMMITS));
    Ok(render(StatusCode::OK, "commits.html", &frame, &page))
}

/// `commits/HASH`: whole or abbreviated, or the name of a branch or tag.
pub(super) async fn commit(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let site = asked.site(&app, &visitor, found.repository())?;
    let _turn = turn().await;
    let revision = asked
        .revision(&app, &visitor, &found, Name::Any(asked.part("hash")))
        .await?;
    let unreadable = |error| asked.unreadable(&app, &visitor, &error);
    let commit = found.one_commit(&revision.id).await.map_err(unreadable)?;
    let patch = found
        .patch(commit.parents.first(), &commit.id, PATCH)
        .await
        .map_err(unreadable)?;
    let id = commit.id.to_string();
    let differences = Differences::of(patch, &site, &id);
    let (subject, body) = message(&commit);
    let (author, committer) = (shown::person(&commit.author), shown::person(&commit.committer));
    let time = |one: &Signature| shown::time(one.time_ms, one.offset_minutes);
    let (authored, committed) = (time(&commit.author), time(&commit.committer));
    let frame = asked
        .frame(&app, &visitor, &title(found.repository(), &subject))
        .with_repository(head(State(app.clone()), found.repository(), &site, "Commits").await?);
    let page = CommitPage {
        browse_url: site.browse("", Some(&id)),
        committer: (committer != author || authored != committed).then_some(committer),
        parents: commit
            .parents
            .iter()
            .map(|parent| Parent {
                title: parent.abbreviated(shown::SHORT_ID),
                url: site.commit(&parent.to_string()),
            })
            .collect(),
        note: if commit.parents.len() > 1 {
            "A merge: what differs from its first parent is shown.".to_owned()
        } else {
            String::new()
        },
        id,
        subject,
        body,
        author,
        authored,
        committed,
        files: differences.files,
        truncated: differences.truncated,
    };
    Ok(render(StatusCode::OK, "commit.html", &frame, &page))
}

/// Subject and body of a message.
fn message(commit: &CommitRead) -> (String, String) {
    let text = commit.message.trim();
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    (
        shown::subject(text),
        shown::several_lines(body.trim_matches(['\n', '\r']).trim_end(), MESSAGE),
    )
}

/// `branches/compare/NEW..OLD` of the Cloud's form, `compare/OLD...NEW` and `compare/NAME` of GitHub's.
pub(super) async fn compare(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let _turn = turn().await;
    let range = asked.part("range");
    let (old, new) = match (range.split_once("..."), range.split_once("..")) {
        (Some((old, new)), _) => (Some(old), new),
        (None, Some((new, old))) => (Some(old), new),
        (None, None) => (None, range),
    };
    let page = compared(&app, &visitor, &asked, &found, old, new).await?;
    let site = asked.site(&app, &visitor, found.repository())?;
    let frame = asked
        .frame(&app, &visitor, &title(found.repository(), &page.heading))
        .with_repository(head(State(app.clone()), found.repository(), &site, "Commits").await?);
    Ok(render(StatusCode::OK, "compare.html", &frame, &page))
}

async fn compared(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    found: &ReadableRepository,
    old: Option<&str>,
    new: &str,
) -> Result<ComparePage, Refused> {
    let site = asked.site(app, visitor, found.repository())?;
    let unreadable = |error| asked.unreadable(app, visitor, &error);
    let old = match old.filter(|old| !is_nothing(old)) {
        Some(old) => Some(asked.revision(app, visitor, found, Name::Any(old)).await?.id),
        None => None,
    };
    if is_nothing(new) {
        // The link of a push that removed a branch.
        let rows = match &old {
            Some(old) => vec![found.one_commit(old).await.map_err(unreadable)?],
            None => Vec::new(),
        };
        return Ok(ComparePage {
            heading: "A branch or tag that was removed".to_owned(),
            note: "It was at this commit.".to_owned(),
            rows: rows.iter().map(|commit| CommitRow::new(commit, &site)).collect(),
            files: Vec::new(),
            truncated: false,
        });
    }
    let new_commit = asked.revision(app, visitor, found, Name::Any(new)).await?.id;
    let base = match &old {
        Some(old) => found.merge_base(old, &new_commit).await,
        None => default_base(found, &new_commit).await,
    };
    let base = base.map_err(unreadable)?;
    let excluding: Vec<ObjectId> = old.iter().chain(&base).copied().collect();
    let listed = found
        .commits_without(&new_commit, &excluding, COMPARED)
        .await
        .map_err(unreadable)?;
    let patch = found
        .patch(base.as_ref(), &new_commit, PATCH)
        .await
        .map_err(unreadable)?;
    let differences = Differences::of(patch, &site, &new_commit.to_string());
    let note = match (&old, &base) {
        _ if listed.truncated => format!("The newest {COMPARED} commits are listed."),
        (Some(old), Some(base)) if old != base => {
            format!(
                "Compared with {}, the newest commit that both have.",
                base.abbreviated(12)
            )
        }
        _ => String::new(),
    };
    Ok(ComparePage {
        heading: match old {
            Some(old) => format!("{} since {}", shown::line(new), old.abbreviated(12)),
            None => shown::line(new),
        },
        note,
        rows: listed
            .commits
            .iter()
            .map(|commit| CommitRow::new(commit, &site))
            .collect(),
        files: differences.files,
        truncated: differences.truncated,
    })
}

/// Where a branch left the default branch; none for the default branch itself.
async fn default_base(found: &ReadableRepository, new: &ObjectId) -> Result<Option<ObjectId>, EngineError> {
    match found.revision(None).await {
        Ok(default) if default.id != *new => found.merge_base(&default.id, new).await,
        Ok(_) | Err(EngineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an id is that of nothing: all zeros.
fn is_nothing(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|digit| digit == b'0')
}
