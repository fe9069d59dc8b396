//! JUnit as each program writes it.

use super::*;

fn check(report: &str, expected: &[&str]) -> TestReport {
    let read = junit(report);
    assert_eq!(cases(&read), expected, "{report}");
    assert_eq!(read.findings, [], "{report}");
    assert_eq!(read.format, Some(ReportFormat::JUnit));
    read
}

#[test]
fn surefire_with_reruns_and_flaky_cases() {
    let report = check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="com.acme.CartTest" time="1,234.5" tests="5" errors="1" skipped="1" failures="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="adds" classname="com.acme.CartTest" time="0.012"/>
  <testcase name="removes" classname="com.acme.CartTest" time="0.2">
    <failure message="expected:&lt;1&gt; but was:&lt;2&gt;" type="org.junit.ComparisonFailure"><![CDATA[org.junit.ComparisonFailure: expected:<1> but was:<2>
	at com.acme.CartTest.removes(CartTest.java:12)
]]></failure>
    <rerunFailure message="again" type="x">again</rerunFailure>
    <system-out><![CDATA[cart is <empty>]]></system-out>
    <system-err>warning: &amp; more</system-err>
  </testcase>
  <testcase name="breaks" classname="com.acme.CartTest"><error type="java.lang.NullPointerException">java.lang.NullPointerException
	at com.acme.Cart</error></testcase>
  <testcase name="waits" classname="com.acme.CartTest" time="0"><skipped message="not yet"/></testcase>
  <testcase name="flickers" classname="com.acme.CartTest" time="3"><flakyFailure message="once" type="x"><stackTrace>t</stackTrace></flakyFailure></testcase>
</testsuite>"#,
        &[
            "com.acme.CartTest | adds | ok | 12",
            "com.acme.CartTest | removes | FAILED | 200 | expected:<1> but was:<2>",
            "com.acme.CartTest | breaks | FAILED | - | java.lang.NullPointerException",
            "com.acme.CartTest | waits | skipped | 0 | not yet",
            "com.acme.CartTest | flickers | ok | 3000",
        ],
    );
    let failed = &report.cases[1];
    assert_eq!(failed.line, 5);
    assert_eq!(
        failed.details,
        "org.junit.ComparisonFailure: expected:<1> but was:<2>\n\tat com.acme.CartTest.removes(CartTest.java:12)"
    );
    assert_eq!(failed.system_out, "cart is <empty>\nwarning: & more");
}

#[test]
fn ant_gives_package_and_suite_apart() {
    check(
        r#"<testsuites><testsuite package="com.acme" name="CartTest"><testcase name="a" time="0.5"/></testsuite>
        <testsuite package="com.acme" name="com.acme.Other"><testcase name="b"/></testsuite></testsuites>"#,
        &["com.acme.CartTest | a | ok | 500", "com.acme.Other | b | ok | -"],
    );
}

#[test]
fn pytest_with_parameters_expected_failures_and_errors_of_fixtures() {
    check(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="5" time="0.051">
<testcase classname="tests.test_cart.TestCart" name="test_adds[1-2]" time="0.001" />
<testcase classname="tests.test_cart" name="test_fails" time="0.002"><properties><property name="owner" value="x"/></properties><failure message="assert 1 == 2">def test_fails():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="tests.test_cart" name="test_xfail" time="0.000"><skipped type="pytest.xfail" message="known" /></testcase>
<testcase classname="tests.test_cart" name="test_skip" time="0"><skipped type="pytest.skip" message="no network">tests/test_cart.py:3: no network</skipped></testcase>
<testcase classname="" name="tests.test_broken" time="0.000"><error message="collection failure">ImportError: no module</error></testcase>
</testsuite></testsuites>"#,
        &[
            "tests.test_cart.TestCart | test_adds[1-2] | ok | 1",
            "tests.test_cart | test_fails | FAILED | 2 | assert 1 == 2",
            "tests.test_cart | test_xfail | skipped | 0 | known",
            "tests.test_cart | test_skip | skipped | 0 | no network",
            "pytest | tests.test_broken | FAILED | 0 | collection failure",
        ],
    );
}

#[test]
fn googletest_and_ctest_say_in_attributes_what_was_not_run() {
    let report = check(
        r#"<testsuites tests="3" name="AllTests">
  <testsuite name="Cart" tests="3">
    <testcase name="Adds" file="cart.cc" line="3" status="run" result="completed" time="0.001" timestamp="2026-01-31T06:17:36.936" classname="Cart" />
    <testcase name="Fails" status="run" result="completed" time="0." classname="Cart">
      <failure message="cart.cc:7&#x0A;Expected equality" type=""><![CDATA[cart.cc:7
Expected equality]]></failure>
      <failure message="cart.cc:9&#x0A;second" type=""><![CDATA[cart.cc:9
second]]></failure>
    </testcase>
    <testcase name="DISABLED_Later" status="notrun" result="suppressed" time="0" classname="Cart" />
    <testcase name="Skips" status="run" result="skipped" time="0" classname="Cart"><skipped message="no display" /></testcase>
  </testsuite>
  <testsuite name="Linux-c++" hostname="h">
    <testcase name="ctest_fails" classname="ctest_fails" time="0.1" status="fail"><failure message=""/><system-out>boom</system-out></testcase>
    <testcase name="ctest_off" classname="ctest_off" time="0" status="disabled"><skipped message="Disabled"/></testcase>
    <testcase name="//pkg:bazel" status="run" duration="2" time="2"><error message="exited with error code 1"></error></testcase>
  </testsuite>
</testsuites>"#,
        &[
            "Cart | Adds | ok | 1",
            "Cart | Fails | FAILED | 0 | cart.cc:7\nExpected equality",
            "Cart | DISABLED_Later | skipped | 0",
            "Cart | Skips | skipped | 0 | no display",
            "ctest_fails | ctest_fails | FAILED | 100",
            "ctest_off | ctest_off | skipped | 0 | Disabled",
            "Linux-c++ | //pkg:bazel | FAILED | 2000 | exited with error code 1",
        ],
    );
    assert_eq!(
        report.cases[1].details,
        "cart.cc:7\nExpected equality\ncart.cc:9\nsecond"
    );
    assert_eq!(report.cases[4].system_out, "boom");
}

