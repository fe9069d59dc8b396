//! Work trees of jobs from Mercurial repositories.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_vcs::hg::checkout::{CheckoutError, CheckoutReport, CheckoutRequest, checkout};
use madake_vcs::name::ObjectId;

use crate::hg_fixture::HgSandbox;

fn run(
    sandbox: &HgSandbox,
    source: &Path,
    revision: &ObjectId,
    clean: bool,
) -> Result<CheckoutReport, CheckoutError> {
    checkout(&CheckoutRequest {
        hg: &sandbox.hg,
        source,
        revision,
        origin: Some("https://example.org/hg/a-b"),
        into: &job(sandbox),
        clean,
        timeout: Duration::from_secs(60),
    })
}

fn job(sandbox: &HgSandbox) -> PathBuf {
    sandbox.path("job/work tree")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".hg")
        .collect();
    names.sort();
    names
}

/// No file of the store of a job is one of the source.
fn assert_nothing_shared(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert_nothing_shared(&entry.path());
        } else {
            assert_eq!(entry.metadata().unwrap().nlink(), 1, "{entry:?}");
        }
    }
}

#[tokio::test]
async fn scripts_find_a_usual_repository_of_their_own() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1"), ("dir/b", "2")]);
    sandbox.hg(&work, &["tag", "v1"]);
    sandbox.hg(&work, &["branch", "-q", "my branch"]);
    let second = sandbox.commit(&work, &[("a", "3")], "second");
    sandbox.hg(&work, &["update", "-q", "default"]);
    sandbox.commit(&work, &[("a", "4")], "elsewhere");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let report = run(&sandbox, &hosted, &second, false).unwrap();
    assert!(!report.reused && report.lines[0].contains(&second.to_string()));
    let job = job(&sandbox);
    assert_eq!(sandbox.hg(&job, &["status"]), "");
    assert_eq!(sandbox.hg(&job, &["branch"]), "my branch");
    assert_eq!(sandbox.revision(&job, "."), second);
    assert_eq!(sandbox.hg(&job, &["log", "-r", ".", "-T", "{latesttag}"]), "v1");
    assert_eq!(
        sandbox.hg(&job, &["paths", "default"]),
        "https://example.org/hg/a-b"
    );
    assert_eq!(fs::read_to_string(job.join("dir/b")).unwrap(), "2");
    assert_nothing_shared(&job.join(".hg"));
    sandbox.commit(&job, &[("made", "by the job")], "in the job");
    sandbox.hg(&job, &["verify", "-q"]);
}

#[tokio::test]
async fn folder_of_the_same_source_is_reused_and_made_exact() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree(
        "work",
        &[("a", "1"), ("gone", "1"), ("same", "1"), ("dir/x", "1")],
    );
    let first = sandbox.revision(&work, ".");
    fs::remove_file(work.join("gone")).unwrap();
    let second = sandbox.commit(&work, &[("a", "2"), ("fresh", "1")], "second");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let job = job(&sandbox);
    run(&sandbox, &hosted, &first, false).unwrap();
    let written = fs::metadata(job.join("same")).unwrap().modified().unwrap();
    fs::write(job.join("a"), "edited by the job").unwrap();
    fs::write(job.join("output.o"), "built").unwrap();
    fs::write(job.join("fresh"), "in the way").unwrap();
    fs::remove_dir_all(job.join("dir")).unwrap();
    // What a job leaves in its repository takes no part in the next build.
    let witness = sandbox.path("witness");
    fs::write(
        job.join(".hg/hgrc"),
        format!("[hooks]\npreupdate = touch {}\n", witness.display()),
    )
    .unwrap();
    sandbox.hg(
        &job,
        &["--config", "hooks.preupdate=", "tag", "--local", "left-over"],
    );
    assert!(run(&sandbox, &hosted, &second, false).unwrap().reused);
    assert_eq!(files(&job), ["a", "dir", "fresh", "output.o", "same"]);
    assert_eq!(fs::read_to_string(job.join("a")).unwrap(), "2");
    assert_eq!(fs::read_to_string(job.join("fresh")).unwrap(), "1");
    assert_eq!(
        fs::metadata(job.join("same")).unwrap().modified().unwrap(),
        written
    );
    assert_eq!(sandbox.hg(&job, &["status"]), "? output.o");
    assert!(!sandbox.hg(&job, &["tags"]).contains("left-over"));
    assert!(!witness.exists());

    assert!(!run(&sandbox, &hosted, &second, true).unwrap().reused);
    assert_eq!(files(&job), ["a", "dir", "fresh", "same"]);
    let other = sandbox.hosted_from("other", &work).await;
    fs::write(job.join("output.o"), "built").unwrap();
    assert!(!run(&sandbox, &other, &second, false).unwrap().reused);
    assert_eq!(files(&job), ["a", "dir", "fresh", "same"]);
}

