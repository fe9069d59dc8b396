//! The queue, the server, labels and comments.

use super::super::super::render::*;
use super::super::super::view::*;
use super::super::samples::*;
use super::{PAGE, assert_json, parsed};

fn queued(key: QueuedKey) -> QueuedBuildView {
    QueuedBuildView {
        key,
        reason: Reason::CodeChanged,
        changes: vec![change()].into(),
    }
}

#[test]
fn queued_build_names_the_result_to_poll() {
    let view = QueuedBuildView {
        reason: Reason::ManualBuild {
            user: UserRef {
                name: "joe".to_owned(),
                full_name: "Joe".to_owned(),
            },
        },
        ..queued(QueuedKey::Plan("PROJ-PLAN-8".parse().unwrap()))
    };
    assert_json(
        &queued_build(&view, &context("")),
        r#"{"planKey":"PROJ-PLAN","buildNumber":8,"buildResultKey":"PROJ-PLAN-8",
            "triggerReason":"Manual build",
            "link":{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-8","rel":"self"}}"#,
    );
}

#[test]
fn queue_lists_jobs_when_expanded() {
    assert_json(
        &queue_list(&PAGE, &[], 0, &context("")),
        r#"{"expand":"queuedBuilds","link":{"href":"http://ci.example/rest/api/latest/queue","rel":"self"},
            "queuedBuilds":{"size":0,"start-index":0,"max-result":0}}"#,
    );
    let builds = [queued(QueuedKey::Job(job_result_key()))];
    assert_json(
        &queue_list(&PAGE, &builds, 1, &context("queuedBuilds")),
        r#"{"expand":"queuedBuilds","link":{"href":"http://ci.example/rest/api/latest/queue","rel":"self"},
            "queuedBuilds":{"size":1,"expand":"queuedBuild","start-index":0,"max-result":1,
             "queuedBuild":[{"planKey":"PROJ-PLAN-JOB1","buildNumber":7,"buildResultKey":"PROJ-PLAN-JOB1-7",
              "triggerReason":"Code has changed",
              "link":{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-JOB1-7","rel":"self"}}]}}"#,
    );
    let ctx = context("queuedBuilds.queuedBuild.changes.change");
    let changes = parsed(&queue_list(&PAGE, &builds, 1, &ctx));
    let change = &changes["queuedBuilds"]["queuedBuild"][0]["changes"]["change"][0];
    assert_eq!(change["changesetId"], "3f1c9a");
}

#[test]
fn server_answers_have_the_fields_of_old_and_new_versions() {
    let view = ServerView {
        version: "12.1.8".to_owned(),
        build_number: "120109".to_owned(),
        build_date_ms: STARTED_MS,
        state: ServerState::Paused,
        reindex_in_progress: false,
        reindex_pending: false,
        set_by_user: Some("joe".to_owned()),
    };
    assert_json(
        &info(&view, &context("")),
        r#"{"version":"12.1.8","edition":"","buildDate":"2026-01-31T06:17:36.936+00:00",
            "buildNumber":"120109","specsVersion":"12.1.8","state":"PAUSED"}"#,
    );
    assert_json(
        &server(&view),
        r#"{"state":"PAUSED","askedNodeState":"PAUSED","clusterState":"PAUSED",
            "reindexInProgress":false,"setByUser":"joe"}"#,
    );
    assert_json(&health(&view), r#"{"state":"PAUSED","status":"PAUSED"}"#);
    assert_json(
        &reindex(&view),
        r#"{"reindexInProgress":false,"reindexPending":false}"#,
    );
    let user = UserView {
        name: "joe".to_owned(),
        full_name: "Joe Doe".to_owned(),
        email: Some("joe@example.org".to_owned()),
    };
    assert_json(
        &current_user(&user),
        r#"{"name":"joe","fullName":"Joe Doe","email":"joe@example.org"}"#,
    );
    assert_json(
        &api_root(&["plan"], &context("")),
        r#"{"expand":"resources","link":{"href":"http://ci.example/rest/api/latest","rel":"self"},
            "resources":{"size":1,"expand":"resource","start-index":0,"max-result":1,"resource":[
             {"name":"plan","link":{"href":"http://ci.example/rest/api/latest/plan","rel":"self"}}]}}"#,
    );
}

#[test]
fn labels_and_comments_are_lists_of_their_own() {
    let href = || "http://ci.example/rest/api/latest/result/PROJ-PLAN-7/label".to_owned();
    assert_json(
        &label_list(&PAGE, &["nightly".to_owned()], 1, href()),
        r#"{"expand":"labels",
            "link":{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-7/label","rel":"self"},
            "labels":{"size":1,"expand":"label","start-index":0,"max-result":1,"label":[{"name":"nightly"}]}}"#,
    );
    let document = parsed(&comment_list(&PAGE, &[], 0, href(), &context("")));
    assert_eq!(document["comments"]["comment"], serde_json::json!([]));
}
