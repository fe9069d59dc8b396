//! Results of plans and jobs.

use super::super::super::paging::Page;
use super::super::super::render::*;
use super::super::super::view::*;
use super::super::samples::*;
use super::{PAGE, SHORT_PLAN, assert_json, parsed};

fn result_href() -> String {
    "http://ci.example/rest/api/latest/result/PROJ-PLAN".to_owned()
}

#[test]
fn short_results_have_exactly_the_fields_of_the_original() {
    let entries = [ResultEntry::Plan(summary())];
    assert_json(
        &result_list(&PAGE, &entries, 1, result_href(), &context("")),
        &format!(
            r#"{{"expand":"results",
                "link":{{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN","rel":"self"}},
                "results":{{"size":1,"expand":"result","start-index":0,"max-result":1,"result":[
                 {{"link":{{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-7","rel":"self"}},
                  "plan":{SHORT_PLAN},"buildResultKey":"PROJ-PLAN-7","lifeCycleState":"Finished","id":360450,
                  "key":"PROJ-PLAN-7",
                  "planResultKey":{{"key":"PROJ-PLAN-7","entityKey":{{"key":"PROJ-PLAN"}},"resultNumber":7}},
                  "state":"Successful","buildState":"Successful","number":7,"buildNumber":7}}]}}}}"#
        ),
    );
}

#[test]
fn past_the_end_results_are_empty_and_the_index_is_as_asked() {
    let page = Page { start: 50, size: 25 };
    let document = parsed(&result_list(&page, &[], 4, result_href(), &context("")));
    assert_eq!(
        document["results"],
        serde_json::json!({"size":0,"expand":"result","start-index":50,"max-result":0,"result":[]})
    );
}

#[test]
fn listed_results_are_full_when_expanded() {
    let entries = [ResultEntry::FullPlan(Box::new(result()))];
    let short = parsed(&result_list(&PAGE, &entries, 1, result_href(), &context("")));
    assert!(short["results"]["result"][0].get("stages").is_none());
    let full = parsed(&result_list(
        &PAGE,
        &entries,
        1,
        result_href(),
        &context("results.result"),
    ));
    let item = &full["results"]["result"][0];
    assert_eq!(
        item["expand"],
        "plan,vcsRevisions,artifacts,comments,labels,jiraIssues,variables,stages"
    );
    assert!(item.get("changes").is_none());
    let expand = context("results.result.changes.change.files");
    let changes = parsed(&result_list(&PAGE, &entries, 1, result_href(), &expand));
    let change = &changes["results"]["result"][0]["changes"]["change"][0];
    assert_eq!(change["files"]["file"][0]["name"], "src/door.rs");
}

#[test]
fn result_waiting_at_a_manual_stage() {
    assert_json(
        &result_single(&result(), &context("")),
        &format!(
            r#"{{"expand":"changes,metadata,plan,vcsRevisions,artifacts,comments,labels,jiraIssues,variables,stages",
             "link":{{"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-7","rel":"self"}},
             "plan":{SHORT_PLAN},
             "planName":"Build","projectName":"My project","buildResultKey":"PROJ-PLAN-7",
             "lifeCycleState":"Finished","id":360450,
             "buildStartedTime":"2026-01-31T06:17:36.936+00:00","prettyBuildStartedTime":"Sat, 31 Jan, 06:17 AM",
             "buildCompletedTime":"2026-01-31T06:17:51.940+00:00","buildCompletedDate":"2026-01-31T06:17:51.940+00:00",
             "prettyBuildCompletedTime":"Sat, 31 Jan, 06:17 AM",
             "buildDurationInSeconds":15,"buildDuration":15004,"buildDurationDescription":"15 seconds",
             "buildRelativeTime":"2 minutes ago","vcsRevisionKey":"3f1c9a",
             "vcsRevisions":{{"size":1,"start-index":0,"max-result":1}},
             "buildTestSummary":"6 passed","successfulTestCount":6,"failedTestCount":0,
             "quarantinedTestCount":0,"skippedTestCount":0,
             "continuable":true,"onceOff":false,"restartable":false,"notRunYet":false,
             "finished":true,"successful":true,
             "buildReason":"Code has changed","reasonSummary":"Code has changed","specsResult":false,
             "artifacts":{{"size":0,"start-index":0,"max-result":0}},
             "comments":{{"size":0,"start-index":0,"max-result":0}},
             "labels":{{"size":0,"start-index":0,"max-result":0}},
             "jiraIssues":{{"size":0,"start-index":0,"max-result":0}},
             "variables":{{"size":0,"start-index":0,"max-result":0}},
             "stages":{{"size":3,"start-index":0,"max-result":3}},
             "changes":{{"size":1,"start-index":0,"max-result":1}},
             "metadata":{{"size":2,"start-index":0,"max-result":2}},
             "key":"PROJ-PLAN-7",
             "planResultKey":{{"key":"PROJ-PLAN-7","entityKey":{{"key":"PROJ-PLAN"}},"resultNumber":7}},
             "state":"Successful","buildState":"Successful","number":7,"buildNumber":7}}"#
        ),
    );
}

