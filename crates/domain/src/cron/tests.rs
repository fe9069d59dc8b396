//! Tables of what Quartz answers, clock changes, mistakes.

use jiff::civil;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::timer::{KeptMoment, Tick};
use super::*;

fn zoned(text: &str, zone: &str) -> Zoned {
    let zone = TimeZone::get(zone).expect("the machine knows the time zone");
    text.parse::<civil::DateTime>()
        .expect(text)
        .to_zoned(zone)
        .expect("a moment")
}

/// The next `count` moments, as civil time with offset.
fn following(expression: &str, from: &str, zone: &str, count: usize) -> Vec<String> {
    let schedule = CronSchedule::parse(expression).expect(expression);
    let mut now = zoned(from, zone);
    let mut found = Vec::new();
    while found.len() < count {
        let Some(next) = schedule.next_after(&now) else {
            break;
        };
        found.push(next.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
        now = next;
    }
    found
}

/// Expressions and their meaning are those of Quartz's own documentation, computed by hand from a calendar.
#[test]
fn expressions_mean_what_quartz_says() {
    let rows: [(&str, &str, &[&str]); 29] = [
        (
            "0 0 12 * * ?",
            "2024-01-31T12:00:00",
            &["2024-02-01T12:00:00", "2024-02-02T12:00:00"],
        ),
        (
            "0 15 10 ? * *",
            "2024-01-31T10:14:59",
            &["2024-01-31T10:15:00", "2024-02-01T10:15:00"],
        ),
        (
            "0 15 10 * * ? 2025",
            "2024-06-01T00:00:00",
            &["2025-01-01T10:15:00"],
        ),
        (
            "0 * 14 * * ?",
            "2024-01-31T14:58:30",
            &["2024-01-31T14:59:00", "2024-02-01T14:00:00"],
        ),
        (
            "0 0/5 14,18 * * ?",
            "2024-01-31T14:55:00",
            &["2024-01-31T18:00:00", "2024-01-31T18:05:00"],
        ),
        (
            "0 10,44 14 ? 3 WED",
            "2024-01-01T00:00:00",
            &[
                "2024-03-06T14:10:00",
                "2024-03-06T14:44:00",
                "2024-03-13T14:10:00",
            ],
        ),
        (
            "0 15 10 ? * MON-FRI",
            "2024-02-02T11:00:00",
            &["2024-02-05T10:15:00"],
        ),
        ("0 15 10 15 * ?", "2024-02-16T00:00:00", &["2024-03-15T10:15:00"]),
        (
            "0 15 10 L * ?",
            "2024-01-31T11:00:00",
            &["2024-02-29T10:15:00", "2024-03-31T10:15:00"],
        ),
        (
            "0 15 10 LW * ?",
            "2024-03-01T00:00:00",
            &["2024-03-29T10:15:00", "2024-04-30T10:15:00"],
        ),
        (
            "0 15 10 ? * 6L",
            "2024-01-01T00:00:00",
            &["2024-01-26T10:15:00", "2024-02-23T10:15:00"],
        ),
        (
            "0 15 10 ? * FRIL",
            "2024-01-01T00:00:00",
            &["2024-01-26T10:15:00"],
        ),
        (
            "0 15 10 ? * 6#3",
            "2024-01-01T00:00:00",
            &["2024-01-19T10:15:00", "2024-02-16T10:15:00"],
        ),
        ("0 0 0 ? * MON#5", "2024-01-30T00:00:00", &["2024-04-29T00:00:00"]),
        (
            "0 0 12 1/5 * ?",
            "2024-01-26T12:00:00",
            &["2024-01-31T12:00:00", "2024-02-01T12:00:00"],
        ),
        ("0 11 11 11 11 ?", "2024-11-12T00:00:00", &["2025-11-11T11:11:00"]),
        (
            "0 0 0 15W * ?",
            "2024-06-01T00:00:00",
            &["2024-06-14T00:00:00", "2024-07-15T00:00:00"],
        ),
        ("0 0 0 1W * ?", "2024-06-01T00:00:00", &["2024-06-03T00:00:00"]),
        ("0 0 0 ? * 1", "2024-01-01T00:00:00", &["2024-01-07T00:00:00"]),
        ("0 0 0 ? * 7", "2024-01-01T00:00:00", &["2024-01-06T00:00:00"]),
        (
            "0 0 0 ? * L",
            "2024-01-01T00:00:00",
            &["2024-01-06T00:00:00", "2024-01-13T00:00:00"],
        ),
        (
            "0 0/30 9-19 ? * MON-FRI",
            "2024-02-02T19:30:00",
            &["2024-02-05T09:00:00"],
        ),
        (
            "0 0 22-2 * * ?",
            "2024-01-01T22:00:00",
            &[
                "2024-01-01T23:00:00",
                "2024-01-02T00:00:00",
                "2024-01-02T01:00:00",
                "2024-01-02T02:00:00",
                "2024-01-02T22:00:00",
            ],
        ),
        (
            "0 0 0 ? * FRI-MON",
            "2024-01-01T00:00:00",
            &[
                "2024-01-05T00:00:00",
                "2024-01-06T00:00:00",
                "2024-01-07T00:00:00",
                "2024-01-08T00:00:00",
                "2024-01-12T00:00:00",
            ],
        ),
        (
            "0 0 0 1 nov-feb ?",
            "2024-01-15T00:00:00",
            &[
                "2024-02-01T00:00:00",
                "2024-11-01T00:00:00",
                "2024-12-01T00:00:00",
                "2025-01-01T00:00:00",
            ],
        ),
        ("0 0 0 29 2 ?", "2024-03-01T00:00:00", &["2028-02-29T00:00:00"]),
        (
            "0 0 0/12 ? * *",
            "2024-01-01T00:00:00",
            &["2024-01-01T12:00:00", "2024-01-02T00:00:00"],
        ),
        ("0 0 */1 * * ?", "2024-01-01T00:10:00", &["2024-01-01T01:00:00"]),
        (
            "* * * * * *",
            "2024-12-31T23:59:59",
            &["2025-01-01T00:00:00", "2025-01-01T00:00:01"],
        ),
    ];
    for (expression, from, expected) in rows {
        let expected: Vec<String> = expected.iter().map(|text| format!("{text}+00:00")).collect();
        assert_eq!(
            following(expression, from, "UTC", expected.len()),
            expected,
            "{expression} from {from}"
        );
    }
}

#[test]
fn l2_days_that_never_come_have_no_next_moment() {
    for expression in [
        "0 0 0 30 2 ?",
        "0 0 0 31 4,6,9,11 ?",
        "0 0 0 1 1 ? 2023",
        "0 0 0 29 2 ? 2025",
    ] {
        assert_eq!(
            following(expression, "2024-03-01T00:00:00", "UTC", 1),
            Vec::<String>::new(),
            "{expression}"
        );
    }
}

#[test]
fn l2_clock_changes_neither_skip_nor_double_fixed_times() {
    let rows: [(&str, &str, &[&str]); 7] = [
        // Berlin, 31 March 2024: 02:00 to 03:00 does not exist.
        (
            "0 30 2 * * ?",
            "2024-03-30T12:00:00",
            &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"],
        ),
        (
            "0 30 2,14 * * ?",
            "2024-03-30T15:00:00",
            &["2024-03-31T03:00:00+02:00", "2024-03-31T14:30:00+02:00"],
        ),
        (
            "0 0 2,3 * * ?",
            "2024-03-30T12:00:00",
            &["2024-03-31T03:00:00+02:00", "2024-04-01T02:00:00+02:00"],
        ),
        (
            "0 0/30 * * * ?",
            "2024-03-31T01:15:00",
            &["2024-03-31T01:30:00+01:00", "2024-03-31T03:00:00+02:00"],
        ),
        // Berlin, 27 October 2024: 02:00 to 03:00 comes twice.
        (
            "0 30 2 * * ?",
            "2024-10-26T12:00:00",
            &["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"],
        ),
        (
            "0 30 2,14 * * ?",
            "2024-10-26T15:00:00",
            &["2024-10-27T02:30:00+02:00", "2024-10-27T14:30:00+01:00"],
        ),
        (
            "0 0/30 * * * ?",
            "2024-10-27T02:15:00",
            &[
                "2024-10-27T02:30:00+02:00",
                "2024-10-27T02:00:00+01:00",
                "2024-10-27T02:30:00+01:00",
                "2024-10-27T03:00:00+01:00",
            ],
        ),
    ];
    for (expression, from, expected) in rows {
        assert_eq!(
            following(expression, from, "Europe/Berlin", expected.len()),
            expected,
            "{expression} from {from}"
        );
    }
}

#[test]
fn mistakes_are_named() {
    let rows = [
        ("", "`` has 0 fields; a cron expression has six or seven"),
        ("0 * * * *", "`0 * * * *` has 5 fields;"),
        ("@daily", "`@daily` has 1 fields;"),
        (
            "60 * * * * ?",
            "`60` in the field second is not a number from 0 to 59",
        ),
        (
            "0 0 24 * * ?",
            "`24` in the field hour is not a number from 0 to 23",
        ),
        (
            "0 0 0 0 * ?",
            "`0` in the field day of month is not a number from 1 to 31",
        ),
        ("0 0 0 32 * ?", "`32` in the field day of month"),
        (
            "0 0 0 1 13 ?",
            "`13` in the field month is not a number from 1 to 12 or a name from JAN to DEC",
        ),
        (
            "0 0 0 ? * 0",
            "`0` in the field day of week is not a number from 1 to 7 or a name from SUN to SAT",
        ),
        ("0 0 0 ? * 8", "`8` in the field day of week"),
        ("0 0 0 ? * MOX", "`MOX` in the field day of week"),
        (
            "0 0 0 ? * 6#6",
            "`6#6` in the field day of week needs a number from 1 to 5",
        ),
        (
            "0 0/0 0 ? * 2",
            "`0/0` in the field minute needs a step from 1 to 59",
        ),
        ("0 0/60 0 ? * 2", "`0/60` in the field minute needs a step"),
        ("0 0/x 0 ? * 2", "`0/X` in the field minute needs a step"),
        (
            "0 0 0 1 * MON",
            "a cron expression names days of the month or days of the week, not both",
        ),
        (
            "0 0 0 ? * ?",
            "`?` may stand for the day of the month or for the day of the week, not for both",
        ),
        (
            "0 0 0 L-3 * ?",
            "`L-3` in the field day of month is not supported",
        ),
        ("0 0 0 1,L * ?", "`L` in the field day of month cannot stand here"),
        (
            "0 0 0 ? * 15W",
            "`15W` in the field day of week cannot stand here",
        ),
        ("0 0 ? * * 2", "`?` in the field hour"),
        (
            "0 0 0 1 1 ? 1969",
            "`1969` in the field year is not a number from 1970 to 2099",
        ),
        (
            "0 0 0 1 1 ? 2030-2025",
            "`2030-2025` in the field year goes backwards",
        ),
        ("0 0 0 1,,2 * ?", "`` in the field day of month"),
        ("0 0 0 +1 * ?", "`+1` in the field day of month"),
        ("0 0 0 ? * +MON", "`+MON` in the field day of week"),
    ];
    for (expression, expected) in rows {
        let error = CronSchedule::parse(expression).expect_err(expression).to_string();
        assert!(error.starts_with(expected), "{expression}: {error}");
    }
    assert!(CronSchedule::parse(&format!("0 0 0 1 {} ?", "1,".repeat(1000))).is_err());
}

#[test]
fn fields_behind_the_year_are_ignored_as_in_quartz() {
    let schedule = CronSchedule::parse("0 45 17 * * ? * MON-FRI").expect("plan files have it");
    assert_eq!(schedule.ignored(), Some("MON-FRI"));
    assert_eq!(
        following("0 45 17 * * ? * MON-FRI", "2024-02-02T18:00:00", "UTC", 1),
        ["2024-02-03T17:45:00+00:00"]
    );
    assert_eq!(CronSchedule::parse("0 0 9 ? * *").expect("fine").ignored(), None);
}

fn field(low: u16, high: u16) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (low..=high).prop_map(|n| n.to_string()),
        (low..=high, low..=high).prop_map(|(a, b)| format!("{a}-{b}")),
        (low..=high, 1..=high).prop_map(|(a, step)| format!("{a}/{step}")),
        proptest::collection::vec(low..=high, 1..4).prop_map(|numbers| listed(&numbers)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn moments_come_in_order(
        second in field(0, 59), minute in field(0, 59), hour in field(0, 23),
        days in prop_oneof![
            field(1, 28).prop_map(|day| (day, "?".to_owned())),
            field(1, 7).prop_map(|day| ("?".to_owned(), day)),
        ],
        month in field(1, 12),
        start in 1_600_000_000i64..1_900_000_000,
    ) {
        let expression = format!("{second} {minute} {hour} {} {month} {}", days.0, days.1);
        let schedule = CronSchedule::parse(&expression).expect("generated expressions are well-formed");
        let zone = TimeZone::get("America/New_York").expect("the machine knows the time zone");
        let mut now = jiff::Timestamp::from_second(start).expect("in range").to_zoned(zone);
        for _ in 0..20 {
            let next = schedule.next_after(&now).expect("each month has these days");
            prop_assert!(next > now, "{} is not after {}", next, now);
            prop_assert_eq!(schedule.next_after(&now), Some(next.clone()));
            now = next;
        }
    }

    #[test]
    fn reading_any_text_is_survived(text in "[0-9A-Z*?/,#L W-]{0,40}|.{0,40}") {
        if let Ok(schedule) = CronSchedule::parse(&text) {
            prop_assert_eq!(CronSchedule::parse(&schedule.to_string()), Ok(schedule));
        }
    }
}

#[test]
fn l2_days_that_never_come_are_known_without_a_clock() {
    for (expression, never) in [
        ("0 0 0 30 2 ?", true),
        ("0 0 0 31 4,6,9,11 ?", true),
        ("0 0 0 29 2 ?", false),
        ("0 0 0 1 1 ? 2020", false),
        ("* * * * * ?", false),
    ] {
        let schedule = CronSchedule::parse(expression).expect(expression);
        assert_eq!(schedule.never_comes(), never, "{expression}");
    }
}

/// Looks at the clock at each of these moments, and gives those at which the trigger ran.
fn runs(expression: &str, zone: &str, looks: &[&str]) -> Vec<String> {
    let schedule = CronSchedule::parse(expression).expect(expression);
    let mut kept: Option<KeptMoment> = None;
    let mut ran = Vec::new();
    for look in looks {
        let now: jiff::Timestamp = look.parse().expect(look);
        let now = now.to_zoned(TimeZone::get(zone).expect("the machine knows the time zone"));
        let set_ms = now.timestamp().as_millisecond();
        match schedule.tick(kept, &now) {
            Tick::Wait(next_ms) => assert_eq!(next_ms, kept.and_then(|kept| kept.next_ms)),
            Tick::Set(next_ms) => kept = Some(KeptMoment { next_ms, set_ms }),
            Tick::Run(next_ms) => {
                kept = Some(KeptMoment { next_ms, set_ms });
                ran.push((*look).to_owned());
            }
        }
    }
    ran
}

#[test]
fn l2_clocks_that_jump_neither_lose_nor_double_a_run() {
    let nightly = "0 0 3 * * ?";
    let (new, before, at) = (
        "2024-05-01T12:00:00Z",
        "2024-05-02T02:59:59Z",
        "2024-05-02T03:00:00Z",
    );
    for (what, looks, ran) in [
        ("on time", vec![new, before, at], vec![at]),
        ("looked at twice", vec![new, at, at], vec![at]),
        (
            "away for a week: once",
            vec![new, "2024-05-09T10:00:00Z", "2024-05-09T10:00:01Z"],
            vec!["2024-05-09T10:00:00Z"],
        ),
        (
            "set back by a second right after the run",
            vec![new, at, before, at, "2024-05-03T03:00:00Z"],
            vec![at, "2024-05-03T03:00:00Z"],
        ),
        (
            "made while the clock was years ahead",
            vec!["2031-01-01T00:00:00Z", new, before, at],
            vec![at],
        ),
        (
            "set back by a day: that day's moment comes again",
            vec![new, at, "2024-05-01T03:30:00Z", before, at],
            vec![at, at],
        ),
        (
            "forward for a moment, and back",
            vec![new, "2024-06-01T00:00:00Z", "2024-05-01T12:00:05Z", at],
            vec!["2024-06-01T00:00:00Z", at],
        ),
    ] {
        assert_eq!(runs(nightly, "UTC", &looks), ran, "{what}");
    }
}

#[test]
fn l2_daylight_saving_runs_each_fixed_time_once() {
    let looks = |from: &str, hours: i64| -> Vec<String> {
        let from: jiff::Timestamp = from.parse().expect("a moment");
        (0..hours * 4)
            .map(|quarter| {
                let at = from + jiff::SignedDuration::from_mins(15 * quarter);
                at.to_string()
            })
            .collect()
    };
    for (what, from, ran) in [
        (
            "forward: 02:30 does not exist",
            "2024-03-30T12:00:00Z",
            vec!["2024-03-31T01:00:00Z"],
        ),
        (
            "back: 02:30 comes twice",
            "2024-10-26T12:00:00Z",
            vec!["2024-10-27T00:30:00Z"],
        ),
    ] {
        let looks = looks(from, 24);
        let looks: Vec<&str> = looks.iter().map(String::as_str).collect();
        assert_eq!(runs("0 30 2 * * ?", "Europe/Berlin", &looks), ran, "{what}");
    }
}
