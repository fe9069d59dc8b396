//! What jobs push: tags, branches, and commits in bundles.

use std::path::{Path, PathBuf};
use std::time::Duration;

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
    let scratch = sandbox.path("scratch");
    let pushed = push(&JobPush {
        git: &GitProgram::default(),
        source,
        scratch: &scratch,
        what,
        target: &RefName::parse(name).unwrap(),
        url: &address(target),
        credential: None,
        timeout: PATIENCE,
    });
    assert!(!scratch.exists());
    pushed
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
    assert!(refused.contains("rejected"), "{refused}");
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
    assert!(bundled().is_err());
    assert_eq!(sandbox.ref_in(&target, "refs/heads/master"), Some(other));
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

fn push_to_hg(sandbox: &HgSandbox, source: &Path, target: &Path, what: hg::job_push::Pushed<'_>) {
    let scratch = sandbox.path("scratch");
    let revision = sandbox.revision(source, "default");
    hg::job_push::push(&hg::job_push::JobPush {
        hg: &sandbox.hg,
        source,
        scratch: &scratch,
        revision: &revision,
        what,
        author: "Madake <madake@localhost>",
        url: &address(target),
        credential: None,
        timeout: PATIENCE,
    })
    .unwrap();
    assert!(!scratch.exists());
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
    push_to_hg(&sandbox, &source, &target, hg::job_push::Pushed::Tag("v1"));
    push_to_hg(
        &sandbox,
        &source,
        &target,
        hg::job_push::Pushed::Branch("release-1"),
    );
    let job = clone("job");
    sandbox.commit(&job, &[("a", "2")], "by the job");
    let bundle = sandbox.path("job.bundle");
    sandbox.hg(
        &job,
        &[
            "bundle",
            "--quiet",
            "--base",
            "0",
            "--rev",
            ".",
            bundle.to_str().unwrap(),
        ],
    );
    push_to_hg(&sandbox, &source, &other, hg::job_push::Pushed::Bundle(&bundle));
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
