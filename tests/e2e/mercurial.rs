//! Mercurial from outside, with the real hg: hosted over HTTP and SSH, attached with the hook, linked and polled.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use madake_testkit::{HgClone, PASSWORD, Server, ServerOptions, hg, try_hg, wait_for};
use serde_json::{Value, json};

use crate::hostile_support::{decided, last_refusal, ledger, refusals, settled, user};
use crate::plan_files::one_job;
use crate::{ssh, telling};

const SPECS: &str = "bamboo-specs/bamboo.yml";

/// The refs of an entry of the ledger, name to new value.
fn refs(entry: &Value) -> Vec<(String, Value)> {
    let list = entry["content"]["refs"].as_array().expect("a list of refs");
    list.iter()
        .map(|one| {
            (
                one["ref"].as_str().expect("a name").to_owned(),
                one["new"].clone(),
            )
        })
        .collect()
}

/// The newest push of the ledger, decided.
async fn last_push(server: &Server) -> Value {
    settled(server).await;
    let pushes = ledger(server).await;
    let push = pushes.iter().find(|entry| entry["kind"] == "push");
    let id = push.expect("a push")["id"].as_i64().expect("a number");
    decided(server, id).await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn push_over_http_is_built_at_its_revision_and_explained() {
    let server = Server::start().await;
    let made = server.madake(&["repo", "create", "PROJ/lib", "--scm", "hg", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(
        (&made["scm"], &made["defaultBranch"], &made["cloneUrl"]),
        (
            &json!("hg"),
            &json!("default"),
            &json!(format!("{}/hg/proj/lib", server.url()))
        )
    );
    let ran = server.scratch().join("ran");
    let script = format!(
        "hg log -r . -T '{{node}} {{branch}}\\n' >> '{0}'\nhg paths default >> '{0}'\n\
         echo \"$bamboo_planRepository_type $bamboo_planRepository_branch\" >> '{0}'",
        ran.display()
    );
    let url = server.hg_url("PROJ/lib", "admin", PASSWORD);
    let clone = HgClone::of(&url, server.scratch().join("work"));
    let first = clone.commit("with a plan", &[(SPECS, &one_job(&script, "")), ("a", "1")]);
    hg(&clone.path, &["tag", "1.0"]);
    let second = clone.tip();
    hg(&clone.path, &["push", "--quiet"]);

    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], second.as_str());
    assert_eq!(results[0]["state"], "Successful");
    let said = std::fs::read_to_string(&ran).expect("the job ran");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{second} default").as_str(),
            &format!("{}/hg/proj/lib", server.url()),
            "hg default",
        ]
    );

    let entry = last_push(&server).await;
    assert_eq!(
        (&entry["principal"], &entry["content"]["via"]),
        (&json!("admin"), &json!("http"))
    );
    assert_eq!(
        refs(&entry),
        [
            ("refs/heads/default".to_owned(), json!(second)),
            ("refs/tags/1.0".to_owned(), json!(first)),
        ]
    );
    let why = server.madake(&["why", "PROJ-PLAN", &second]);
    assert!(why.contains("PROJ-PLAN-1") && why.contains("default"), "{why}");

    // What is pushed comes back, also to somebody else, and a second build says what is new in it.
    let third = clone.push("a change", &[("a", "2")]);
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], third.as_str());
    let changes = wait_for("the commits of the build", || async {
        let result = server
            .get("/rest/api/latest/result/PROJ-PLAN-2?expand=changes.change.files")
            .await;
        let changes = result["changes"].clone();
        (changes["size"] == 1).then_some(changes)
    })
    .await;
    let change = &changes["change"][0];
    assert_eq!(
        (&change["changesetId"], &change["files"]["file"][0]["name"]),
        (&json!(third), &json!("a")),
        "{change}"
    );
    user(&server, "ann", "a password for ann");
    let other = server.hg_url("PROJ/lib", "ann", "a%20password%20for%20ann");
    let target = server.scratch().join("ann");
    let before = refusals(&server).await;
    assert!(
        !try_hg(Path::new("/"), &["clone", "-q", &other, text(&target)])
            .status
            .success()
    );
    assert_eq!(refusals(&server).await, before + 1);
    let grant = [
        "permission",
        "grant",
        "repository",
        "PROJ/lib",
        "READ",
        "--user",
        "ann",
    ];
    server.madake(&grant);
    let ann = HgClone::of(&other, target);
    assert_eq!(ann.tip(), third);
    let _ = ann.commit("not allowed", &[("a", "3")]);
    let before = refusals(&server).await;
    assert!(!try_hg(&ann.path, &["push", "-q"]).status.success());
    assert_eq!(refusals(&server).await, before + 1);
    let refusal = last_refusal(&server).await;
    assert!(refusal["reason"].to_string().contains("WRITE"), "{refusal}");
    assert_eq!(server.results("PROJ-PLAN").await.len(), 2);

    // Each system says where the other's clients have come to.
    let wrong = format!("{}/scm/proj/lib.git/info/refs?service=git-upload-pack", "");
    let answer = server
        .request(reqwest::Method::GET, &wrong)
        .send()
        .await
        .expect("an answer");
    let (status, body) = (answer.status(), answer.text().await.expect("a body"));
    assert!(status == 404 && body.contains("/hg/proj/lib"), "{status} {body}");
    // A person who opens it sees the files; what is no request of hg is told so.
    for (path, status, told) in [
        ("/hg/proj/lib", 200, "bamboo-specs"),
        ("/hg/proj/lib?x=1", 400, "hg clone"),
    ] {
        let answer = server
            .request(reqwest::Method::GET, path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.expect("a body");
        assert!(text.contains(told), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_branches_and_bookmarks_become_plan_branches() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let plan = one_job(
        "echo \"built $bamboo_planRepository_branch\"",
        "branches:\n  create: for-new-branch\n",
    );
    let _ = clone.push("a plan", &[(SPECS, &plan)]);
    server.ended("PROJ-PLAN", 1).await;

    hg(&clone.path, &["branch", "--quiet", "feature login"]);
    let named = clone.push("a named branch", &[("a", "1")]);
    let results = server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], named.as_str());
    let branches = server.get("/rest/api/latest/plan/PROJ-PLAN/vcsBranches").await;
    assert!(branches.to_string().contains("feature login"), "{branches}");
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1, "default did not move");

    hg(&clone.path, &["bookmark", "idea"]);
    let marked = clone.commit("a bookmark", &[("b", "1")]);
    hg(&clone.path, &["push", "--quiet", "--bookmark", "idea"]);
    let results = server.ended("PROJ-PLAN1", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], marked.as_str());
    let push = last_push(&server).await;
    assert_eq!(
        refs(&push),
        [
            ("refs/heads/feature%20login".to_owned(), json!(marked)),
            ("refs/bookmarks/idea".to_owned(), json!(marked)),
        ]
    );
    let log = server.madake(&["build", "log", "PROJ-PLAN1-1"]);
    assert!(log.contains("built idea"), "{log}");

    // A bookmark with the name of a branch takes nothing over.
    hg(&clone.path, &["update", "--quiet", "default"]);
    hg(&clone.path, &["bookmark", "--force", "default"]);
    // 1 says that there was no commit to push.
    let pushed = try_hg(&clone.path, &["push", "--quiet", "--bookmark", "default"]);
    assert!(matches!(pushed.status.code(), Some(0 | 1)), "{pushed:?}");
    let push = last_push(&server).await;
    assert_eq!(refs(&push)[0].0, "refs/bookmarks/default");
    assert_eq!(server.results("PROJ-PLAN").await.len(), 1);
    let bookmark_moved = clone.push("on default", &[("c", "1")]);
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], bookmark_moved.as_str());
    settled(&server).await;
    assert_eq!(
        server.results("PROJ-PLAN").await.len(),
        2,
        "once, not once more for the bookmark"
    );

    // Closing a branch takes its ref away.
    hg(&clone.path, &["update", "--quiet", "feature login"]);
    hg(
        &clone.path,
        &["commit", "--quiet", "--close-branch", "-m", "done"],
    );
    hg(&clone.path, &["push", "--quiet"]);
    let push = last_push(&server).await;
    assert!(
        refs(&push).contains(&("refs/heads/feature%20login".to_owned(), Value::Null)),
        "{push}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_are_filtered_out_are_not_built() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let filter = "repositories:\n  - PROJ/lib:\n      scope: project\n      change-detection:\n        \
                  file-filter-type: exclude_all\n        file-filter-pattern: 'docs/.*'\n";
    let _ = clone.push("a plan", &[(SPECS, &one_job("echo built", filter))]);
    server.ended("PROJ-PLAN", 1).await;
    let docs = clone.push("words", &[("docs/a", "1")]);
    settled(&server).await;
    let why = server.madake(&["why", "PROJ-PLAN", &docs]);
    assert!(why.contains("docs/a") && why.contains("not built"), "{why}");
    let code = clone.push("code", &[("src/a", "1")]);
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], code.as_str());
}

