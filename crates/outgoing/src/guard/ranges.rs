//! Special addresses and ports.
//!
//! From the IANA registries of special-purpose addresses (RFC 6890 and its successors), plus two addresses that
//! clouds use for their machines' metadata. Of IPv6 only 2000::/3 is public; everything outside is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// An address that requests do not go to by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Special {
    /// The address that was judged: the one given, or the IPv4 address that it stands for.
    pub(super) meant: IpAddr,
    /// What it is, with its article.
    pub(super) what: &'static str,
    /// The entry of `[outgoing] allow` that would allow it.
    pub(super) network: String,
}

const fn four(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn six(head: [u16; 3], prefix: u8) -> Ipv6Net {
    let [a, b, c] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const FOUR: &[(Ipv4Net, &str)] = &[
    (four(0, 0, 0, 0, 8), "an address of this machine"),
    (four(10, 0, 0, 0, 8), "a private address"),
    (
        four(100, 64, 0, 0, 10),
        "a shared address of a provider's network",
    ),
    (four(127, 0, 0, 0, 8), "a loopback address"),
    (
        four(169, 254, 0, 0, 16),
        "a link-local address (cloud metadata lives there)",
    ),
    (four(172, 16, 0, 0, 12), "a private address"),
    (four(192, 0, 0, 0, 24), "a reserved address"),
    (four(192, 0, 2, 0, 24), "an address for documentation"),
    (four(192, 88, 99, 0, 24), "a reserved address"),
    (four(192, 168, 0, 0, 16), "a private address"),
    (four(198, 18, 0, 0, 15), "an address for benchmarks"),
    (four(198, 51, 100, 0, 24), "an address for documentation"),
    (four(203, 0, 113, 0, 24), "an address for documentation"),
    (four(224, 0, 0, 0, 4), "a multicast address"),
    (four(240, 0, 0, 0, 4), "a reserved or broadcast address"),
    (four(168, 63, 129, 16, 32), "an address of cloud metadata"),
];

const SIX: &[(Ipv6Net, &str)] = &[
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "an address of this machine",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "a loopback address",
    ),
    (six([0x64, 0xff9b, 1], 48), "an address of a local translator"),
    (six([0xfc00, 0, 0], 7), "a private address"),
    (six([0xfe80, 0, 0], 10), "a link-local address"),
    (six([0xfec0, 0, 0], 10), "a site-local address"),
    (six([0xff00, 0, 0], 8), "a multicast address"),
    (six([0x2001, 0, 0], 23), "a reserved address"),
    (six([0x2001, 0xdb8, 0], 32), "an address for documentation"),
    (six([0x3fff, 0, 0], 20), "an address for documentation"),
];

const PUBLIC_SIX: Ipv6Net = six([0x2000, 0, 0], 3);
const TRANSLATED: Ipv6Net = six([0x64, 0xff9b, 0], 96);
const SIX_TO_FOUR: Ipv6Net = six([0x2002, 0, 0], 16);
const TEREDO: Ipv6Net = six([0x2001, 0, 0], 32);

/// What is special about an address, or `None` for a public one. `allowed` is asked about the IPv4 addresses that an
/// IPv6 address stands for.
pub(super) fn special(address: IpAddr, allowed: &impl Fn(IpAddr) -> bool) -> Option<Special> {
    match address.to_canonical() {
        IpAddr::V4(address) => special_four(address, allowed),
        IpAddr::V6(address) => special_six(address, allowed),
    }
}

fn special_four(address: Ipv4Addr, allowed: &impl Fn(IpAddr) -> bool) -> Option<Special> {
    if allowed(address.into()) {
        return None;
    }
    FOUR.iter()
        .find(|(network, _)| network.contains(&address))
        .map(|(network, what)| Special {
            meant: address.into(),
            what,
            network: network.to_string(),
        })
}

fn special_six(address: Ipv6Addr, allowed: &impl Fn(IpAddr) -> bool) -> Option<Special> {
    let bytes = address.octets();
    let inside = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    if TRANSLATED.contains(&address) {
        return special_four(inside(12), allowed);
    }
    if SIX_TO_FOUR.contains(&address) {
        return special_four(inside(2), allowed);
    }
    if TEREDO.contains(&address) {
        // The address of the client stands inverted behind that of its server.
        let client = Ipv4Addr::from_bits(!inside(12).to_bits());
        return special_four(client, allowed).or_else(|| special_four(inside(4), allowed));
    }
    let known = SIX.iter().find(|(network, _)| network.contains(&address));
    let (network, what) = match known {
        Some((network, what)) => (network.to_string(), *what),
        None if PUBLIC_SIX.contains(&address) => return None,
        None => (address.to_string(), "a reserved address"),
    };
    Some(Special {
        meant: address.into(),
        what,
        network,
    })
}

/// Ports of protocols that take commands line by line or bytes from anybody: those that browsers block (Fetch
/// standard, "bad port"), and those of common databases, caches and container engines.
pub(super) fn belongs_to_another_protocol(port: u16) -> bool {
    OTHER_PROTOCOLS.binary_search(&port).is_ok()
}

const OTHER_PROTOCOLS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1719, 1720,
    1723, 2049, 2375, 2376, 2379, 2380, 3306, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211, 27017,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_sorted_for_the_search() {
        assert!(OTHER_PROTOCOLS.is_sorted_by(|one, other| one < other));
    }
}
