//! What is answered without git, beside what git answers.

use std::path::{Path, PathBuf};

use madake_vcs::git::read::{GitReader, PoolLimits};
use madake_vcs::git::smart_http::front::{Front, Question};
use madake_vcs::git::smart_http::{Service, advertise, upload_pack};
use madake_vcs::process::GitProgram;

use crate::fixture::Sandbox;

const VERSION: Option<&str> = Some("version=2");

fn front() -> Front {
    Front::new(GitReader::new(GitProgram::default(), PoolLimits::for_git()))
}

fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn asked(arguments: &[&str]) -> Vec<u8> {
    let mut body = packet("command=ls-refs\n") + &packet("object-format=sha1") + "0001";
    for argument in arguments {
        body += &packet(&format!("{argument}\n"));
    }
    (body + "0000").into_bytes()
}

/// Asks both, and expects one answer; says whether ours came without git.
async fn compare(repository: &Path, arguments: &[&str]) -> bool {
    let body = asked(arguments);
    let ours = front().list(repository, Question::parse(&body).unwrap()).await;
    let mut theirs = Vec::new();
    upload_pack(
        &GitProgram::default(),
        repository,
        VERSION,
        &body[..],
        &mut theirs,
    )
    .await
    .unwrap();
    if let Some(ours) = &ours {
        assert_eq!(
            String::from_utf8_lossy(ours),
            String::from_utf8_lossy(&theirs),
            "{arguments:?}"
        );
    }
    ours.is_some()
}

/// A repository with branches, light and annotated tags, some of them packed, and hidden refs.
async fn various(sandbox: &Sandbox) -> PathBuf {
    let work = sandbox.work_tree("work", &[("a", "1")]);
    for arguments in [
        &["tag", "light"][..],
        &["tag", "-a", "-m", "one", "packed"],
        &["tag", "-a", "-m", "two", "of-a-tag", "packed"],
        &["branch", "topic/deep/one"],
        &["branch", "topic-two"],
    ] {
        sandbox.git(&work, arguments);
    }
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    sandbox.git(&hosted, &["pack-refs", "--all"]);
    sandbox.commit(&work, &[("a", "2")], "second");
    for arguments in [
        &["tag", "-a", "-m", "three", "loose"][..],
        &["tag", "later"],
        &["branch", "topic/deep/two"],
        &["branch", "--force", "topic-two"],
    ] {
        sandbox.git(&work, arguments);
    }
    sandbox.git(&work, &["push", "--quiet", "--mirror", hosted.to_str().unwrap()]);
    sandbox.git(
        &hosted,
        &["update-ref", "refs/madake/keep/1", "refs/heads/master"],
    );
    hosted
}

#[tokio::test]
async fn refs_are_listed_as_git_lists_them() {
    let sandbox = Sandbox::new();
    let hosted = various(&sandbox).await;
    for arguments in [
        &[][..],
        &["peel", "symrefs", "unborn"],
        &["symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/"],
        &["peel", "ref-prefix refs/tags/"],
        &["ref-prefix refs/heads/topic"],
        &["ref-prefix refs/heads/topic/deep/two"],
        &["ref-prefix refs/madake/"],
        &["ref-prefix nothing"],
    ] {
        assert!(compare(&hosted, arguments).await, "{arguments:?} was left to git");
    }
    sandbox.git(
        &hosted,
        &["update-ref", "--no-deref", "HEAD", "refs/heads/topic-two"],
    );
    assert!(compare(&hosted, &["peel", "symrefs"]).await);
}

#[tokio::test]
async fn what_is_not_understood_is_left_to_git() {
    let sandbox = Sandbox::new();
    let hosted = various(&sandbox).await;
    sandbox.git(
        &hosted,
        &["symbolic-ref", "refs/heads/alias", "refs/heads/master"],
    );
    assert!(!compare(&hosted, &["symrefs"]).await, "a symbolic branch");
    let empty = sandbox.hosted("empty.git").await;
    assert!(!compare(&empty, &["unborn", "symrefs"]).await, "no branch yet");
    let including = sandbox
        .hosted_from("including.git", &sandbox.work_tree("other", &[("a", "1")]))
        .await;
    sandbox.git(&including, &["config", "include.path", "more"]);
    assert!(!compare(&including, &[]).await, "an included configuration");
}

#[tokio::test]
async fn abilities_are_told_from_memory_until_the_configuration_changes() {
    let sandbox = Sandbox::new();
    let hosted = various(&sandbox).await;
    let front = front();
    let told = async |service, version| front.advertise(&hosted, service, version).await.unwrap();
    let git = async |service, version| {
        advertise(&GitProgram::default(), &hosted, service, version)
            .await
            .unwrap()
    };
    for _ in 0..2 {
        for (service, version) in [
            (Service::UploadPack, VERSION),
            (Service::UploadPack, None),
            (Service::ReceivePack, VERSION),
        ] {
            assert_eq!(told(service, version).await, git(service, version).await);
        }
    }
    let before = told(Service::UploadPack, VERSION).await;
    sandbox.git(&hosted, &["config", "uploadpack.allowFilter", "false"]);
    let after = told(Service::UploadPack, VERSION).await;
    assert_ne!(before, after);
    assert_eq!(after, git(Service::UploadPack, VERSION).await);
}
