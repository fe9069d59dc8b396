//! Tests of a job (bamboo-rest.md 5.6).

use super::super::expand::Expand;
use super::super::node::Object;
use super::super::view::{Slice, TestResults, TestView};
use super::collection::nested;

const KINDS: &str = "allTests,successfulTests,failedTests,newFailedTests,existingFailedTests,fixedTests,quarantinedTests,skippedTests";

/// `testResults`: counts, and with `expand=testResults.failedTests.testResult.errors` the tests themselves.
pub(super) fn test_results(tests: &TestResults, expand: &Expand) -> Object {
    let counts = Object::new()
        .attribute("expand", KINDS)
        .attribute("all", tests.all.total)
        .attribute("successful", tests.successful.total)
        .attribute("failed", tests.failed.total)
        .attribute("newFailed", tests.new_failed.total)
        .attribute("existingFailed", tests.existing_failed.total)
        .attribute("fixed", tests.fixed.total)
        .attribute("quarantined", tests.quarantined.total)
        .attribute("skipped", tests.skipped.total);
    if !expand.contains("testResults") {
        return counts;
    }
    let below = expand.below("testResults");
    let kinds: [(&'static str, &Slice<TestView>); 8] = [
        ("allTests", &tests.all),
        ("successfulTests", &tests.successful),
        ("failedTests", &tests.failed),
        ("newFailedTests", &tests.new_failed),
        ("existingFailedTests", &tests.existing_failed),
        ("fixedTests", &tests.fixed),
        ("quarantinedTests", &tests.quarantined),
        ("skippedTests", &tests.skipped),
    ];
    kinds.into_iter().fold(counts, |object, (name, slice)| {
        object.element(name, nested(slice, "testResult", below, name, test))
    })
}

fn test(test: &TestView, expand: Option<&Expand>) -> Object {
    let expand = expand.unwrap_or(Expand::nothing());
    Object::new()
        .attribute("testCaseId", test.id)
        .attribute("className", test.class_name.as_str())
        .attribute("methodName", test.method_name.as_str())
        .attribute("status", test.status.as_str())
        .element("duration", test.duration_ms)
        .element("durationInSeconds", test.duration_ms / 1_000)
        .element(
            "errors",
            nested(&test.errors, "error", expand, "errors", |message, _| {
                Object::new().element("message", message)
            }),
        )
}
