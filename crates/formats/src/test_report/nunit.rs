//! NUnit 2 (`<test-results>`) and 3 (`<test-run>`): `<test-case>` below `<test-suite>`.

use super::case::{CaseSink, RawCase, RawFailure};
use super::xml::{Element, Step, Tag, XmlWalk};
use super::{FindingKind, TestOutcome, duration};

pub(super) fn read(walk: &mut XmlWalk<'_>, sink: &mut CaseSink<'_>) {
    // The suite that failed by itself and waits for its reason: its depth and the number of its case.
    let mut waiting: Option<(usize, usize)> = None;
    loop {
        match walk.step(sink) {
            Step::Open(tag) => match tag.name.as_str() {
                "test-case" => {
                    let element = walk.element(tag, sink);
                    let case = case(&element, sink);
                    sink.add(case);
                }
                "test-suite" if failed_by_itself(&tag) => {
                    waiting = Some((walk.depth(), sink.count()));
                    add_suite(&tag, sink);
                }
                "failure" | "reason" => {
                    let depth = walk.depth();
                    let element = walk.element(tag, sink);
                    if let Some((_, number)) = waiting.take_if(|(suite, _)| *suite + 1 == depth) {
                        let message = sink.name(element.text_of("message"));
                        if let Some(case) = sink.case_mut(number)
                            && !message.is_empty()
                        {
                            case.message = message;
                        }
                    }
                }
                "properties" | "settings" | "output" | "attachments" | "environment" => walk.skip(sink),
                _ => {}
            },
            Step::Close => {}
            Step::End => return,
        }
    }
}

/// An assembly that cannot be loaded has no cases, and a tear-down fails after all of them have passed.
fn failed_by_itself(tag: &Tag) -> bool {
    let is = |name: &str, word: &str| {
        tag.attribute(name)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case(word))
    };
    is("result", "Failed") && (is("label", "Invalid") || is("site", "TearDown"))
}

fn add_suite(tag: &Tag, sink: &mut CaseSink<'_>) {
    sink.find(
        tag.line,
        FindingKind::SuiteFailed,
        "the suite failed outside of its cases; it counts as a case that failed",
    );
    sink.add(RawCase {
        class_name: tag
            .filled("fullname")
            .or_else(|| tag.filled("name"))
            .unwrap_or("")
            .to_owned(),
        name: "(suite)".to_owned(),
        outcome: TestOutcome::Failed,
        duration_ms: None,
        failures: vec![RawFailure {
            message: "the suite could not be run".to_owned(),
            text: String::new(),
        }],
        system_out: String::new(),
        line: tag.line,
    });
}

fn case(element: &Element, sink: &mut CaseSink<'_>) -> RawCase {
    let tag = &element.tag;
    let full_name = tag
        .filled("fullname")
        .or_else(|| tag.filled("name"))
        .unwrap_or("");
    let (class_name, name) = split_full_name(full_name);
    let reason = |name: &str| {
        element.child(name).map(|reason| RawFailure {
            message: reason.text_of("message").trim().to_owned(),
            text: reason.text_of("stack-trace").trim().to_owned(),
        })
    };
    let time = tag.filled("duration").or_else(|| tag.filled("time"));
    RawCase {
        class_name: tag.filled("classname").unwrap_or(class_name).to_owned(),
        name: match tag.filled("classname") {
            Some(_) => tag.filled("name").unwrap_or(name),
            None => name,
        }
        .to_owned(),
        outcome: outcome(tag, sink),
        duration_ms: duration::seconds(time, tag.line, sink),
        failures: ["failure", "reason"]
            .iter()
            .filter_map(|name| reason(name))
            .collect(),
        system_out: element.text_of("output").trim_end().to_owned(),
        line: tag.line,
    }
}

fn outcome(tag: &Tag, sink: &mut CaseSink<'_>) -> TestOutcome {
    let is_true = |name: &str| {
        tag.attribute(name)
            .map(|value| value.trim().eq_ignore_ascii_case("true"))
    };
    let Some(result) = tag.filled("result") else {
        // The oldest reports have two flags in place of a result.
        return match (is_true("executed"), is_true("success")) {
            (Some(false), _) => TestOutcome::Skipped,
            (_, Some(true)) => TestOutcome::Successful,
            _ => TestOutcome::Failed,
        };
    };
    match result.trim().to_lowercase().as_str() {
        "passed" | "success" | "warning" => TestOutcome::Successful,
        "skipped" | "ignored" | "inconclusive" | "notrun" => TestOutcome::Skipped,
        "failed" | "failure" | "error" | "notrunnable" | "cancelled" | "invalid" => TestOutcome::Failed,
        other => {
            let message = format!("`{other}` is no result of NUnit; the case counts as failed");
            sink.find(tag.line, FindingKind::UnknownOutcome, &message);
            TestOutcome::Failed
        }
    }
}

/// `Name.Space.Class.Method(1.5, "a.b")` at the last point before its arguments.
pub(super) fn split_full_name(full_name: &str) -> (&str, &str) {
    let before_arguments = full_name.find('(').unwrap_or(full_name.len());
    match full_name[..before_arguments].rfind('.') {
        Some(point) => (&full_name[..point], &full_name[point + 1..]),
        None => ("", full_name),
    }
}
