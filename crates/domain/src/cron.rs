//! Quartz cron expressions, as Bamboo's cron and polling triggers use them (bamboo-specs.md 7.1).
//!
//! Six or seven fields, seconds first: second, minute, hour, day of month, month, day of week, and perhaps the
//! year. Days of the week count from Sunday, which is 1. What this module reads is checked against Quartz's
//! rules field by field, written out in plain numbers, and then handed to `croner`, which walks the calendar.
//!
//! One departure from Quartz accepts more: `*` in both day fields means every day (Quartz
//! wants a `?` in one of them).

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;

use crate::text::inert;

/// The longest expression that is read, in bytes.
pub const MAX_LENGTH: usize = 250;

/// Expressions with at most this many fixed times of day are walked one by one, so that each keeps its one run
/// on the days on which the clock is changed.
const MAX_FIXED_TIMES: usize = 24;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why a text is not a cron expression; each variant reads as a sentence for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// Too few fields, or a text that is too long.
    #[error(
        "`{text}` has {count} fields; a cron expression has six or seven: second minute hour day-of-month month \
         day-of-week [year], as in `0 30 9 ? * MON-FRI`"
    )]
    Fields {
        /// The offending text, made printable and cut.
        text: String,
        /// The number of fields found.
        count: usize,
    },
    /// One field is wrong.
    #[error("`{text}` in the field {field} {problem}")]
    Field {
        /// The offending part, made printable and cut.
        text: String,
        /// The field's name.
        field: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// Both day fields restrict the day.
    #[error(
        "a cron expression names days of the month or days of the week, not both; put `?` into the other one of \
         the two fields"
    )]
    BothDays,
    /// Both day fields are `?`.
    #[error(
        "`?` may stand for the day of the month or for the day of the week, not for both; write `*` in one of \
         them for every day"
    )]
    NoDays,
}

/// A cron expression that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSchedule {
    text: String,
    ignored: Option<String>,
    walks: Vec<Cron>,
}

impl CronSchedule {
    /// Reads a Quartz cron expression; letters in either case.
    ///
    /// Fields behind the seventh are ignored, as Quartz does: plan files with `0 0 4 * * ? * MON-FRI` exist, and
    /// run on every day. See [`CronSchedule::ignored`].
    ///
    /// # Errors
    /// A sentence that names the field, the part that is wrong, and what may stand there.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let upper = text.trim().to_ascii_uppercase();
        let fields: Vec<&str> = upper.split_ascii_whitespace().collect();
        if fields.len() < 6 || text.len() > MAX_LENGTH {
            return Err(CronError::Fields {
                text: inert(text, 80),
                count: fields.len(),
            });
        }
        let seconds = Field::SECOND.read(fields[0])?;
        let minutes = Field::MINUTE.read(fields[1])?;
        let hours = Field::HOUR.read(fields[2])?;
        let days = Field::DAY.read_days(fields[3])?;
        let months = Field::MONTH.read(fields[4])?;
        let weekdays = Field::WEEKDAY.read_days(fields[5])?;
        let years = match fields.get(6) {
            Some(field) => Field::YEAR.read(field)?,
            None => Numbers::Every,
        };
        let (days, weekdays) = match (days, weekdays) {
            (Days::Unspecified, Days::Unspecified) => return Err(CronError::NoDays),
            (Days::Named(_), Days::Named(_)) => return Err(CronError::BothDays),
            (Days::Named(days), _) => (days, "*".to_owned()),
            (_, Days::Named(weekdays)) => ("*".to_owned(), weekdays),
            _ => ("*".to_owned(), "*".to_owned()),
        };
        let times = fixed_times(&seconds, &minutes, &hours)
            .unwrap_or_else(|| vec![(seconds.to_string(), minutes.to_string(), hours.to_string())]);
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .build();
        let walks = times
            .into_iter()
            .map(|(second, minute, hour)| {
                let canonical = format!("{second} {minute} {hour} {days} {months} {weekdays} {years}");
                parser.parse(&canonical).map_err(|error| CronError::Field {
                    text: inert(text, 80),
                    field: "as a whole",
                    problem: format!("cannot be used ({error})"),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            text: text.trim().to_owned(),
            ignored: (fields.len() > 7).then(|| fields[7..].join(" ")),
            walks,
        })
    }

    /// The fields behind the seventh, which mean nothing; worth a warning.
    #[must_use]
    pub fn ignored(&self) -> Option<&str> {
        self.ignored.as_deref()
    }

    /// The first moment after `now` that the expression means, in the time zone of `now`.
    ///
    /// `None` when there is none: 30 February, a year that is over. On the day on which clocks go forward, a
    /// fixed time that does not exist runs at the first moment after the gap; on the day on which they go back,
    /// a fixed time that comes twice runs once, and intervals (`0/15`) go on through both hours.
    #[must_use]
    pub fn next_after(&self, now: &Zoned) -> Option<Zoned> {
        self.walks
            .iter()
            .filter_map(|walk| walk.find_next_occurrence(now, false).ok())
            .filter(|next| next > now)
            .min()
    }
}

impl FromStr for CronSchedule {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

impl fmt::Display for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Each time of day on its own, where the fields name few single ones.
fn fixed_times(seconds: &Numbers, minutes: &Numbers, hours: &Numbers) -> Option<Vec<(String, String, String)>> {
    let (Numbers::Single(seconds), Numbers::Single(minutes), Numbers::Single(hours)) = (seconds, minutes, hours)
    else {
        return None;
    };
    if seconds.len() * minutes.len() * hours.len() > MAX_FIXED_TIMES {
        return None;
    }
    let mut times = Vec::new();
    for hour in hours {
        for minute in minutes {
            for second in seconds {
                times.push((second.to_string(), minute.to_string(), hour.to_string()));
            }
        }
    }
    Some(times)
}

/// What a field without days says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    /// `*`
    Every,
    /// Single numbers, written as such.
    Single(Vec<u16>),
    /// Numbers of which at least some come from a range or steps.
    Pattern(Vec<u16>),
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Single(numbers) | Self::Pattern(numbers) => f.write_str(&listed(numbers)),
        }
    }
}

