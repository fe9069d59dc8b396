//! What jobs push: tags, branches, and commits in bundles.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_vcs::announce::{Announce, Announcement};
use madake_vcs::git::job_push::{JobPush, JobPushError, Pushed, push};
use madake_vcs::hg;
use madake_vcs::name::{ObjectId, RefName};
use madake_vcs::process::GitProgram;
use madake_vcs::url::{RepositoryUrl, UrlPolicy};

use crate::fixture::Sandbox;
use crate::hg_fixture::HgSandbox;

const PATIENCE: Duration = Duration::from_secs(60);

fn address(path: &Path) -> RepositoryUrl {
    let policy = UrlPolicy {
        allow_local_paths: true,
        allow_private_hosts: false,
    };
    RepositoryUrl::parse(path.to_str().unwrap(), policy).unwrap()
}

fn push_to(
    sandbox: &Sandbox,
    source: &Path,
    target: &Path,
    what: Pushed<'_>,
    name: &str,
) -> Result<(), JobPushError> {
    let built = match what {
        Pushed::Revision(revision) => *revision,
        Pushed::Bundle(_) => sandbox.ref_in(source, "refs/heads/master").unwrap(),
    };
    push_telling(sandbox, (source, target), what, name, &built).0
}

/// Pushes, and gives what was told of it.
fn push_telling(
    sandbox: &Sandbox,
    (source, target): (&Path, &Path),
    what: Pushed<'_>,
    name: &str,
    built: &ObjectId,
) -> (Result<(), JobPushError>, Vec<String>) {
    let (scratch, told) = (sandbox.path("scratch"), RefCell::default());
    let pushed = push(&JobPush {
        git: &GitProgram::default(),
        source,
        scratch: &scratch,
        what,
        built,
        target: &RefName::parse(name).unwrap(),
        hosted: false,
        url: &address(target),
        credential: None,
        announce: Announce::to(&|one| note(&told, one)),
        timeout: PATIENCE,
    });
    assert!(!scratch.exists());
    (pushed, told.into_inner())
}

fn note(told: &RefCell<Vec<String>>, one: &Announcement<'_>) -> std::io::Result<()> {
    told.borrow_mut().push(match one {
        Announcement::Push { name, revision, onto } => {
            let onto = onto.map_or(String::new(), |onto| format!(" onto {onto}"));
            format!("{name} to {revision}{onto}")
        }
        Announcement::Refused { name, revision } => format!("{name} not to {revision}"),
    });
    Ok(())
}

#[tokio::test]
async fn revisions_become_tags_and_branches_that_are_not_moved_again() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, "HEAD");
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    let source = sandbox.hosted_from("source.git", &work).await;
    let target = sandbox.hosted_from("target.git", &work).await;
    let tag = |revision: &ObjectId| {
        push_to(
            &sandbox,
            &source,
            &target,
            Pushed::Revision(revision),
            "refs/tags/v1",
        )
    };
    tag(&first).unwrap();
    assert_eq!(sandbox.ref_in(&target, "refs/tags/v1"), Some(first));
    let refused = tag(&second).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!("the tag v1 is there already, at {first}; tags are not moved")
    );
    assert_eq!(sandbox.ref_in(&target, "refs/tags/v1"), Some(first));
    push_to(
        &sandbox,
        &source,
        &target,
        Pushed::Revision(&second),
        "refs/heads/release/1",
    )
    .unwrap();
    assert_eq!(sandbox.ref_in(&target, "refs/heads/release/1"), Some(second));
}

#[tokio::test]
async fn file_that_leads_to_another_repository_is_no_bundle() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let source = sandbox.hosted_from("source.git", &work).await;
    let target = sandbox.hosted_from("target.git", &work).await;
    let secret = sandbox.work_tree("secret", &[("plans", "of somebody else")]);
    let secret = sandbox.hosted_from("secret.git", &secret).await;
    let bundle = sandbox.path("job.bundle");
    for text in [
        format!("gitdir: {}\n", secret.display()),
        "# v2 git bundl".into(),
        String::new(),
    ] {
        std::fs::write(&bundle, text).unwrap();
        let pushed = push_to(
            &sandbox,
            &source,
            &target,
            Pushed::Bundle(&bundle),
            "refs/heads/stolen",
        );
        assert!(matches!(pushed, Err(JobPushError::NotABundle)), "{pushed:?}");
        assert_eq!(sandbox.ref_in(&target, "refs/heads/stolen"), None);
    }
}

