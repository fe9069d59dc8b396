//! Plans, projects and plan branches.

use super::super::super::paging::Page;
use super::super::super::render::*;
use super::super::super::view::*;
use super::super::samples::*;
use super::{PAGE, SHORT_PLAN, assert_json, parsed};

#[test]
fn plan_list_shows_short_plans() {
    let plans = [PlanView::short(plan(), project())];
    assert_json(
        &plan_list(&PAGE, &plans, 1, &context("")),
        &format!(
            r#"{{"expand":"plans","link":{{"href":"http://ci.example/rest/api/latest/plan","rel":"self"}},
                "plans":{{"size":1,"expand":"plan","start-index":0,"max-result":1,"plan":[{SHORT_PLAN}]}}}}"#
        ),
    );
}

#[test]
fn pages_in_the_middle_tell_the_whole_size() {
    let plans = [PlanView::short(plan(), project())];
    let document = parsed(&plan_list(
        &Page { start: 50, size: 1 },
        &plans,
        120,
        &context(""),
    ));
    assert_eq!(document["plans"]["size"], 120);
    assert_eq!(document["plans"]["start-index"], 50);
    assert_eq!(document["plans"]["max-result"], 1);
}

#[test]
fn full_plan_counts_its_parts() {
    assert_json(
        &plan_single(&full_plan(), &context("")),
        r#"{"expand":"actions,stages,branches,variableContext",
            "projectKey":"PROJ","projectName":"My project",
            "project":{"id":720897,"key":"PROJ","name":"My project","description":"",
                       "link":{"href":"http://ci.example/rest/api/latest/project/PROJ","rel":"self"}},
            "description":"Builds & tests","id":360449,"shortName":"Build","buildName":"Build",
            "shortKey":"PLAN","type":"chain","enabled":true,
            "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN","rel":"self"},
            "isFavourite":false,"isActive":true,"isBuilding":false,"averageBuildTimeInSeconds":16,
            "actions":{"size":0,"start-index":0,"max-result":0},
            "stages":{"size":1,"start-index":0,"max-result":1},
            "branches":{"size":1,"start-index":0,"max-result":1},
            "variableContext":{"size":2,"max-results":2},
            "key":"PROJ-PLAN","name":"My project - Build","planKey":{"key":"PROJ-PLAN"}}"#,
    );
}

#[test]
fn expanded_plan_lists_its_parts_and_masks_passwords() {
    let expand = "actions,stages.stage.plans.plan,branches,variableContext";
    let document = parsed(&plan_single(&full_plan(), &context(expand)));
    assert_eq!(document["actions"]["action"], serde_json::json!([]));
    let stage = &document["stages"]["stage"][0];
    assert_eq!(stage["name"], "First");
    assert_eq!(stage["manual"], false);
    let job = &stage["plans"]["plan"][0];
    assert_eq!(job["type"], "job");
    assert_eq!(job["shortKey"], "PLAN-JOB1");
    assert_eq!(job["name"], "My project - Build - Unit tests");
    assert_eq!(document["branches"]["branch"][0]["key"], "PROJ-PLAN0");
    assert_eq!(
        document["variableContext"],
        serde_json::json!({"size":2,"max-results":2,"variable":[
            {"key":"level","value":"1","variableType":"PLAN","isPassword":false},
            {"key":"deploy.password","value":"********","variableType":"PLAN","isPassword":true}]})
    );
}

#[test]
fn list_items_are_full_only_when_expanded_and_omit_variables() {
    let plans = [full_plan()];
    let full = parsed(&plan_list(&PAGE, &plans, 1, &context("plans.plan.branches")));
    let item = &full["plans"]["plan"][0];
    assert_eq!(item["expand"], "actions,stages,branches");
    assert_eq!(item["branches"]["branch"][0]["shortName"], "feature-bar");
    assert!(item.get("variableContext").is_none());
    let short = parsed(&plan_list(&PAGE, &plans, 1, &context("plans")));
    assert!(short["plans"]["plan"][0].get("expand").is_none());
}

#[test]
fn plan_branch_begins_with_its_master() {
    let view = PlanView::short(branch_plan(), project());
    let document = parsed(&plan_list(&PAGE, &[view], 1, &context("")));
    let item = &document["plans"]["plan"][0];
    assert_eq!(item.as_object().unwrap().keys().next().unwrap(), "master");
    assert_eq!(item["master"]["key"], "PROJ-PLAN");
    assert_eq!(item["type"], "chain_branch");
    assert_eq!(item["shortKey"], "PLAN0");
    assert_eq!(item["name"], "My project - Build - feature-bar");
}

#[test]
fn plan_variables_are_a_bare_array() {
    let variables = [variable("x", "1", false), variable("secret", "hunter2", true)];
    assert_json(
        &plan_variables(&variables),
        r#"[{"name":"x","value":"1"},{"name":"secret","value":"********"}]"#,
    );
}

