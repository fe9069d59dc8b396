//! JUnit's XML, which has no owner and many dialects: Surefire and Failsafe, Ant, Gradle, pytest, GoogleTest, CTest,
//! Jest, Mocha, PHPUnit, Bazel, QtTest, nextest and more.
//!
//! What they share: `<testcase>` somewhere below `<testsuite>`. What differs: where the class is named, how a case
//! that was not run is marked, and whether the reason of a failure is an attribute or a text.

use super::case::{CaseSink, RawCase, RawFailure};
use super::xml::{Element, Step, Tag, XmlWalk};
use super::{FindingKind, TestOutcome, duration};

/// A suite that is open.
struct Suite {
    depth: usize,
    name: String,
}

pub(super) fn read(root: &Tag, walk: &mut XmlWalk<'_>, sink: &mut CaseSink<'_>) {
    let mut suites: Vec<Suite> = Vec::new();
    if root.name == "testsuite" {
        suites.push(suite(root, walk.depth()));
    }
    loop {
        match walk.step(sink) {
            Step::Open(tag) => match tag.name.as_str() {
                "testcase" => {
                    let element = walk.element(tag, sink);
                    let suite = suites.last().map_or("", |suite| suite.name.as_str());
                    let case = case(&element, suite, sink);
                    sink.add(case);
                    if sink.is_full() {
                        // One more is asked for, so that it is noted when there is one.
                        note_rest(walk, sink);
                        return;
                    }
                }
                "testsuite" => suites.push(suite(&tag, walk.depth())),
                "error" | "failure" => {
                    let element = walk.element(tag, sink);
                    let name = suites.last().map_or("", |suite| suite.name.as_str());
                    let case = failed_suite(&element, name, sink);
                    sink.add(case);
                }
                "properties" | "system-out" | "system-err" => walk.skip(sink),
                _ => {}
            },
            Step::Close => while suites.pop_if(|suite| suite.depth > walk.depth()).is_some() {},
            Step::End => return,
        }
    }
}

fn note_rest(walk: &mut XmlWalk<'_>, sink: &mut CaseSink<'_>) {
    loop {
        match walk.step(sink) {
            Step::Open(tag) if tag.name == "testcase" => {
                let message = format!("only the first {} cases are taken", sink.limits().cases);
                sink.find_once(tag.line, FindingKind::TooManyCases, &message);
                return;
            }
            Step::Open(_) | Step::Close => {}
            Step::End => return,
        }
    }
}

/// Ant gives the package of a suite apart from its name.
fn suite(tag: &Tag, depth: usize) -> Suite {
    let name = tag.attribute("name").unwrap_or("").trim();
    let name = match tag.filled("package") {
        Some(package) if !name.starts_with(package.trim()) => format!("{}.{name}", package.trim()),
        _ => name.to_owned(),
    };
    Suite { depth, name }
}

fn case(element: &Element, suite: &str, sink: &mut CaseSink<'_>) -> RawCase {
    let tag = &element.tag;
    let reasons_named = |names: &[&str]| -> Vec<RawFailure> {
        element
            .children
            .iter()
            .filter(|child| names.contains(&child.tag.name.as_str()))
            .map(reason)
            .collect()
    };
    let failures = reasons_named(&["failure", "error"]);
    let skips = reasons_named(&["skipped", "skip", "ignored", "disabled"]);
    let (outcome, failures) = if !failures.is_empty() {
        (TestOutcome::Failed, failures)
    } else if !skips.is_empty() {
        (TestOutcome::Skipped, skips)
    } else {
        (outcome_of_attributes(tag), Vec::new())
    };
    let output: Vec<&str> = ["system-out", "system-err"]
        .iter()
        .flat_map(|name| {
            element
                .children
                .iter()
                .filter(move |child| child.tag.name == *name)
        })
        .map(|child| child.text.trim_matches('\n'))
        .filter(|text| !text.trim().is_empty())
        .collect();
    let time = tag.filled("time").or_else(|| tag.filled("duration"));
    RawCase {
        class_name: ["classname", "class"]
            .iter()
            .find_map(|name| tag.filled(name))
            .unwrap_or(suite)
            .to_owned(),
        name: tag.attribute("name").unwrap_or("").to_owned(),
        outcome,
        duration_ms: duration::seconds(time, tag.line, sink),
        failures,
        system_out: output.join("\n"),
        line: tag.line,
    }
}

/// GoogleTest, CTest, Bazel and QtTest say in an attribute what became of a case.
fn outcome_of_attributes(tag: &Tag) -> TestOutcome {
    let words = [tag.attribute("status"), tag.attribute("result")];
    let is = |known: &[&str]| {
        words
            .iter()
            .flatten()
            .any(|word| known.iter().any(|known| word.trim().eq_ignore_ascii_case(known)))
    };
    if is(&["fail", "failed", "failure", "error", "timeout"]) {
        TestOutcome::Failed
    } else if is(&["notrun", "disabled", "skipped", "skip", "ignored", "suppressed"]) {
        TestOutcome::Skipped
    } else {
        TestOutcome::Successful
    }
}

/// The message stands in an attribute, in the text, or both; the type helps where there is neither.
fn reason(element: &Element) -> RawFailure {
    let message = element.tag.filled("message").unwrap_or("");
    let text = element.text.trim();
    let message = match (message.is_empty(), text.is_empty()) {
        (true, true) => element.tag.filled("type").unwrap_or(""),
        _ => message,
    };
    RawFailure {
        message: message.to_owned(),
        text: text.to_owned(),
    }
}

/// A suite that failed outside of its cases must not look as if all had passed.
fn failed_suite(element: &Element, suite: &str, sink: &mut CaseSink<'_>) -> RawCase {
    let line = element.tag.line;
    sink.find(
        line,
        FindingKind::SuiteFailed,
        "the suite failed outside of its cases; it counts as a case that failed",
    );
    RawCase {
        class_name: suite.to_owned(),
        name: "(suite)".to_owned(),
        outcome: TestOutcome::Failed,
        duration_ms: None,
        failures: vec![reason(element)],
        system_out: String::new(),
        line,
    }
}
