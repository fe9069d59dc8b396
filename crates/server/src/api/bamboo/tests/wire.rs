//! Requests as real clients send them (bamboo-rest.md 14.1, 16), as far as no store is needed.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use axum::response::IntoResponse;

use super::super::answer::Answer;
use super::super::negotiate::{Format, Formats, negotiate, split_suffix};
use super::super::node::{Document, Object};
use super::super::paging::{DEFAULT_SIZE, MAX_SIZE, Page};
use super::super::query::Parameters;

fn format_for(path: &str, accept: Option<&'static str>) -> Format {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept {
        headers.insert(ACCEPT, accept.parse().unwrap());
    }
    negotiate(path, &headers, Formats::XmlAndJson)
}

#[test]
fn python_client_gets_json_pages_of_25() {
    let parameters = Parameters::from_query(Some("max-results=25&start-index=0&include_all_states=False"));
    let page = Page::from_parameters(&parameters, MAX_SIZE);
    assert_eq!(
        page,
        Page {
            start: 0,
            size: DEFAULT_SIZE
        }
    );
    assert!(!parameters.flag("includeAllStates"));
    assert_eq!(
        format_for("/result/PROJ-PLAN", Some("application/json")),
        Format::Json
    );
    assert_eq!(
        format_for("/result/PROJ-PLAN/latest.json", Some("application/json")),
        Format::Json
    );
}

#[test]
fn python_client_sends_flags_bare_and_capitalised() {
    let parameters = Parameters::from_query(Some(
        "favourite&cloverEnabled&includeAllStates=True&label=a&label=b&issueKey=WEB-1,WEB-2",
    ));
    for flag in ["favourite", "cloverEnabled", "includeAllStates"] {
        assert!(parameters.flag(flag), "{flag}");
    }
    assert_eq!(parameters.list("label"), ["a", "b"]);
    assert_eq!(parameters.list("issueKey"), ["WEB-1", "WEB-2"]);
}

#[test]
fn queue_posts_of_all_clients_are_read() {
    let rows = [
        ("executeAllStages=true", Some("application/json"), "", true, None),
        ("", None, "", false, None),
        ("executeAllStages", Some("application/json"), "\"\"", false, None),
        ("stage&executeAllStages", None, "", false, None),
        (
            "stage=Second&executeAllStages=false",
            Some("application/json"),
            "{}",
            false,
            Some("Second"),
        ),
        ("stage=IntegrationTest", None, "", false, Some("IntegrationTest")),
        (
            "",
            Some("application/x-www-form-urlencoded"),
            "ARTIFACT1&ExecuteAllStages",
            false,
            None,
        ),
        (
            "",
            Some("application/x-www-form-urlencoded"),
            "stage=Deploy&executeAllStages=true",
            true,
            Some("Deploy"),
        ),
    ];
    for (query, content_type, body, all_stages, stage) in rows {
        let parameters = Parameters::from_query(Some(query))
            .with_body(content_type, body.as_bytes())
            .unwrap();
        assert_eq!(
            parameters.explicit_flag("executeAllStages"),
            all_stages,
            "{query} {body}"
        );
        assert_eq!(parameters.text("stage"), stage, "{query} {body}");
    }
}

#[test]
fn shell_clients_without_a_preference_get_xml() {
    assert_eq!(format_for("/result/byChangeset/3f1c", Some("*/*")), Format::Xml);
    assert_eq!(format_for("/result/byChangeset/3f1c", None), Format::Xml);
}

#[test]
fn branch_names_keep_their_slashes_and_lose_one_suffix() {
    let split = split_suffix("/plan/PROJ-PLAN/branch/feature/x y.json");
    assert_eq!(split.path, "/plan/PROJ-PLAN/branch/feature/x y");
    assert_eq!(split.format, Some(Format::Json));
}

#[test]
fn answers_carry_the_type_of_their_format() {
    let document = || Document::new("info", Object::new().element("version", "12.1.8"));
    for (format, content_type) in [
        (Format::Json, "application/json;charset=UTF-8"),
        (Format::Xml, "application/xml;charset=UTF-8"),
    ] {
        let response = Answer::ok(document(), format).into_response();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], content_type);
        assert_eq!(response.headers().get_all(CONTENT_TYPE).iter().count(), 1);
    }
    let created = Answer::with_status(StatusCode::CREATED, document(), Format::Json).into_response();
    assert_eq!(created.status(), StatusCode::CREATED);
}
