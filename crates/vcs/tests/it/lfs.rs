//! Files of Git LFS in checkouts, by the real git-lfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_vcs::git::checkout::{CheckoutRequest, checkout};
use madake_vcs::git::lfs::checkout::{FillRequest, fill, find_git_lfs};
use madake_vcs::name::ObjectId;
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

/// A bare repository with a commit of `*.bin` in Git LFS, and the commit.
fn large(sandbox: &Sandbox, files: &[(&str, &str)]) -> (PathBuf, ObjectId) {
    let (bare, work) = (sandbox.path("large.git"), sandbox.path("work"));
    fs::create_dir_all(&work).unwrap();
    sandbox.git(&work, &["init", "--quiet", "--initial-branch=master"]);
    sandbox.git(&work, &["lfs", "install", "--local"]);
    sandbox.git(&work, &["lfs", "track", "*.bin"]);
    let commit = sandbox.commit(&work, files, "large");
    let path = bare.to_str().unwrap();
    sandbox.git(&work, &["init", "--quiet", "--bare", path]);
    sandbox.git(&work, &["push", "--quiet", "--no-verify", path, "master"]);
    // As a server has them that took them.
    fs::create_dir(bare.join("lfs")).unwrap();
    fs::rename(work.join(".git/lfs/objects"), bare.join("lfs/objects")).unwrap();
    (bare, commit)
}

fn checked_out(
    sandbox: &Sandbox,
    source: &Path,
    revision: &ObjectId,
    git_lfs: Option<&Path>,
) -> (PathBuf, Vec<String>) {
    let (git, into) = (GitProgram::default(), sandbox.path("job/work tree"));
    let timeout = Duration::from_secs(60);
    checkout(&CheckoutRequest {
        git: &git,
        source,
        revision,
        branch: None,
        origin: None,
        into: &into,
        administration: &sandbox.path("administration"),
        clean: false,
        timeout,
    })
    .unwrap();
    let request = FillRequest {
        git: &git,
        git_lfs,
        source,
        work_tree: &into,
        administration: &sandbox.path("administration"),
        timeout,
    };
    let lines = fill(&request).unwrap();
    (into, lines)
}

#[test]
fn without_git_lfs_pointers_stay_and_a_line_says_so() {
    let sandbox = Sandbox::new();
    let (bare, commit) = large(
        &sandbox,
        &[("a.bin", "content"), ("b.bin", "more"), ("small", "text")],
    );
    let (into, lines) = checked_out(&sandbox, &bare, &commit, None);
    assert_eq!(
        lines,
        ["Git LFS: 2 files stay pointers, because git-lfs is not installed on this agent: a.bin, b.bin"]
    );
    assert!(
        fs::read_to_string(into.join("a.bin"))
            .unwrap()
            .starts_with("version ")
    );

    // The same folder, once there is one.
    let program = find_git_lfs().expect("git-lfs is installed");
    let (into, lines) = checked_out(&sandbox, &bare, &commit, Some(&program));
    assert_eq!(lines, ["Git LFS: 2 files put in place"]);
    assert_eq!(fs::read_to_string(into.join("a.bin")).unwrap(), "content");
    assert_eq!(fs::read_to_string(into.join("small")).unwrap(), "text");
    assert_eq!(sandbox.git(&into, &["status", "--short"]), "");
}

#[test]
fn content_that_is_not_there_is_asked_of_nobody() {
    let sandbox = Sandbox::new();
    let config = "[lfs]\n\turl = http://127.0.0.1:9/x\n";
    let (bare, commit) = large(
        &sandbox,
        &[("a.bin", "content"), ("b.bin", "more"), (".lfsconfig", config)],
    );
    let lost = "dc3c5a0ef9ee0bbee6ce0ad1b4f6cf5cd5bbf37ff54a3f50e0a9b2c4f5e6d7a8";
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{lost}\nsize 4\n");
    let work = sandbox.path("work");
    let second = sandbox.commit(&work, &[("lost\n.bin", &pointer)], "lost");
    sandbox.git(
        &work,
        &["push", "--quiet", "--no-verify", bare.to_str().unwrap(), "master"],
    );
    let program = find_git_lfs().expect("git-lfs is installed");
    let (into, lines) = checked_out(&sandbox, &bare, &second, Some(&program));
    assert_eq!(
        lines,
        [
            "Git LFS: 2 files put in place",
            "Git LFS: 1 file stays a pointer, because the content is not in the repository: lost .bin"
        ]
    );
    assert_eq!(fs::read_to_string(into.join("b.bin")).unwrap(), "more");
    assert_eq!(fs::read_to_string(into.join("lost\n.bin")).unwrap(), pointer);
    let (_, lines) = checked_out(&sandbox, &bare, &commit, Some(&program));
    assert!(lines.len() < 2, "{lines:?}");
}

