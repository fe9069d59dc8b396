//! Hosted Mercurial repositories, and configuration that must not count.

use std::path::Path;
use std::sync::Arc;

use madake_vcs::hg::host::{HostError, create_repository, identity, recover};
use madake_vcs::hg::serve::Access;
use madake_vcs::hg::version;
use madake_vcs::process::HgProgram;

use crate::fixture::write_script;
use crate::hg_fixture::{HgSandbox, Keeper, serve_http, service};

#[tokio::test]
async fn version_of_the_program_is_judged() {
    let sandbox = HgSandbox::new();
    let found = version(&sandbox.hg)
        .await
        .expect("these tests need Mercurial 6.1 or later");
    assert!(found.starts_with(|digit: char| digit.is_ascii_digit()), "{found}");
    for (says, good) in [
        ("6.1", true),
        ("6.3.2+5-abc", true),
        ("7.0", true),
        ("6.0.3", false),
        ("5.9", false),
        ("unknown", false),
    ] {
        let path = sandbox.path("other-hg");
        write_script(&path, &format!("#!/bin/sh\nprintf %s '{says}'\n"));
        let program = HgProgram::new(&path, &sandbox.path("settings")).unwrap();
        assert_eq!(version(&program).await.is_ok(), good, "{says}");
    }
}

#[tokio::test]
async fn repository_appears_as_a_whole_and_only_once() {
    let sandbox = HgSandbox::new();
    let path = sandbox.path("deep/er/--config=x");
    create_repository(&sandbox.hg, &path).await.unwrap();
    assert!(path.join(".hg/store").is_dir());
    let again = create_repository(&sandbox.hg, &path).await.unwrap_err();
    assert!(matches!(again, HostError::Exists { .. }), "{again}");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(identity(&sandbox.hg, &path).await.unwrap(), None);
    let work = sandbox.work_tree("work", &[("a", "1")]);
    sandbox.commit(&work, &[("a", "2")], "second");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    assert_eq!(
        identity(&sandbox.hg, &hosted).await.unwrap(),
        Some(sandbox.revision(&work, "0"))
    );
    assert_eq!(std::fs::read_dir(&hosted).unwrap().count(), 1, "no working files");
}

#[test]
fn settings_folder_whose_path_would_be_read_otherwise_is_refused() {
    let sandbox = HgSandbox::new();
    for name in ["a:b", "a$HOME", "a\nb", "%include x", "ends with space "] {
        let error = HgProgram::new("hg", &sandbox.path(name)).unwrap_err();
        assert!(error.to_string().contains("choose another"), "{error}");
    }
    assert!(HgProgram::new("hg", Path::new("relative")).is_err());
}

/// Puts a hook, an alias, an extension and a subrepository into a repository; each would leave a witness.
fn make_hostile(sandbox: &HgSandbox, repository: &Path) {
    let witness = sandbox.path("witness");
    let extension = sandbox.path("evil.py");
    std::fs::write(&extension, format!("open({witness:?}, 'w').close()\n")).unwrap();
    let touch = format!("touch {}", witness.display());
    let mut text = format!("[extensions]\nevil = {}\n[alias]\n", extension.display());
    for command in [
        "log",
        "serve",
        "status",
        "cat",
        "files",
        "pull",
        "update",
        "madake-http",
    ] {
        text += &format!("{command} = !{touch}\n");
    }
    text += "[hooks]\n";
    for hook in [
        "pre-log",
        "pre-serve",
        "pretxnopen",
        "txnclose",
        "changegroup",
        "preupdate",
        "pre-cat",
        "outgoing",
    ] {
        text += &format!("{hook} = {touch}\n");
    }
    text += &format!("[ui]\nssh = {touch}\n[diff-tools]\n[extdiff]\ncmd.diff = {touch}\n");
    std::fs::write(repository.join(".hg/hgrc"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_inside_a_repository_never_counts() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted", &work).await;
    make_hostile(&sandbox, &hosted);
    let witness = sandbox.path("witness");
    // The bait is good: a plain hg takes it.
    sandbox.try_hg(&hosted, &["log"]);
    assert!(witness.exists());
    std::fs::remove_file(&witness).unwrap();

    let reader = sandbox.reader();
    let heads = reader.heads(&hosted).await.unwrap();
    let tip = heads.branch("default").unwrap().id;
    assert!(reader.file_at(&hosted, &tip, "a", 100).await.unwrap().is_some());
    reader.changed_paths(&hosted, None, &tip, 10).await.unwrap();
    reader.patch(&hosted, None, &tip, 1000).await.unwrap();
    identity(&sandbox.hg, &hosted).await.unwrap();
    recover(&sandbox.hg, &hosted).await.unwrap();
    let keeper = Arc::new(Keeper::default());
    let address = serve_http(
        service(&sandbox.hg),
        hosted.clone(),
        Access::Write,
        Arc::clone(&keeper),
    )
    .await;
    sandbox.commit(&work, &[("a", "2")], "second");
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(pushed, "{text}");
    assert_eq!(keeper.reports().len(), 1);
    let into = sandbox.path("job");
    let report = madake_vcs::hg::checkout::checkout(&madake_vcs::hg::checkout::CheckoutRequest {
        hg: &sandbox.hg,
        source: &hosted,
        revision: &tip,
        origin: None,
        into: &into,
        clean: false,
        timeout: std::time::Duration::from_secs(60),
    });
    report.unwrap();
    make_hostile(&sandbox, &into);
    assert!(!witness.exists());
}

#[tokio::test]
async fn server_without_its_extension_lets_nothing_through() {
    let sandbox = HgSandbox::new();
    let hosted = sandbox.hosted("hosted").await;
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let settings = sandbox.path("settings");
    std::fs::write(settings.join("madake.py"), "raise ImportError('broken')\n").unwrap();
    let bundle = sandbox.path("bundle");
    sandbox.hg(&work, &["bundle", "--all", bundle.to_str().unwrap()]);
    let mut command = sandbox.client(&hosted, &["unbundle", bundle.to_str().unwrap()]);
    command
        .env("HGRCPATH", settings.join("serve.rc"))
        .env("HGRCSKIPREPO", "1");
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = crate::hg_fixture::text_of(&output);
    assert!(said.contains("pretxnopen.madake hook exited"), "{said}");
    assert_eq!(sandbox.hg(&hosted, &["log", "-T", "{node}"]), "");
}