#[test]
fn jest_writes_the_reason_as_text_and_mocha_as_attribute() {
    check(
        "<testsuites name=\"jest tests\" tests=\"2\" failures=\"1\" time=\"0.9\"><testsuite name=\"cart\" errors=\"0\" failures=\"1\">\
         <testcase classname=\"cart adds\" name=\"cart adds\" time=\"0.003\"></testcase>\
         <testcase classname=\"cart fails\" name=\"cart fails\" time=\"0.01\"><failure>Error: &#x1b;[2mexpect(&#x1b;[22mreceived)\n    at x.js:3</failure></testcase>\
         </testsuite></testsuites>",
        &[
            "cart adds | cart adds | ok | 3",
            "cart fails | cart fails | FAILED | 10 | Error: expect(received)",
        ],
    );
    check(
        r#"<testsuites name="Mocha Tests"><testsuite name="Root Suite" file="a.js" time="0"/>
        <testsuite name="cart"><testcase name="cart adds" time="0.001" classname="adds"/>
        <testcase name="cart fails" time="0" classname="fails"><failure message="1 == 2" type="AssertionError"><![CDATA[AssertionError]]></failure></testcase>
        <testcase name="later" time="0" classname="later"><skipped/></testcase></testsuite></testsuites>"#,
        &[
            "adds | cart adds | ok | 1",
            "fails | cart fails | FAILED | 0 | 1 == 2",
            "later | later | skipped | 0",
        ],
    );
}

#[test]
fn phpunit_nests_suites_and_names_the_class_in_two_attributes() {
    check(
        r#"<testsuites><testsuite name="default"><testsuite name="App\CartTest" file="CartTest.php">
        <testsuite name="App\CartTest::testAdds"><testcase name="testAdds with data set #0" class="App\CartTest" classname="App.CartTest" file="CartTest.php" line="9" assertions="1" time="0.004"/></testsuite>
        <testcase name="testPlain" class="App\CartTest" assertions="1" time="0.001"/>
        <testcase name="testWarns" class="App\CartTest" time="0"><warning type="W">careful</warning></testcase>
        </testsuite><testcase name="outer"/></testsuite></testsuites>"#,
        &[
            "App.CartTest | testAdds with data set #0 | ok | 4",
            "App\\CartTest | testPlain | ok | 1",
            "App\\CartTest | testWarns | ok | 0",
            "default | outer | ok | -",
        ],
    );
}

#[test]
fn others_are_understood_too() {
    // QtTest.
    check(
        r#"<testsuite errors="0" failures="1" tests="2" name="tst_Cart"><properties/><testcase result="pass" name="adds"/>
        <testcase result="fail" name="fails"><failure message="Compared values are not the same" result="fail"/></testcase><system-err/></testsuite>"#,
        &[
            "tst_Cart | adds | ok | -",
            "tst_Cart | fails | FAILED | - | Compared values are not the same",
        ],
    );
    // cargo-nextest and Go.
    check(
        r#"<testsuites name="nextest-run" tests="2" uuid="0"><testsuite name="madake" tests="1"><testcase name="a::b" classname="madake" timestamp="2026" time="0.020"><failure type="test failure with exit code 101">thread panicked</failure><system-out>out</system-out></testcase></testsuite>
        <testsuite name="example.org/cart" tests="1"><testcase classname="cart" name="TestAdds/case_1" time="0.000"></testcase></testsuite></testsuites>"#,
        &[
            "madake | a::b | FAILED | 20 | thread panicked",
            "cart | TestAdds/case_1 | ok | 0",
        ],
    );
}

#[test]
fn suite_that_fails_outside_of_its_cases_counts_as_a_failed_case() {
    let report =
        junit(r#"<testsuite name="s"><error message="no compiler"/><testcase name="a"/></testsuite>"#);
    assert_eq!(
        cases(&report),
        ["s | (suite) | FAILED | - | no compiler", "s | a | ok | -"]
    );
    assert_eq!(kinds(&report), [FindingKind::SuiteFailed]);
}

#[test]
fn empty_reports_have_no_cases_and_no_faults() {
    for report in [
        "<testsuites/>",
        "<testsuite name='x' tests='0'></testsuite>",
        "\u{feff}\n<testsuites></testsuites>",
    ] {
        check(report, &[]);
    }
}