#[tokio::test]
async fn what_a_job_leaves_in_the_way_is_cleared_away() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, ".");
    let second = sandbox.commit(&work, &[("dir/x", "1"), ("sub/y", "1")], "second");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let (job, outside) = (job(&sandbox), sandbox.path("outside"));
    fs::create_dir(&outside).unwrap();
    for trap in ["link", "nested", "folder", "marker", "store"] {
        run(&sandbox, &hosted, &first, false).unwrap();
        match trap {
            "link" => symlink(&outside, job.join("dir")).unwrap(),
            "nested" => fs::create_dir_all(job.join("sub/.hg")).unwrap(),
            "folder" => fs::create_dir_all(job.join("dir/x/deep")).unwrap(),
            "marker" => {
                let none = "1".repeat(40);
                let text = format!("{}\n{none}\n", hosted.display());
                fs::write(job.join(".hg/madake-checkout"), text).unwrap();
            }
            _ => {
                fs::remove_dir_all(job.join(".hg/store")).unwrap();
                symlink(&outside, job.join(".hg/store")).unwrap();
            }
        }
        run(&sandbox, &hosted, &second, false).unwrap();
        assert_eq!(files(&job), ["a", "dir", "sub"], "{trap}");
        assert_eq!(fs::read_to_string(job.join("dir/x")).unwrap(), "1", "{trap}");
        assert_eq!(files(&outside), [""; 0], "{trap}");
    }
    fs::remove_dir_all(&job).unwrap();
    symlink(&outside, &job).unwrap();
    let error = run(&sandbox, &hosted, &second, false).unwrap_err();
    assert!(matches!(error, CheckoutError::NotAFolder { .. }), "{error}");
    assert_eq!(files(&outside), [""; 0]);
}

#[tokio::test]
async fn files_that_are_no_checkout_stay_and_give_way() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1"), ("dir/b", "2")]);
    let head = sandbox.revision(&work, ".");
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let job = job(&sandbox);
    fs::create_dir_all(job.join("vendor")).unwrap();
    fs::write(job.join("vendor/lib.c"), "checked out before").unwrap();
    fs::write(job.join("a"), "in the way").unwrap();
    let report = run(&sandbox, &hosted, &head, false).unwrap();
    assert!(!report.reused && report.lines[0].ends_with("beside the files that were in the folder"));
    assert_eq!(files(&job), ["a", "dir", "vendor"]);
    assert_eq!(fs::read_to_string(job.join("a")).unwrap(), "1");
    run(&sandbox, &hosted, &head, true).unwrap();
    assert_eq!(files(&job), ["a", "dir"]);
}

#[tokio::test]
async fn missing_commit_is_named() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let missing = ObjectId::parse(&"a".repeat(40)).unwrap();
    // A name that looks like the id stands for nothing.
    sandbox.hg(&work, &["bookmark", "-r", "0", &"a".repeat(40)]);
    let error = run(&sandbox, &work, &missing, false).unwrap_err();
    assert!(matches!(error, CheckoutError::MissingRevision { .. }), "{error}");
}

#[tokio::test]
async fn subrepositories_are_not_followed() {
    let sandbox = HgSandbox::new();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let witness = sandbox.path("witness");
    for source in [
        sandbox.path("elsewhere").display().to_string(),
        format!("[git]ext::sh -c touch% {}", witness.display()),
        format!("ssh://-oProxyCommand=touch {}/x", witness.display()),
    ] {
        let files = [(".hgsub", &*format!("sub = {source}\n")), (".hgsubstate", "")];
        fs::write(work.join(".hgsub"), files[0].1).unwrap();
        let state = format!("{} sub\n", "1".repeat(40));
        fs::write(work.join(".hgsubstate"), state).unwrap();
        let extension = sandbox.path("nosub.py");
        fs::write(
            &extension,
            "from mercurial import subrepoutil\nsubrepoutil.state = lambda ctx, ui: {}\n",
        )
        .unwrap();
        let load = format!("extensions.nosub={}", extension.display());
        sandbox.hg(&work, &["--config", &load, "commit", "-q", "-A", "-m", "sub"]);
        let revision = sandbox.revision(&work, ".");
        run(&sandbox, &work, &revision, false).unwrap();
        let job = job(&sandbox);
        assert_eq!(fs::read_to_string(job.join(".hgsub")).unwrap(), files[0].1);
        assert!(!job.join("sub").exists() && !witness.exists());
    }
}

#[tokio::test]
async fn paths_that_reach_out_of_the_folder_or_into_its_repository_are_refused() {
    let sandbox = HgSandbox::new();
    let script = sandbox.path("craft.py");
    fs::write(&script, CRAFT).unwrap();
    let load = format!("extensions.craft={}", script.display());
    for (number, path) in [
        "../escaped",
        "dir/../../escaped",
        ".hg/hgrc",
        ".HG/hgrc",
        "sub/.hg/hgrc",
        "/tmp/madake-escaped",
    ]
    .into_iter()
    .enumerate()
    {
        let work = sandbox.work_tree(&format!("work-{number}"), &[("a", "1")]);
        sandbox.hg(&work, &["--config", &load, "craft", path]);
        let revision = sandbox.revision(&work, "tip");
        let before = files(&sandbox.path(""));
        let outcome = run(&sandbox, &work, &revision, true);
        let error = outcome.expect_err(path).to_string();
        assert!(
            error.contains("path") || error.contains("unsafe"),
            "{path}: {error}"
        );
        let job = job(&sandbox);
        let settings = fs::read_to_string(job.join(".hg/hgrc")).unwrap_or_default();
        assert!(!settings.contains("evil"), "{path}");
        assert!(!job.join("../escaped").exists() && !Path::new("/tmp/madake-escaped").exists());
        let after: Vec<_> = files(&sandbox.path(""))
            .into_iter()
            .filter(|name| name != "job")
            .collect();
        assert_eq!(
            after,
            before
                .into_iter()
                .filter(|name| name != "job")
                .collect::<Vec<_>>()
        );
    }
}

/// Commits a file under a path that no client would take.
const CRAFT: &str = r"
from mercurial import context, registrar
cmdtable = {}
command = registrar.command(cmdtable)
@command(b'craft', [], b'PATH')
def craft(ui, repo, path):
    def content(repo, ctx, name):
        return context.memfilectx(repo, ctx, name, b'evil\n')
    made = context.memctx(repo, (repo[b'tip'].node(), None), b'evil', [path], content, user=b'evil')
    with repo.lock():
        made.commit()
";