#[test]
fn repositories_without_large_files_cost_nothing() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[(".gitattributes", "*.txt text\n"), ("a.bin", "x")]);
    let revision = sandbox.git(&work, &["rev-parse", "HEAD"]);
    let revision = ObjectId::parse(&revision).unwrap();
    let (into, lines) = checked_out(&sandbox, &work.join(".git"), &revision, find_git_lfs().as_deref());
    assert_eq!(lines, Vec::<String>::new());
    let config = fs::read_to_string(into.join(".git/config")).unwrap();
    assert!(!config.contains("lfs"), "{config}");
}

#[test]
fn pointers_that_git_lfs_does_not_follow_keep_no_job_from_its_checkout() {
    let sandbox = Sandbox::new();
    let (bare, _) = large(&sandbox, &[("a.bin", "content"), ("small", "text")]);
    let work = sandbox.path("work");
    let pointer = sandbox.git(&work, &["cat-file", "blob", "master:a.bin"]);
    let id = pointer
        .lines()
        .find_map(|line| line.strip_prefix("oid sha256:"))
        .unwrap();
    let version = "version https://git-lfs.github.com/spec/v1";
    let files = [
        (
            "extended.bin",
            format!("{version}\next-0-evil sha256:{id}\noid sha256:{id}\nsize 7\n"),
        ),
        (
            "twice.bin",
            format!("{version}\noid sha256:{id}\noid sha256:{id}\nsize 7\n"),
        ),
        ("larger.bin", format!("{version}\noid sha256:{id}\nsize 8\n")),
        ("negative.bin", format!("{version}\noid sha256:{id}\nsize -7\n")),
        (
            "path.bin",
            format!("{version}\noid sha256:{}\nsize 7\n", "../".repeat(21) + "x"),
        ),
        (
            "huge.bin",
            format!("{version}\noid sha256:{id}\nsize {}\n", u64::MAX),
        ),
    ];
    // By the index: the clean filter would make proper pointers of them.
    for (name, text) in &files {
        let file = sandbox.path("text");
        fs::write(&file, text).unwrap();
        let blob = sandbox.git(
            &work,
            &["hash-object", "-w", "--no-filters", file.to_str().unwrap()],
        );
        let entry = format!("100644,{blob},{name}");
        sandbox.git(&work, &["update-index", "--add", "--cacheinfo", &entry]);
    }
    sandbox.git(&work, &["commit", "--quiet", "--message", "hostile"]);
    let commit = sandbox.revision(&work, "HEAD");
    sandbox.git(
        &work,
        &["push", "--quiet", "--no-verify", bare.to_str().unwrap(), "master"],
    );
    let objects = madake_vcs::git::lfs::LfsObjects::of(&bare);
    let id = madake_vcs::git::lfs::LfsId::parse(id).unwrap();
    let program = find_git_lfs().expect("git-lfs is installed");
    let (into, lines) = checked_out(&sandbox, &bare, &commit, Some(&program));
    assert_eq!(
        lines,
        [
            "Git LFS: 1 file put in place",
            "Git LFS: 2 files stay pointers, because the content is not in the repository: huge.bin, larger.bin",
            "Git LFS: 1 file stays a pointer, because of the extensions of git-lfs that are needed: extended.bin"
        ]
    );
    assert_eq!(fs::read_to_string(into.join("a.bin")).unwrap(), "content");
    for (name, text) in &files {
        assert_eq!(fs::read_to_string(into.join(name)).unwrap(), *text, "{name}");
    }
    assert_eq!(objects.size_of(&id).unwrap(), Some(7), "the object is as it was");
}

#[test]
fn object_that_git_lfs_does_not_take_leaves_the_pointer_and_a_line() {
    let sandbox = Sandbox::new();
    let (bare, commit) = large(&sandbox, &[("a.bin", "content"), ("b.bin", "more")]);
    // Not git-lfs, and it fails whatever it is asked.
    let program = sandbox.path("git-lfs");
    fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (into, lines) = checked_out(&sandbox, &bare, &commit, Some(&program));
    assert_eq!(
        lines,
        ["Git LFS: 2 files stay pointers, because git-lfs does not put the content in place: a.bin, b.bin"]
    );
    assert!(
        fs::read_to_string(into.join("a.bin"))
            .unwrap()
            .starts_with("version ")
    );
}
