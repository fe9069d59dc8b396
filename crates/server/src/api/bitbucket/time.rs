//! Times as Bitbucket Cloud writes them.

/// `2018-09-20T12:49:08.541000+00:00`: resources of Bitbucket Cloud, in UTC with microseconds.
pub(crate) fn with_microseconds(ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::with_microseconds;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(
            with_microseconds(1_537_447_748_541),
            "2018-09-20T12:49:08.541000+00:00"
        );
        assert_eq!(with_microseconds(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(with_microseconds(i64::MAX), "1970-01-01T00:00:00.000000+00:00");
    }
}
