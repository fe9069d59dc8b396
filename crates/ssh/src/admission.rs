//! Who gets a connection: counts for all clients together and for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::Limits;

/// Counts the connections that there are.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// A place for a client from `address`, or the sentence that it is refused with.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Place, &'static str> {
        let address = neighbourhood(address);
        let mut counts = self.counts();
        if counts.values().sum::<usize>() >= limits.max_connections {
            return Err("too many connections: try again later");
        }
        let here = counts.entry(address).or_default();
        if *here >= limits.max_connections_per_address {
            return Err("too many connections from your address: try again later");
        }
        *here += 1;
        Ok(Place {
            admission: Arc::clone(self),
            address,
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: a subscriber has a whole /64 of IPv6.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_connections: usize, max_connections_per_address: usize) -> Limits {
        Limits {
            max_connections,
            max_connections_per_address,
            ..Limits::default()
        }
    }

    #[test]
    fn places_are_counted_for_each_address_and_in_all_and_come_back() {
        let (admission, limits) = (Arc::new(Admission::default()), limits(3, 2));
        let admit = |address: &str| admission.admit(address.parse().unwrap(), &limits);
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").unwrap_err().contains("your address"));
        assert!(admit("::ffff:192.0.2.1").unwrap_err().contains("your address"));
        let _third = admit("192.0.2.2").unwrap();
        assert!(admit("192.0.2.3").unwrap_err().contains("try again"));
        drop(first);
        drop(admit("192.0.2.1").unwrap());
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_together() {
        let (admission, limits) = (Arc::new(Admission::default()), limits(9, 1));
        let admit = |address: &str| admission.admit(address.parse().unwrap(), &limits);
        let _first = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::ffff:2").is_err());
        assert!(admit("2001:db8:0:1::1").is_ok());
        assert_eq!(admission.counts().len(), 1);
    }
}
