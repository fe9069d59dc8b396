//! Random reports: none does harm, and what was written is read.

use proptest::prelude::*;

use super::*;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "&#10;")
}

fn format() -> impl Strategy<Value = ReportFormat> {
    prop::sample::select(vec![
        ReportFormat::JUnit,
        ReportFormat::TestNg,
        ReportFormat::NUnit,
        ReportFormat::MsTest,
        ReportFormat::Mocha,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn arbitrary_bytes_do_no_harm(format in format(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(format, &bytes, &ReportLimits::default());
    }

    #[test]
    fn scraps_of_reports_do_no_harm_and_stay_within_limits(
        format in format(),
        scraps in prop::collection::vec(prop::sample::select(vec![
            "<testsuites>", "</testsuites>", "<testsuite name='s'>", "</testsuite>", "<testcase name='c' time='1'>",
            "</testcase>", "<testcase/>", "<failure message='m'>", "</failure>", "<![CDATA[", "]]>", "&amp;", "&x;",
            "<test-run>", "<test-case result='Failed'>", "</test-case>", "<test-suite label='Invalid' result='Failed'>",
            "<TestRun>", "<UnitTestResult testName='a.b'>", "<InnerResults>", "</UnitTestResult>", "<testng-results>",
            "<class name='k'>", "<test-method status='FAIL' name='n'>", "<exception>", "</class>", "<!DOCTYPE a [",
            "]>", "<!--", "-->", "<?", "?>", "'", "\"", ">", "<", "text", "\n", "{", "}", "[", "]", "\"passes\":",
            "{\"title\":\"t\"}", ",", "\"failures\":", "ä", "\u{202e}",
        ]), 0..40),
    ) {
        let limits = ReportLimits { cases: 5, findings: 7, name_bytes: 10, message_bytes: 10, text_bytes: 20, ..ReportLimits::default() };
        let text = scraps.concat();
        let lines = 1 + text.matches('\n').count();
        let report = read(format, text.as_bytes(), &limits);
        prop_assert!(report.cases.len() <= 5 && report.findings.len() <= 7);
        for case in &report.cases {
            prop_assert!(case.name.len() < 30 && case.class_name.len() < 30 && case.details.len() < 50);
            prop_assert!((1..=lines).contains(&(case.line as usize)));
        }
        for finding in &report.findings {
            prop_assert!((1..=lines).contains(&(finding.line as usize)), "{:?}", finding);
        }
    }

    #[test]
    fn what_was_written_is_read(
        written in prop::collection::vec(
            ("[a-z.<&\"' ]{1,12}", "[a-zA-Zäö_<>&\"]{1,12}", 0usize..3, 0u32..1_000_000, "[a-z<>&\"'\\]\n]{1,20}"),
            0..20,
        ),
    ) {
        let mut text = String::from("<testsuites>\n");
        for (class, name, outcome, ms, reason) in &written {
            let inner = match outcome {
                0 => String::new(),
                1 => format!("<failure message=\"{}\"/>", escaped(reason)),
                _ => format!("<skipped message=\"{}\"/>", escaped(reason)),
            };
            text.push_str(&format!(
                "<testsuite name=\"{}\"><testcase name=\"{}\" time=\"{}.{:03}\">{inner}</testcase></testsuite>\n",
                escaped(class), escaped(name), ms / 1000, ms % 1000,
            ));
        }
        text.push_str("</testsuites>");
        let report = junit(&text);
        prop_assert_eq!(&report.findings, &[]);
        prop_assert_eq!(report.cases.len(), written.len());
        for (at, (case, (class, name, outcome, ms, reason))) in report.cases.iter().zip(&written).enumerate() {
            prop_assert_eq!(case.class_name.as_str(), class.trim());
            prop_assert_eq!(&case.name, name);
            prop_assert_eq!(case.duration_ms, Some(i64::from(*ms)));
            prop_assert_eq!(case.line as usize, at + 2);
            let expected = [TestOutcome::Successful, TestOutcome::Failed, TestOutcome::Skipped][*outcome];
            prop_assert_eq!(case.outcome, expected);
            if *outcome > 0 {
                prop_assert_eq!(case.message.as_str(), reason.trim());
            }
        }
    }
}
