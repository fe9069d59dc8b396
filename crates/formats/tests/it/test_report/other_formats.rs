//! TestNG, NUnit 2 and 3, MSTest, Mocha's JSON.

use super::*;

fn check(format: ReportFormat, report: &str, expected: &[&str]) -> TestReport {
    let read = read(format, report.as_bytes(), &ReportLimits::default());
    assert_eq!(cases(&read), expected, "{report}");
    assert_eq!(read.findings, [], "{report}");
    assert_eq!(read.format, Some(format));
    read
}

#[test]
fn testng_methods_with_parameters_and_preparations() {
    let report = check(
        ReportFormat::TestNg,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testng-results ignored="0" total="6" passed="2" failed="2" skipped="1">
  <reporter-output><line>x</line></reporter-output>
  <suite name="Suite" duration-ms="45"><groups><group name="g"><method name="adds" class="com.acme.Cart"/></group></groups>
    <test name="T"><class name="com.acme.Cart">
      <test-method is-config="true" status="PASS" name="setUp" duration-ms="5"/>
      <test-method is-config="true" status="FAIL" name="tearDown" duration-ms="5"><exception class="java.io.IOException"><full-stacktrace><![CDATA[java.io.IOException
	at x]]></full-stacktrace></exception></test-method>
      <test-method status="PASS" name="adds" duration-ms="12"><params><param index="0"><value><![CDATA[1]]></value></param><param index="1"><value is-null="true"/></param></params></test-method>
      <test-method status="SKIP" name="retries" retried="true" duration-ms="1"/>
      <test-method status="FAIL" name="retries" duration-ms="1"><exception class="java.lang.AssertionError"><message><![CDATA[expected [1] but found [2]]]></message><full-stacktrace><![CDATA[java.lang.AssertionError: expected [1] but found [2]]]></full-stacktrace></exception><reporter-output><line><![CDATA[seen]]></line><line>twice</line></reporter-output></test-method>
      <test-method status="SKIP" name="waits" duration-ms="0"/>
    </class></test>
  </suite>
</testng-results>"#,
        &[
            "com.acme.Cart | tearDown | FAILED | 5 | java.io.IOException",
            "com.acme.Cart | adds(1, ) | ok | 12",
            "com.acme.Cart | retries | FAILED | 1 | expected [1] but found [2]",
            "com.acme.Cart | waits | skipped | 0",
        ],
    );
    assert_eq!(report.cases[2].system_out, "seen\ntwice");
    assert_eq!(
        report.cases[2].details,
        "java.lang.AssertionError: expected [1] but found [2]"
    );
}

#[test]
fn nunit_2_names_a_case_in_full() {
    check(
        ReportFormat::NUnit,
        r#"<?xml version="1.0" encoding="utf-8" standalone="no"?>
<test-results name="a.dll" total="3" errors="0" failures="1" not-run="1" date="2026-01-31">
  <environment nunit-version="2.6"/><culture-info current-culture="en-US"/>
  <test-suite type="Assembly" name="a.dll" executed="True" result="Failure" success="False" time="0.1"><failure><message><![CDATA[Child test failed]]></message></failure><results>
    <test-case name="Acme.CartTest.Adds" executed="True" result="Success" success="True" time="0.016" asserts="1"/>
    <test-case name="Acme.CartTest.Adds(1.5,&quot;a.b&quot;)" executed="True" result="Failure" success="False" time="0,020"><failure><message><![CDATA[  Expected: 1
  But was: 2]]></message><stack-trace><![CDATA[at Acme.CartTest]]></stack-trace></failure></test-case>
    <test-case name="Acme.CartTest.Waits" executed="False" result="Ignored"><reason><message><![CDATA[later]]></message></reason></test-case>
    <test-case name="Alone" executed="True" success="True"/>
    <test-case name="Acme.Old" executed="False"/>
  </results></test-suite>
</test-results>"#,
        &[
            "Acme.CartTest | Adds | ok | 16",
            "Acme.CartTest | Adds(1.5,\"a.b\") | FAILED | 20 | Expected: 1\n  But was: 2",
            "Acme.CartTest | Waits | skipped | - | later",
            " | Alone | ok | -",
            "Acme | Old | skipped | -",
        ],
    );
}

