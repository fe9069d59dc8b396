//! Reports that mean harm, or suffered some (hostile-inputs.md J1 to J4).

use super::*;

#[test]
fn j1_document_types_and_entities_do_nothing() {
    for (report, details) in [
        (
            "<!DOCTYPE t [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<testsuite name='s'><testcase name='a'><failure message='m'>&x;</failure></testcase></testsuite>",
            "m\n&x;",
        ),
        (
            "<?xml version='1.0'?><!DOCTYPE t SYSTEM \"http://127.0.0.1:1/evil.dtd\"><testsuite name='s'><testcase name='a'><failure message='m'>t</failure></testcase></testsuite>",
            "m\nt",
        ),
        (
            "<!DOCTYPE t [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]><testsuite name='s'><testcase name='a'><failure message='m'>%p;</failure></testcase></testsuite>",
            "m\n%p;",
        ),
    ] {
        let report = junit(report);
        assert_eq!(cases(&report), ["s | a | FAILED | - | m"]);
        assert_eq!(report.cases[0].details, details);
        assert_eq!(kinds(&report)[0], FindingKind::DocumentType);
    }
    let include = junit(
        "<testsuite xmlns:xi='http://www.w3.org/2001/XInclude'><testcase name='a'><system-out><xi:include href='file:///etc/passwd' parse='text'/></system-out></testcase></testsuite>",
    );
    assert_eq!(include.cases[0].system_out, "");
    let unknown =
        junit("<testsuite name='&nope;'><testcase name='a&nbsp;b &amp; &#99; c & d &'/></testsuite>");
    assert_eq!(cases(&unknown), ["&nope; | a&nbsp;b & c c & d & | ok | -"]);
    assert_eq!(kinds(&unknown), [FindingKind::UnknownEntity]);
}

#[test]
fn j2_billion_laughs_stay_a_few_letters() {
    let mut report = String::from("<!DOCTYPE lolz [<!ENTITY lol0 \"lol\">");
    for level in 1..10 {
        report.push_str(&format!(
            "<!ENTITY lol{level} \"{}\">",
            format!("&lol{};", level - 1).repeat(10)
        ));
    }
    report.push_str(
        "]><testsuite><testcase name='&lol9;'><system-out>&lol9;</system-out></testcase></testsuite>",
    );
    let report = junit(&report);
    assert_eq!(report.cases[0].name, "&lol9;");
    assert_eq!(report.cases[0].system_out, "&lol9;");
}

#[test]
fn j2_what_is_too_much_is_left_out_and_the_rest_is_kept() {
    let limits = ReportLimits {
        cases: 3,
        ..ReportLimits::default()
    };
    let many = format!("<testsuite>{}</testsuite>", "<testcase name='a'/>\n".repeat(5));
    let report = read(ReportFormat::JUnit, many.as_bytes(), &limits);
    assert_eq!(
        (report.cases.len(), kinds(&report)),
        (3, vec![FindingKind::TooManyCases])
    );
    assert!(report.may_lack_cases());
    let exactly = format!("<testsuite>{}</testsuite>", "<testcase name='a'/>\n".repeat(3));
    assert_eq!(
        read(ReportFormat::JUnit, exactly.as_bytes(), &limits).findings,
        []
    );

    let limits = ReportLimits {
        bytes: 100,
        ..ReportLimits::default()
    };
    let report = read(ReportFormat::JUnit, many.as_bytes(), &limits);
    assert_eq!(report.cases.len(), 4);
    assert!(kinds(&report).contains(&FindingKind::TooLong));

    let long = format!(
        "<testsuite><testcase name='{0}'><failure message='{0}'>{0}</failure><system-out>{0}</system-out></testcase><testcase name='b'/></testsuite>",
        "x".repeat(1 << 20)
    );
    let report = junit(&long);
    assert_eq!(report.cases.len(), 2);
    let defaults = ReportLimits::default();
    let first = &report.cases[0];
    assert!(first.name.starts_with("xxx") && first.name.len() < defaults.name_bytes + 20);
    assert!(first.message.len() < defaults.message_bytes + 20 && first.message.ends_with("… [cut]"));
    assert!(
        first.details.len() < defaults.text_bytes + 20 && first.system_out.len() < defaults.text_bytes + 20
    );

    let limits = ReportLimits {
        total_text_bytes: 100,
        ..ReportLimits::default()
    };
    let talkative = format!(
        "<testsuite>{}</testsuite>",
        "<testcase name='a'><system-out>0123456789012345678901234567890123456789</system-out></testcase>"
            .repeat(9)
    );
    let report = read(ReportFormat::JUnit, talkative.as_bytes(), &limits);
    assert_eq!(
        (report.cases.len(), kinds(&report)),
        (9, vec![FindingKind::TooMuchText])
    );
    assert!(
        report
            .cases
            .iter()
            .map(|case| case.system_out.len())
            .sum::<usize>()
            < 150
    );
}