#[tokio::test]
async fn commits_of_a_bundle_move_a_branch_forward_and_never_back() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let built = sandbox.revision(&work, "HEAD");
    let source = sandbox.hosted_from("source.git", &work).await;
    let target = sandbox.hosted_from("target.git", &work).await;
    let made = sandbox.commit(&work, &[("a", "2")], "by the job");
    let bundle = sandbox.path("job.bundle");
    let not_built = format!("^{built}");
    sandbox.git(
        &work,
        &["bundle", "create", bundle.to_str().unwrap(), "HEAD", &not_built],
    );
    let bundled = || {
        push_to(
            &sandbox,
            &source,
            &target,
            Pushed::Bundle(&bundle),
            "refs/heads/master",
        )
    };
    bundled().unwrap();
    assert_eq!(sandbox.ref_in(&target, "refs/heads/master"), Some(made));
    let other = sandbox.commit(&work, &[("a", "3")], "by somebody else");
    sandbox.git(
        &work,
        &["push", "--quiet", target.to_str().unwrap(), "HEAD:master"],
    );
    assert_eq!(
        bundled().unwrap_err().to_string(),
        format!("nothing is pushed: master has moved to {other} meanwhile, which the commits do not follow")
    );
    assert_eq!(sandbox.ref_in(&target, "refs/heads/master"), Some(other));
}

#[tokio::test]
async fn what_others_pushed_meanwhile_is_told_with_the_push_and_a_refusal_takes_it_back() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let built = sandbox.revision(&work, "HEAD");
    let source = sandbox.hosted_from("source.git", &work).await;
    let target = sandbox.hosted_from("target.git", &work).await;
    let (bundle, master) = (sandbox.path("job.bundle"), "refs/heads/master");
    let bundle_of = |revisions: &str| {
        sandbox.git(
            &work,
            &["bundle", "create", bundle.to_str().unwrap(), "HEAD", revisions],
        );
    };
    let push = |what, name| push_telling(&sandbox, (&source, &target), what, name, &built);
    let pushed = |what, name| {
        let (pushed, told) = push(what, name);
        pushed.unwrap();
        told
    };
    assert_eq!(
        pushed(Pushed::Revision(&built), "refs/tags/v1"),
        [format!("refs/tags/v1 to {built}")]
    );
    // It is there already, and who put it there is not known.
    assert!(pushed(Pushed::Revision(&built), "refs/tags/v1").is_empty());
    let first = sandbox.commit(&work, &[("a", "2")], "by the job");
    bundle_of(&format!("^{built}"));
    assert_eq!(
        pushed(Pushed::Bundle(&bundle), master),
        [format!("{master} to {first}")]
    );
    let theirs = sandbox.commit(&work, &[("b", "1")], "by somebody else");
    sandbox.git(
        &work,
        &["push", "--quiet", target.to_str().unwrap(), "HEAD:master"],
    );
    let merged = sandbox.commit(&work, &[("a", "3")], "by the job, on what it pulled");
    bundle_of(&format!("^{built}"));
    assert_eq!(
        pushed(Pushed::Bundle(&bundle), master),
        [format!("{master} to {merged} onto {theirs}")]
    );
    sandbox.git(&work, &["reset", "--quiet", "--hard", first.to_string().as_str()]);
    let late = sandbox.commit(&work, &[("a", "4")], "too late");
    bundle_of(&format!("^{built}"));
    let (refused, told) = push(Pushed::Bundle(&bundle), master);
    assert!(
        matches!(refused, Err(JobPushError::NotMoved { .. })),
        "{refused:?}"
    );
    assert_eq!(
        told,
        [
            format!("{master} to {late} onto {merged}"),
            format!("{master} not to {late}")
        ]
    );
}