#[test]
fn nunit_3_names_class_and_case_apart() {
    let report = read(
        ReportFormat::NUnit,
        br#"<test-run id="2" testcasecount="4" result="Failed"><command-line><![CDATA[x]]></command-line>
<test-suite type="Assembly" id="0" name="b.dll" fullname="/x/b.dll" runstate="NotRunnable" result="Failed" label="Invalid"><failure><message><![CDATA[Could not load b.dll]]></message></failure></test-suite>
<test-suite type="TestFixture" name="CartTest" result="Failed" site="Child"><failure><message>One or more child tests had errors</message></failure>
<test-case id="1" name="Adds" fullname="Acme.CartTest.Adds" methodname="Adds" classname="Acme.CartTest" runstate="Runnable" result="Passed" duration="0.020000" asserts="0"><output><![CDATA[said
]]></output></test-case>
<test-case id="2" name="Fails(&quot;x&quot;)" fullname="Acme.CartTest.Fails(&quot;x&quot;)" classname="Acme.CartTest" result="Failed" label="Error" duration="0.1"><failure><message><![CDATA[boom]]></message><stack-trace><![CDATA[   at X]]></stack-trace></failure></test-case>
<test-case id="3" name="Waits" classname="Acme.CartTest" result="Skipped" label="Ignored"><reason><message>later</message></reason></test-case>
<test-case id="4" name="Maybe" classname="Acme.CartTest" result="Inconclusive"/>
<test-case id="5" name="Odd" classname="Acme.CartTest" result="Sideways"/>
</test-suite></test-run>"#,
        &ReportLimits::default(),
    );
    assert_eq!(
        cases(&report),
        [
            "/x/b.dll | (suite) | FAILED | - | Could not load b.dll",
            "Acme.CartTest | Adds | ok | 20",
            "Acme.CartTest | Fails(\"x\") | FAILED | 100 | boom",
            "Acme.CartTest | Waits | skipped | - | later",
            "Acme.CartTest | Maybe | skipped | -",
            "Acme.CartTest | Odd | FAILED | -",
        ]
    );
    assert_eq!(
        kinds(&report),
        [FindingKind::SuiteFailed, FindingKind::UnknownOutcome]
    );
    assert_eq!(
        (
            report.cases[1].system_out.as_str(),
            report.cases[2].details.as_str()
        ),
        ("said", "boom\nat X")
    );
}

#[test]
fn mstest_joins_results_and_classes() {
    let report = check(
        ReportFormat::MsTest,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<TestRun id="1" name="x" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Results>
    <UnitTestResult testId="AAAA" testName="Adds" duration="00:00:00.0125000" outcome="Passed"/>
    <UnitTestResult testId="bbbb" testName="Acme.CartTest.Fails" duration="00:00:01" outcome="Failed"><Output><StdOut>out</StdOut><StdErr>err</StdErr><ErrorInfo><Message>Assert failed</Message><StackTrace>at X</StackTrace></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult testId="cccc" testName="Rows" outcome="Failed"><InnerResults>
      <UnitTestResult testId="cccc" testName="Rows (Data Row 0)" outcome="Passed"/>
      <UnitTestResult testId="cccc" testName="Rows (Data Row 1)" outcome="Timeout"/></InnerResults></UnitTestResult>
    <UnitTestResult testId="dddd" testName="Other.Space.Waits" outcome="NotExecuted"/>
    <UnitTestResult testId="eeee" testName="Broken"/>
  </Results>
  <TestDefinitions>
    <UnitTest name="Adds" id="aaaa"><Execution id="9"/><TestMethod codeBase="a.dll" className="Acme.CartTest, a, Version=1.0.0.0" name="Adds"/></UnitTest>
    <UnitTest name="Fails" id="BBBB"><TestMethod className="Acme.CartTest" name="Fails"/></UnitTest>
    <UnitTest name="Rows" id="cccc"><TestMethod className="Acme.CartTest" name="Rows"/></UnitTest>
  </TestDefinitions>
</TestRun>"#,
        &[
            "Acme.CartTest | Adds | ok | 13",
            "Acme.CartTest | Fails | FAILED | 1000 | Assert failed",
            "Acme.CartTest | Rows (Data Row 0) | ok | -",
            "Acme.CartTest | Rows (Data Row 1) | FAILED | -",
            "Other.Space | Waits | skipped | -",
            " | Broken | FAILED | -",
        ],
    );
    assert_eq!(report.cases[1].system_out, "out\nerr");
    let crashed = read(
        ReportFormat::MsTest,
        br#"<TestRun><ResultSummary outcome="Failed"><RunInfos><RunInfo outcome="Warning"><Text>w</Text></RunInfo><RunInfo outcome="Error"><Text>The active test run was aborted.</Text></RunInfo></RunInfos></ResultSummary></TestRun>"#,
        &ReportLimits::default(),
    );
    assert_eq!(
        cases(&crashed),
        [" | (test run) | FAILED | - | The active test run was aborted."]
    );
}

