//! Who may call a remote trigger, by address, and which address a call really came from.
//!
//! Trigger addresses follow Bamboo (bamboo-rest.md 7.3): the repository's own host may always call, and the list
//! of the trigger adds single addresses, CIDR blocks and `192.168.5.*` wildcards. Names are refused: they would
//! be resolved by somebody else's server at the moment of the call. An IPv6 address that carries an IPv4 address
//! (`::ffff:10.1.2.3`) is that IPv4 address everywhere here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::text::inert;

/// The longest chain of `X-Forwarded-For` entries that is walked, from the right.
pub const MAX_FORWARDED_ENTRIES: usize = 64;

/// One entry of a list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPattern {
    /// One address.
    Single(IpAddr),
    /// A CIDR block.
    Block(IpNet),
    /// Four parts of an IPv4 address, some of them `*`.
    Wildcard([Option<u8>; 4]),
}

/// Why a text is not an address pattern; each variant reads as a sentence for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A host name.
    #[error(
        "`{text}` is a host name; trigger addresses are IP addresses (10.1.2.3), CIDR blocks (10.0.0.0/8) or \
         wildcards (192.168.5.*), because a name may resolve to another machine at the moment of the call"
    )]
    HostName {
        /// The offending text, made printable.
        text: String,
    },
    /// The part behind the slash is not a prefix length.
    #[error("`{text}` has no valid prefix length; write a number from 0 to {longest} behind the slash")]
    Prefix {
        /// The offending text, made printable.
        text: String,
        /// The longest prefix of this kind of address.
        longest: u8,
    },
    /// Anything else.
    #[error(
        "`{text}` is not an address; write an IPv4 or IPv6 address (10.1.2.3, 2001:db8::7), a CIDR block \
         (10.0.0.0/8) or a wildcard of four parts (192.168.5.*), with plain decimal numbers"
    )]
    Notation {
        /// The offending text, made printable.
        text: String,
    },
}

impl AddressPattern {
    /// Reads one entry: an IPv4 or IPv6 address, a CIDR block, or four parts with `*` for any number.
    ///
    /// # Errors
    /// For host names, and for notations that programs read differently: octal or padded parts
    /// (`0012.1.2.3`), hexadecimal, a single decimal number, fewer than four parts, ports, zone names.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let shown = || inert(text, 80);
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| refusal(address, shown()))?;
            return block(address, prefix).ok_or_else(|| AddressError::Prefix {
                text: shown(),
                longest: if address.is_ipv4() { 32 } else { 128 },
            });
        }
        if text.contains('*') {
            return wildcard(text)
                .map(Self::Wildcard)
                .ok_or_else(|| refusal(text, shown()));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Single(address.to_canonical())),
            Err(_) => Err(refusal(text, shown())),
        }
    }

    /// Whether `address` is one of those that the pattern means.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self, address) {
            (Self::Single(single), address) => *single == address,
            (Self::Block(block), address) => block.contains(&address),
            (Self::Wildcard(parts), IpAddr::V4(address)) => parts
                .iter()
                .zip(address.octets())
                .all(|(part, octet)| part.is_none_or(|part| part == octet)),
            (Self::Wildcard(_), IpAddr::V6(_)) => false,
        }
    }
}

impl FromStr for AddressPattern {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(address) => address.fmt(f),
            Self::Block(block) => block.fmt(f),
            Self::Wildcard(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    match part {
                        Some(number) => number.fmt(f)?,
                        None => f.write_str("*")?,
                    }
                }
                Ok(())
            }
        }
    }
}

fn block(address: IpAddr, prefix: &str) -> Option<AddressPattern> {
    let prefix = decimal(prefix, 128)?;
    let (address, prefix) = match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) if prefix >= 96 => (IpAddr::V4(four), prefix - 96),
            _ => (address, prefix),
        },
        IpAddr::V4(_) => (address, prefix),
    };
    IpNet::new(address, prefix)
        .ok()
        .map(|block| AddressPattern::Block(block.trunc()))
}

fn wildcard(text: &str) -> Option<[Option<u8>; 4]> {
    let mut parts = text.split('.');
    let mut pattern = [None; 4];
    for slot in &mut pattern {
        let part = parts.next()?;
        *slot = match part {
            "*" => None,
            number => Some(decimal(number, 255)?),
        };
    }
    parts.next().is_none().then_some(pattern)
}

/// A plain decimal number: no sign, no padding.
fn decimal(text: &str, highest: u8) -> Option<u8> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    let number: u8 = plain.then(|| text.parse().ok()).flatten()?;
    (number <= highest).then_some(number)
}