#[test]
fn j2_depth_is_bounded_and_what_is_beside_is_kept() {
    let deep = format!(
        "<testsuite>{}<testcase name='lost'/>{}<testcase name='kept'/></testsuite>",
        "<testsuite>".repeat(100_000),
        "</testsuite>".repeat(100_000)
    );
    let report = junit(&deep);
    assert_eq!(cases(&report), [" | kept | ok | -"]);
    assert_eq!(kinds(&report), [FindingKind::TooDeep]);
    let json = format!("{{\"passes\":{}", "[".repeat(100_000));
    assert!(read(ReportFormat::Mocha, json.as_bytes(), &ReportLimits::default()).may_lack_cases());
}

#[test]
fn j3_texts_are_inert() {
    let report = junit(
        "<testsuite name='<b>&lt;script&gt;'><testcase name='a&#0;&#7;&#27;[31mred&#x202e;b&#xD800;\u{1}'><failure message='&#8;m'>x&#13;\n\u{2028}y</failure></testcase></testsuite>",
    );
    let case = &report.cases[0];
    assert_eq!(case.name, "aredb&#xD800;");
    assert_eq!(case.class_name, "<b><script>");
    assert_eq!((case.message.as_str(), case.details.as_str()), ("m", "m\nx\ny"));
}

#[test]
fn j4_duplicates_are_kept_and_odd_durations_left_out() {
    let report = junit(
        "<testsuite name='s'><testcase name='a' time='-3'/><testcase name='a' time='NaN'/><testcase name='a' time='1e300'/><testcase time='1'/></testsuite>",
    );
    assert_eq!(
        cases(&report),
        [
            "s | a | ok | -",
            "s | a | ok | -",
            "s | a | ok | -",
            "s | (no name) | ok | 1000"
        ]
    );
    assert_eq!(kinds(&report), [FindingKind::OddDuration]);
}

#[test]
fn damaged_reports_are_read_as_far_as_they_go() {
    let rows: &[(&str, &[&str], u32)] = &[
        (
            "<testsuite name='s'>\n<testcase name='a'/>\n<testcase name='b",
            &["s | a | ok | -"],
            3,
        ),
        (
            "<testsuite name='s'>\n<testcase name='a'><failure message='m'>cut off",
            &["s | a | FAILED | - | m"],
            2,
        ),
        (
            "<testsuite name='s'><testcase name='a'><failure>1 < 2 </failure></testcase><testcase name='b'/></testsuite>",
            &["s | a | FAILED | - | 1", "s | b | ok | -"],
            1,
        ),
        (
            "<testsuite name='s'><testcase name='a'></testsuite>",
            &["s | a | ok | -"],
            1,
        ),
        (
            "<testsuite name='s'></testcase><testcase name='a'/></testsuite>",
            &["s | a | ok | -"],
            1,
        ),
        (
            "<testsuite name='s'><!bad><testcase name='a'/></testsuite>",
            &["s | a | ok | -"],
            1,
        ),
        (
            "<testsuite name='s'><testcase name='a' time=3 /></testsuite>",
            &["s | a | ok | -"],
            1,
        ),
    ];
    for (report, expected, line) in rows {
        let read = junit(report);
        assert_eq!(cases(&read), *expected, "{report}");
        let damaged = read
            .findings
            .iter()
            .find(|finding| finding.kind == FindingKind::Damaged);
        assert_eq!(damaged.map(|finding| finding.line), Some(*line), "{report}");
        assert!(read.may_lack_cases(), "{report}");
    }
}

#[test]
fn what_is_no_report_says_so() {
    for text in [
        "",
        "  \n",
        "hello",
        "<html><body/></html>",
        "<",
        "<!-- only a comment -->",
        "<?xml version='1.0'?>",
        "\0\0\0",
    ] {
        let report = junit(text);
        assert_eq!((report.format, report.cases.len()), (None, 0), "{text}");
        assert!(kinds(&report).contains(&FindingKind::NotAReport), "{text}");
    }
}

#[test]
fn old_and_wide_encodings_are_read() {
    let wide: Vec<u8> = "\u{feff}<?xml version='1.0' encoding='utf-16'?>\n<testsuite name='s'><testcase name='äö'/></testsuite>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut big: Vec<u8> = wide.clone();
    big.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    let without_mark = wide[2..].to_vec();
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite name='s'><testcase name='\xe4\xf6'/></testsuite>".to_vec();
    for bytes in [wide, big, without_mark, latin] {
        let report = read(ReportFormat::JUnit, &bytes, &ReportLimits::default());
        assert_eq!(cases(&report), ["s | äö | ok | -"]);
        assert_eq!(report.findings, []);
    }
    let bad = read(
        ReportFormat::JUnit,
        b"<testsuite name='s'>\n<testcase name='\xff\xfe'/></testsuite>",
        &ReportLimits::default(),
    );
    assert_eq!(cases(&bad), ["s | \u{fffd}\u{fffd} | ok | -"]);
    assert_eq!((bad.findings.len(), bad.findings[0].line), (1, 2));
}
