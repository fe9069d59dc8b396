//! Commands with and without a server that runs: the same words, the same answers.

use serde_json::Value;

use crate::place::{Place, finish};

/// Sets a small server up with one command for each thing.
fn set_up(place: &Place) {
    let out = place.run(&["repo", "create", "PROJ/app"]).ok();
    assert!(
        out.contains("created PROJ/app") && out.contains("/scm/proj/app.git"),
        "{out}"
    );
    let add = [
        "user",
        "add",
        "joe",
        "--password-stdin",
        "--admin",
        "--full-name",
        "Joe Doe",
    ];
    assert!(
        place
            .run_with(&add, "correct horse\n")
            .ok()
            .contains("administrator joe")
    );
    place.run(&["user", "add", "sue"]).ok();
    place.run(&["group", "create", "devs"]).ok();
    place.run(&["group", "add", "devs", "sue"]).ok();
    let grant = [
        "permission",
        "grant",
        "project",
        "PROJ",
        "READ",
        "build",
        "--group",
        "devs",
    ];
    let out = place.run(&grant).ok();
    assert_eq!(out, "granted READ, BUILD on project PROJ to group devs\n");
    assert!(place.run(&grant).ok().contains("already had READ, BUILD"));
}

fn check_set_up(place: &Place) {
    let repositories = place.run(&["--json", "repo", "list"]).json();
    assert_eq!(repositories["repositories"][0]["name"], "PROJ/app");
    assert_eq!(repositories["repositories"][0]["kind"], "hosted");
    let users = place.run(&["user", "list"]).ok();
    assert!(users.contains("joe   administrator  Joe Doe"), "{users}");
    let groups = place.run(&["group", "list", "--json"]).json();
    assert_eq!(groups["groups"][0]["members"], serde_json::json!(["sue"]));
    let permissions = place
        .run(&["permission", "list", "project", "PROJ", "--json"])
        .json();
    let granted: Vec<&str> = permissions["permissions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["permission"].as_str())
        .collect();
    assert_eq!(granted, ["READ", "BUILD"]);
}

#[test]
fn home_is_set_up_without_a_server_and_seen_with_one() {
    let place = Place::new();
    set_up(&place);
    check_set_up(&place);
    let status = place.run(&["server", "status", "--json"]).json();
    assert_eq!(status["running"], false);
    let error = place.run(&["server", "pause"]).refused(1);
    assert!(error.contains("no server runs in"), "{error}");

    let serving = place.serve();
    check_set_up(&place);
    let status = place.run(&["server", "status", "--json"]).json();
    assert_eq!(
        (&status["running"], &status["paused"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    assert_eq!(status["baseUrl"], serving.url.as_str());
    place.run(&["server", "pause"]).ok();
    assert_eq!(place.run(&["server", "status", "--json"]).json()["paused"], true);
    place.run(&["server", "resume"]).ok();
    assert_eq!(place.run(&["server", "status", "--json"]).json()["paused"], false);
}

#[test]
fn running_server_is_set_up_by_the_same_commands() {
    let place = Place::new();
    let _serving = place.serve();
    set_up(&place);
    check_set_up(&place);
}

#[test]
fn server_elsewhere_is_reached_by_url_and_token() {
    let place = Place::new();
    set_up(&place);
    let token = place
        .run(&["token", "create", "--user", "joe", "--days", "2"])
        .ok();
    let reading = place
        .run(&["token", "create", "--user", "sue", "--permission", "READ"])
        .ok();
    let serving = place.serve();
    let remote = |arguments: &[&str], token: &str| {
        let mut command = place.command(arguments);
        command
            .env("MADAKE_HOME", place.path("elsewhere"))
            .env("MADAKE_URL", &serving.url);
        if !token.is_empty() {
            command.env("MADAKE_TOKEN", token.trim());
        }
        finish(command, "")
    };
    assert!(remote(&["user", "list"], &token).ok().contains("sue"));
    let error = remote(&["user", "list"], &reading).refused(1);
    assert!(
        error.contains("sue lacks the permission ADMINISTRATION"),
        "{error}"
    );
    let error = remote(&["server", "status"], "").refused(1);
    assert!(error.contains("MADAKE_TOKEN"), "{error}");
    let error = remote(&["user", "list"], "mdk_0000").refused(1);
    assert!(error.contains("not valid"), "{error}");

    let tokens = place.run(&["token", "list", "--user", "sue", "--json"]).json();
    let id = tokens["tokens"][0]["id"].to_string();
    place.run(&["token", "revoke", &id]).ok();
    assert!(place.run(&["token", "list"]).ok().contains("revoked"));
}

#[test]
fn looking_at_a_home_that_is_not_there_does_not_make_one() {
    let place = Place::new();
    let error = place.run(&["repo", "list"]).refused(1);
    assert!(error.contains("there is no Madake home at"), "{error}");
    assert!(!place.home().exists());
}

#[test]
fn mistakes_are_one_sentence_and_usage_is_exit_code_two() {
    let place = Place::new();
    set_up(&place);
    let rows: [(&[&str], &str); 8] = [
        (
            &["repo", "create", "proj/APP"],
            "a repository named PROJ/app exists already",
        ),
        (
            &["repo", "create", "PROJ/APP", "--scm", "hg"],
            "a repository named PROJ/app exists already",
        ),
        (
            &["permission", "grant", "global", "NONSENSE", "--logged-in"],
            "`NONSENSE` is not a permission",
        ),
        (
            &["permission", "grant", "plan", "PROJ-PLAN", "--user", "joe"],
            "at least one permission",
        ),
        (
            &["permission", "grant", "project", "PROJ", "WRITE", "--anonymous"],
            "READ only",
        ),
        (&["why", "PROJ-NOPE"], "Plan PROJ-NOPE not found."),
        (&["why", "999"], "there is no event 999"),
        (&["build", "status", "PROJ"], "is not the key of a build"),
    ];
    for (arguments, expected) in rows {
        let error = place.run(arguments).refused(1);
        assert!(
            error.starts_with("madake: ") && error.contains(expected),
            "{arguments:?}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let usage: [&[&str]; 4] = [
        &["nonsense"],
        &["permission", "grant", "global", "READ"],
        &["user", "set-password", "joe"],
        &[
            "repo",
            "link",
            "x",
            "https://example.com/x.git",
            "--username",
            "joe",
        ],
    ];
    for arguments in usage {
        place.run(arguments).refused(2);
    }
    let error = place.run(&["user", "add", "kim", "--password-stdin"]).refused(1);
    assert!(error.contains("no password on standard input"), "{error}");
}

#[test]
fn webhook_address_is_shown_once_and_can_be_revoked() {
    let place = Place::new();
    set_up(&place);
    let create = [
        "webhook",
        "create",
        "PROJ/app",
        "--secret-stdin",
        "--description",
        "forge",
    ];
    let out = place.run_with(&create, "a secret of ours").ok();
    assert!(
        out.contains("/intake/wh_") && !out.contains("a secret of ours"),
        "{out}"
    );
    let hooks = place.run(&["webhook", "list", "PROJ/app", "--json"]).json();
    assert_eq!(hooks["webhooks"][0]["signed"], true);
    place
        .run(&["webhook", "revoke", &hooks["webhooks"][0]["id"].to_string()])
        .ok();
    let out = place.run(&["webhook", "list", "PROJ/app"]).ok();
    assert!(out.contains("no webhooks"), "{out}");
}
