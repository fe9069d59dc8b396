//! What a push of a plan file changes, what it may not, and who is told.

use madake_testkit::{HgClone, PASSWORD, Server, WorkTree, git, try_git, try_hg, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_support::settled;
use crate::plan_files::one_job;
use crate::ssh;

const PLAN_FILE: &str = "bamboo-specs/bamboo.yml";

/// Commits a plan file and pushes it; what git said to the person who pushed.
fn push(work: &WorkTree, branch: &str, text: &str) -> (bool, String) {
    work.switch(branch);
    let _ = work.commit("plan file", &[(PLAN_FILE, text)]);
    let output = try_git(&work.path, &["push", "origin", branch]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

async fn plan(server: &Server, key: &str) -> Value {
    server.get(&format!("/rest/madake/1.0/plans/{key}")).await
}

fn codes(shown: &Value) -> Vec<&str> {
    let findings = shown["findings"].as_array().expect("findings");
    findings.iter().filter_map(|one| one["code"].as_str()).collect()
}

/// The notes of the newest entry.
async fn notes(server: &Server) -> String {
    let events = server.get("/rest/madake/1.0/events?limit=1").await;
    let id = &events["events"][0]["id"];
    server.get(&format!("/rest/madake/1.0/events/{id}")).await["notes"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_plan_file_is_told_to_the_pusher_and_shown_until_it_is_mended() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let (success, said) = push(&work, "master", &one_job("echo one", ""));
    assert!(success && !said.contains("remote:"), "{said}");
    server.ended("PROJ-PLAN", 1).await;

    let broken = one_job("echo two", "stagess: []\n").replace("[Compile]", "[Nowhere]");
    let (success, said) = push(&work, "master", &broken);
    assert!(success, "a plan file never stops a push: {said}");
    let told = "remote: bamboo-specs/bamboo.yml:7:13 error: ";
    assert!(said.contains(told), "`{told}` is not in {said}");
    assert!(said.contains("Nowhere"), "{said}");
    assert!(said.contains("stays as it was before this push"), "{said}");
    server.ended("PROJ-PLAN", 2).await;
    let shown = plan(&server, "PROJ-PLAN").await;
    let findings = shown["findings"].as_array().expect("findings");
    let error = findings
        .iter()
        .find(|one| one["severity"] == "error")
        .expect("an error");
    assert_eq!(
        (&error["line"], &error["column"]),
        (&json!(7), &json!(13)),
        "{error}"
    );
    assert!(
        server
            .madake(&["plan", "show", "PROJ-PLAN"])
            .contains("bamboo-specs/bamboo.yml:7:13")
    );
    assert!(notes(&server).await.contains("Nowhere"));

    let (_, said) = push(&work, "master", &one_job("echo three", ""));
    assert!(!said.contains("remote:"), "{said}");
    server.ended("PROJ-PLAN", 3).await;
    assert_eq!(plan(&server, "PROJ-PLAN").await["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_findings_is_short_and_nothing_in_it_moves_the_cursor() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let mut many = one_job("echo one", "");
    for number in 0..60 {
        many.push_str(&format!("\"wrong{number}\\e[2J\": 1\n"));
    }
    let (success, said) = push(&work, "master", &many);
    assert!(success);
    let lines = said
        .lines()
        .filter(|line| line.starts_with("remote: bamboo-specs/"))
        .count();
    assert_eq!(lines, 20, "{said}");
    assert!(said.contains("more: `madake specs validate` shows all"), "{said}");
    assert!(
        !said.contains("[2J\u{1b}") && !said.contains("\u{1b}[2J"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pushers_over_ssh_and_of_mercurial_are_told_too() {
    let server = ssh::start().await;
    let broken = one_job("echo one", "").replace("[Compile]", "[Nowhere]");
    let url = ssh::hosted(&server, "PROJ/app");
    let work = WorkTree::new(server.scratch().join("app"), &server.clone_url("PROJ/app"));
    let key = ssh::key(&server, "id", "ed25519");
    ssh::register(&server, &key, &["--user", "admin"]);
    work.switch("master");
    let _ = work.commit("plan file", &[(PLAN_FILE, &broken)]);
    let output = ssh::git_as(&key, &work.path, &["push", &url, "master"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("remote: bamboo-specs/bamboo.yml:7:13 error:"),
        "{said}"
    );

    let clone: HgClone = server.hosted_hg("PROJ/legacy");
    let other = broken.replace("key: PLAN", "key: HG");
    let _ = clone.commit("plan file", &[(PLAN_FILE, &other)]);
    let output = try_hg(&clone.path, &["push"]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("bamboo-specs/bamboo.yml:7:13 error:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_whose_file_was_removed_stays_and_says_so() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    push(&work, "master", &one_job("echo one", ""));
    server.ended("PROJ-PLAN", 1).await;
    push(&work, "master", "version: 2\nplan: {\n");
    server.ended("PROJ-PLAN", 2).await;
    assert_eq!(
        plan(&server, "PROJ-PLAN").await["findings"][0]["severity"],
        "error"
    );

    git(&work.path, &["rm", "-q", PLAN_FILE]);
    git(&work.path, &["commit", "-q", "-m", "no plan file"]);
    let output = try_git(&work.path, &["push", "origin", "master"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = "warning: PROJ/app has no plan file that describes plan PROJ-PLAN any more: PROJ/app at ";
    assert!(said.contains(told), "`{told}` is not in {said}");
    server.ended("PROJ-PLAN", 3).await;
    let shown = plan(&server, "PROJ-PLAN").await;
    assert_eq!(
        codes(&shown),
        ["specs::plan-left-out"],
        "the file that was broken is no more"
    );
    assert!(
        notes(&server)
            .await
            .contains(told.trim_start_matches("warning: "))
    );

    // What says nothing of the file is not told again.
    let said = work.push("master", &[("other", "1")]);
    server.ended("PROJ-PLAN", 4).await;
    assert!(!notes(&server).await.contains("any more"), "{said}");
    push(&work, "master", &one_job("echo two", ""));
    server.ended("PROJ-PLAN", 5).await;
    assert_eq!(plan(&server, "PROJ-PLAN").await["findings"], json!([]));

    // What keeps a deployment document back is told as well.
    let deployment = "---\nversion: 2\ndeployment: {name: Web, source-plan: PROJ-NONE}\nrelease-naming: r-1\n\
                      environments: [QA]\nQA:\n  tasks:\n    - script: [echo qa]\n";
    let (_, said) = push(
        &work,
        "master",
        &format!("{}{deployment}", one_job("echo three", "")),
    );
    let told = "error: the deployment project Web is not changed: there is no plan PROJ-NONE";
    assert!(said.contains(told), "`{told}` is not in {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn y4_plan_that_two_repositories_describe_waits_for_an_administrator() {
    let server = Server::start().await;
    let first = server.hosted("PROJ/app");
    let second = server.hosted("PROJ/fork");
    push(&first, "master", &one_job("echo one", ""));
    server.ended("PROJ-PLAN", 1).await;

    let (success, said) = push(&second, "master", &one_job("echo two", ""));
    assert!(success, "{said}");
    assert!(
        said.contains("remote: bamboo-specs/bamboo.yml:4:8 error: plan PROJ-PLAN belongs to PROJ/app"),
        "{said}"
    );
    settled(&server).await;
    let shown = plan(&server, "PROJ-PLAN").await;
    assert_eq!(shown["repository"], "PROJ/app");
    assert_eq!(shown["claims"][0]["repository"], "PROJ/fork");
    assert_eq!(shown["claims"][0]["settledMs"], Value::Null);
    assert_eq!(codes(&shown), ["specs::plan-of-another"]);
    assert!(notes(&server).await.contains("belongs to PROJ/app"));
    let why = server.madake(&["why", "PROJ-PLAN"]);
    assert!(why.contains("conflict: the plan file of PROJ/fork"), "{why}");
    assert_eq!(
        server.results("PROJ-PLAN").await.len(),
        1,
        "nothing was built or changed"
    );

    // A user may not decide, an administrator may.
    server.madake_with_input(&["user", "add", "joe", "--password-stdin"], PASSWORD);
    let path = "/rest/madake/1.0/plans/PROJ-PLAN/owner";
    let asked = server
        .anonymous(Method::PUT, path)
        .basic_auth("joe", Some(PASSWORD))
        .json(&json!({ "repository": "PROJ/fork" }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(asked.status().as_u16(), 403);
    let said = server.madake(&["plan", "owner", "PROJ-PLAN", "PROJ/fork"]);
    assert!(said.contains("belongs to PROJ/fork"), "{said}");
    let shown = plan(&server, "PROJ-PLAN").await;
    assert_eq!(shown["repository"], "PROJ/fork");
    assert_eq!(shown["claims"][0]["repository"], "PROJ/app");
    assert!(shown["claims"][0]["settledMs"].is_i64(), "{shown}");
    let (_, said) = push(&second, "master", &one_job("echo three", ""));
    assert!(!said.contains("remote:"), "{said}");
    server.ended("PROJ-PLAN", 2).await;
    let why = server.madake(&["why", "PROJ-PLAN", "--limit", "1"]);
    assert!(
        why.contains("nothing was considered before"),
        "commits of the former owner's repository are not compared: {why}"
    );
    // The former owner is refused now, and changes nothing.
    let (_, said) = push(&first, "master", &one_job("echo four", ""));
    assert!(said.contains("plan PROJ-PLAN belongs to PROJ/fork"), "{said}");
    settled(&server).await;
    assert_eq!(plan(&server, "PROJ-PLAN").await["repository"], "PROJ/fork");
}

#[tokio::test(flavor = "multi_thread")]
async fn y5_plan_file_changes_and_uses_only_what_its_repository_was_given() {
    let server = Server::start().await;
    let owner = server.hosted("PROJ/app");
    push(&owner, "master", &one_job("echo one", ""));
    server.ended("PROJ-PLAN", 1).await;
    let lib = server.hosted("LIB/secret");
    let _ = lib.push("master", &[("treasure", "gold")]);

    // A plan in a project that others use, and a repository of another project.
    let stranger = server.hosted("OTHER/tool");
    let file = one_job(
        "cat treasure",
        "repositories:\n  - OTHER/tool\n  - LIB/secret:\n      scope: global\n",
    )
    .replace("key: PLAN", "key: MINE");
    let (_, said) = push(&stranger, "master", &file);
    assert!(
        said.contains(
            "bamboo.yml:3:16 error: plan PROJ-MINE is not made: the repository OTHER/tool may not make plans"
        ),
        "{said}"
    );
    assert!(
        said.contains("bamboo.yml:15:5 error: plans of OTHER/tool may not use the repository LIB/secret"),
        "{said}"
    );
    settled(&server).await;
    assert!(
        !server
            .madake(&["--json", "plan", "show", "PROJ-PLAN"])
            .contains("MINE")
    );
    let missing = server.request(Method::GET, "/rest/madake/1.0/plans/PROJ-MINE");
    assert_eq!(missing.send().await.expect("an answer").status().as_u16(), 404);

    server.madake(&[
        "permission",
        "grant",
        "project",
        "PROJ",
        "CREATE",
        "--repository",
        "OTHER/tool",
    ]);
    let out = server.madake(&[
        "permission",
        "grant",
        "repository",
        "LIB/secret",
        "READ",
        "--repository",
        "OTHER/tool",
    ]);
    assert!(out.contains("repository OTHER/tool"), "{out}");
    let (_, said) = push(&stranger, "master", &file.replace("Build it", "Now it may"));
    assert!(!said.contains("remote:"), "{said}");
    settled(&server).await;
    assert_eq!(plan(&server, "PROJ-MINE").await["repository"], "OTHER/tool");

    // It may make plans there, and still says nothing about who may do what.
    let permissions = format!(
        "{file}---\nversion: 2\nplan: {{key: PROJ-MINE}}\nplan-permissions:\n  - users: [admin]\n    permissions: [view]\n"
    );
    let (_, said) = push(&stranger, "master", &permissions);
    assert!(
        said.contains("the repository OTHER/tool may not set permissions of PROJ-MINE"),
        "{said}"
    );
    settled(&server).await;
    let granted = server.madake(&["permission", "list", "plan", "PROJ-MINE"]);
    assert!(granted.contains("nothing is granted"), "{granted}");
    server.madake(&[
        "permission",
        "grant",
        "plan",
        "PROJ-MINE",
        "ADMINISTRATION",
        "--repository",
        "OTHER/tool",
    ]);
    let (_, said) = push(
        &stranger,
        "master",
        &permissions.replace("[view]", "[view, build]"),
    );
    assert!(!said.contains("remote:"), "{said}");
    settled(&server).await;
    let granted = server.madake(&["permission", "list", "plan", "PROJ-MINE"]);
    assert!(
        granted.contains("user admin") && granted.contains("repository other/tool"),
        "{granted}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_of_another_project_by_the_file_of_a_branch_is_refused_when_it_runs() {
    let server = Server::start().await;
    let lib = server.hosted("LIB/secret");
    let _ = lib.push("master", &[("treasure", "gold")]);
    let work = server.hosted("PROJ/app");
    push(&work, "master", &one_job("echo one", ""));
    server.ended("PROJ-PLAN", 1).await;
    let reaching = one_job("cat treasure", "").replace(
        "  tasks:\n",
        "  tasks:\n    - checkout:\n        repository: LIB/secret\n",
    );
    push(&work, "feature", &reaching);
    let results = server.ended("PROJ-PLAN0", 1).await;
    assert_eq!(results[0]["state"], "Failed", "{results:?}");
    let log = wait_for("the log", || async {
        let text = server.madake(&["build", "log", "PROJ-PLAN0-1"]);
        text.contains("LIB/secret").then_some(text)
    })
    .await;
    assert!(!log.contains("gold"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn y8_branches_are_configured_by_their_own_file_but_for_what_is_protected() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let overrides = "variables:\n  channel: edge\nbranch-overrides:\n  - '^beta-v[0-9]+':\n      variables:\n        channel: \
                     beta\n      triggers: []\n";
    push(
        &work,
        "master",
        &one_job("echo \"channel=$bamboo_channel\"", overrides),
    );
    server.ended("PROJ-PLAN", 1).await;

    // The override of the default branch's file counts where the branch has the same file: no trigger, another variable.
    git(&work.path, &["checkout", "--quiet", "-b", "beta-v1"]);
    git(&work.path, &["push", "--quiet", "origin", "beta-v1"]);
    settled(&server).await;
    wait_for("the plan branch", || async {
        let shown = server.request(Method::GET, "/rest/madake/1.0/plans/PROJ-PLAN0");
        shown
            .send()
            .await
            .ok()
            .filter(|answer| answer.status().is_success())
    })
    .await;
    assert!(
        server.results("PROJ-PLAN0").await.is_empty(),
        "its trigger list is empty"
    );
    server.madake(&["build", "queue", "PROJ-PLAN0"]);
    server.ended("PROJ-PLAN0", 1).await;
    assert!(
        server
            .madake(&["build", "log", "PROJ-PLAN0-1"])
            .contains("channel=beta")
    );

    // Another branch says in its own file how it is built, and not what the plan is.
    let own = one_job("echo mine", "repositories: []\n").replace("Build it", "Another name");
    push(&work, "feature", &own);
    server.ended("PROJ-PLAN1", 1).await;
    let log = server.madake(&["build", "log", "PROJ-PLAN1-1"]);
    assert!(
        log.contains("mine") && log.contains("Checkout Default Repository"),
        "{log}"
    );
    let shown = plan(&server, "PROJ-PLAN1").await;
    assert_eq!(shown["name"], "Build it");
    let protected = shown["findings"].to_string();
    assert!(
        protected.contains("`repositories` of PROJ-PLAN is taken from the branch master"),
        "{protected}"
    );

    // A mistake in the file of a branch leaves the branch as it was.
    push(&work, "feature", &own.replace("[Compile]", "[Nowhere]"));
    server.ended("PROJ-PLAN1", 2).await;
    assert!(server.madake(&["build", "log", "PROJ-PLAN1-2"]).contains("mine"));
    assert!(codes(&plan(&server, "PROJ-PLAN1").await).contains(&"specs::missing-job"));
}
