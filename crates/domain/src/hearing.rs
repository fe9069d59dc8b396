//! How well we hear of pushes to a linked repository, and how often it is therefore looked at.
//!
//! While webhooks arrive, looks become rarer: each that finds nothing which no webhook announced doubles the pause, up
//! to [`SLOWEST_MS`]. A look that does find something means that webhooks fail: the pause is the shortest again, and
//! stays so until a webhook arrives after it.

/// The longest pause between looks that webhooks lead to, unless the shortest is longer, in milliseconds.
pub const SLOWEST_MS: i64 = 60 * 60 * 1000;
/// How long after a look finds something a webhook may still announce it, in milliseconds: deliveries take a moment.
pub const GRACE_MS: i64 = 5_000;
/// How long before a look a webhook may have announced what the look finds, in milliseconds: what came earlier was
/// looked into then.
const BEFORE_MS: i64 = 1_000;

/// What is known of how we hear of one repository. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hearing {
    /// When a webhook last told of a push.
    pub told_ms: Option<i64>,
    /// When it was last looked at because it was time to.
    pub polled_ms: Option<i64>,
    /// When such a look last found what no webhook had announced.
    pub missed_ms: Option<i64>,
    /// How many such looks there were, ever.
    pub missed: i64,
    /// How many looks in a row found nothing of the kind since webhooks could be relied on.
    pub quiet: i64,
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing that no webhook announced.
    Quiet,
    /// Something that no webhook announced.
    Missed,
}

impl Hearing {
    /// Whether webhooks tell us of pushes, as far as is known: one came, and none was missed since.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        match (self.told_ms, self.missed_ms) {
            (Some(told), Some(missed)) => told > missed,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The pause before the next look, in milliseconds, where `shortest_ms` is what the plan or the server asks for.
    #[must_use]
    pub fn pause_ms(&self, shortest_ms: i64) -> i64 {
        let shortest_ms = shortest_ms.max(1);
        if !self.is_reliable() {
            return shortest_ms;
        }
        let doublings = u32::try_from(self.quiet.clamp(0, 40)).unwrap_or(0);
        let slow = shortest_ms.saturating_mul(1_i64.checked_shl(doublings).unwrap_or(i64::MAX));
        slow.min(SLOWEST_MS.max(shortest_ms))
    }

    /// Notes a webhook.
    #[must_use]
    pub fn told(mut self, now_ms: i64) -> Self {
        self.told_ms = Some(self.told_ms.map_or(now_ms, |before| before.max(now_ms)));
        self
    }

    /// Notes a look that began at `began_ms`.
    #[must_use]
    pub fn looked(mut self, began_ms: i64, look: Look) -> Self {
        self.polled_ms = Some(self.polled_ms.map_or(began_ms, |before| before.max(began_ms)));
        match look {
            Look::Quiet if self.is_reliable() => self.quiet = self.quiet.saturating_add(1),
            Look::Quiet => {}
            Look::Missed => {
                self.missed_ms = Some(began_ms);
                self.missed = self.missed.saturating_add(1);
                self.quiet = 0;
            }
        }
        self
    }

    /// Whether what a look found at `found_ms` was announced: a webhook came in the moments before or after. Without a
    /// webhook ever, nothing is missed: looking is then how we hear.
    #[must_use]
    pub fn announces(&self, found_ms: i64) -> bool {
        self.told_ms
            .is_none_or(|told| told >= found_ms.saturating_sub(BEFORE_MS))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn looks_become_rare_while_webhooks_arrive_and_frequent_after_one_was_missed() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.pause_ms(MINUTE), MINUTE, "nobody tells us");
        hearing = hearing.looked(1, Look::Quiet);
        assert_eq!(
            hearing.pause_ms(MINUTE),
            MINUTE,
            "quiet looks alone prove nothing"
        );
        hearing = hearing.told(10);
        let mut pauses = vec![hearing.pause_ms(MINUTE)];
        for at in 0..8 {
            hearing = hearing.looked(20 + at, Look::Quiet);
            pauses.push(hearing.pause_ms(MINUTE));
        }
        let minutes: Vec<i64> = pauses.iter().map(|pause| pause / MINUTE).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        hearing = hearing.looked(100, Look::Missed);
        assert_eq!((hearing.pause_ms(MINUTE), hearing.missed), (MINUTE, 1));
        hearing = hearing.looked(101, Look::Quiet).looked(102, Look::Quiet);
        assert_eq!(hearing.pause_ms(MINUTE), MINUTE, "no webhook came since");
        hearing = hearing.told(110).looked(111, Look::Quiet);
        assert_eq!(hearing.pause_ms(MINUTE), 2 * MINUTE);
        assert_eq!(hearing.polled_ms, Some(111));
    }

    #[test]
    fn a_find_is_missed_only_when_webhooks_came_before_and_none_comes_with_it() {
        let never = Hearing::default();
        assert!(never.announces(1_000_000));
        let told = never.told(1_000_000);
        let table = [
            (1_000_000, true),
            (999_000, true),
            (1_000_000 + BEFORE_MS, true),
            (1_000_001 + BEFORE_MS, false),
        ];
        for (found, announced) in table {
            assert_eq!(told.announces(found), announced, "{found}");
        }
    }

    proptest! {
        #[test]
        fn the_pause_keeps_its_bounds_whatever_happened(
            events in proptest::collection::vec((0_u8..3, 0_i64..1_000_000), 0..60),
            shortest in 0_i64..10 * SLOWEST_MS,
        ) {
            let mut hearing = Hearing::default();
            for (kind, at) in events {
                hearing = match kind {
                    0 => hearing.told(at),
                    1 => hearing.looked(at, Look::Quiet),
                    _ => hearing.looked(at, Look::Missed),
                };
                let pause = hearing.pause_ms(shortest);
                prop_assert!(pause >= shortest.max(1));
                prop_assert!(pause <= SLOWEST_MS.max(shortest));
                if !hearing.is_reliable() {
                    prop_assert_eq!(pause, shortest.max(1));
                }
            }
        }
    }
}
