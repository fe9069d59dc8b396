//! Which commit a checkout is at now, after what the job did in it.
//!
//! The files are read that say so, and nothing is run: the configuration of the checkout is the job's, and the image that
//! the job runs in need not have git.

use std::io::{self, Read as _};
use std::path::Path;

use madake_domain::repository::Scm;
use madake_vcs::name::{ObjectId, RefName};

use crate::artifact::open_file;

/// The most that is read of a file, in bytes; one with all refs is the longest.
const MOST_READ: u64 = 16 << 20;

/// How the newer form of Mercurial's file begins.
const SECOND_DIRSTATE: &[u8] = b"dirstate-v2\n";

/// The length of a commit's id in Mercurial, in bytes.
const HG_ID: usize = 20;

/// The commit that a checkout is at; `None` where that cannot be told, or there is none.
pub(super) fn commit(folder: &Path, scm: Scm) -> Option<ObjectId> {
    match scm {
        Scm::Git => git_commit(folder),
        Scm::Hg => hg_commit(folder),
    }
}

fn git_commit(folder: &Path) -> Option<ObjectId> {
    let head = text(folder, ".git/HEAD")?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return ObjectId::parse(head.trim()).ok();
    };
    let name = RefName::parse(name).ok()?;
    if let Some(loose) = text(folder, &format!(".git/{name}")) {
        return ObjectId::parse(loose.trim()).ok();
    }
    let packed = text(folder, ".git/packed-refs")?;
    let found = packed.lines().find_map(|line| {
        let (id, packed_name) = line.split_once(' ')?;
        (packed_name == name.as_str()).then_some(id)
    })?;
    ObjectId::parse(found).ok()
}

fn hg_commit(folder: &Path) -> Option<ObjectId> {
    let state = read(folder, ".hg/dirstate").ok()?;
    let parents = state.strip_prefix(SECOND_DIRSTATE).unwrap_or(&state);
    let id = ObjectId::from_raw(parents.get(..HG_ID)?).ok()?;
    (!id.is_zero()).then_some(id)
}

fn text(folder: &Path, name: &str) -> Option<String> {
    String::from_utf8(read(folder, name).ok()?).ok()
}

fn read(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(folder, name)?.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env("HOME", folder)
            .env("HGPLAIN", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn found(folder: &Path, scm: Scm) -> Option<String> {
        commit(folder, scm).map(|id| id.to_string())
    }

    #[test]
    fn commit_of_a_git_checkout_is_found_on_a_branch_packed_and_detached() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        assert_eq!(found(folder, Scm::Git), None);
        let git = |arguments: &[&str]| {
            let known = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
            run(folder, "git", &[&known, arguments].concat())
        };
        git(&["init", "--quiet"]);
        assert_eq!(found(folder, Scm::Git), None, "no commit yet");
        git(&["commit", "--quiet", "--allow-empty", "--message=one"]);
        let first = git(&["rev-parse", "HEAD"]);
        assert_eq!(found(folder, Scm::Git), Some(first.clone()));
        git(&["pack-refs", "--all"]);
        assert_eq!(found(folder, Scm::Git), Some(first.clone()));
        git(&["commit", "--quiet", "--allow-empty", "--message=two"]);
        let second = git(&["rev-parse", "HEAD"]);
        assert_eq!(found(folder, Scm::Git), Some(second.clone()));
        git(&["checkout", "--quiet", "--detach", &first]);
        assert_eq!(found(folder, Scm::Git), Some(first));
        for hostile in [
            "ref: ../../secret",
            "ref: refs/heads/../../../secret",
            "nonsense",
            "",
        ] {
            std::fs::write(folder.join(".git/HEAD"), hostile).unwrap();
            assert_eq!(found(folder, Scm::Git), None, "{hostile}");
        }
    }

    #[test]
    fn commit_of_a_mercurial_checkout_is_found_in_both_forms() {
        for form in ["0", "1"] {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path();
            let setting = format!("format.use-dirstate-v2={form}");
            let hg = |arguments: &[&str]| {
                let known = [
                    "--config",
                    &setting,
                    "--config",
                    "storage.dirstate-v2.slow-path=allow",
                    "--config",
                    "ui.username=A",
                ];
                run(folder, "hg", &[arguments, &known].concat())
            };
            hg(&["init"]);
            assert_eq!(found(folder, Scm::Hg), None);
            std::fs::write(folder.join("a"), "1").unwrap();
            hg(&["commit", "--quiet", "--addremove", "--message", "one"]);
            let id = hg(&["log", "--rev", ".", "--template", "{node}"]);
            assert_eq!(found(folder, Scm::Hg), Some(id), "{form}");
        }
    }
}
