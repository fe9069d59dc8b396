//! How many connections one address may have at once, so that one client cannot take the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use madake_domain::address::AddressPattern;

/// The log has at most one line about refused connections in this time.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// Counts the connections of each address. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PerAddress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: usize,
    exempt: Vec<AddressPattern>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: HashMap<IpAddr, usize>,
    refused: u64,
    last_line: Option<Instant>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    counted: Option<(PerAddress, IpAddr)>,
}

impl PerAddress {
    /// At most `limit` connections for each address, 0 for any number. Those of `exempt`, the proxies, carry the
    /// connections of many.
    #[must_use]
    pub fn new(limit: usize, exempt: Vec<AddressPattern>) -> Self {
        Self {
            inner: Arc::new(Inner {
                limit,
                exempt,
                counts: Mutex::new(Counts::default()),
            }),
        }
    }

    /// A place for a connection from `peer`; `None` when it has all that it may have.
    pub(super) fn take(&self, peer: IpAddr, now: Instant) -> Option<Place> {
        let Inner { limit, exempt, .. } = &*self.inner;
        let limit = *limit;
        if limit == 0 || exempt.iter().any(|pattern| pattern.matches(peer)) {
            return Some(Place { counted: None });
        }
        let whose = client(peer);
        let mut counts = self.counts();
        let open = counts.open.entry(whose).or_insert(0);
        if *open < limit {
            *open += 1;
            return Some(Place {
                counted: Some((self.clone(), whose)),
            });
        }
        counts.refused += 1;
        let due = |last: Instant| now.saturating_duration_since(last) >= BETWEEN_LINES;
        if counts.last_line.is_none_or(due) {
            let refused = std::mem::take(&mut counts.refused);
            counts.last_line = Some(now);
            tracing::warn!(
                address = %whose,
                refused,
                "refused a connection from {whose}, which has {limit} open: {refused} were refused since the last such \
                 line; server.connections-per-address is the limit, and proxies belong in server.trusted-proxies"
            );
        }
        None
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((all, whose)) = &self.counted else {
            return;
        };
        let mut counts = all.counts();
        if let Some(open) = counts.open.get_mut(whose) {
            *open -= 1;
            if *open == 0 {
                counts.open.remove(whose);
            }
        }
    }
}

/// Whom an address stands for: a client of IPv6 has a whole network of 64 bits to itself.
fn client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_places_and_takes_nobody_elses() {
        let proxies = vec![AddressPattern::parse("192.0.2.128/25").expect("a block")];
        let all = PerAddress::new(2, proxies);
        let now = Instant::now();
        let take = |text: &str| all.take(address(text), now);
        let first = take("192.0.2.1").expect("a place");
        let _second = take("::ffff:192.0.2.1").expect("a place");
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").expect("another address");
        let proxy: Vec<Place> = (0..100)
            .map(|_| take("192.0.2.200").expect("a proxy is exempt"))
            .collect();
        drop(first);
        let _again = take("192.0.2.1").expect("a place that was given back");
        // One client of IPv6 has many addresses.
        let _six = [take("2001:db8::1"), take("2001:db8::2")].map(|place| place.expect("a place"));
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::3").is_some());
        drop(proxy);
        assert_eq!(all.counts().open.len(), 3, "who has left is forgotten");
    }

    #[test]
    fn zero_is_any_number() {
        let all = PerAddress::new(0, Vec::new());
        let now = Instant::now();
        let places: Vec<Place> = (0..1000)
            .filter_map(|_| all.take(address("192.0.2.1"), now))
            .collect();
        assert_eq!(places.len(), 1000);
    }
}