#[test]
fn only_the_next_manual_stage_is_runnable() {
    let document = result_single(&result(), &context("stages.stage"));
    assert_eq!(
        parsed(&document)["stages"],
        serde_json::json!({"size":3,"expand":"stage","start-index":0,"max-result":3,"stage":[
            {"expand":"results","name":"First","id":360451,"lifeCycleState":"Finished","state":"Successful",
             "displayClass":"Successful","displayMessage":"1 job passed","collapsedByDefault":true,
             "manual":false,"restartable":false,"runnable":false,
             "results":{"size":1,"start-index":0,"max-result":1}},
            {"expand":"results","name":"Second","id":360452,"lifeCycleState":"NotBuilt","state":"Unknown",
             "displayClass":"NotBuilt","displayMessage":"1 of 1 job not executed","collapsedByDefault":true,
             "manual":true,"restartable":false,"runnable":true,
             "results":{"size":1,"start-index":0,"max-result":1}},
            {"expand":"results","name":"Third","id":360453,"lifeCycleState":"NotBuilt","state":"Unknown",
             "displayClass":"NotBuilt","displayMessage":"1 of 1 job not executed","collapsedByDefault":true,
             "manual":true,"restartable":false,"runnable":false,
             "results":{"size":1,"start-index":0,"max-result":1}}]})
    );
    let jobs = parsed(&result_single(
        &result(),
        &context("stages[0:1].stage.results.result"),
    ));
    let stages = jobs["stages"]["stage"].as_array().unwrap();
    assert_eq!(stages.len(), 1);
    assert_eq!(
        stages[0]["results"]["result"][0]["buildResultKey"],
        "PROJ-PLAN-JOB1-7"
    );
}

#[test]
fn states_combine_like_those_of_the_original() {
    let rows = [
        (Status::Queued, "Queued", "Unknown", false, false, true, false),
        (Status::Pending, "Pending", "Unknown", false, false, true, false),
        (
            Status::InProgress,
            "InProgress",
            "Unknown",
            false,
            false,
            false,
            false,
        ),
        (
            Status::Successful,
            "Finished",
            "Successful",
            true,
            true,
            false,
            false,
        ),
        (Status::Failed, "Finished", "Failed", true, false, false, true),
        (Status::NotBuilt, "NotBuilt", "Unknown", false, false, false, true),
    ];
    for (status, life_cycle, state, finished, successful, not_run_yet, restartable) in rows {
        let mut view = result();
        view.details = details(status);
        let document = parsed(&result_single(&view, &context("")));
        assert_eq!(document["lifeCycleState"], life_cycle);
        assert_eq!(document["state"], state);
        assert_eq!(document["buildState"], state);
        assert_eq!(document["finished"], finished, "{status:?}");
        assert_eq!(document["successful"], successful, "{status:?}");
        assert_eq!(document["notRunYet"], not_run_yet, "{status:?}");
        assert_eq!(document["restartable"], restartable, "{status:?}");
        assert_eq!(
            document.get("successfulTestCount").is_some(),
            finished,
            "{status:?}"
        );
    }
}

