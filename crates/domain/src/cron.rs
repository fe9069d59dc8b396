//! Quartz cron expressions, as Bamboo's cron and polling triggers use them (bamboo-specs.md 7.1).
//!
//! Six or seven fields, seconds first: second, minute, hour, day of month, month, day of week, and perhaps the
//! year. Days of the week count from Sunday, which is 1. What this module reads is checked against Quartz's
//! rules field by field, written out in plain numbers, and then handed to `croner`, which walks the calendar.
//!
//! One departure from Quartz accepts more: `*` in both day fields means every day (Quartz
//! wants a `?` in one of them).

pub mod timer;

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

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
        let years = match years {
            Numbers::Every => format!("{}-{}", Field::YEAR.low, Field::YEAR.high),
            years => years.to_string(),
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

    /// Whether it means no moment at all, such as 30 February.
    #[must_use]
    pub fn never_comes(&self) -> bool {
        self.next_after(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))
            .is_none()
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
fn fixed_times(
    seconds: &Numbers,
    minutes: &Numbers,
    hours: &Numbers,
) -> Option<Vec<(String, String, String)>> {
    let (Numbers::Single(seconds), Numbers::Single(minutes), Numbers::Single(hours)) =
        (seconds, minutes, hours)
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
        Self {
            name,
            low,
            high,
            names,
        }
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
mod tests;
