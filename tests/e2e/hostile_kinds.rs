//! Hostile repositories that are not pushed to over HTTP (hostile-inputs.md G1, G3 to G8, G11, G12): attached ones whose
//! owner may write to their configuration, linked ones, and pushes over SSH. `hostile_git` has those over HTTP.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use madake_testkit::{Server, ServerOptions, WorkTree, git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::hostile_support::{calls, ledger, settled, watched};
use crate::plan_files::one_job;
use crate::ssh::{key, register, ssh, start};

/// A server that looks often, as pushes to attached and linked repositories are told by nobody here.
async fn looking() -> Server {
    Server::start_with(ServerOptions {
        configuration: "[repositories]\npoll-seconds = 1\nreconcile-seconds = 1\n".into(),
        ..ServerOptions::default()
    })
    .await
}

/// Brings a bare repository to the server in one of two ways.
fn bring(server: &Server, kind: &str, bare: &Path) {
    let path = bare.to_str().expect("text");
    let name = if kind == "attach" { "PROJ/app" } else { "app" };
    server.madake(&["repo", kind, name, path]);
}

/// Waits until the plan file is in force.
async fn planned(server: &Server) {
    wait_for("the plan", || async {
        let asked = server.request(Method::GET, "/rest/api/latest/plan/PROJ-PLAN");
        let found = asked.send().await.expect("an answer").status().is_success();
        found.then_some(())
    })
    .await;
}