#[test]
fn test_summaries_name_what_matters() {
    let rows = [
        (0, 0, "No tests found"),
        (13, 0, "13 passed"),
        (19, 1, "1 of 20 failed"),
    ];
    for (successful, failed, text) in rows {
        let mut view = result();
        view.details.tests = TestCounts {
            successful,
            failed,
            ..TestCounts::default()
        };
        assert_eq!(
            parsed(&result_single(&view, &context("")))["buildTestSummary"],
            text
        );
    }
}

#[test]
fn running_result_has_progress_and_no_end() {
    let mut ctx = context("");
    ctx.now_ms = STARTED_MS + 7_000;
    let document = parsed(&result_single(&running_result(), &ctx));
    for absent in [
        "buildCompletedTime",
        "buildCompletedDate",
        "prettyBuildCompletedTime",
        "buildTestSummary",
    ] {
        assert!(document.get(absent).is_none(), "{absent}");
    }
    assert_eq!(document["buildDuration"], 0);
    assert_eq!(document["buildDurationDescription"], "Unknown");
    assert_eq!(document["buildRelativeTime"], "");
    assert_eq!(
        document["progress"],
        serde_json::json!({"isValid":true,"isUnderAverageTime":true,"percentageCompleted":0.4375,
            "percentageCompletedPretty":"43%","prettyTimeRemaining":"9 secs remaining",
            "prettyTimeRemainingLong":"9 seconds remaining","averageBuildDuration":16000,
            "prettyAverageBuildDuration":"16 secs","buildTime":7000,"prettyBuildTime":"7 secs",
            "startedTime":"2026-01-31T06:17:36.936+00:00","startedTimeFormatted":"Sat, 31 Jan, 06:17 AM",
            "prettyStartedTime":"7 seconds ago"})
    );
    ctx.now_ms = STARTED_MS + 19_520;
    let late = parsed(&result_single(&running_result(), &ctx));
    assert_eq!(late["progress"]["percentageCompleted"], 1.22);
    assert_eq!(late["progress"]["isUnderAverageTime"], false);
    assert_eq!(
        late["progress"]["prettyTimeRemaining"],
        "3 secs slower than usual"
    );
}

#[test]
fn status_is_for_builds_that_are_not_over() {
    let mut ctx = context("stages.stage");
    ctx.now_ms = STARTED_MS + 7_000;
    let document = parsed(&result_status(&running_result(), &ctx).unwrap());
    assert_eq!(document["expand"], "stages");
    assert_eq!(document["key"], "PROJ-PLAN-7");
    assert_eq!(document["finished"], false);
    assert_eq!(document["currentStage"], "First");
    assert_eq!(
        document["stages"]["stage"][0]["displayMessage"],
        "1 of 1 job in progress"
    );
    assert_eq!(document["progress"]["buildTime"], 7_000);
    assert_eq!(result_status(&result(), &ctx), None);
}

