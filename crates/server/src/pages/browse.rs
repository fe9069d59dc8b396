//! Folders and files.

use std::path::Path;

use axum::extract::State;
use http::StatusCode;
use madake_store::repository::Repository;
use madake_vcs::git::read::{EntryKind, ObjectKind, TreeEntry};
use madake_vcs::name::ObjectId;
use serde::Serialize;

use super::address::RepositorySite;
use super::asked::{Asked, Page};
use super::login::see_other;
use super::shown::{self, CommitRow, Crumb};
use super::template::render;
use super::{head, title, turn};
use crate::App;
use crate::auth::Visitor;

/// Entries of a folder on one page.
const ENTRIES: usize = 2000;
/// The largest file that is shown, in bytes.
const FILE: u64 = 1024 * 1024;
/// Lines of a file on one page.
const LINES: usize = 10_000;
/// Characters of a line.
const LINE: usize = 5000;
/// The largest text that is shown below a folder, in bytes.
const README: u64 = 128 * 1024;
/// Bytes that are looked at to tell binary content from text, as git does.
const SNIFFED: usize = 8000;

#[derive(Debug, Serialize)]
pub(super) struct FolderPage {
    pub(super) at: String,
    pub(super) is_empty: bool,
    pub(super) crumbs: Vec<Crumb>,
    pub(super) newest: Option<CommitRow>,
    pub(super) entries: Vec<Entry>,
    pub(super) truncated: bool,
    pub(super) clone_urls: Vec<String>,
    pub(super) readme: Option<Readme>,
}

#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) url: Option<String>,
    pub(super) kind: &'static str,
    pub(super) note: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Readme {
    pub(super) name: String,
    pub(super) text: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FilePage {
    pub(super) at: String,
    pub(super) crumbs: Vec<Crumb>,
    pub(super) size: String,
    pub(super) what: String,
    pub(super) note: String,
    pub(super) raw_url: Option<String>,
    pub(super) history_url: String,
    pub(super) lines: Vec<String>,
}

/// `/projects/KEY/repos/SLUG` leads to its files.
pub(super) async fn root(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    Ok(see_other(&asked.site(&app, &visitor, &found)?.browse_root()))
}

/// A folder or a file: `browse/PATH?at=`, and in the Cloud's form `src/AT/PATH`.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let site = asked.site(&app, &visitor, &found)?;
    let _turn = turn().await;
    let at = at(&asked);
    let path = asked.path().trim_matches('/').to_owned();
    let folder = Path::new(&found.path);
    let name = at.unwrap_or(&found.default_branch).to_owned();
    if at.is_none() && path.is_empty() && is_empty(&app, &found).await {
        return empty(&app, &visitor, &asked, &found, &site).await;
    }
    let revision = asked.revision(&app, &visitor, &found, &name).await?;
    let reader = app.engine().reader();
    let unreadable = |error| asked.unreadable(&app, &visitor, &error);
    let object = reader
        .object_at(folder, &revision.commit, &path)
        .await
        .map_err(unreadable)?;
    let frame = asked
        .frame(
            &app,
            &visitor,
            &title(&found, if path.is_empty() { &name } else { &path }),
        )
        .with_repository(head(State(app.clone()), &found, &site, "Files").await?);
    let shown_at = revision.name.as_ref().map_or_else(
        || revision.commit.abbreviated(shown::SHORT_ID),
        |name| shown::line(name.short()),
    );
    match object {
        Some(object) if object.kind == ObjectKind::Tree => {
            let view = Looking {
                app: &app,
                found: &found,
                site: &site,
                at,
                path: &path,
                commit: &revision.commit,
            };
            let page = view.folder(&object.id, shown_at).await.map_err(unreadable)?;
            Ok(render(StatusCode::OK, "folder.html", &frame, &page))
        }
        Some(object) if object.kind == ObjectKind::Blob => {
            let (content, note) = if object.size > FILE {
                (
                    None,
                    format!("A page shows files of up to {}.", shown::size(FILE)),
                )
            } else {
                let content = reader.blob(folder, &object.id, FILE).await.map_err(unreadable)?;
                (Some(content), String::new())
            };
            let mut page = FilePage {
                at: shown_at,
                crumbs: shown::crumbs(&found.slug, &path, &site, at),
                size: shown::size(object.size),
                what: String::new(),
                note,
                raw_url: Some(site.raw(&path, at)),
                history_url: site.history(&path, at, 0),
                lines: Vec::new(),
            };
            if let Some(content) = content {
                fill(&mut page, &content);
            }
            Ok(render(StatusCode::OK, "file.html", &frame, &page))
        }
        _ => {
            let sentence = format!("{shown_at} has no file or folder {}.", shown::line(&path));
            Err(asked.missing(&app, &visitor, "There is no such file", &sentence))
        }
    }
}

/// The revision that is asked for: in the path of the Cloud's form, else in the query.
pub(super) fn at(asked: &Asked) -> Option<&str> {
    match asked.part("at") {
        "" => asked.query.text("at").filter(|at| !at.is_empty()),
        at => Some(at),
    }
}

