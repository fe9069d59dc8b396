//! XML documents: which fields are attributes, which are elements (bamboo-rest.md 12).

use quick_xml::Reader;
use quick_xml::events::Event;

use super::super::node::Document;
use super::super::paging::Page;
use super::super::render::*;
use super::super::view::*;
use super::samples::*;

const PAGE: Page = Page { start: 0, size: 25 };
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";

#[track_caller]
fn assert_xml(document: &Document, expected: &str) {
    let expected: String = expected.lines().map(str::trim_start).collect();
    assert_eq!(document.to_xml(), format!("{HEAD}{expected}"));
}

/// The path of element names to each text, as the original's clients walk it.
fn texts(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut found = Vec::new();
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => path.push(start.name().as_ref().to_owned()),
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) => found.push((path.join("/"), text.xml10_content().into_owned())),
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn plans_stand_in_plans() {
    let plans = [PlanView::short(plan(), project())];
    assert_xml(
        &plan_list(&PAGE, &plans, 1, &context("")),
        r#"<plans expand="plans"><link href="http://ci.example/rest/api/latest/plan" rel="self"/>
           <plans size="1" expand="plan" start-index="0" max-result="1">
           <plan id="360449" shortName="Build" shortKey="PLAN" type="chain" enabled="true" key="PROJ-PLAN" name="My project - Build">
           <link href="http://ci.example/rest/api/latest/plan/PROJ-PLAN" rel="self"/>
           <planKey><key>PROJ-PLAN</key></planKey></plan></plans></plans>"#,
    );
}

#[test]
fn results_stand_in_results_where_gitlab_looks_for_them() {
    let entries = [ResultEntry::Plan(summary())];
    let href = "http://ci.example/rest/api/latest/result/byChangeset/3f1c".to_owned();
    let document = result_list(&PAGE, &entries, 1, href, &context(""));
    assert_xml(
        &document,
        r#"<results expand="results">
           <link href="http://ci.example/rest/api/latest/result/byChangeset/3f1c" rel="self"/>
           <results size="1" expand="result" start-index="0" max-result="1">
           <result lifeCycleState="Finished" id="360450" key="PROJ-PLAN-7" state="Successful" number="7">
           <link href="http://ci.example/rest/api/latest/result/PROJ-PLAN-7" rel="self"/>
           <plan id="360449" shortName="Build" shortKey="PLAN" type="chain" enabled="true" key="PROJ-PLAN" name="My project - Build">
           <link href="http://ci.example/rest/api/latest/plan/PROJ-PLAN" rel="self"/>
           <planKey><key>PROJ-PLAN</key></planKey></plan>
           <buildResultKey>PROJ-PLAN-7</buildResultKey>
           <planResultKey><key>PROJ-PLAN-7</key><entityKey><key>PROJ-PLAN</key></entityKey><resultNumber>7</resultNumber></planResultKey>
           <buildState>Successful</buildState><buildNumber>7</buildNumber></result></results></results>"#,
    );
    let texts = texts(&document.to_xml());
    let has = |path: &str, text: &str| texts.contains(&(path.to_owned(), text.to_owned()));
    assert!(has("results/results/result/planResultKey/key", "PROJ-PLAN-7"));
    assert!(has("results/results/result/buildState", "Successful"));
}

#[test]
fn queued_build_begins_as_string_matching_clients_expect() {
    let view = QueuedBuildView {
        key: QueuedKey::Plan("PROJ-PLAN-8".parse().unwrap()),
        reason: Reason::Scheduled,
        changes: Slice::default(),
    };
    assert_xml(
        &queued_build(&view, &context("")),
        r#"<restQueuedBuild planKey="PROJ-PLAN" buildNumber="8" buildResultKey="PROJ-PLAN-8">
           <triggerReason>Scheduled</triggerReason>
           <link href="http://ci.example/rest/api/latest/result/PROJ-PLAN-8" rel="self"/></restQueuedBuild>"#,
    );
    assert_xml(
        &queue_list(&PAGE, &[], 0, &context("")),
        r#"<queue expand="queuedBuilds"><link href="http://ci.example/rest/api/latest/queue" rel="self"/>
           <queuedBuilds size="0" start-index="0" max-result="0"/></queue>"#,
    );
}

#[test]
fn result_keeps_its_booleans_in_attributes_and_its_commits_readable() {
    let mut view = result();
    view.details.reason = Reason::ManualBuild {
        user: UserRef {
            name: "joe".to_owned(),
            full_name: "Joe & <Co>".to_owned(),
        },
    };
    let xml = result_single(&view, &context("changes.change.files,labels")).to_xml();
    for attribute in [
        " continuable=\"true\"",
        " onceOff=\"false\"",
        " restartable=\"false\"",
        " notRunYet=\"false\"",
        " finished=\"true\"",
        " successful=\"true\"",
        " lifeCycleState=\"Finished\"",
        " author=\"Ann &lt;ann@example.org&gt;\"",
    ] {
        assert!(xml.contains(attribute), "{attribute} in {xml}");
    }
    let texts = texts(&xml);
    let joined = |path: &str| -> String {
        let found = texts.iter().filter(|(at, _)| at == path);
        found.map(|(_, text)| text.as_str()).collect()
    };
    assert_eq!(joined("result/changes/change/comment"), "mend\nthe [1mdoor");
    assert_eq!(joined("result/changes/change/files/file/name"), "src/door.rs");
    assert!(xml.contains(
        "<buildReason>Manual run by &lt;a href=\"http://ci.example/browse/user/joe\"&gt;\
         Joe &amp;amp; &amp;lt;Co&amp;gt;&lt;/a&gt;</buildReason>"
    ));
}

#[test]
fn other_objects_split_like_the_table_says() {
    let ctx = context("branches.branch");
    let branches = branch_list(&plan().key, &PAGE, &[branch()], 1, &ctx).to_xml();
    assert!(branches.contains(
        "<branch expand=\"latestResult,master\" shortName=\"feature-bar\" shortKey=\"PLAN0\" enabled=\"true\" \
         key=\"PROJ-PLAN0\" name=\"My project - Build - feature-bar\">"
    ));
    assert!(branches.contains("<isFavourite>false</isFavourite>"));
    let variables = plan_variables(&[variable("x", "a\nb", false)]);
    assert_xml(
        &variables,
        "<variables><variable name=\"x\" value=\"a&#10;b\"/></variables>",
    );
    let comment = CommentView {
        id: 9,
        author: "joe".to_owned(),
        content: "fine".to_owned(),
        created_ms: STARTED_MS,
        modified_ms: STARTED_MS,
    };
    let comments = comment_list(&PAGE, &[comment], 1, "http://ci".to_owned(), &ctx).to_xml();
    assert!(comments.contains("<comment id=\"9\"><author>joe</author><content>fine</content>"));
    let log = job_result_single(&PAGE, &job_result(), &context("logEntries")).to_xml();
    assert!(log.contains("<logFiles><logFile>http://ci.example/download/"));
    assert!(texts(&log).contains(&("result/stage".to_owned(), "First".to_owned())));
}