#[test]
fn changes_grow_with_the_depth_of_the_path() {
    let authors = parsed(&result_single(&result(), &context("changes")));
    assert_eq!(
        authors["changes"]["change"],
        serde_json::json!([{"changesetId":"3f1c9a","fullName":"Ann","userName":"ann",
            "author":"Ann <ann@example.org>","expand":"files"}])
    );
    let commits = parsed(&result_single(
        &result(),
        &context("changes.change,vcsRevisions,metadata"),
    ));
    let change = &commits["changes"]["change"][0];
    assert_eq!(change["date"], "2026-01-31T06:16:36.936+00:00");
    assert_eq!(
        change["files"],
        serde_json::json!({"size":1,"start-index":0,"max-result":1})
    );
    assert_eq!(
        commits["vcsRevisions"]["vcsRevision"],
        serde_json::json!([{"repositoryId":5,"repositoryName":"main","vcsRevisionKey":"3f1c9a"}])
    );
    assert_eq!(
        commits["metadata"]["item"],
        serde_json::json!([
            {"key":"build.timeStamp","value":"2026-01-31T06:17:36.936+00:00"},
            {"key":"plan.storageTag","value":"plan-1"}
        ])
    );
}

#[test]
fn small_collections_of_a_result_list_their_items() {
    let mut view = result();
    view.details.labels = vec!["nightly".to_owned()].into();
    view.details.comments = vec![CommentView {
        id: 9,
        author: "joe".to_owned(),
        content: "ok".to_owned(),
        created_ms: STARTED_MS,
        modified_ms: STARTED_MS,
    }]
    .into();
    view.details.variables = vec![variable("k", "hunter2", true)].into();
    view.details.issues = vec![IssueView {
        key: "WEB-1".to_owned(),
    }]
    .into();
    let ctx = context("labels,comments.comment,variables,jiraIssues,artifacts");
    let document = parsed(&result_single(&view, &ctx));
    assert_eq!(
        document["labels"]["label"],
        serde_json::json!([{"name":"nightly"}])
    );
    assert_eq!(document["comments"]["comment"][0]["content"], "ok");
    assert_eq!(
        document["comments"]["comment"][0]["creationDate"],
        "2026-01-31T06:17:36.936+00:00"
    );
    assert_eq!(
        document["variables"]["variable"],
        serde_json::json!([{"name":"k","value":"********"}])
    );
    assert_eq!(
        document["jiraIssues"]["issue"],
        serde_json::json!([{"key":"WEB-1","summary":"","iconUrl":"","issueType":"","status":"","assignee":""}])
    );
    assert_eq!(document["artifacts"]["artifact"], serde_json::json!([]));
}

#[test]
fn results_of_branches_name_their_master() {
    let mut view = result();
    view.plan = branch_plan();
    let document = parsed(&result_single(&view, &context("")));
    assert_eq!(document["master"]["key"], "PROJ-PLAN");
    assert_eq!(document["plan"]["master"]["key"], "PROJ-PLAN");
    assert_eq!(
        document["expand"],
        "changes,metadata,plan,master,vcsRevisions,artifacts,comments,labels,jiraIssues,variables,stages"
    );
    view.full_plan = Some(Box::new(PlanView::short(branch_plan(), project())));
    let expanded = parsed(&result_single(&view, &context("plan")));
    assert_eq!(expanded["plan"]["buildName"], "feature-bar");
}

#[test]
fn job_result_has_times_tests_and_log_files_but_no_stages() {
    let document = parsed(&job_result_single(&PAGE, &job_result(), &context("artifacts")));
    assert!(document.get("stages").is_none() && document.get("logEntries").is_none());
    let expected = serde_json::json!({
        "stage": "First",
        "parent": {"href":"http://ci.example/rest/api/latest/result/PROJ-PLAN-7","rel":"parent"},
        "queueStartedTime": "2026-01-31T06:17:20.936+00:00",
        "prettyQueueStartedTime": "Sat, 31 Jan, 06:17 AM",
        "queueDuration": 16000, "queueTimeInSeconds": 16, "prettyQueueDuration": "16 secs",
        "vcsUpdateStartedTime": "2026-01-31T06:17:36.936+00:00",
        "prettyVcsUpdateStartedTime": "Sat, 31 Jan, 06:17 AM",
        "vcsUpdateDuration": 400, "vcsUpdateInSeconds": 0, "prettyVcsUpdateDuration": "< 1 sec",
        "logFiles": ["http://ci.example/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-7.log"],
        "planResultKey": {"key":"PROJ-PLAN-JOB1-7","entityKey":{"key":"PROJ-PLAN-JOB1"},"resultNumber":7},
        "state": "Failed", "restartable": true,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&document[name], value, "{name}");
    }
    assert_eq!(document["plan"]["type"], "job");
    assert_eq!(document["testResults"]["all"], 6);
    assert_eq!(document["testResults"]["newFailed"], 1);
    assert!(document.get("hasExecutableAgents").is_none());
    assert_eq!(
        document["artifacts"]["artifact"],
        serde_json::json!([{"name":"jar",
            "link":{"href":"http://ci.example/browse/PROJ-PLAN-7/artifact/shared/jar/out/door.jar","rel":"self"},
            "producerJobKey":"PROJ-PLAN-JOB1-7","shared":true,"size":6_999_999,"prettySizeDescription":"6 MB"}])
    );
}