async fn is_empty(app: &App, found: &Repository) -> bool {
    let refs = madake_vcs::git::read::refs::list_refs(app.engine().git(), Path::new(&found.path)).await;
    refs.is_ok_and(|refs| refs.refs.is_empty())
}

async fn empty(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    found: &Repository,
    site: &RepositorySite,
) -> Page {
    let frame = asked
        .frame(app, visitor, &title(found, "empty"))
        .with_repository(head(State(app.clone()), found, site, "Files").await?);
    let page = FolderPage {
        at: shown::line(&found.default_branch),
        is_empty: true,
        crumbs: Vec::new(),
        newest: None,
        entries: Vec::new(),
        truncated: false,
        clone_urls: clone_urls(app, found),
        readme: None,
    };
    Ok(render(StatusCode::OK, "folder.html", &frame, &page))
}

/// Where to clone from.
fn clone_urls(app: &App, found: &Repository) -> Vec<String> {
    // Clone addresses are lower case, as Bitbucket Server writes them.
    let path = format!("{}/{}.git", found.owner.to_lowercase(), found.slug.to_lowercase());
    let http = format!("{}/scm/{path}", app.base_url());
    let ssh = app.ssh_address().map(|base| format!("{base}/{path}"));
    [Some(http), ssh].into_iter().flatten().collect()
}

struct Looking<'a> {
    app: &'a App,
    found: &'a Repository,
    site: &'a RepositorySite,
    at: Option<&'a str>,
    path: &'a str,
    commit: &'a ObjectId,
}

impl Looking<'_> {
    async fn folder(
        &self,
        tree: &ObjectId,
        shown_at: String,
    ) -> Result<FolderPage, madake_vcs::git::read::ReadError> {
        let reader = self.app.engine().reader();
        let repository = Path::new(&self.found.path);
        let mut entries = reader.tree(repository, tree).await?;
        let truncated = entries.len() > ENTRIES;
        // Folders first, each kind in git's order.
        entries.sort_by_key(|entry| entry.kind != EntryKind::Folder);
        entries.truncate(ENTRIES);
        let newest = reader
            .page_of_history(repository, self.commit, Some(self.path), 0, 1)
            .await
            // A history that is too long to search is no reason to hide the files.
            .unwrap_or_default();
        let readme = self.readme(&entries).await;
        Ok(FolderPage {
            at: shown_at,
            is_empty: false,
            crumbs: shown::crumbs(&self.found.slug, self.path, self.site, self.at),
            newest: newest
                .commits
                .first()
                .map(|commit| CommitRow::new(commit, self.site)),
            entries: entries.iter().map(|entry| self.entry(entry)).collect(),
            truncated,
            clone_urls: if self.path.is_empty() {
                clone_urls(self.app, self.found)
            } else {
                Vec::new()
            },
            readme,
        })
    }

    fn entry(&self, entry: &TreeEntry) -> Entry {
        let (kind, note) = match entry.kind {
            EntryKind::Folder => ("folder", String::new()),
            EntryKind::File => ("plainfile", String::new()),
            EntryKind::Executable => ("plainfile", "executable".to_owned()),
            EntryKind::Symlink => ("plainfile", "link".to_owned()),
            EntryKind::Submodule => (
                "plainfile",
                format!("submodule at {}", entry.id.abbreviated(shown::SHORT_ID)),
            ),
        };
        // Names that are no text, or have a line feed, cannot be asked for.
        let name = std::str::from_utf8(&entry.name)
            .ok()
            .filter(|name| !name.contains('\n') && entry.kind != EntryKind::Submodule);
        Entry {
            name: shown::line(&entry.name_text()),
            url: name.map(|name| {
                let path = if self.path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{}/{name}", self.path)
                };
                self.site.browse(&path, self.at)
            }),
            kind,
            note,
        }
    }

    async fn readme(&self, entries: &[TreeEntry]) -> Option<Readme> {
        let readme = entries.iter().find(|entry| {
            let name = entry.name_text().to_lowercase();
            let stem = name.split('.').next().unwrap_or_default();
            stem == "readme" && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
        })?;
        let repository = Path::new(&self.found.path);
        let content = self
            .app
            .engine()
            .reader()
            .blob(repository, &readme.id, README)
            .await;
        let content = content.ok().filter(|content| !is_binary(content))?;
        Some(Readme {
            name: shown::line(&readme.name_text()),
            text: shown::several_lines(&String::from_utf8_lossy(&content), 128 * 1024),
        })
    }
}

/// Whether content is not for reading.
pub(super) fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(SNIFFED)].contains(&0)
}

fn fill(page: &mut FilePage, content: &[u8]) {
    if is_binary(content) {
        page.what = "binary".to_owned();
        page.note = "Binary content is not shown.".to_owned();
        return;
    }
    let text = String::from_utf8_lossy(content);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        page.note = "This is not UTF-8: what cannot be read is replaced.".to_owned();
    }
    let count = text.lines().count();
    page.what = match count {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    };
    if count > LINES {
        page.note = format!("A page shows the first {LINES} lines.");
    }
    page.lines = text
        .lines()
        .take(LINES)
        .map(|line| shown::several_lines(line, LINE))
        .collect();
}