/// A commit on `parent` whose tree has one more entry, which git itself would not make.
fn crafted(bare: &Path, parent: &str, kind: &str, object: &str, name: &str) -> String {
    let made = Command::new("sh")
        .args([
            "-c",
            "{ git ls-tree \"$1^{tree}\"; printf '%s %s\\t%s\\n' \"$2\" \"$3\" \"$4\"; } | git mktree",
            "sh",
            parent,
            kind,
            object,
            name,
        ])
        .current_dir(bare)
        .output()
        .expect("a tree");
    let tree = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(!tree.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
    git(bare, &["commit-tree", "-m", "crafted", "-p", parent, &tree])
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("runnable");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_g1_are_not_attached() {
    let (server, seen, _git) = watched("").await;
    let plain = server.scratch().join("plain");
    std::fs::create_dir_all(&plain).expect("a folder");
    let before = calls(&seen).lines().count();
    for path in [
        "-oProxyCommand=x",
        "--upload-pack=x",
        "ext::sh -c id",
        "file:///etc",
        "/etc",
        "../relative",
        "relative",
        "/nowhere/at/all",
        "http://host/x.git",
        "",
        "/dev/null",
        plain.to_str().expect("text"),
    ] {
        let answer = server
            .request(Method::POST, "/rest/madake/1.0/repositories/attach")
            .json(&json!({ "name": "PROJ/app", "path": path }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 400, "{path}");
    }
    assert_eq!(calls(&seen).lines().count(), before, "no process was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_configuration_g5_of_attached_and_linked_repositories_runs_nothing() {
    for kind in ["attach", "link"] {
        let server = looking().await;
        let marker = server.scratch().join("executed");
        let evil = server.scratch().join("evil.sh");
        script(&evil, &format!("touch '{}'; exit 1", marker.display()));
        let touch = evil.to_str().expect("text");
        let configuration = format!(
            "[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n\thooksPath = hooks\n\
             [filter \"evil\"]\n\tsmudge = {touch}\n\tclean = {touch}\n\trequired = true\n"
        );
        let bare = server.scratch().join("origin.git");
        let work = WorkTree::with_bare(&bare);
        let _ = work.push(
            "master",
            &[
                ("bamboo-specs/bamboo.yml", &one_job("git status\ncat data", "")),
                (".gitattributes", "* filter=evil diff=evil\n"),
                (".gitconfig", &configuration),
                ("config", &configuration),
                ("data", "as it was\n"),
                ("hooks/post-checkout", &format!("#!/bin/sh\n{touch}\n")),
            ],
        );
        // Who may write to the folder of an attached repository may write to its configuration and hooks.
        for (name, value) in [
            ("core.fsmonitor", touch),
            ("core.sshCommand", touch),
            ("core.pager", touch),
            ("core.editor", touch),
            ("core.alternateRefsCommand", touch),
            ("core.gitProxy", touch),
            ("diff.external", touch),
            ("diff.evil.textconv", touch),
            ("diff.evil.command", touch),
            ("filter.evil.smudge", touch),
            ("filter.evil.clean", touch),
            ("filter.evil.process", touch),
            ("filter.evil.required", "true"),
            ("uploadpack.packObjectsHook", touch),
            ("credential.helper", touch),
            ("gpg.program", touch),
            ("log.showSignature", "true"),
            ("lfs.url", "http://127.0.0.1:9/evil"),
        ] {
            git(&bare, &["config", name, value]);
        }
        for hook in [
            "post-checkout",
            "reference-transaction",
            "pre-auto-gc",
            "post-index-change",
            "fsmonitor-watchman",
            "post-update",
        ] {
            script(&bare.join("hooks").join(hook), touch);
        }
        bring(&server, kind, &bare);
        planned(&server).await;
        // Pushing runs hooks of the repository, by whoever pushes: the marker counts from then on.
        let commit = git(
            &bare,
            &[
                "-c",
                "core.hooksPath=/dev/null",
                "commit-tree",
                "-m",
                "second",
                "-p",
                "master",
                "master^{tree}",
            ],
        );
        std::fs::write(bare.join("refs/heads/master"), format!("{commit}\n")).expect("a ref");
        let _ = std::fs::remove_file(&marker);
        let results = wait_for("a build of it", || async {
            let results = server.ended("PROJ-PLAN", 0).await;
            (results.first()?["vcsRevisionKey"] == commit.as_str()).then_some(results)
        })
        .await;
        assert_eq!(results[0]["state"], "Successful", "{kind}");
        let number = results[0]["number"].to_string();
        let said = server.madake(&["build", "log", &format!("PROJ-PLAN-{number}")]);
        assert!(said.contains("as it was"), "{kind}: {said}");
        if kind == "attach" {
            let copy = server.scratch().join("copy");
            git(
                &server.scratch(),
                &[
                    "clone",
                    "--quiet",
                    &server.clone_url("PROJ/app"),
                    copy.to_str().expect("text"),
                ],
            );
            for path in [
                "/rest/madake/1.0/repositories",
                "/rest/api/1.0/projects/PROJ/repos/app/commits",
                "/rest/api/1.0/projects/PROJ/repos/app/changes?until=master",
                "/rest/api/1.0/projects/PROJ/repos/app/diff/data?until=master",
                "/rest/api/1.0/projects/PROJ/repos/app/browse/data",
            ] {
                let answer = server.request(Method::GET, path).send().await.expect("an answer");
                assert!(answer.status().as_u16() < 500, "{path}");
            }
        }
        assert!(!marker.exists(), "{kind}: something of the repository was run");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trees_g3_and_g4_of_attached_and_linked_repositories_reach_nothing() {
    for kind in ["attach", "link"] {
        let server = looking().await;
        let bare = server.scratch().join("origin.git");
        let work = WorkTree::with_bare(&bare);
        let marker = server.scratch().join("executed");
        let good = work.push(
            "master",
            &[
                (
                    "bamboo-specs/bamboo.yml",
                    &one_job("ls -a; cat .git/config; git submodule status || true", ""),
                ),
                ("hook", &format!("#!/bin/sh\ntouch '{}'\n", marker.display())),
            ],
        );
        bring(&server, kind, &bare);
        let first = server.ended("PROJ-PLAN", 0).await.len();
        let modules = server.scratch().join("modules");
        let address = format!("ext::touch% {}", marker.display());
        std::fs::write(
            &modules,
            format!("[submodule \"x\"]\n\tpath = sub\n\turl = {address}\n"),
        )
        .expect("a file");
        let modules = git(
            &bare,
            &[
                "hash-object",
                "-w",
                "--no-filters",
                modules.to_str().expect("text"),
            ],
        );
        let blob = git(&bare, &["rev-parse", "master:hook"]);
        let folder = git(&bare, &["rev-parse", "master:bamboo-specs"]);
        let link = server.scratch().join("link");
        std::fs::write(&link, ".git").expect("a file");
        let link = git(
            &bare,
            &["hash-object", "-w", "--no-filters", link.to_str().expect("text")],
        );
        for (mode, object, name) in [
            ("100755 blob", &blob, ".GIT"),
            ("040000 tree", &folder, ".git"),
            ("120000 blob", &link, ".Git"),
            ("040000 tree", &folder, "git~1"),
            ("100644 blob", &modules, ".gitmodules"),
        ] {
            let evil = crafted(&bare, &good, mode, object, name);
            git(&bare, &["update-ref", "refs/heads/master", &evil]);
            // Seen, and either refused with a reason or inert; the server goes on either way.
            wait_for("the look", || async {
                let told = server.log().contains("PROJ-PLAN")
                    && (server.log().contains(name)
                        || server.log().contains("hasDot")
                        || server.log().contains("gitmodules"));
                let built = server.results("PROJ-PLAN").await.iter().any(|result| {
                    result["vcsRevisionKey"] == evil.as_str() && result["lifeCycleState"] == "Finished"
                });
                (told || built).then_some(())
            })
            .await;
            assert!(!marker.exists(), "{kind} {name}: it was run");
        }
        let next = git(
            &bare,
            &[
                "commit-tree",
                "-m",
                "good again",
                "-p",
                &good,
                "-p",
                "master",
                &format!("{good}^{{tree}}"),
            ],
        );
        // Without the evil ones in its history: a linked repository has never fetched them.
        let next = if kind == "link" {
            git(
                &bare,
                &[
                    "commit-tree",
                    "-m",
                    "good again",
                    "-p",
                    &good,
                    &format!("{good}^{{tree}}"),
                ],
            )
        } else {
            next
        };
        git(&bare, &["update-ref", "refs/heads/master", &next]);
        let results = wait_for("a build of what is good", || async {
            let results = server.ended("PROJ-PLAN", first).await;
            results
                .into_iter()
                .find(|result| result["vcsRevisionKey"] == next.as_str())
        })
        .await;
        assert_eq!(results["state"], "Successful", "{kind}");
        assert!(!marker.exists(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_g6_and_g7_of_attached_and_linked_repositories_stay_data() {
    for kind in ["attach", "link"] {
        let server = looking().await;
        let bare = server.scratch().join("origin.git");
        let work = WorkTree::with_bare(&bare);
        let plan = one_job(
            "printf '%s\\n' \"$bamboo_planRepository_branch\"",
            "branches:\n  create: for-new-branch\n",
        );
        let first = work.push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
        bring(&server, kind, &bare);
        planned(&server).await;
        settled(&server).await;
        let marker = server.scratch().join("executed");
        let shell = format!("$(touch${{IFS}}{})", marker.display()).replace("//", "/");
        let names = [
            "-option",
            "HEAD",
            "refs/heads/master",
            "Feature",
            "feature",
            &shell,
        ];
        for (number, name) in names.iter().enumerate() {
            let tip = git(
                &bare,
                &[
                    "commit-tree",
                    "-m",
                    &number.to_string(),
                    "-p",
                    &first,
                    &format!("{first}^{{tree}}"),
                ],
            );
            // By the file: git itself refuses to make some of these, and reads them all.
            let path = bare.join("refs/heads").join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, format!("{tip}\n")).expect("a ref");
        }
        for name in ["Feature", "feature"] {
            let tip = git(&bare, &["rev-parse", &format!("refs/heads/{name}")]);
            wait_for(&format!("a build of {name}"), || async {
                for branch in 0..6 {
                    for result in server.results(&format!("PROJ-PLAN{branch}")).await {
                        if result["vcsRevisionKey"] == tip.as_str() && result["state"] == "Successful" {
                            return Some(());
                        }
                    }
                }
                None
            })
            .await;
        }
        settled(&server).await;
        assert!(!marker.exists(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_host_g8_that_says_nothing_keeps_no_other_repository_waiting() {
    let server = looking().await;
    let mut there = Server::start().await;
    let work = there.hosted("LIB/lib");
    let _ = work.push("master", &[("x", "1")]);
    let triggers = "triggers:\n  - polling: 1\n";
    let url = format!("{}/scm/lib/lib.git", there.url());
    let _ = work.push(
        "master",
        &[(
            "bamboo-specs/bamboo.yml",
            &one_job("true", triggers).replace("key: PLAN", "key: LIB"),
        )],
    );
    server.madake_with_input(
        &[
            "repo",
            "link",
            "lib",
            &url,
            "--username",
            "admin",
            "--password-stdin",
        ],
        madake_testkit::PASSWORD,
    );
    let bare = server.scratch().join("origin.git");
    let near = WorkTree::with_bare(&bare);
    let _ = near.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("true", triggers))],
    );
    server.madake(&["repo", "link", "near", bare.to_str().expect("text")]);
    settled(&server).await;
    there.kill();
    let listener = TcpListener::bind(there.url().replace("http://", ""))
        .await
        .expect("its port");
    let (mut connection, _) = listener.accept().await.expect("a look");
    let mut request = [0; 1024];
    let read = connection.read(&mut request).await.expect("a request");
    assert!(String::from_utf8_lossy(&request[..read]).contains("/scm/lib/lib.git/info/refs"));
    let commit = near.push("master", &[("x", "2")]);
    wait_for("a build of the other", || async {
        let results = server.results("PROJ-PLAN").await;
        results
            .iter()
            .any(|result| result["vcsRevisionKey"] == commit.as_str() && result["state"] == "Successful")
            .then_some(())
    })
    .await;
    drop(connection);
}

fn git_as(key: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSH_COMMAND", ssh(key))
        .output()
        .expect("git is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_pushes_over_ssh_are_refused_as_over_http_g3_g4_g7_and_g11() {
    let server = start().await;
    let made = server.madake(&["repo", "create", "PROJ/app", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let url = made["sshUrl"].as_str().expect("an address for SSH");
    let owner: PathBuf = key(&server, "owner", "ed25519");
    register(&server, &owner, &["--user", "admin"]);
    let work = WorkTree::new(server.scratch().join("work"), url);
    let good = work.commit("first", &[("x", "1")]);
    let push = |arguments: &[&str]| git_as(&owner, &work.path, &[&["push"], arguments].concat());
    assert!(push(&["--quiet", "origin", "master"]).status.success());
    settled(&server).await;
    let before = ledger(&server).await.len();

    let folder = work.path.join(".git");
    let blob = git(&work.path, &["rev-parse", "master:x"]);
    let modules = server.scratch().join("modules");
    std::fs::write(
        &modules,
        "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n",
    )
    .expect("a file");
    let modules = git(
        &work.path,
        &[
            "hash-object",
            "-w",
            "--no-filters",
            modules.to_str().expect("text"),
        ],
    );
    for (object, name) in [(&blob, ".GIT"), (&blob, "git~1"), (&modules, ".gitmodules")] {
        let evil = crafted(&folder, &good, "100644 blob", object, name);
        let pushed = push(&["origin", &format!("{evil}:refs/heads/evil")]);
        assert!(!pushed.status.success(), "{name}");
    }
    for name in [
        "refs/heads/-bad",
        "refs/heads/HEAD",
        "refs/heads/refs/heads/x",
        "refs/madake/mine",
    ] {
        assert!(
            !push(&["origin", &format!("master:{name}")]).status.success(),
            "{name}"
        );
    }
    settled(&server).await;
    assert_eq!(
        ledger(&server).await.len(),
        before,
        "nothing moved, nothing is entered"
    );
    assert_eq!(
        git(
            &server.scratch(),
            &["ls-remote", "--heads", &server.clone_url("PROJ/app")]
        )
        .lines()
        .count(),
        1
    );

    let hostile = "a=b;c $(touch owned) --exec=x";
    assert!(
        push(&["-o", hostile, "-o", "second", "origin", "master:topic"])
            .status
            .success()
    );
    settled(&server).await;
    let entry = ledger(&server).await.remove(0);
    assert_eq!(entry["content"]["options"], json!([hostile, "second"]), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_g12_of_attached_and_linked_repositories_are_rendered_inert() {
    let hostile = "good\u{1b}[2J\u{1b}]52;c;eA==\u{7}\rforged\u{8}\u{8} <script>x</script>";
    for kind in ["attach", "link"] {
        let server = looking().await;
        let bare = server.scratch().join("origin.git");
        let work = WorkTree::with_bare(&bare);
        let _ = work.push(
            "master",
            &[("bamboo-specs/bamboo.yml", &one_job("echo built", ""))],
        );
        bring(&server, kind, &bare);
        planned(&server).await;
        settled(&server).await;
        std::fs::write(work.path.join("x"), "1").expect("a file");
        git(&work.path, &["add", "x"]);
        let author = "Eve\u{1b}[31m\u{8} <eve\u{7}@example.org>";
        git(
            &work.path,
            &[
                "commit",
                "--quiet",
                "--cleanup=verbatim",
                "--author",
                author,
                "-m",
                hostile,
            ],
        );
        git(&work.path, &["push", "--quiet", "origin", "master"]);
        let tip = git(&work.path, &["rev-parse", "HEAD"]);
        let number = wait_for("a build of it", || async {
            let results = server.ended("PROJ-PLAN", 1).await;
            results
                .iter()
                .find(|result| result["vcsRevisionKey"] == tip.as_str())
                .map(|result| result["number"].to_string())
        })
        .await;
        let path =
            format!("/rest/api/latest/result/PROJ-PLAN-{number}?expand=changes.change.files,comments,labels");
        let xml = server
            .request(Method::GET, &path)
            .header("accept", "application/xml")
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a body");
        for said in [
            xml,
            server.madake(&["why", "PROJ-PLAN"]),
            server.madake(&["events"]),
            server.madake(&["build", "status", &format!("PROJ-PLAN-{number}")]),
            server.log(),
        ] {
            let control = said
                .chars()
                .find(|one| one.is_control() && !matches!(one, '\n' | '\t'));
            assert_eq!(control, None, "{kind}: {said:?}");
            assert!(!said.contains("<script>x"), "{kind}: {said}");
        }
    }
}
