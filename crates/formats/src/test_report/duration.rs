//! Durations as reports write them, made sane (hostile-inputs.md J4).

use super::FindingKind;
use super::case::CaseSink;

/// A year: nothing of a build takes longer.
const LONGEST_MS: f64 = 365.0 * 86_400_000.0;

/// Seconds as text, in milliseconds. `1,234.5` and `0,25` are understood: some programs write numbers in the form of
/// the machine's language. What is negative, infinite or no number is noted and unknown.
pub(super) fn seconds(text: Option<&str>, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    scaled(text, 1000.0, line, sink)
}

/// Milliseconds as text.
pub(super) fn milliseconds(text: Option<&str>, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    scaled(text, 1.0, line, sink)
}

/// `hh:mm:ss.fffffff`, perhaps with days and a point in front, in milliseconds.
pub(super) fn clock(text: Option<&str>, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    let text = text?.trim();
    if text.is_empty() {
        return None;
    }
    let mut parts = text.split(':');
    let (hours, minutes, seconds, end) = (parts.next(), parts.next(), parts.next(), parts.next());
    let total = match (hours, minutes, seconds, end) {
        (Some(hours), Some(minutes), Some(seconds), None) => {
            let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
            let plain = |digits: &str| digits.parse::<u32>().ok().map(f64::from);
            let seconds = seconds
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
                .then(|| seconds.parse::<f64>().ok())
                .flatten();
            match (plain(days), plain(hours), plain(minutes), seconds) {
                (Some(days), Some(hours), Some(minutes), Some(seconds)) => {
                    Some(((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
                }
                _ => None,
            }
        }
        _ => None,
    };
    sane(total.map(|seconds| seconds * 1000.0), text, line, sink)
}

/// A number of milliseconds.
pub(super) fn of_number(number: f64, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    sane(Some(number), &number.to_string(), line, sink)
}

fn scaled(text: Option<&str>, factor: f64, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    let text = text?.trim();
    if text.is_empty() {
        return None;
    }
    let number = text.strip_suffix('s').unwrap_or(text);
    let number = match (number.rfind(','), number.rfind('.')) {
        // Three digits behind a comma are thousands, but not behind a zero.
        (Some(comma), None)
            if number.matches(',').count() == 1
                && (number.len() - comma != 4 || number.starts_with("0,")) =>
        {
            number.replace(',', ".")
        }
        (Some(comma), Some(point)) if comma > point => number.replace('.', "").replace(',', "."),
        _ => number.replace(',', ""),
    };
    sane(number.parse::<f64>().ok().map(|n| n * factor), text, line, sink)
}

fn sane(milliseconds: Option<f64>, text: &str, line: u32, sink: &mut CaseSink<'_>) -> Option<i64> {
    match milliseconds {
        Some(number) if (0.0..=LONGEST_MS).contains(&number) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a year in milliseconds fits, and fractions are rounded"
            )]
            Some(number.round() as i64)
        }
        // Clocks that were set back give a little less than nothing.
        Some(number) if (-1000.0..0.0).contains(&number) => Some(0),
        _ => {
            let shown: String = text.chars().take(40).collect();
            let message = format!("`{shown}` is no duration; it is left out");
            sink.find_once(line, FindingKind::OddDuration, &message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_report::ReportLimits;

    #[test]
    fn j4_durations_are_sane_or_unknown() {
        let limits = ReportLimits::default();
        for (text, expected) in [
            ("0", Some(0)),
            ("0.001", Some(1)),
            ("1.5", Some(1500)),
            (" 2 ", Some(2000)),
            ("1,234.5", Some(1_234_500)),
            ("1,234", Some(1_234_000)),
            ("0,25", Some(250)),
            ("0,020", Some(20)),
            ("1.234,5", Some(1_234_500)),
            ("12s", Some(12_000)),
            ("1e-3", Some(1)),
            ("-0.001", Some(0)),
            ("", None),
            ("-5", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
        ] {
            let mut sink = CaseSink::new(&limits);
            assert_eq!(seconds(Some(text), 1, &mut sink), expected, "{text}");
            let findings = sink.into_report(None).findings.len();
            assert_eq!(
                findings,
                usize::from(expected.is_none() && !text.is_empty()),
                "{text}"
            );
        }
        for (text, expected) in [
            ("00:00:01.5", Some(1500)),
            ("01:02:03", Some(3_723_000)),
            ("1.00:00:00", Some(86_400_000)),
            ("00:00:00.0012345", Some(1)),
            ("1:2", None),
            ("00:00:-1", None),
            ("00:00:1e300", None),
            ("99999999:0:0", None),
        ] {
            let mut sink = CaseSink::new(&limits);
            assert_eq!(clock(Some(text), 1, &mut sink), expected, "{text}");
        }
        let mut sink = CaseSink::new(&limits);
        assert_eq!(milliseconds(Some("12"), 1, &mut sink), Some(12));
        assert_eq!(of_number(f64::NAN, 1, &mut sink), None);
        assert_eq!(seconds(None, 1, &mut sink), None);
    }
}
