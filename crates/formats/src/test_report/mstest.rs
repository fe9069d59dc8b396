//! Visual Studio's `.trx`: results here, the classes of the tests there, joined by an id.

use std::collections::HashMap;

use super::case::{CaseSink, RawCase, RawFailure};
use super::nunit::split_full_name;
use super::xml::{Element, Step, XmlWalk};
use super::{FindingKind, TestOutcome, duration};

/// Elements that are the result of a test.
const RESULTS: [&str; 6] = [
    "UnitTestResult",
    "GenericTestResult",
    "WebTestResult",
    "ManualTestResult",
    "TestResult",
    "TestResultAggregation",
];

pub(super) fn read(walk: &mut XmlWalk<'_>, sink: &mut CaseSink<'_>) {
    // Which test each case is of, and the class of each test.
    let mut test_ids: Vec<(usize, String)> = Vec::new();
    let mut classes: HashMap<String, String> = HashMap::new();
    let mut test_id = String::new();
    loop {
        match walk.step(sink) {
            Step::Open(tag) => match tag.name.as_str() {
                name if RESULTS.contains(&name) => {
                    let element = walk.element(tag, sink);
                    add_result(&element, &mut test_ids, sink);
                }
                "UnitTest" => test_id = tag.attribute("id").unwrap_or("").to_lowercase(),
                "TestMethod" if classes.len() < sink.limits().cases => {
                    // Behind the class stands its assembly.
                    let class = tag.attribute("className").unwrap_or("");
                    let class = class.split(',').next().unwrap_or("").trim();
                    classes.insert(std::mem::take(&mut test_id), class.to_owned());
                }
                "RunInfo" => {
                    let element = walk.element(tag, sink);
                    add_run_error(&element, sink);
                }
                _ => {}
            },
            Step::Close => {}
            Step::End => break,
        }
    }
    for (number, test_id) in test_ids {
        let class = classes.get(&test_id).filter(|class| !class.is_empty());
        let class = class.map(|class| sink.name(class));
        let Some(case) = sink.case_mut(number) else {
            continue;
        };
        let (prefix, name) = split_full_name(&case.name);
        let (class, name) = match class {
            Some(class) if prefix == class => (class, name.to_owned()),
            Some(class) => (class, case.name.clone()),
            None => (prefix.to_owned(), name.to_owned()),
        };
        (case.class_name, case.name) = (class, name);
    }
}

/// A test with rows of data has a result for each of them inside of its own.
fn add_result(element: &Element, test_ids: &mut Vec<(usize, String)>, sink: &mut CaseSink<'_>) {
    let inner: Vec<&Element> = element.child("InnerResults").map_or_else(Vec::new, |inner| {
        inner
            .children
            .iter()
            .filter(|child| RESULTS.contains(&child.tag.name.as_str()))
            .collect()
    });
    for result in &inner {
        add_result(result, test_ids, sink);
    }
    if !inner.is_empty() {
        return;
    }
    let tag = &element.tag;
    let output = element.child("Output");
    let failure = output.and_then(|output| output.child("ErrorInfo"));
    let system_out: Vec<&str> = ["StdOut", "StdErr"]
        .iter()
        .filter_map(|name| Some(output?.text_of(name).trim_end()))
        .filter(|text| !text.is_empty())
        .collect();
    let id = tag.attribute("testId").unwrap_or("").to_lowercase();
    let case = RawCase {
        class_name: String::new(),
        name: tag.attribute("testName").unwrap_or("").to_owned(),
        outcome: outcome(element, sink),
        duration_ms: duration::clock(tag.attribute("duration"), tag.line, sink),
        failures: failure
            .map(|failure| RawFailure {
                message: failure.text_of("Message").trim().to_owned(),
                text: failure.text_of("StackTrace").trim().to_owned(),
            })
            .into_iter()
            .collect(),
        system_out: system_out.join("\n"),
        line: tag.line,
    };
    if !sink.is_full() {
        test_ids.push((sink.count(), id));
    }
    sink.add(case);
}

fn outcome(element: &Element, sink: &mut CaseSink<'_>) -> TestOutcome {
    let word = element.tag.attribute("outcome").unwrap_or("").trim();
    match word.to_lowercase().as_str() {
        "passed" | "completed" | "warning" => TestOutcome::Successful,
        "notexecuted" | "inconclusive" | "notrunnable" | "disconnected" | "pending" | "inprogress" => {
            TestOutcome::Skipped
        }
        // The first of Visual Studio's outcomes is "error", and the first is not written.
        "" | "failed" | "error" | "timeout" | "aborted" | "passedbutrunaborted" => TestOutcome::Failed,
        _ => {
            let message = format!("`{word}` is no outcome of MSTest; the test counts as failed");
            sink.find(element.tag.line, FindingKind::UnknownOutcome, &message);
            TestOutcome::Failed
        }
    }
}

/// A run that broke down, which says so beside its results.
fn add_run_error(element: &Element, sink: &mut CaseSink<'_>) {
    let tag = &element.tag;
    if tag.attribute("outcome") != Some("Error") {
        return;
    }
    sink.find(
        tag.line,
        FindingKind::SuiteFailed,
        "the run failed outside of its tests; it counts as a case that failed",
    );
    sink.add(RawCase {
        class_name: String::new(),
        name: "(test run)".to_owned(),
        outcome: TestOutcome::Failed,
        duration_ms: None,
        failures: vec![RawFailure {
            message: String::new(),
            text: element.text_of("Text").trim().to_owned(),
        }],
        system_out: String::new(),
        line: tag.line,
    });
}
