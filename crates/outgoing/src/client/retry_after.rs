//! The `Retry-After` header.

use jiff::fmt::rfc2822::DateTimeParser;
use madake_domain::delivery::RetryAfter;

/// Reads `Retry-After`: a number of seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 10.2.3).
/// `None` for anything else.
#[must_use]
pub fn parse_retry_after(text: &str) -> Option<RetryAfter> {
    static PARSER: DateTimeParser = DateTimeParser::new();

    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: i64 = text.parse().unwrap_or(i64::MAX);
        return Some(RetryAfter::AfterMs(seconds.saturating_mul(1000)));
    }
    let at = PARSER.parse_timestamp(text).ok()?;
    Some(RetryAfter::AtMs(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        for (text, expected) in [
            ("0", Some(RetryAfter::AfterMs(0))),
            (" 120 ", Some(RetryAfter::AfterMs(120_000))),
            ("99999999999999999999999", Some(RetryAfter::AfterMs(i64::MAX))),
            (
                "Sun, 06 Nov 1994 08:49:37 GMT",
                Some(RetryAfter::AtMs(784_111_777_000)),
            ),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(parse_retry_after(text), expected, "{text}");
        }
    }
}