#[test]
fn mocha_reporters_list_tests_by_how_they_ended() {
    let report = check(
        ReportFormat::Mocha,
        r#"{"stats":{"suites":1,"tests":3},
  "tests":[{"title":"adds","fullTitle":"cart adds","duration":1,"err":{}}],
  "pending":[{"title":"waits","fullTitle":"cart waits","err":{}}],
  "failures":[{"title":"fails","fullTitle":"cart deep fails","file":"/a.js","duration":2.4,"currentRetry":0,
     "err":{"message":"1 == 2","showDiff":true,"actual":"1","stack":"AssertionError: 1 == 2\n    at x"}},
     {"title":"bamboo","fullTitle":"bamboo","duration":3,"error":"plain"}],
  "passes":[{"title":"adds","fullTitle":"cart adds","duration":1,"err":{}}]}"#,
        &[
            "cart | waits | skipped | -",
            "cart deep | fails | FAILED | 2 | 1 == 2",
            " | bamboo | FAILED | 3 | plain",
            "cart | adds | ok | 1",
        ],
    );
    assert!(report.cases[1].details.ends_with("    at x"));
    check(
        ReportFormat::Mocha,
        r#"{"tests":[{"title":"a","fullTitle":"s a","duration":1,"err":{}},{"title":"b","fullTitle":"s b","duration":1,"err":{"message":"no"}},{"title":"c","fullTitle":"s c","pending":true}]}"#,
        &["s | a | ok | 1", "s | b | FAILED | 1 | no", "s | c | skipped | -"],
    );
}

#[test]
fn mocha_report_with_output_before_it_or_cut_off_is_read_as_far_as_it_goes() {
    let read_mocha = |text: &str| read(ReportFormat::Mocha, text.as_bytes(), &ReportLimits::default());
    let report = read_mocha("listening on {port}\nok\n{\n \"passes\": [{\"title\":\"a\"}]}");
    assert_eq!(
        (cases(&report), kinds(&report)),
        (vec![" | a | ok | -".into()], vec![FindingKind::Damaged])
    );
    let report = read_mocha("{\"passes\": [{\"title\":\"a\"},\n{\"title\":\"b\"},\n{\"tit");
    assert_eq!(report.cases.len(), 2);
    assert_eq!(
        (report.findings[0].line, report.findings[0].kind),
        (3, FindingKind::Damaged)
    );
    assert!(report.may_lack_cases());
    for other in ["{}", "[]", "{\"a\":1}", "null", "no json"] {
        assert_eq!(read_mocha(other).format, None, "{other}");
        assert!(read_mocha(other).may_lack_cases(), "{other}");
    }
}

#[test]
fn report_of_another_format_is_read_as_what_it_is() {
    for (expected, report, format) in [
        (
            ReportFormat::JUnit,
            "<test-run><test-case name='a' result='Passed'/></test-run>",
            ReportFormat::NUnit,
        ),
        (
            ReportFormat::NUnit,
            "<testsuite><testcase name='a'/></testsuite>",
            ReportFormat::JUnit,
        ),
        (
            ReportFormat::Mocha,
            "<testsuite><testcase name='a'/></testsuite>",
            ReportFormat::JUnit,
        ),
        (
            ReportFormat::JUnit,
            "{\"passes\":[{\"title\":\"a\"}]}",
            ReportFormat::Mocha,
        ),
    ] {
        let report = read(expected, report.as_bytes(), &ReportLimits::default());
        assert_eq!((report.format, report.cases.len()), (Some(format), 1));
        assert_eq!(kinds(&report), [FindingKind::OtherFormat]);
        assert!(!report.may_lack_cases());
    }
}

#[test]
fn words_of_plan_files_are_known() {
    for (word, format) in [
        ("junit", Some(ReportFormat::JUnit)),
        ("JUnit", Some(ReportFormat::JUnit)),
        ("testng", Some(ReportFormat::TestNg)),
        ("NUnit", Some(ReportFormat::NUnit)),
        ("mstest", Some(ReportFormat::MsTest)),
        ("mocha", Some(ReportFormat::Mocha)),
        ("cucumber", None),
    ] {
        assert_eq!(ReportFormat::from_word(word), format, "{word}");
    }
    assert_eq!(ReportFormat::MsTest.default_pattern(), "**/*.trx");
}