/// The error for what is no address: a name has a last label that is neither a number nor hexadecimal.
fn refusal(address: &str, text: String) -> AddressError {
    let label = address
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or(address);
    let name_like = label.starts_with(|c: char| c.is_alphabetic())
        && address
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if name_like {
        AddressError::HostName { text }
    } else {
        AddressError::Notation { text }
    }
}

/// The addresses that may call one trigger, besides the repository's own host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    patterns: Vec<AddressPattern>,
}

impl AddressList {
    /// Reads entries that are separated by commas or white space.
    ///
    /// # Errors
    /// The first entry that is not a pattern.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::from_entries([text])
    }

    /// Reads a list of entries, each of which may hold several.
    ///
    /// # Errors
    /// The first entry that is not a pattern.
    pub fn from_entries<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, AddressError> {
        let mut patterns = Vec::new();
        for entry in entries {
            for text in entry.as_ref().split(|c: char| c == ',' || c.is_whitespace()) {
                if !text.is_empty() {
                    patterns.push(AddressPattern::parse(text)?);
                }
            }
        }
        Ok(Self { patterns })
    }

    /// The entries.
    #[must_use]
    pub fn patterns(&self) -> &[AddressPattern] {
        &self.patterns
    }
}

/// Whether an address may call, and the rule that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressVerdict {
    /// May call.
    pub allowed: bool,
    /// The rule that matched, or all rules looked at; for the ledger.
    pub rule: String,
}

/// Decides whether `peer` may call a trigger.
///
/// `host_addresses` are those of the machine that the repository's address names. They may always call. Where
/// there are none (a local path, a repository that we host, a name that does not resolve) this machine's
/// loopback addresses stand in for them. An empty list therefore means: only the repository's own host.
#[must_use]
pub fn allows(peer: IpAddr, list: &AddressList, host_addresses: &[IpAddr]) -> AddressVerdict {
    let peer = peer.to_canonical();
    let allowed = |rule: String| AddressVerdict { allowed: true, rule };
    if host_addresses.is_empty() && peer.is_loopback() {
        return allowed(format!("{peer} is this machine, where the repository is"));
    }
    if host_addresses.iter().any(|host| host.to_canonical() == peer) {
        return allowed(format!("{peer} is the repository's own host"));
    }
    if let Some(pattern) = list.patterns.iter().find(|pattern| pattern.matches(peer)) {
        return allowed(format!("{peer} matches the trigger address {pattern}"));
    }
    let host = if host_addresses.is_empty() {
        "this machine (127.0.0.0/8, ::1)".to_owned()
    } else {
        format!("the repository's host ({})", joined(host_addresses))
    };
    let also = if list.patterns.is_empty() {
        "the trigger names no further addresses".to_owned()
    } else {
        format!("the trigger addresses are {}", joined(&list.patterns))
    };
    AddressVerdict {
        allowed: false,
        rule: format!("{peer} is neither {host} nor a trigger address; {also}"),
    }
}

fn joined<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 20;
    let mut text = items
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > SHOWN {
        text.push_str(&format!(" and {} more", items.len() - SHOWN));
    }
    text
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// The nearest address that is not one of our proxies, as far as trustworthy machines can tell.
    pub address: IpAddr,
    /// The proxies in between, nearest to us first; empty: the client spoke to us itself.
    pub via: Vec<IpAddr>,
}

