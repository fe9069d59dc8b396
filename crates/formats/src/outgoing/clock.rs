//! Times as receivers write them.
//!
//! Times that no calendar holds are moved to the nearest one that it does; offsets that no clock has count
//! as none.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::facts::Moment;

/// `2018-07-05T18:22:00+0200`: Bitbucket Server (push-payloads.md B.3).
pub(super) fn offset_without_colon(moment: Moment) -> String {
    let (time, offset) = local(moment);
    format!("{}T{}{}", date(time), clock(time), offset_text(offset, ""))
}

/// `2018-06-15T13:01:51-07:00`: GitHub, Bitbucket Cloud.
pub(super) fn offset_with_colon(moment: Moment) -> String {
    let (time, offset) = local(moment);
    format!("{}T{}{}", date(time), clock(time), offset_text(offset, ":"))
}

/// `2018-07-02T20:26:56+00:00`: Bitbucket Cloud, which writes UTC.
pub(super) fn utc_with_offset(ms: i64) -> String {
    let utc = Moment {
        ms,
        offset_minutes: 0,
    };
    offset_with_colon(utc)
}

/// `2026-05-24T14:11:04.000Z`: Bitbucket Server 10, and our own format.
pub(super) fn utc_with_milliseconds(ms: i64) -> String {
    let time = Offset::UTC.to_datetime(timestamp(ms));
    let fraction = time.subsec_nanosecond() / 1_000_000;
    format!("{}T{}.{fraction:03}Z", date(time), clock(time))
}

/// `2012-05-30 06:07:03`: the POST service, on the clocks of its server (push-payloads.md C.2).
pub(super) fn in_zone(ms: i64, zone: &TimeZone) -> String {
    let time = zone.to_datetime(timestamp(ms));
    format!("{} {}", date(time), clock(time))
}

/// `2026-05-24 14:11:04 UTC`: for people who read it.
pub(super) fn for_people(ms: i64) -> String {
    format!("{} UTC", in_zone(ms, &TimeZone::UTC))
}

/// Seconds since 1970.
pub(super) fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// The clocks of Amsterdam since 1996, when summer time got its present end.
pub(super) fn amsterdam() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("the rule is well formed")
}

fn timestamp(ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

fn local(moment: Moment) -> (DateTime, i32) {
    let seconds = moment.offset_minutes.checked_mul(60);
    let offset = seconds.and_then(|seconds| Offset::from_seconds(seconds).ok());
    match offset {
        Some(offset) => (offset.to_datetime(timestamp(moment.ms)), moment.offset_minutes),
        None => (Offset::UTC.to_datetime(timestamp(moment.ms)), 0),
    }
}

fn date(time: DateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day())
}

fn clock(time: DateTime) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

fn offset_text(minutes: i32, colon: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    format!("{sign}{hours:02}{colon}{minutes:02}")
}

#[cfg(test)]
mod tests {
    use super::{
        Moment, amsterdam, in_zone, offset_with_colon, offset_without_colon, utc_with_milliseconds,
        utc_with_offset,
    };

    #[test]
    fn every_receiver_gets_its_own_form_of_time() {
        let moment = |offset_minutes| Moment {
            ms: 1_533_155_206_789,
            offset_minutes,
        };
        assert_eq!(offset_without_colon(moment(-240)), "2018-08-01T16:26:46-0400");
        assert_eq!(offset_with_colon(moment(330)), "2018-08-02T01:56:46+05:30");
        assert_eq!(offset_without_colon(moment(-30)), "2018-08-01T19:56:46-0030");
        assert_eq!(utc_with_offset(1_533_155_206_789), "2018-08-01T20:26:46+00:00");
        assert_eq!(
            utc_with_milliseconds(1_533_155_206_789),
            "2018-08-01T20:26:46.789Z"
        );
    }

    #[test]
    fn the_post_service_reads_the_clocks_of_amsterdam() {
        // Summer, winter, and the two nights between, of captured bodies and of the calendar.
        let table = [
            (1_338_350_823_000, "2012-05-30 06:07:03"),
            (1_387_680_879_000, "2013-12-22 03:54:39"),
            (1_711_846_799_000, "2024-03-31 01:59:59"),
            (1_711_846_800_000, "2024-03-31 03:00:00"),
            (1_729_990_799_000, "2024-10-27 02:59:59"),
            (1_729_990_800_000, "2024-10-27 02:00:00"),
        ];
        for (ms, expected) in table {
            assert_eq!(in_zone(ms, &amsterdam()), expected);
        }
    }

    #[test]
    fn impossible_times_become_the_nearest_possible() {
        let moment = |ms, offset_minutes| Moment { ms, offset_minutes };
        assert!(offset_with_colon(moment(i64::MAX, 0)).starts_with("9999-12-30T"));
        assert!(offset_with_colon(moment(i64::MIN, 0)).starts_with("-9999-"));
        assert_eq!(
            offset_with_colon(moment(0, i32::MAX)),
            "1970-01-01T00:00:00+00:00"
        );
    }
}
