//! Where the files of a run come from: the work tree as it is, and clones of other repositories.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use madake_domain::repository::Scm;
use madake_engine::settings::Settings;
use madake_protocol::JobRepository;
use madake_vcs::git::snapshot::snapshot;
use madake_vcs::process::{GitProgram, HgProgram};

use super::show::remark;
use crate::terminal::{WARN, paint};

/// How long git or hg may take to look at a work tree.
const PATIENCE: Duration = Duration::from_secs(600);

/// The work tree as it is checked out by the jobs.
pub(super) struct Source {
    /// The top folder of the work tree.
    pub(super) top: PathBuf,
    /// What the jobs get.
    pub(super) repository: JobRepository,
    /// What the repository of the jobs borrows from, if anything.
    pub(super) borrows_from: Option<PathBuf>,
    /// Whether changes are part of it that are not committed.
    pub(super) uncommitted: bool,
}

/// The folder with the settings that hg runs with.
pub(super) fn hg_settings(place: &Path) -> PathBuf {
    place.join("hg-settings")
}

/// The work tree that a folder is in.
///
/// # Errors
/// When there is none, or git or hg refuses.
pub(super) fn of_work_tree(
    settings: &Settings,
    folder: &Path,
    place: &Path,
    uncommitted: bool,
) -> anyhow::Result<Source> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("there is no folder {}", folder.display()))?;
    match folder.ancestors().find(|one| one.join(".hg").is_dir()) {
        Some(top)
            if !folder
                .ancestors()
                .take_while(|one| *one != top)
                .any(|one| one.join(".git").exists()) =>
        {
            of_hg(settings, top, place, uncommitted)
        }
        _ => of_git(settings, &folder, &place.join("source.git"), uncommitted),
    }
}

fn of_git(settings: &Settings, folder: &Path, into: &Path, uncommitted: bool) -> anyhow::Result<Source> {
    let taken = snapshot(
        &GitProgram::new(&settings.git),
        folder,
        into,
        uncommitted,
        PATIENCE,
    )?;
    // A work tree without a remote has no address, and git says so by its exit code.
    let remote = GitProgram::new(&settings.git)
        .command("config")
        .directory(&taken.top)
        .timeout(PATIENCE)
        .args(["--get", "remote.origin.url"])
        .run_blocking()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    Ok(Source {
        repository: JobRepository {
            name: hosted_name(remote.trim()).unwrap_or_else(|| name_of(&taken.top)),
            scm: Scm::Git,
            source: taken.source,
            revision: taken.revision.to_string(),
            branch: taken.branch.map(|branch| branch.to_string()).unwrap_or_default(),
            origin: Some(taken.top.display().to_string()),
            is_default: true,
        },
        top: taken.top,
        borrows_from: Some(taken.borrows_from),
        uncommitted: taken.uncommitted,
    })
}

fn of_hg(settings: &Settings, top: &Path, place: &Path, uncommitted: bool) -> anyhow::Result<Source> {
    let hg = HgProgram::new(&settings.hg, &hg_settings(place))?;
    let command = |subcommand| hg.command(subcommand).repository(top).timeout(PATIENCE);
    let parent = command("hg log")
        .args(["--rev", ".", "--template", "{node}\n{branch}\n"])
        .run_blocking()?;
    let parent = String::from_utf8_lossy(&parent.stdout).into_owned();
    let mut lines = parent.lines().map(str::to_owned);
    let revision = lines.next().unwrap_or_default();
    if revision.is_empty() || revision.bytes().all(|byte| byte == b'0') {
        bail!("there is no commit yet in {}", top.display());
    }
    let status = command("hg status").run_blocking()?;
    if uncommitted && !status.stdout.is_empty() {
        remark(&paint(
            WARN,
            "changes of a Mercurial work tree that are not committed are not part of the run",
        ));
    }
    Ok(Source {
        top: top.to_owned(),
        borrows_from: None,
        repository: JobRepository {
            name: name_of(top),
            scm: Scm::Hg,
            source: top.to_owned(),
            revision,
            branch: lines.next().unwrap_or_default(),
            origin: Some(top.display().to_string()),
            is_default: true,
        },
        uncommitted: false,
    })
}

/// The name that a Madake server has for a repository that it serves at this address: `owner/slug`. `None`: it is the
/// address of something else.
fn hosted_name(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/');
    let (served, path) = match scheme {
        "http" | "https" => {
            let at = path
                .find("scm/")
                .filter(|at| *at == 0 || path[..*at].ends_with('/'))?;
            (true, &path[at + "scm/".len()..])
        }
        "ssh" => (false, path),
        _ => return None,
    };
    let (owner, slug) = path.split_once('/')?;
    let name = slug.strip_suffix(".git").unwrap_or(slug);
    let is_plain = !owner.is_empty() && !name.is_empty() && !name.contains('/');
    (is_plain && (served || name != slug)).then(|| format!("{owner}/{name}"))
}

fn name_of(top: &Path) -> String {
    top.file_name()
        .map_or_else(|| "repository".into(), |name| name.to_string_lossy().into_owned())
}

/// Clones of other repositories, as their last commits are.
///
/// # Errors
/// When an argument is not `NAME=DIR`, or its folder is no clone.
pub(super) fn others(settings: &Settings, arguments: &[String], place: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    for (number, argument) in arguments.iter().enumerate() {
        let Some((name, folder)) = argument.split_once('=') else {
            bail!("--repository {argument}: write NAME=DIR");
        };
        let place = place.join(format!("other-{number}"));
        std::fs::create_dir(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut source = of_work_tree(settings, Path::new(folder), &place, false)
            .with_context(|| format!("--repository {name}"))?;
        name.clone_into(&mut source.repository.name);
        source.repository.is_default = false;
        found.push(source);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosted_repositories_are_read_from_their_addresses() {
        for (address, wanted) in [
            ("http://localhost:8085/scm/walk/run.git", Some("walk/run")),
            ("https://ann@ci.example.org/ci/scm/walk/run.git", Some("walk/run")),
            ("ssh://git@ci.example.org:7999/walk/run.git", Some("walk/run")),
            ("https://example.org/group/sub/run.git", None),
            ("https://example.org/scm/a/b/c.git", None),
            ("ssh://git@example.org/srv/git/run.git", None),
            ("git@example.org:walk/run.git", None),
            ("/srv/git/run.git", None),
            ("https://example.org", None),
            ("", None),
        ] {
            assert_eq!(hosted_name(address).as_deref(), wanted, "{address}");
        }
    }
}
