//! Dates and durations in the words of the API (bamboo-rest.md 1.11). Times are milliseconds since 1970.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use madake_domain::text::counted;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// `2026-01-31T06:17:36.936+00:00`: always three digits of milliseconds and a numeric offset with a colon,
/// also for UTC, because the two oldest kinds of client read nothing else.
#[must_use]
pub fn iso(time_ms: i64, zone: &TimeZone) -> String {
    formatted(time_ms, zone, "%Y-%m-%dT%H:%M:%S%.3f%:z")
}

/// `Sat, 31 Jan, 06:17 AM`
#[must_use]
pub fn pretty(time_ms: i64, zone: &TimeZone) -> String {
    formatted(time_ms, zone, "%a, %-d %b, %I:%M %p")
}

/// `31-Jan-2026 06:17:36`, the date of a log line.
#[must_use]
pub fn log_date(time_ms: i64, zone: &TimeZone) -> String {
    formatted(time_ms, zone, "%d-%b-%Y %H:%M:%S")
}

/// `2 minutes ago`. A time that lies ahead of `now_ms` counts as this very moment.
#[must_use]
pub fn relative(time_ms: i64, now_ms: i64) -> String {
    let elapsed_ms = now_ms.saturating_sub(time_ms).max(0);
    let days = elapsed_ms / DAY_MS;
    let (count, unit) = match elapsed_ms {
        0..SECOND_MS => return "< 1 second ago".to_owned(),
        SECOND_MS..MINUTE_MS => (elapsed_ms / SECOND_MS, "second"),
        MINUTE_MS..HOUR_MS => (elapsed_ms / MINUTE_MS, "minute"),
        HOUR_MS..DAY_MS => (elapsed_ms / HOUR_MS, "hour"),
        _ if days < 7 => (days, "day"),
        _ if days < 31 => (days / 7, "week"),
        _ if days < 365 => ((days / 30).min(11), "month"),
        _ => (days / 365, "year"),
    };
    format!("{} ago", counted(count, unit))
}

/// `51 seconds`, `< 1 second`, `343 minutes`: minutes are the largest unit.
#[must_use]
pub fn duration(duration_ms: i64) -> String {
    in_words(duration_ms, "second", "minute")
}

/// `16 secs`, `< 1 sec`, `1 min`: the short form of queues and progress.
#[must_use]
pub fn short_duration(duration_ms: i64) -> String {
    in_words(duration_ms, "sec", "min")
}

fn in_words(duration_ms: i64, second: &str, minute: &str) -> String {
    if duration_ms < SECOND_MS {
        format!("< 1 {second}")
    } else if duration_ms < MINUTE_MS {
        counted(duration_ms / SECOND_MS, second)
    } else {
        counted(duration_ms / MINUTE_MS, minute)
    }
}

fn formatted(time_ms: i64, zone: &TimeZone, format: &str) -> String {
    let nearest = if time_ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let time = Timestamp::from_millisecond(time_ms).unwrap_or(nearest);
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;

    const TIME_MS: i64 = 1_769_840_256_936;

    fn zone(hours: i8) -> TimeZone {
        TimeZone::fixed(Offset::constant(hours))
    }

    #[test]
    fn iso_times_have_three_digits_and_a_numeric_offset() {
        assert_eq!(iso(TIME_MS, &TimeZone::UTC), "2026-01-31T06:17:36.936+00:00");
        assert_eq!(iso(TIME_MS, &zone(-5)), "2026-01-31T01:17:36.936-05:00");
        assert_eq!(iso(1_769_840_256_000, &zone(1)), "2026-01-31T07:17:36.000+01:00");
        let half = TimeZone::fixed(Offset::from_seconds(19_800).unwrap());
        assert_eq!(iso(5, &half), "1970-01-01T05:30:00.005+05:30");
    }

    #[test]
    fn times_outside_the_calendar_do_not_panic() {
        for time_ms in [i64::MIN, i64::MAX, -1] {
            for zone in [TimeZone::UTC, zone(14), zone(-12)] {
                assert!(!iso(time_ms, &zone).is_empty());
                assert!(!pretty(time_ms, &zone).is_empty());
                assert!(!log_date(time_ms, &zone).is_empty());
            }
        }
        assert_eq!(relative(i64::MIN, i64::MAX).split(' ').next_back(), Some("ago"));
    }

    #[test]
    fn pretty_times_have_a_twelve_hour_clock() {
        assert_eq!(pretty(TIME_MS, &TimeZone::UTC), "Sat, 31 Jan, 06:17 AM");
        assert_eq!(pretty(TIME_MS, &zone(9)), "Sat, 31 Jan, 03:17 PM");
        assert_eq!(pretty(TIME_MS + DAY_MS, &TimeZone::UTC), "Sun, 1 Feb, 06:17 AM");
        assert_eq!(log_date(TIME_MS + DAY_MS, &TimeZone::UTC), "01-Feb-2026 06:17:36");
    }

    #[test]
    fn relative_times_use_the_largest_unit_that_fits() {
        let rows = [
            (-5_000, "< 1 second ago"),
            (999, "< 1 second ago"),
            (1_000, "1 second ago"),
            (59_999, "59 seconds ago"),
            (60_000, "1 minute ago"),
            (2 * HOUR_MS, "2 hours ago"),
            (4 * DAY_MS, "4 days ago"),
            (7 * DAY_MS, "1 week ago"),
            (30 * DAY_MS, "4 weeks ago"),
            (31 * DAY_MS, "1 month ago"),
            (364 * DAY_MS, "11 months ago"),
            (365 * DAY_MS, "1 year ago"),
            (900 * DAY_MS, "2 years ago"),
        ];
        for (elapsed_ms, text) in rows {
            assert_eq!(relative(0, elapsed_ms), text, "{elapsed_ms}");
        }
    }

    #[test]
    fn durations_end_at_minutes() {
        let rows = [
            (-1, "< 1 second", "< 1 sec"),
            (999, "< 1 second", "< 1 sec"),
            (1_000, "1 second", "1 sec"),
            (51_074, "51 seconds", "51 secs"),
            (60_000, "1 minute", "1 min"),
            (343 * MINUTE_MS, "343 minutes", "343 mins"),
        ];
        for (duration_ms, long, short) in rows {
            assert_eq!(duration(duration_ms), long);
            assert_eq!(short_duration(duration_ms), short);
        }
    }
}
