//! Times in payloads: whole milliseconds, or ISO 8601 text with an offset.

use jiff::Timestamp;

use crate::json::Value;

/// Milliseconds since 1970, from a number of milliseconds (Bitbucket Server up to version 9), from text
/// such as `2018-09-21T14:09:51.000Z` (version 10), `2018-08-01T16:26:46-0400`,
/// `2012-05-30 04:07:03+00:00` (Cloud) or `2021-08-23 07:31:24 UTC` (merge requests of GitLab). Text without an offset, and times outside the years that can be
/// written, give nothing.
pub(crate) fn epoch_ms(value: Option<&Value<'_>>) -> Option<i64> {
    let time = match value? {
        Value::Integer(milliseconds) => Timestamp::from_millisecond(*milliseconds).ok()?,
        Value::Text(text) => match text.strip_suffix(" UTC") {
            Some(bare) => format!("{bare}Z").parse::<Timestamp>().ok()?,
            None => text.parse::<Timestamp>().ok()?,
        },
        _ => return None,
    };
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::epoch_ms;
    use crate::json::Value;

    #[test]
    fn every_form_of_time_that_senders_use_is_read() {
        let table = [
            (Value::Integer(1_374_663_446_000), Some(1_374_663_446_000)),
            (
                Value::Text("2018-09-21T14:09:51.000Z".into()),
                Some(1_537_538_991_000),
            ),
            (
                Value::Text("2018-08-01T16:26:46-0400".into()),
                Some(1_533_155_206_000),
            ),
            (
                Value::Text("2012-05-30 04:07:03+00:00".into()),
                Some(1_338_350_823_000),
            ),
            (
                Value::Text("2018-07-02T20:26:56+00:00".into()),
                Some(1_530_563_216_000),
            ),
            (
                Value::Text("2012-05-30 04:07:03 UTC".into()),
                Some(1_338_350_823_000),
            ),
            (Value::Text("2012-05-30 06:07:03".into()), None),
            (Value::Text("yesterday".into()), None),
            (Value::Text(String::new().into()), None),
            (Value::Integer(i64::MAX), None),
            (Value::Integer(i64::MIN), None),
            (Value::Number(1e300), None),
            (Value::Bool(true), None),
        ];
        for (value, expected) in table {
            assert_eq!(epoch_ms(Some(&value)), expected, "{value:?}");
        }
        assert_eq!(epoch_ms(None), None);
    }
}
