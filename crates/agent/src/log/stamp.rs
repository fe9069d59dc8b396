//! The time at the front of each line: `31-Jan-2026 06:17:36`, English whatever the locale.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes times in one time zone, remembering the last second.
#[derive(Debug)]
pub(crate) struct Stamp {
    zone: TimeZone,
    second: i64,
    text: String,
}

impl Stamp {
    /// Times of the zone with this IANA name; UTC when this machine does not know it.
    pub(crate) fn new(time_zone: &str) -> Self {
        Self {
            zone: zone(time_zone).unwrap_or(TimeZone::UTC),
            second: i64::MIN,
            text: String::new(),
        }
    }

    /// The text for a time in milliseconds since 1970.
    pub(crate) fn at(&mut self, now_ms: i64) -> &str {
        let second = now_ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            let time = self
                .zone
                .to_datetime(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH));
            let month = MONTHS[usize::try_from(time.month() - 1).unwrap_or(0) % 12];
            self.text = format!(
                "{:02}-{month}-{:04} {:02}:{:02}:{:02}",
                time.day(),
                time.year(),
                time.hour(),
                time.minute(),
                time.second()
            );
        }
        &self.text
    }
}

/// Reads the one file of the zone: the library would look through the whole folder of zones first.
fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC" | "Etc/UTC" | "Z") {
        return Some(TimeZone::UTC);
    }
    let is_plain = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.'));
    let file = Path::new("/usr/share/zoneinfo").join(name);
    let direct = is_plain.then(|| fs::read(file).ok()).flatten();
    direct
        .and_then(|data| TimeZone::tzif(name, &data).ok())
        .or_else(|| TimeZone::get(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_zone_across_a_change_of_clocks() {
        let mut berlin = Stamp::new("Europe/Berlin");
        assert_eq!(berlin.at(1_769_836_656_936), "31-Jan-2026 06:17:36");
        assert_eq!(berlin.at(1_774_745_999_000), "29-Mar-2026 01:59:59");
        assert_eq!(berlin.at(1_774_746_000_000), "29-Mar-2026 03:00:00");
        assert_eq!(Stamp::new("UTC").at(0), "01-Jan-1970 00:00:00");
    }

    #[test]
    fn unknown_or_climbing_zone_means_utc() {
        for name in ["Nowhere/Land", "../../etc/passwd", "/etc/passwd"] {
            assert_eq!(Stamp::new(name).at(0), "01-Jan-1970 00:00:00", "{name}");
        }
    }
}