pub(crate) fn hg_as(key: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new("hg")
        .args(["--config", &format!("ui.ssh={}", ssh::ssh(key))])
        .args(arguments)
        .current_dir(folder)
        .env("HGRCPATH", "")
        .env("HGPLAIN", "1")
        .env("HGUSER", "Joe Doe <joe@example.org>")
        .output()
        .expect("hg is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn push_over_ssh_becomes_a_build_and_a_reading_key_pushes_nothing() {
    let server = ssh::start().await;
    let made = server.madake(&["repo", "create", "PROJ/lib", "--scm", "hg", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let url = made["sshUrl"].as_str().expect("an address for SSH");
    assert!(
        url.starts_with("ssh://hg@127.0.0.1:") && url.ends_with("/proj/lib"),
        "{url}"
    );
    let (writer, reader) = (
        ssh::key(&server, "writer", "ed25519"),
        ssh::key(&server, "reader", "ed25519"),
    );
    ssh::register(&server, &writer, &["--user", "admin"]);
    ssh::register(&server, &reader, &["--repository", "PROJ/lib"]);

    let (work, copy) = (server.scratch().join("work"), server.scratch().join("copy"));
    let output = hg_as(&writer, Path::new("/"), &["clone", "-q", url, text(&work)]);
    assert!(output.status.success(), "{output:?}");
    let work = HgClone { path: work };
    let commit = work.commit("a plan", &[(SPECS, &one_job("echo built", ""))]);
    let output = hg_as(&writer, &work.path, &["push", "-q"]);
    assert!(output.status.success(), "{output:?}");
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    let entry = last_push(&server).await;
    assert_eq!(
        (&entry["principal"], &entry["content"]["via"]),
        (&json!("admin"), &json!("ssh"))
    );

    let output = hg_as(&reader, Path::new("/"), &["clone", "-q", url, text(&copy)]);
    assert!(output.status.success(), "{output:?}");
    let copy = HgClone { path: copy };
    assert_eq!(copy.tip(), commit);
    let _ = copy.commit("not allowed", &[("x", "1")]);
    let before = refusals(&server).await;
    let output = hg_as(&reader, &copy.path, &["push", "-q"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not push"), "{said}");
    // What was refused leaves a trace.
    assert!(refusals(&server).await > before);
    let refusal = last_refusal(&server).await;
    assert_eq!(refusal["reason"], "lacks WRITE", "{refusal}");
    assert!(
        refusal["summary"]
            .as_str()
            .is_some_and(|text| text.contains("PROJ/lib")),
        "{refusal}"
    );
    assert_eq!(last_push(&server).await["id"], entry["id"]);
    let git = Command::new("git")
        .args(["ls-remote", &url.replace("hg@", "git@")])
        .env("GIT_SSH_COMMAND", ssh::ssh(&writer))
        .output()
        .expect("git is there");
    let said = String::from_utf8_lossy(&git.stderr);
    assert!(
        !git.status.success() && said.contains("is a Mercurial repository"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_repository_tells_by_a_hook_that_is_not_in_it() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("MADAKE__REPOSITORIES__RECONCILE_SECONDS".into(), "86400".into())],
        configuration: String::new(),
    })
    .await;
    let shared = server.scratch().join("shared");
    hg(Path::new("/"), &["init", text(&shared)]);
    let clone = HgClone::of(text(&shared), server.scratch().join("work"));
    let _ = clone.push("a plan", &[(SPECS, &one_job("echo built", ""))]);
    server.madake(&["repo", "attach", "TOOLS/tools", text(&shared)]);
    let said = server.madake(&["hook", "install", text(&shared)]);
    let line = said
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("%include "))
        .unwrap_or_else(|| panic!("the line: {said}"));
    assert!(
        !shared.join(".hg/hgrc").exists(),
        "nothing of the repository was changed"
    );
    std::fs::write(shared.join(".hg/hgrc"), format!("{line}\n")).expect("the owner's configuration");

    let commit = clone.push("a change", &[("a", "1")]);
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], commit.as_str());
    let entry = last_push(&server).await;
    assert_eq!(entry["content"]["via"], "hook", "{entry}");
    assert_eq!(refs(&entry), [("refs/heads/default".to_owned(), json!(commit))]);

    // It is read from here, but not pushed to.
    let url = server.hg_url("TOOLS/tools", "admin", PASSWORD);
    let copy = HgClone::of(&url, server.scratch().join("copy"));
    let _ = copy.commit("elsewhere", &[("b", "1")]);
    assert!(!try_hg(&copy.path, &["push", "-q"]).status.success());

    // Without the hook a push still succeeds, and nothing is told.
    server.madake(&["hook", "remove", text(&shared)]);
    let _ = clone.push("untold", &[("a", "2")]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(last_push(&server).await["id"], entry["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_repository_is_polled() {
    let host = Server::start().await;
    let clone = host.hosted_hg("PROJ/lib");
    let plan = one_job("cat a", "branches:\n  create: for-new-branch\n");
    let first = clone.push("a plan", &[(SPECS, &plan), ("a", "1")]);
    user(&host, "ci", "the password");
    host.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/lib",
        "READ",
        "--user",
        "ci",
    ]);

    let server = Server::start_with(ServerOptions {
        environment: vec![("MADAKE__REPOSITORIES__POLL_SECONDS".into(), "1".into())],
        configuration: String::new(),
    })
    .await;
    let url = format!("{}/hg/proj/lib", host.url());
    let link = [
        "repo",
        "link",
        "lib",
        &url,
        "--scm",
        "hg",
        "--username",
        "ci",
        "--password-stdin",
    ];
    server.madake_with_input(&link, "the password");
    let listed = server.get("/rest/madake/1.0/repositories").await;
    assert_eq!(
        (
            &listed["repositories"][0]["scm"],
            &listed["repositories"][0]["defaultBranch"]
        ),
        (&json!("hg"), &json!("default"))
    );
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], first.as_str());

    let second = clone.push("a change", &[("a", "2")]);
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], second.as_str());
    hg(&clone.path, &["branch", "--quiet", "stable"]);
    let named = clone.push("a branch", &[("a", "3")]);
    let results = server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["vcsRevisionKey"], named.as_str());
    assert!(!server.log().contains("the password"));

    // A folder is recognised.
    let made = server.madake(&["repo", "link", "here", text(&clone.path), "--json"]);
    assert!(made.contains("\"hg\""), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_the_ledger_missed_is_found_and_built_once() {
    let mut server = Server::start_with(ServerOptions {
        environment: vec![("MADAKE__REPOSITORIES__RECONCILE_SECONDS".into(), "1".into())],
        configuration: String::new(),
    })
    .await;
    let clone = server.hosted_hg("PROJ/lib");
    let runs = server.scratch().join("runs");
    std::fs::create_dir_all(&runs).expect("a folder");
    let script = format!("echo ran >> '{}'/$bamboo_planRepository_revision", runs.display());
    let mut pushed = vec![clone.push("a plan", &[(SPECS, &one_job(&script, ""))])];
    server.ended("PROJ-PLAN", 1).await;

    // As a server leaves it that dies when hg is done and the ledger is not.
    server.kill();
    let missed = clone.commit("missed", &[("a", "1")]);
    let folder = server.home().join("repositories/proj/lib.hg");
    hg(&clone.path, &["push", "--quiet", text(&folder)]);
    server.launch().await;
    let results = server.ended("PROJ-PLAN", 2).await;
    assert_eq!(results[0]["vcsRevisionKey"], missed.as_str());
    let found = ledger(&server).await;
    let entry = found
        .iter()
        .find(|entry| entry["kind"] == "reconciliation")
        .expect("an entry");
    assert_eq!(refs(entry), [("refs/heads/default".to_owned(), json!(missed))]);
    pushed.push(missed);

    // Killed at any moment of a push, as the seed of this process has it.
    let mut state = u64::from(std::process::id()) * 7919 + 1;
    for round in 0..5 {
        let commit = clone.commit("a change", &[("round", &round.to_string())]);
        let pusher = {
            let path = clone.path.clone();
            tokio::task::spawn_blocking(move || try_hg(&path, &["push", "--quiet"]).status.success())
        };
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        tokio::time::sleep(Duration::from_millis(state % 1000)).await;
        server.kill();
        let succeeded = pusher.await.expect("the push ends");
        server.launch().await;
        if !succeeded {
            // It says that nothing is to be pushed where the first try had done it.
            let again = try_hg(&clone.path, &["push", "--quiet"]);
            assert!(matches!(again.status.code(), Some(0 | 1)), "{again:?}");
        }
        pushed.push(commit.clone());
        wait_for("the push to be built", || async {
            let results = server.results("PROJ-PLAN").await;
            let built = |result: &&Value| {
                result["vcsRevisionKey"] == commit.as_str() && result["lifeCycleState"] == "Finished"
            };
            results.iter().any(|result| built(&result)).then_some(())
        })
        .await;
    }
    settled(&server).await;
    for commit in &pushed {
        let ran = std::fs::read_to_string(runs.join(commit)).expect("it ran");
        assert_eq!(ran, "ran\n", "{commit}");
    }
    assert_eq!(server.results("PROJ-PLAN").await.len(), pushed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn push_is_told_as_the_post_service_told_it() {
    let server = telling::server().await;
    let add = [
        "user",
        "add",
        "marcus",
        "--email",
        "marcus@somedomain.com",
        "--password-stdin",
    ];
    server.madake_with_input(&add, "a password for marcus");
    server.madake(&["repo", "create", "marcus/project-x", "--scm", "hg"]);
    let grant = ["permission", "grant", "repository", "marcus/project-x"];
    server.madake(&[&grant[..], &["READ", "WRITE", "--user", "marcus"]].concat());
    let url = server.hg_url("marcus/project-x", "marcus", "a%20password%20for%20marcus");
    let clone = HgClone::of(&url, server.scratch().join("work"));
    for (name, branch) in [
        ("one", "default"),
        ("two", "default"),
        ("somefile.py", "featureA"),
    ] {
        hg(&clone.path, &["branch", "--quiet", branch]);
        let _ = clone.commit(name, &[(name, "1")]);
    }
    hg(&clone.path, &["push", "--quiet", "--new-branch"]);
    settled(&server).await;
    let parent = clone.tip();
    let receiver = telling::Listening::start();
    let create = [
        "receiver",
        "create",
        "marcus/project-x",
        &receiver.url("/hook"),
        "--profile",
        "cloud-post",
    ];
    server.madake(&create);

    std::fs::write(clone.path.join("somefile.py"), "2").expect("a file");
    let (who, when) = (
        "Marcus Bertrand <marcus@somedomain.com>",
        "2012-05-30 04:07:03 +0000",
    );
    let message = "Added some featureA things";
    hg(
        &clone.path,
        &["commit", "--quiet", "-u", who, "-d", when, "-m", message],
    );
    let node = clone.tip();
    hg(&clone.path, &["push", "--quiet"]);
    let got = receiver.wait_for(1).await;
    let body = String::from_utf8(got[0].body.clone()).expect("text");
    let payload = body.strip_prefix("payload=").expect("a form");
    let payload = reqwest::Url::parse(&format!("http://x/?payload={payload}")).expect("a query");
    let (_, payload) = payload.query_pairs().next().expect("the field");
    let told: Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!(
        told,
        json!({
            "canon_url": server.url(),
            "commits": [{
                "author": "marcus",
                "branch": "featureA",
                "files": [{ "file": "somefile.py", "type": "modified" }],
                "message": "Added some featureA things",
                "node": node[..12],
                "parents": [parent[..12]],
                "raw_author": "Marcus Bertrand <marcus@somedomain.com>",
                "raw_node": node,
                "revision": 3,
                "size": -1,
                "timestamp": "2012-05-30 06:07:03",
                "utctimestamp": "2012-05-30 04:07:03+00:00",
            }],
            "repository": {
                "absolute_url": "/marcus/project-x/",
                "fork": false,
                "is_private": true,
                "name": "project-x",
                "owner": "marcus",
                "scm": "hg",
                "slug": "project-x",
                "website": "",
            },
            "user": "marcus",
        })
    );
}