#[test]
fn job_that_never_ran_tells_whether_an_agent_fits() {
    let mut view = job_result();
    view.details = ResultDetails {
        started_ms: None,
        completed_ms: None,
        ..details(Status::Queued)
    };
    let document = parsed(&job_result_single(&PAGE, &view, &context("")));
    assert_eq!(document["hasExecutableAgents"], true);
    assert_eq!(
        document["expand"],
        "changes,metadata,plan,vcsRevisions,jiraIssues,variables,logFiles"
    );
    assert!(document.get("testResults").is_none() && document.get("buildStartedTime").is_none());
}

#[test]
fn failed_tests_are_listed_with_their_errors() {
    let ctx = context("testResults.failedTests.testResult.errors");
    let document = parsed(&job_result_single(&PAGE, &job_result(), &ctx));
    assert_eq!(
        document["testResults"]["failedTests"],
        serde_json::json!({"size":1,"expand":"testResult","start-index":0,"max-result":1,"testResult":[
            {"testCaseId":123,"className":"pkg.Door","methodName":"opens","status":"failed",
             "duration":12,"durationInSeconds":0,
             "errors":{"size":1,"expand":"error","start-index":0,"max-result":1,"error":[{"message":"stuck"}]}}]})
    );
    assert_eq!(document["testResults"]["allTests"]["size"], 6);
}

#[test]
fn log_pages_follow_the_parameters_or_the_range() {
    let document = parsed(&job_result_single(&PAGE, &job_result(), &context("logEntries")));
    assert_eq!(
        document["logEntries"],
        serde_json::json!({"size":2,"expand":"logEntry","start-index":0,"max-result":2,"logEntry":[
            {"log":"make \"all\" &lt;here&gt; &amp; now","unstyledLog":"make \"all\" <here> & now",
             "date":STARTED_MS,"formattedDate":"31-Jan-2026 06:17:36"},
            {"log":"boom","unstyledLog":"boom","date":STARTED_MS + 64,
             "formattedDate":"31-Jan-2026 06:17:37","cssStyle":"errorOutputLog"}]})
    );
    let second = Page { start: 1, size: 1 };
    for (page, expand) in [
        (second, "logEntries"),
        (PAGE, "logEntries[1:2]"),
        (PAGE, "logEntries[-1:]"),
    ] {
        let document = parsed(&job_result_single(&page, &job_result(), &context(expand)));
        assert_eq!(document["logEntries"]["start-index"], 1, "{expand}");
        assert_eq!(document["logEntries"]["max-result"], 1, "{expand}");
        assert_eq!(document["logEntries"]["logEntry"][0]["log"], "boom", "{expand}");
    }
    let everything = Page {
        start: 0,
        size: 99_999,
    };
    let document = parsed(&job_result_single(
        &everything,
        &job_result(),
        &context("logEntries"),
    ));
    assert_eq!(document["logEntries"]["max-result"], 2);
}