fn listed(numbers: &[u16]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// What one of the two day fields says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// `?`
    Unspecified,
    /// `*`
    Every,
    /// Days, in croner's spelling.
    Named(String),
}

struct Field {
    name: &'static str,
    low: u16,
    high: u16,
    names: &'static [&'static str],
}

impl Field {
    const SECOND: Self = Self::new("second", 0, 59, &[]);
    const MINUTE: Self = Self::new("minute", 0, 59, &[]);
    const HOUR: Self = Self::new("hour", 0, 23, &[]);
    const DAY: Self = Self::new("day of month", 1, 31, &[]);
    const MONTH: Self = Self::new("month", 1, 12, &MONTHS);
    const WEEKDAY: Self = Self::new("day of week", 1, 7, &WEEKDAYS);
    const YEAR: Self = Self::new("year", 1970, 2099, &[]);

    const fn new(name: &'static str, low: u16, high: u16, names: &'static [&'static str]) -> Self {
        Self { name, low, high, names }
    }

    fn error(&self, text: &str, problem: impl Into<String>) -> CronError {
        CronError::Field {
            text: inert(text, 40),
            field: self.name,
            problem: problem.into(),
        }
    }

    fn number(&self, text: &str) -> Result<u16, CronError> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return Ok(self.low + u16::try_from(at).unwrap_or(0));
        }
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        match digits.then(|| text.parse::<u16>().ok()).flatten() {
            Some(number) if (self.low..=self.high).contains(&number) => Ok(number),
            _ => {
                let names = match self.names {
                    [] => String::new(),
                    [first, .., last] => format!(" or a name from {first} to {last}"),
                    [only] => format!(" or {only}"),
                };
                Err(self.error(
                    text,
                    format!("is not a number from {} to {}{names}", self.low, self.high),
                ))
            }
        }
    }

    /// One part between commas: `*`, `7`, `1-5`, `22-2`, `*/5`, `0/15`, `10-40/10`. Also tells whether it is a
    /// single number.
    fn part(&self, text: &str) -> Result<(Vec<u16>, bool), CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                let digits = step.bytes().all(|b| b.is_ascii_digit());
                let step = match step.parse::<u16>() {
                    Ok(step) if digits && (1..=self.high).contains(&step) => step,
                    _ => {
                        return Err(self.error(
                            text,
                            format!("needs a step from 1 to {} behind the slash", self.high),
                        ));
                    }
                };
                (range, Some(step))
            }
            None => (text, None),
        };
        let (from, until) = match range {
            "*" => (self.low, self.high),
            "" if step.is_some() => (self.low, self.high),
            _ => match range.split_once('-') {
                Some((from, until)) => (self.number(from)?, self.number(until)?),
                None => {
                    let from = self.number(range)?;
                    (from, if step.is_some() { self.high } else { from })
                }
            },
        };
        let span = if from <= until {
            until - from
        } else if self.name == Self::YEAR.name {
            return Err(self.error(text, "goes backwards"));
        } else {
            until + (self.high - self.low + 1) - from
        };
        let numbers = (0..=span)
            .step_by(usize::from(step.unwrap_or(1)))
            .map(|offset| self.low + (from - self.low + offset) % (self.high - self.low + 1))
            .collect();
        Ok((numbers, step.is_none() && from == until && range != "*"))
    }

    fn read(&self, text: &str) -> Result<Numbers, CronError> {
        if text == "*" {
            return Ok(Numbers::Every);
        }
        let mut all_single = true;
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (found, single) = self.part(part)?;
            all_single &= single;
            numbers.extend(found);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(if all_single {
            Numbers::Single(numbers)
        } else {
            Numbers::Pattern(numbers)
        })
    }

    /// One of the two day fields, with `?`, `L`, `W` and `#`.
    fn read_days(&self, text: &str) -> Result<Days, CronError> {
        let weekday = self.name == Self::WEEKDAY.name;
        match text {
            "?" => return Ok(Days::Unspecified),
            "*" => return Ok(Days::Every),
            "L" if weekday => return Ok(Days::Named("7".to_owned())),
            "L" | "LW" if !weekday => return Ok(Days::Named(text.to_owned())),
            _ => {}
        }
        if text.starts_with("L-") {
            return Err(self.error(text, "is not supported; `L`, `LW` and days such as `28` are"));
        }
        if !text.contains(['L', 'W', '#']) || self.names_only(text) {
            return Ok(match self.read(text)? {
                Numbers::Every => Days::Every,
                Numbers::Single(numbers) | Numbers::Pattern(numbers) => Days::Named(listed(&numbers)),
            });
        }
        let mut special = Vec::new();
        for part in text.split(',') {
            special.push(self.special(part, weekday)?);
        }
        Ok(Days::Named(special.join(",")))
    }

    /// Whether the letters of `text` are names of the field: `WED` has a `W` that is none.
    fn names_only(&self, text: &str) -> bool {
        let mut rest = text.to_owned();
        for name in self.names {
            rest = rest.replace(name, "");
        }
        !rest.contains(['L', 'W', '#'])
    }

    fn special(&self, part: &str, weekday: bool) -> Result<String, CronError> {
        if weekday {
            if let Some((day, nth)) = part.split_once('#') {
                let day = self.number(day)?;
                return match nth {
                    "1" | "2" | "3" | "4" | "5" => Ok(format!("{day}#{nth}")),
                    _ => Err(self.error(part, "needs a number from 1 to 5 behind the `#`")),
                };
            }
            if let Some(day) = part.strip_suffix('L').filter(|day| !day.is_empty()) {
                return Ok(format!("{}L", self.number(day)?));
            }
        } else if let Some(day) = part.strip_suffix('W').filter(|day| !day.is_empty()) {
            return Ok(format!("{}W", self.number(day)?));
        }
        if part.contains(['L', 'W', '#']) && !self.names_only(part) {
            return Err(self.error(
                part,
                if weekday {
                    "cannot stand here; `L`, `6L` (last Friday) and `6#3` (third Friday) can"
                } else {
                    "cannot stand here; `L` and `LW` stand alone, and `15W` is the weekday nearest to the 15th"
                },
            ));
        }
        let (numbers, _) = self.part(part)?;
        Ok(listed(&numbers))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

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
            let Some(next) = schedule.next_after(&now) else { break };
            found.push(next.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
            now = next;
        }
        found
    }

    /// Expressions and their meaning are those of Quartz's own documentation, computed by hand from a calendar.
    #[test]
    fn expressions_mean_what_quartz_says() {
        let rows: [(&str, &str, &[&str]); 29] = [
            ("0 0 12 * * ?", "2024-01-31T12:00:00", &["2024-02-01T12:00:00", "2024-02-02T12:00:00"]),
            ("0 15 10 ? * *", "2024-01-31T10:14:59", &["2024-01-31T10:15:00", "2024-02-01T10:15:00"]),
            ("0 15 10 * * ? 2025", "2024-06-01T00:00:00", &["2025-01-01T10:15:00"]),
            ("0 * 14 * * ?", "2024-01-31T14:58:30", &["2024-01-31T14:59:00", "2024-02-01T14:00:00"]),
            ("0 0/5 14,18 * * ?", "2024-01-31T14:55:00", &["2024-01-31T18:00:00", "2024-01-31T18:05:00"]),
            ("0 10,44 14 ? 3 WED", "2024-01-01T00:00:00", &["2024-03-06T14:10:00", "2024-03-06T14:44:00", "2024-03-13T14:10:00"]),
            ("0 15 10 ? * MON-FRI", "2024-02-02T11:00:00", &["2024-02-05T10:15:00"]),
            ("0 15 10 15 * ?", "2024-02-16T00:00:00", &["2024-03-15T10:15:00"]),
            ("0 15 10 L * ?", "2024-01-31T11:00:00", &["2024-02-29T10:15:00", "2024-03-31T10:15:00"]),
            ("0 15 10 LW * ?", "2024-03-01T00:00:00", &["2024-03-29T10:15:00", "2024-04-30T10:15:00"]),
            ("0 15 10 ? * 6L", "2024-01-01T00:00:00", &["2024-01-26T10:15:00", "2024-02-23T10:15:00"]),
            ("0 15 10 ? * FRIL", "2024-01-01T00:00:00", &["2024-01-26T10:15:00"]),
            ("0 15 10 ? * 6#3", "2024-01-01T00:00:00", &["2024-01-19T10:15:00", "2024-02-16T10:15:00"]),
            ("0 0 0 ? * MON#5", "2024-01-30T00:00:00", &["2024-04-29T00:00:00"]),
            ("0 0 12 1/5 * ?", "2024-01-26T12:00:00", &["2024-01-31T12:00:00", "2024-02-01T12:00:00"]),
            ("0 11 11 11 11 ?", "2024-11-12T00:00:00", &["2025-11-11T11:11:00"]),
            ("0 0 0 15W * ?", "2024-06-01T00:00:00", &["2024-06-14T00:00:00", "2024-07-15T00:00:00"]),
            ("0 0 0 1W * ?", "2024-06-01T00:00:00", &["2024-06-03T00:00:00"]),
            ("0 0 0 ? * 1", "2024-01-01T00:00:00", &["2024-01-07T00:00:00"]),
            ("0 0 0 ? * 7", "2024-01-01T00:00:00", &["2024-01-06T00:00:00"]),
            ("0 0 0 ? * L", "2024-01-01T00:00:00", &["2024-01-06T00:00:00", "2024-01-13T00:00:00"]),
            ("0 0/30 9-19 ? * MON-FRI", "2024-02-02T19:30:00", &["2024-02-05T09:00:00"]),
            ("0 0 22-2 * * ?", "2024-01-01T22:00:00", &["2024-01-01T23:00:00", "2024-01-02T00:00:00", "2024-01-02T01:00:00", "2024-01-02T02:00:00", "2024-01-02T22:00:00"]),
            ("0 0 0 ? * FRI-MON", "2024-01-01T00:00:00", &["2024-01-05T00:00:00", "2024-01-06T00:00:00", "2024-01-07T00:00:00", "2024-01-08T00:00:00", "2024-01-12T00:00:00"]),
            ("0 0 0 1 nov-feb ?", "2024-01-15T00:00:00", &["2024-02-01T00:00:00", "2024-11-01T00:00:00", "2024-12-01T00:00:00", "2025-01-01T00:00:00"]),
            ("0 0 0 29 2 ?", "2024-03-01T00:00:00", &["2028-02-29T00:00:00"]),
            ("0 0 0/12 ? * *", "2024-01-01T00:00:00", &["2024-01-01T12:00:00", "2024-01-02T00:00:00"]),
            ("0 0 */1 * * ?", "2024-01-01T00:10:00", &["2024-01-01T01:00:00"]),
            ("* * * * * *", "2024-12-31T23:59:59", &["2025-01-01T00:00:00", "2025-01-01T00:00:01"]),
        ];
        for (expression, from, expected) in rows {
            let expected: Vec<String> = expected.iter().map(|text| format!("{text}+00:00")).collect();
            assert_eq!(following(expression, from, "UTC", expected.len()), expected, "{expression} from {from}");
        }
    }

    #[test]
    fn l2_days_that_never_come_have_no_next_moment() {
        for expression in ["0 0 0 30 2 ?", "0 0 0 31 4,6,9,11 ?", "0 0 0 1 1 ? 2023", "0 0 0 29 2 ? 2025"] {
            assert_eq!(following(expression, "2024-03-01T00:00:00", "UTC", 1), Vec::<String>::new(), "{expression}");
        }
    }

    #[test]
    fn l2_clock_changes_neither_skip_nor_double_fixed_times() {
        let rows: [(&str, &str, &[&str]); 7] = [
            // Berlin, 31 March 2024: 02:00 to 03:00 does not exist.
            ("0 30 2 * * ?", "2024-03-30T12:00:00", &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"]),
            ("0 30 2,14 * * ?", "2024-03-30T15:00:00", &["2024-03-31T03:00:00+02:00", "2024-03-31T14:30:00+02:00"]),
            ("0 0 2,3 * * ?", "2024-03-30T12:00:00", &["2024-03-31T03:00:00+02:00", "2024-04-01T02:00:00+02:00"]),
            ("0 0/30 * * * ?", "2024-03-31T01:15:00", &["2024-03-31T01:30:00+01:00", "2024-03-31T03:00:00+02:00"]),
            // Berlin, 27 October 2024: 02:00 to 03:00 comes twice.
            ("0 30 2 * * ?", "2024-10-26T12:00:00", &["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"]),
            ("0 30 2,14 * * ?", "2024-10-26T15:00:00", &["2024-10-27T02:30:00+02:00", "2024-10-27T14:30:00+01:00"]),
            ("0 0/30 * * * ?", "2024-10-27T02:15:00", &["2024-10-27T02:30:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T02:30:00+01:00", "2024-10-27T03:00:00+01:00"]),
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
            ("60 * * * * ?", "`60` in the field second is not a number from 0 to 59"),
            ("0 0 24 * * ?", "`24` in the field hour is not a number from 0 to 23"),
            ("0 0 0 0 * ?", "`0` in the field day of month is not a number from 1 to 31"),
            ("0 0 0 32 * ?", "`32` in the field day of month"),
            ("0 0 0 1 13 ?", "`13` in the field month is not a number from 1 to 12 or a name from JAN to DEC"),
            ("0 0 0 ? * 0", "`0` in the field day of week is not a number from 1 to 7 or a name from SUN to SAT"),
            ("0 0 0 ? * 8", "`8` in the field day of week"),
            ("0 0 0 ? * MOX", "`MOX` in the field day of week"),
            ("0 0 0 ? * 6#6", "`6#6` in the field day of week needs a number from 1 to 5"),
            ("0 0/0 0 ? * 2", "`0/0` in the field minute needs a step from 1 to 59"),
            ("0 0/60 0 ? * 2", "`0/60` in the field minute needs a step"),
            ("0 0/x 0 ? * 2", "`0/X` in the field minute needs a step"),
            ("0 0 0 1 * MON", "a cron expression names days of the month or days of the week, not both"),
            ("0 0 0 ? * ?", "`?` may stand for the day of the month or for the day of the week, not for both"),
            ("0 0 0 L-3 * ?", "`L-3` in the field day of month is not supported"),
            ("0 0 0 1,L * ?", "`L` in the field day of month cannot stand here"),
            ("0 0 0 ? * 15W", "`15W` in the field day of week cannot stand here"),
            ("0 0 ? * * 2", "`?` in the field hour"),
            ("0 0 0 1 1 ? 1969", "`1969` in the field year is not a number from 1970 to 2099"),
            ("0 0 0 1 1 ? 2030-2025", "`2030-2025` in the field year goes backwards"),
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
}