#[test]
fn projects_show_plans_as_far_as_asked() {
    let view = ProjectView {
        project: project(),
        plans: vec![full_plan()].into(),
    };
    let list = std::slice::from_ref(&view);
    assert_json(
        &project_list(&PAGE, list, 1, &context("")),
        r#"{"expand":"projects","link":{"href":"http://ci.example/rest/api/latest/project","rel":"self"},
            "projects":{"size":1,"expand":"project","start-index":0,"max-result":1,"project":[
              {"id":720897,"key":"PROJ","name":"My project","description":"",
               "link":{"href":"http://ci.example/rest/api/latest/project/PROJ","rel":"self"}}]}}"#,
    );
    let counted = parsed(&project_list(&PAGE, list, 1, &context("projects.project")));
    assert_eq!(
        counted["projects"]["project"][0]["plans"],
        serde_json::json!({"size":1,"start-index":0,"max-result":1})
    );
    let nested = parsed(&project_list(
        &PAGE,
        list,
        1,
        &context("projects.project.plans.plan"),
    ));
    assert!(nested["projects"]["project"][0]["plans"]["plan"][0]["buildName"].is_string());
    let single = parsed(&project_single(&PAGE, &view, &context("plans")));
    assert_eq!(single["expand"], "plans");
    assert_eq!(single["plans"]["expand"], "plan");
    assert!(single["plans"]["plan"][0].get("buildName").is_none());
}

#[test]
fn page_of_a_project_applies_to_its_plans() {
    let plans: Vec<PlanView> = (0..5).map(|_| PlanView::short(plan(), project())).collect();
    let view = ProjectView {
        project: project(),
        plans: plans.into(),
    };
    let page = Page { start: 4, size: 3 };
    let document = parsed(&project_single(&page, &view, &context("plans")));
    assert_eq!(document["plans"]["start-index"], 4);
    assert_eq!(document["plans"]["max-result"], 3);
    assert_eq!(document["plans"]["plan"].as_array().unwrap().len(), 1);
}

#[test]
fn branch_list_is_read_by_the_hook_of_the_origin() {
    let key = plan().key;
    assert_json(
        &branch_list(&key, &PAGE, &[branch()], 1, &context("")),
        r#"{"expand":"branches",
            "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN/branch","rel":"self"},
            "branches":{"size":1,"expand":"branch","start-index":0,"max-result":1,
             "branch":[{"shortName":"feature-bar","shortKey":"PLAN0","enabled":true,
              "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN0","rel":"self"},
              "workflowType":"manual","key":"PROJ-PLAN0","name":"My project - Build - feature-bar"}]}}"#,
    );
    assert_json(
        &branch_list(&key, &PAGE, &[], 0, &context("")),
        r#"{"expand":"branches",
            "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN/branch","rel":"self"},
            "branches":{"size":0,"expand":"branch","start-index":0,"max-result":0,"branch":[]}}"#,
    );
}

#[test]
fn expanded_branch_has_its_latest_results_and_master() {
    let view = BranchView {
        description: "doors".to_owned(),
        latest_result: Some(ResultEntry::FullPlan(Box::new(result()))),
        latest_active: Some(ActiveResult {
            key: "PROJ-PLAN0-8".parse().unwrap(),
            status: Status::InProgress,
        }),
        ..branch()
    };
    let key = plan().key;
    let list = std::slice::from_ref(&view);
    let document = parsed(&branch_list(&key, &PAGE, list, 1, &context("branches.branch")));
    let item = &document["branches"]["branch"][0];
    assert_eq!(item["expand"], "latestResult,master");
    assert_eq!(item["description"], "doors");
    assert_eq!(item["isFavourite"], false);
    assert_eq!(item["master"]["key"], "PROJ-PLAN");
    assert_eq!(item["latestResult"]["key"], "PROJ-PLAN-7");
    assert!(item["latestResult"].get("stages").is_none());
    assert_eq!(
        item["latestCurrentlyActive"],
        serde_json::json!({"key":"PROJ-PLAN0-8","lifeCycleState":"InProgress","number":8})
    );
    let single = parsed(&branch_single(&view, &context("latestResult")));
    assert_eq!(single["key"], "PROJ-PLAN0");
    assert_eq!(single["latestResult"]["stages"]["size"], 3);
}

#[test]
fn created_branch_tells_its_key() {
    assert_json(
        &branch_created(&branch(), &context("")),
        r#"{"description":"","shortName":"feature-bar","shortKey":"PLAN0","enabled":true,
            "link":{"href":"http://ci.example/rest/api/latest/plan/PROJ-PLAN0","rel":"self"},
            "key":"PROJ-PLAN0","name":"My project - Build - feature-bar"}"#,
    );
}

#[test]
fn vcs_branches_are_names() {
    let names = ["master".to_owned(), "feature/bar".to_owned()];
    let document = parsed(&vcs_branch_list(&plan().key, &PAGE, &names, 2, &context("")));
    assert_eq!(
        document["branches"]["branch"],
        serde_json::json!([{"name":"master"},{"name":"feature/bar"}])
    );
}