/// Finds the client's address.
///
/// `x_forwarded_for` are the values of all `X-Forwarded-For` headers in the order in which they came; they are
/// one list. They are read only if `peer`, the other end of the TCP connection, is a trusted proxy, and then
/// from the right: each proxy appends whom it heard from, so the right-most entry that is not a trusted proxy
/// is the last that a machine of ours has seen. Everything left of it is the caller's own words. An entry that
/// is not an address ends the walk at the proxy that wrote it. No other header is ever looked at.
#[must_use]
pub fn forwarded_client(
    peer: IpAddr,
    x_forwarded_for: &[&str],
    trusted_proxies: &[AddressPattern],
) -> ClientAddress {
    let trusted = |address: IpAddr| trusted_proxies.iter().any(|pattern| pattern.matches(address));
    let mut client = ClientAddress {
        address: peer.to_canonical(),
        via: Vec::new(),
    };
    let entries = x_forwarded_for
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(','))
        .take(MAX_FORWARDED_ENTRIES);
    for entry in entries {
        if !trusted(client.address) {
            break;
        }
        let Ok(previous) = entry.trim_matches([' ', '\t']).parse::<IpAddr>() else {
            break;
        };
        client.via.push(client.address);
        client.address = previous.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn patterns(text: &str) -> Vec<AddressPattern> {
        AddressList::parse(text).expect(text).patterns
    }

    #[test]
    fn r6_mapped_and_plain_addresses_match_the_same_rules() {
        let rows = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.9.9.9/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.4", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "10.1.2.3", false),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
        ];
        for (pattern, peer, expected) in rows {
            let pattern = AddressPattern::parse(pattern).expect(pattern);
            assert_eq!(pattern.matches(ip(peer)), expected, "{pattern} against {peer}");
        }
    }

    #[test]
    fn r6_odd_notations_do_not_parse() {
        for text in [
            "0012.1.2.3",
            "012.1.2.3",
            "0x0a.1.2.3",
            "0x0a010203",
            "167838211",
            "10.1.2",
            "10.1",
            "10.1.2.3.4",
            "10.1.2.256",
            "10.1.2.3:80",
            "[::1]",
            "fe80::1%eth0",
            "10.1.2.3/33",
            "10.1.2.3/+8",
            "10.1.2.3/08",
            "10.1.2.3/",
            "10.1.2.3/255.0.0.0",
            "0012.1.2.3/8",
            "010.1.2.*",
            "192.168.*",
            "*",
            "192.168.5.1*",
            "192.168.5.*/24",
            "",
            "::ffff:1.2.3.4/129",
        ] {
            assert!(AddressPattern::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn r7_wildcards_are_honoured_and_host_names_refused() {
        let wildcard = AddressPattern::parse("192.168.5.*").expect("a wildcard");
        assert!(wildcard.matches(ip("192.168.5.77")));
        assert!(wildcard.matches(ip("::ffff:192.168.5.77")));
        assert!(!wildcard.matches(ip("192.168.6.77")));
        assert_eq!(wildcard.to_string(), "192.168.5.*");
        let middle = AddressPattern::parse("10.*.5.*").expect("a wildcard");
        assert!(middle.matches(ip("10.200.5.1")));
        assert!(!middle.matches(ip("10.200.6.1")));

        for name in ["localhost", "git.example.org", "ci-1.example.", "*.example.org"] {
            let error = AddressPattern::parse(name).expect_err(name);
            let expected = if name.starts_with('*') {
                matches!(error, AddressError::Notation { .. })
            } else {
                matches!(error, AddressError::HostName { .. })
            };
            assert!(expected, "{name}: {error:?}");
        }
        assert!(
            AddressPattern::parse("git.example.org")
                .expect_err("a name")
                .to_string()
                .starts_with("`git.example.org` is a host name; trigger addresses are IP addresses")
        );
        assert!(
            !AddressPattern::parse("a\u{1b}[2Jb")
                .expect_err("junk")
                .to_string()
                .contains('\u{1b}')
        );
    }

    #[test]
    fn lists_are_separated_by_commas_or_space() {
        assert_eq!(patterns(" 10.0.0.1,10.0.0.2\n10.0.0.0/8  ,, ::1").len(), 4);
        assert_eq!(
            AddressList::from_entries(["10.0.0.1, 10.0.0.2", "192.168.5.*"])
                .expect("a list")
                .patterns()
                .len(),
            3
        );
        assert!(AddressList::parse("10.0.0.1, example.org").is_err());
    }

    #[test]
    fn r2_and_r8_the_repository_host_and_the_list_may_call() {
        let none = AddressList::default();
        let list = AddressList::parse("10.0.0.0/8").expect("a list");
        let host = [ip("203.0.113.7")];
        let rows: [(&str, &AddressList, &[IpAddr], bool); 10] = [
            ("127.0.0.1", &none, &[], true),
            ("::1", &none, &[], true),
            ("::ffff:127.0.0.1", &none, &[], true),
            ("10.1.2.3", &none, &[], false),
            ("203.0.113.7", &none, &host, true),
            ("::ffff:203.0.113.7", &none, &host, true),
            ("127.0.0.1", &none, &host, false),
            ("10.1.2.3", &list, &host, true),
            ("203.0.113.7", &list, &host, true),
            ("192.0.2.1", &list, &host, false),
        ];
        for (peer, list, host, expected) in rows {
            let verdict = allows(ip(peer), list, host);
            assert_eq!(verdict.allowed, expected, "{peer}: {}", verdict.rule);
        }
        assert_eq!(
            allows(ip("192.0.2.1"), &list, &host).rule,
            "192.0.2.1 is neither the repository's host (203.0.113.7) nor a trigger address; \
             the trigger addresses are 10.0.0.0/8"
        );
    }

    #[test]
    fn r3_to_r5_forwarded_headers_count_only_from_trusted_proxies() {
        let proxies = patterns("10.0.0.1 10.0.0.2");
        let rows: [(&str, &[&str], &str, usize); 13] = [
            // R3: the peer is nobody's proxy, so its header is its own words.
            ("198.51.100.9", &["192.0.2.1"], "198.51.100.9", 0),
            ("10.0.0.1", &[], "10.0.0.1", 0),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1", 1),
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1", 1),
            // R4: the right-most untrusted address decides.
            ("10.0.0.1", &["192.0.2.1, 198.51.100.9"], "198.51.100.9", 1),
            (
                "10.0.0.1",
                &["192.0.2.1, 198.51.100.9, 10.0.0.2"],
                "198.51.100.9",
                2,
            ),
            // R5: two headers are one list.
            ("10.0.0.1", &["192.0.2.1", "198.51.100.9"], "198.51.100.9", 1),
            (
                "10.0.0.1",
                &["192.0.2.1,198.51.100.9", "10.0.0.2"],
                "198.51.100.9",
                2,
            ),
            // Garbage ends the walk at the last machine that can be trusted.
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1", 0),
            ("10.0.0.1", &["192.0.2.1, junk, 10.0.0.2"], "10.0.0.2", 1),
            ("10.0.0.1", &["192.0.2.1,"], "10.0.0.1", 0),
            ("10.0.0.1", &["0012.1.2.3"], "10.0.0.1", 0),
            // All of them are ours.
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.2", 1),
        ];
        for (peer, values, expected, hops) in rows {
            let client = forwarded_client(ip(peer), values, &proxies);
            assert_eq!(client.address, ip(expected), "{peer} {values:?}");
            assert_eq!(client.via.len(), hops, "{peer} {values:?}");
        }
        assert_eq!(
            forwarded_client(ip("10.0.0.1"), &["192.0.2.1"], &[]).address,
            ip("10.0.0.1"),
            "without configured proxies no header counts"
        );
    }

    fn pattern() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<Ipv4Addr>().prop_map(|address| address.to_string()),
            (any::<Ipv4Addr>(), 0u8..=32).prop_map(|(address, prefix)| format!("{address}/{prefix}")),
            any::<[Option<u8>; 4]>().prop_map(|parts| {
                let parts = parts.map(|part| part.map_or("*".to_owned(), |part| part.to_string()));
                parts.join(".")
            }),
            (any::<std::net::Ipv6Addr>(), 0u8..=128)
                .prop_map(|(address, prefix)| format!("{address}/{prefix}")),
        ]
    }

    proptest! {
        #[test]
        fn mapped_form_equals_plain_form(pattern in pattern(), address: Ipv4Addr) {
            let pattern = AddressPattern::parse(&pattern).expect("generated patterns are well-formed");
            let mapped = IpAddr::V6(address.to_ipv6_mapped());
            prop_assert_eq!(pattern.matches(IpAddr::V4(address)), pattern.matches(mapped));
        }

        #[test]
        fn shown_pattern_reads_back(pattern in pattern()) {
            let pattern = AddressPattern::parse(&pattern).expect("generated patterns are well-formed");
            prop_assert_eq!(AddressPattern::parse(&pattern.to_string()), Ok(pattern));
        }

        #[test]
        fn nothing_left_of_an_untrusted_entry_is_returned(
            hops in proptest::collection::vec((0u8..4, any::<bool>()), 0..12),
            spoofed in proptest::collection::vec(0u8..4, 0..6),
            split in any::<proptest::sample::Index>(),
        ) {
            // Trusted proxies are 10.0.0.x, other true hops 192.0.2.x, the caller's own words 203.0.113.x.
            let proxies = patterns("10.0.0.*");
            let mut entries: Vec<String> = spoofed.iter().map(|n| format!("203.0.113.{n}")).collect();
            entries.push("192.0.2.200".to_owned());
            entries.extend(hops.iter().map(|(n, trusted)| {
                if *trusted { format!("10.0.0.{n}") } else { format!("192.0.2.{n}") }
            }));
            let at = split.index(entries.len());
            let (first, second) = (entries[..at].join(", "), entries[at..].join(","));
            let values: Vec<&str> = [&*first, &*second].into_iter().filter(|v| !v.is_empty()).collect();
            let client = forwarded_client(ip("10.0.0.99"), &values, &proxies);
            let expected = entries.iter().rev().find(|entry| entry.starts_with("192.")).expect("one is there");
            prop_assert_eq!(client.address, ip(expected));
            prop_assert!(client.via.iter().all(|hop| hop.to_string().starts_with("10.0.0.")));
        }

        #[test]
        fn any_header_text_is_survived(values in proptest::collection::vec(".{0,40}", 0..4)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let client = forwarded_client(ip("10.0.0.1"), &values, &patterns("10.0.0.1"));
            prop_assert!(client.via.len() <= MAX_FORWARDED_ENTRIES);
        }
    }
}
