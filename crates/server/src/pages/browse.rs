//! Folders and files.

use axum::extract::State;
use http::StatusCode;
use madake_domain::repository::Scm;
use madake_engine::EngineError;
use madake_engine::ops::read_files::{AtPath, Entry as FolderEntry, FolderAt};
use madake_engine::ops::read_repository::{ReadableRepository, WantedLog};
use madake_store::repository::Repository;
use madake_vcs::git::read::EntryKind;
use madake_vcs::name::ObjectId;
use serde::Serialize;

use super::address::RepositorySite;
use super::asked::{Asked, Name, Page};
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
    Ok(see_other(
        &asked.site(&app, &visitor, found.repository())?.browse_root(),
    ))
}

/// A folder or a file: `browse/PATH?at=`, and in the Cloud's form `src/AT/PATH`.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let found = asked.repository(&app, &visitor).await?;
    let site = asked.site(&app, &visitor, found.repository())?;
    let _turn = turn().await;
    let at = at(&asked);
    let path = asked.path().trim_matches('/').to_owned();
    let unreadable = |error| asked.unreadable(&app, &visitor, &error);
    if at.is_none() && path.is_empty() && found.is_empty().await.map_err(unreadable)? {
        return empty(&app, &visitor, &asked, found.repository(), &site).await;
    }
    let revision = asked.revision(&app, &visitor, &found, Name::of(at)).await?;
    let object = found.at(&revision.id, &path).await.map_err(unreadable)?;
    let name = at.unwrap_or(&found.repository().default_branch);
    let shown_title = title(found.repository(), if path.is_empty() { name } else { &path });
    let frame = asked
        .frame(&app, &visitor, &shown_title)
        .with_repository(head(State(app.clone()), found.repository(), &site, "Files").await?);
    let shown_at = revision.short.as_ref().map_or_else(
        || revision.id.abbreviated(shown::SHORT_ID),
        |name| shown::line(name),
    );
    match object {
        Some(AtPath::Folder(folder)) => {
            let view = Looking {
                app: &app,
                found: &found,
                site: &site,
                at,
                path: &path,
                commit: &revision.id,
            };
            let page = view.folder(&folder, shown_at).await.map_err(unreadable)?;
            Ok(render(StatusCode::OK, "folder.html", &frame, &page))
        }
        Some(AtPath::File(file)) => {
            let (content, note) = if file.size > FILE {
                (
                    None,
                    format!("A page shows files of up to {}.", shown::size(FILE)),
                )
            } else {
                let content = found.content(&file, FILE).await.map_err(unreadable)?;
                (Some(content), String::new())
            };
            let mut page = FilePage {
                at: shown_at,
                crumbs: shown::crumbs(&found.repository().slug, &path, &site, at),
                size: shown::size(file.size),
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
        Some(AtPath::Submodule) | None => {
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
    let path = format!("{}/{}", found.owner.to_lowercase(), found.slug.to_lowercase());
    let (http, ending) = match found.scm {
        Scm::Git => ("scm", ".git"),
        Scm::Hg => ("hg", ""),
    };
    let http = format!("{}/{http}/{path}{ending}", app.base_url());
    let ssh = app.ssh_address().map(|base| format!("{base}/{path}{ending}"));
    [Some(http), ssh].into_iter().flatten().collect()
}

struct Looking<'a> {
    app: &'a App,
    found: &'a ReadableRepository,
    site: &'a RepositorySite,
    at: Option<&'a str>,
    path: &'a str,
    commit: &'a ObjectId,
}

impl Looking<'_> {
    async fn folder(&self, folder: &FolderAt, shown_at: String) -> Result<FolderPage, EngineError> {
        let mut entries = self.found.folder(folder).await?;
        let truncated = entries.len() > ENTRIES;
        // Folders first, each kind in the order of the system.
        entries.sort_by_key(|entry| entry.kind != EntryKind::Folder);
        entries.truncate(ENTRIES);
        let wanted = WantedLog {
            path: Some(self.path.to_owned()),
            limit: 1,
            ..WantedLog::default()
        };
        let newest = self
            .found
            .history(self.commit, &wanted)
            .await
            // A history that is too long to search is no reason to hide the files.
            .unwrap_or_default();
        let readme = self.readme(&entries).await;
        Ok(FolderPage {
            at: shown_at,
            is_empty: false,
            crumbs: shown::crumbs(&self.found.repository().slug, self.path, self.site, self.at),
            newest: newest
                .commits
                .first()
                .map(|commit| CommitRow::new(commit, self.site)),
            entries: entries.iter().map(|entry| self.entry(entry)).collect(),
            truncated,
            clone_urls: if self.path.is_empty() {
                clone_urls(self.app, self.found.repository())
            } else {
                Vec::new()
            },
            readme,
        })
    }

    fn entry(&self, entry: &FolderEntry) -> Entry {
        let (kind, note) = match entry.kind {
            EntryKind::Folder => ("folder", String::new()),
            EntryKind::File => ("plainfile", String::new()),
            EntryKind::Executable => ("plainfile", "executable".to_owned()),
            EntryKind::Symlink => ("plainfile", "link".to_owned()),
            EntryKind::Submodule => (
                "plainfile",
                entry.id.map_or_else(String::new, |id| {
                    format!("submodule at {}", id.abbreviated(shown::SHORT_ID))
                }),
            ),
        };
        // Names that are no text, or have a line feed, cannot be asked for.
        let name = std::str::from_utf8(&entry.name)
            .ok()
            .filter(|name| !name.contains('\n') && entry.kind != EntryKind::Submodule);
        Entry {
            name: shown::line(&entry.name_text()),
            url: name.map(|name| self.site.browse(&self.below(name), self.at)),
            kind,
            note,
        }
    }

    /// The path of an entry.
    fn below(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        }
    }

    async fn readme(&self, entries: &[FolderEntry]) -> Option<Readme> {
        let readme = entries.iter().find(|entry| {
            let name = entry.name_text().to_lowercase();
            let stem = name.split('.').next().unwrap_or_default();
            stem == "readme" && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
        })?;
        let path = self.below(std::str::from_utf8(&readme.name).ok()?);
        let Some(AtPath::File(file)) = self.found.at(self.commit, &path).await.ok()? else {
            return None;
        };
        let content = self.found.content(&file, README).await;
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
