//! The `Range` header of a request for a file (RFC 9110, section 14), bounded (hostile-inputs.md T6).
//!
//! One part is answered as asked for. Several parts, which hardly anybody asks for, are answered by the one that they
//! make together where they touch, else by the whole file, which the standard allows: so a short request cannot ask for
//! a long answer many times over.

/// More parts than this are not looked at.
const MAX_PARTS: usize = 32;

/// What of a file is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it, with status 200.
    Whole,
    /// From the first to the last byte, both counted from 0 and both sent, with status 206.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte; never before the first.
        last: u64,
    },
    /// Nothing of what is asked for is in the file: status 416.
    Unsatisfiable,
}

/// What a `Range` header asks for of a file with this many bytes. A header that is not understood counts as none.
#[must_use]
pub fn byte_range(header: &str, size: u64) -> ByteRange {
    let Some((unit, parts)) = header.split_once('=') else {
        return ByteRange::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || parts.split(',').count() > MAX_PARTS {
        return ByteRange::Whole;
    }
    let mut wanted = Vec::new();
    let mut is_empty = true;
    for part in parts.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        is_empty = false;
        match part_of(part, size) {
            Some(Some(part)) => wanted.push(part),
            Some(None) => {}
            None => return ByteRange::Whole,
        }
    }
    if is_empty {
        return ByteRange::Whole;
    }
    wanted.sort_unstable();
    let mut parts = wanted.into_iter();
    let Some((first, mut last)) = parts.next() else {
        return ByteRange::Unsatisfiable;
    };
    for (next_first, next_last) in parts {
        if next_first > last.saturating_add(1) {
            return ByteRange::Whole;
        }
        last = last.max(next_last);
    }
    ByteRange::Part { first, last }
}

/// One part: `None` when it is no part, `Some(None)` when nothing of it is in the file.
fn part_of(part: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = part.split_once('-')?;
    let number = |digits: &str| -> Option<u64> {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too long is behind every end.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let count = number(last)?.min(size);
        return Some((count > 0).then(|| (size - count, size - 1)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn t6_ranges_are_answered_by_at_most_one_part() {
        let part = |first, last| ByteRange::Part { first, last };
        for (header, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("Bytes = 5-5", part(5, 5)),
            ("bytes=90-", part(90, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=0-", part(0, 99)),
            ("bytes=0-99999999999999999999999", part(0, 99)),
            ("bytes=100-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=200-300,400-", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=0-9,10-19", part(0, 19)),
            ("bytes=5-9,0-6,200-", part(0, 9)),
            ("bytes=0-9,20-29", ByteRange::Whole),
            ("bytes=9-5", ByteRange::Whole),
            ("bytes=a-b", ByteRange::Whole),
            ("bytes=+1-2", ByteRange::Whole),
            ("bytes=--1", ByteRange::Whole),
            ("bytes", ByteRange::Whole),
            ("lines=0-9", ByteRange::Whole),
            ("bytes=", ByteRange::Whole),
            ("bytes=,", ByteRange::Whole),
        ] {
            assert_eq!(byte_range(header, 100), expected, "{header}");
        }
        assert_eq!(
            byte_range(&format!("bytes={}", "0-,".repeat(5000)), 100),
            ByteRange::Whole
        );
        assert_eq!(byte_range("bytes=0-", 0), ByteRange::Unsatisfiable);
        assert_eq!(byte_range("bytes=-1", 0), ByteRange::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_is_inside_of_the_file(header in "bytes=[0-9,-]{0,20}|.{0,20}", size in any::<u64>()) {
            if let ByteRange::Part { first, last } = byte_range(&header, size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
