//! `testng-results.xml`: `<test-method>` below `<class>`. Methods that prepare and clean up count when they fail.

use super::case::{CaseSink, RawCase, RawFailure};
use super::xml::{Element, Step, XmlWalk};
use super::{FindingKind, TestOutcome, duration};

pub(super) fn read(walk: &mut XmlWalk<'_>, sink: &mut CaseSink<'_>) {
    let mut class_name = String::new();
    loop {
        match walk.step(sink) {
            Step::Open(tag) => match tag.name.as_str() {
                "class" => class_name = tag.attribute("name").unwrap_or("").to_owned(),
                "test-method" => {
                    let element = walk.element(tag, sink);
                    if let Some(case) = case(&element, &class_name, sink) {
                        sink.add(case);
                    }
                }
                "reporter-output" | "groups" => walk.skip(sink),
                _ => {}
            },
            Step::Close => {}
            Step::End => return,
        }
    }
}

fn case(element: &Element, class_name: &str, sink: &mut CaseSink<'_>) -> Option<RawCase> {
    let tag = &element.tag;
    let status = tag.attribute("status").unwrap_or("").trim().to_uppercase();
    let outcome = match status.as_str() {
        "PASS" | "SUCCESS_PERCENTAGE_FAILURE" => TestOutcome::Successful,
        "SKIP" => TestOutcome::Skipped,
        "FAIL" => TestOutcome::Failed,
        other => {
            let message = format!("`{other}` is no status of TestNG; the method counts as failed");
            sink.find(tag.line, FindingKind::UnknownOutcome, &message);
            TestOutcome::Failed
        }
    };
    let is = |name: &str| {
        tag.attribute(name)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    };
    let is_preparation = is("is-config") && outcome != TestOutcome::Failed;
    // Each attempt but the last is marked so.
    if is_preparation || is("retried") {
        return None;
    }
    let failures = element
        .child("exception")
        .map(|exception| {
            let stack = exception.text_of("full-stacktrace").trim();
            let message = exception.text_of("message").trim();
            RawFailure {
                message: match message {
                    "" => exception.tag.filled("class").unwrap_or("").to_owned(),
                    message => message.to_owned(),
                },
                text: stack.to_owned(),
            }
        })
        .into_iter()
        .collect();
    let output: Vec<&str> = element.child("reporter-output").map_or_else(Vec::new, |output| {
        output.children.iter().map(|line| line.text.trim()).collect()
    });
    Some(RawCase {
        class_name: class_name.to_owned(),
        name: name(element),
        outcome,
        duration_ms: duration::milliseconds(tag.attribute("duration-ms"), tag.line, sink),
        failures,
        system_out: output.join("\n"),
        line: tag.line,
    })
}

/// The method, and the values that a data provider gave it: else all its runs were one case.
fn name(element: &Element) -> String {
    const LONGEST_VALUE: usize = 100;
    let method = element.tag.attribute("name").unwrap_or("");
    let Some(params) = element.child("params") else {
        return method.to_owned();
    };
    let values: Vec<String> = params
        .children
        .iter()
        .map(|param| {
            param
                .text_of("value")
                .trim()
                .chars()
                .take(LONGEST_VALUE)
                .collect()
        })
        .collect();
    if values.is_empty() {
        method.to_owned()
    } else {
        format!("{method}({})", values.join(", "))
    }
}