#[tokio::test]
async fn what_is_no_bundle_is_refused() {
    let sandbox = Sandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let source = sandbox.hosted_from("source.git", &work).await;
    let bundle = sandbox.path("job.bundle");
    // The path of a repository in its place would be read as one.
    std::fs::write(&bundle, "ext::sh -c id").unwrap();
    let refused = push_to(
        &sandbox,
        &source,
        &source,
        Pushed::Bundle(&bundle),
        "refs/heads/x",
    );
    assert!(refused.is_err());
    assert_eq!(sandbox.ref_in(&source, "refs/heads/x"), None);
}

/// A push of a build of the first commit, of what a job made since in a clone.
fn push_to_hg(
    sandbox: &HgSandbox,
    repositories: (&Path, &Path),
    what: hg::job_push::Pushed<'_>,
    made_in: Option<&Path>,
) -> Result<(), hg::job_push::JobPushError> {
    push_to_hg_telling(sandbox, repositories, what, made_in).0
}

/// The same, with what was told of it.
fn push_to_hg_telling(
    sandbox: &HgSandbox,
    repositories: (&Path, &Path),
    what: hg::job_push::Pushed<'_>,
    made_in: Option<&Path>,
) -> (Result<(), hg::job_push::JobPushError>, Vec<String>) {
    let (source, target) = repositories;
    let (scratch, told) = (sandbox.path("scratch"), RefCell::default());
    let bundle = sandbox.path("job.bundle");
    let built = sandbox.revision(source, "0");
    if let Some(job) = made_in {
        let bundle = bundle.to_str().unwrap();
        sandbox.hg(job, &["bundle", "--quiet", "--base", "0", "--rev", ".", bundle]);
    }
    let pushed = hg::job_push::push(&hg::job_push::JobPush {
        hg: &sandbox.hg,
        source,
        scratch: &scratch,
        built: &built,
        revision: &made_in.map_or(built, |job| sandbox.revision(job, ".")),
        bundle: made_in.map(|_| &*bundle),
        what,
        author: "Madake <madake@localhost>",
        hosted: false,
        url: &address(target),
        credential: None,
        announce: Announce::to(&|one| note(&told, one)),
        timeout: PATIENCE,
    });
    assert!(!scratch.exists());
    (pushed, told.into_inner())
}

/// Tags and commits of a build, in turns; `source` is the copy that the server has of the repository.
fn push_in_turns(source: &str, target: &str) {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    for name in BTreeSet::from([source, target, "job"]) {
        let path = sandbox.path(name);
        sandbox.hg(&work, &["clone", "--quiet", ".", path.to_str().unwrap()]);
    }
    let (source, target, job) = (sandbox.path(source), sandbox.path(target), sandbox.path("job"));
    let push = |what, made_in| push_to_hg(&sandbox, (&source, &target), what, made_in).unwrap();
    push(hg::job_push::Pushed::Tag("v1"), None);
    push(hg::job_push::Pushed::Tag("v2"), None);
    let made = sandbox.commit(&job, &[("a", "2")], "by the job");
    push(hg::job_push::Pushed::Commits, Some(&job));
    push(hg::job_push::Pushed::Tag("v3"), Some(&job));
    let heads = sandbox.hg(&target, &["heads", "default", "--template", "{node}\n"]);
    assert_eq!(heads.lines().count(), 1, "{heads}");
    let built = sandbox.revision(&job, "0");
    let tags = sandbox.hg(&target, &["tags", "--template", "{tag} {node}\n"]);
    for (name, id) in [("v1", built), ("v2", built), ("v3", made)] {
        let line = format!("{name} {id}");
        assert!(tags.lines().any(|one| one == line), "{line}\n{tags}");
    }
    assert_eq!(sandbox.hg(&target, &["cat", "--rev", "default", "a"]), "2");
}

