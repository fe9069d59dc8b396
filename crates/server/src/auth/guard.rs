//! Slows the guessing of passwords, per account and per address. Kept in memory, per node.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// Seconds that a caller is told to wait.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 30;
/// Entries after which those that are full again are dropped.
const ENTRIES: usize = 10_000;

/// Counts tries. A right password is believed for some minutes without a try, so clients that log in with every
/// request do not meet this.
#[derive(Debug)]
pub(crate) struct LoginGuard {
    accounts: Limiter<String>,
    addresses: Limiter<IpAddr>,
}

impl LoginGuard {
    pub(crate) fn new() -> Self {
        let per_minute = |burst: u32, refill: u32| {
            let (burst, refill) = (NonZeroU32::new(burst), NonZeroU32::new(refill));
            Quota::per_minute(refill.unwrap_or(NonZeroU32::MIN)).allow_burst(burst.unwrap_or(NonZeroU32::MIN))
        };
        Self {
            accounts: RateLimiter::keyed(per_minute(10, 10)),
            addresses: RateLimiter::keyed(per_minute(40, 40)),
        }
    }

    /// Takes one try of an account from an address; `false`: there were too many.
    pub(crate) fn may_try(&self, account: &str, address: Option<IpAddr>) -> bool {
        if self.accounts.len() > ENTRIES || self.addresses.len() > ENTRIES {
            self.accounts.retain_recent();
            self.addresses.retain_recent();
        }
        let address_may = address.is_none_or(|address| self.addresses.check_key(&address).is_ok());
        let account: String = account.chars().take(64).collect::<String>().to_lowercase();
        address_may && self.accounts.check_key(&account).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_run_out_per_account_and_per_address() {
        let guard = LoginGuard::new();
        let here = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!((0..20).filter(|_| guard.may_try("Joe", here)).count(), 10);
        assert!(
            !guard.may_try("joe", Some(IpAddr::from([192, 0, 2, 2]))),
            "the account is slowed from anywhere"
        );
        let names = (0..60)
            .filter(|number| guard.may_try(&format!("user{number}"), here))
            .count();
        assert!(names <= 20, "{names} more tries from one address");
    }
}