#[tokio::test]
async fn tags_of_a_mercurial_build_stand_in_the_way_of_nothing_that_it_pushes() {
    push_in_turns("hosted", "hosted");
}

#[tokio::test]
async fn tags_that_the_copy_of_a_linked_repository_lacks_stand_in_nobodys_way_either() {
    push_in_turns("copy", "linked");
}

#[tokio::test]
async fn commits_of_somebody_else_keep_those_of_a_mercurial_build_out() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let clone = |name: &str| -> PathBuf {
        let path = sandbox.path(name);
        sandbox.hg(&work, &["clone", "--quiet", ".", path.to_str().unwrap()]);
        path
    };
    let (target, job, other) = (clone("target"), clone("job"), clone("other"));
    sandbox.commit(&job, &[("a", "2")], "by the job");
    sandbox.commit(&other, &[("b", "1")], "by somebody else");
    sandbox.hg(&other, &["push", "--quiet", target.to_str().unwrap()]);
    let theirs = sandbox.revision(&other, ".").to_string();
    let push = |job: &Path| {
        push_to_hg_telling(
            &sandbox,
            (&work, &target),
            hg::job_push::Pushed::Commits,
            Some(job),
        )
    };
    let (refused, told) = push(&job);
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "nothing is pushed: the branch has moved to {theirs} meanwhile, which the commits do not follow"
        )
    );
    assert_eq!(sandbox.revision(&target, "tip").to_string(), theirs);
    let made = sandbox.revision(&job, ".");
    let taken_back = format!("refs/heads/default not to {made}");
    assert_eq!(told, [format!("refs/heads/default to {made}"), taken_back]);
    // A job that pulls what the server has not seen yet, and pushes on top of it.
    sandbox.hg(&other, &["update", "--quiet", &theirs]);
    let merged = sandbox.commit(&other, &[("a", "3")], "by a job that pulled");
    let (pushed, told) = push(&other);
    pushed.unwrap();
    assert_eq!(told, [format!("refs/heads/default to {merged} onto {theirs}")]);
    // A merge without conflicts has no files of its own: what it brings is in the commits of the other branch.
    sandbox.hg(&other, &["branch", "--quiet", "feature"]);
    sandbox.commit(&other, &[("c", "1")], "a feature");
    sandbox.hg(&other, &["update", "--quiet", "default"]);
    sandbox.hg(&other, &["merge", "--quiet", "feature"]);
    let merge = sandbox.commit(&other, &[], "a merge");
    sandbox.hg(
        &other,
        &["push", "--quiet", "--new-branch", target.to_str().unwrap()],
    );
    let on_top = sandbox.commit(&other, &[("a", "4")], "by a job that pulled the merge");
    let (pushed, told) = push(&other);
    pushed.unwrap();
    assert_eq!(told, [format!("refs/heads/default to {on_top} onto {merge}")]);
}

#[tokio::test]
async fn mercurial_gets_tags_branches_and_bundles() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let clone = |name: &str| -> PathBuf {
        sandbox.hg(
            &work,
            &["clone", "--quiet", ".", sandbox.path(name).to_str().unwrap()],
        );
        sandbox.path(name)
    };
    let (source, target, other) = (clone("source"), clone("target"), clone("other"));
    let push = |target: &Path, what, made_in| {
        push_to_hg(&sandbox, (&source, target), what, made_in).unwrap();
    };
    push(&target, hg::job_push::Pushed::Tag("v1"), None);
    push(&target, hg::job_push::Pushed::Branch("release-1"), None);
    let job = clone("job");
    sandbox.commit(&job, &[("a", "2")], "by the job");
    push(&other, hg::job_push::Pushed::Commits, Some(&job));
    let log = |folder: &Path| sandbox.hg(folder, &["log", "--template", "{branch}: {desc}\n"]);
    let log = format!("{}{}", log(&target), log(&other));
    for line in [
        "default: by the job",
        "release-1: Begin the branch release-1",
        "default: Added tag v1",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}
