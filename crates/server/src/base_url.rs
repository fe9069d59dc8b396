//! The address that links start with, where the configuration names none.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The address that links start with: `given`, or made from the address that is listened on. A server that listens on
/// all addresses (`0.0.0.0`, `::`) cannot be reached by that one: it is known by the machine's full host name, or else
/// by the address from which the machine reaches others. Never by what a request says in its `Host`: whoever asks
/// would choose where links lead (hostile-inputs.md A10).
#[must_use]
pub fn base_url(given: &str, bound: SocketAddr) -> String {
    match given {
        "" if bound.ip().is_unspecified() => {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            reachable(bound, name.trim(), outgoing_address(bound))
        }
        "" => format!("http://{bound}"),
        given => given.trim_end_matches('/').to_owned(),
    }
}

fn reachable(bound: SocketAddr, host_name: &str, outgoing: Option<IpAddr>) -> String {
    let port = bound.port();
    if is_full_name(host_name) {
        return format!("http://{host_name}:{port}");
    }
    let own = match bound.ip() {
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    };
    let address = outgoing
        .filter(|address| !address.is_unspecified())
        .unwrap_or(own);
    format!("http://{}", SocketAddr::new(address, port))
}

/// A name without a domain means something on its own network at most; in a container it is a random number.
fn is_full_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.contains('.')
        && name.len() <= 253
        && name.split('.').all(plain)
        && !name.starts_with("localhost.")
        && name.parse::<IpAddr>().is_err()
}

/// The address that this machine would send from. Connecting a datagram socket chooses a route and sends nothing; the
/// other end is one that is kept for documentation.
fn outgoing_address(bound: SocketAddr) -> Option<IpAddr> {
    let towards: SocketAddr = match bound.ip() {
        IpAddr::V4(_) => ([192, 0, 2, 1], 9).into(),
        IpAddr::V6(_) => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
    };
    let socket = UdpSocket::bind((bound.ip(), 0)).ok()?;
    socket.connect(towards).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_known_by_one_that_can_be_reached() {
        let lan = Some(IpAddr::from([192, 0, 2, 7]));
        let all: SocketAddr = ([0, 0, 0, 0], 8085).into();
        let rows = [
            (all, "ci.example.org", lan, "http://ci.example.org:8085"),
            (all, "ci", lan, "http://192.0.2.7:8085"),
            (all, "localhost.localdomain", lan, "http://192.0.2.7:8085"),
            (all, "ci.example.org/<x>", lan, "http://192.0.2.7:8085"),
            (all, "10.0.0.1", lan, "http://192.0.2.7:8085"),
            (all, "", lan, "http://192.0.2.7:8085"),
            (all, "(none)", None, "http://127.0.0.1:8085"),
            (all, "", Some(IpAddr::from([0, 0, 0, 0])), "http://127.0.0.1:8085"),
        ];
        for (bound, name, outgoing, expected) in rows {
            assert_eq!(reachable(bound, name, outgoing), expected, "{name}");
        }
        let six: SocketAddr = "[::]:80".parse().expect("an address");
        assert_eq!(reachable(six, "ci", None), "http://[::1]:80");
        for all in [all, six] {
            let found = base_url("", all);
            assert!(!found.contains("0.0.0.0") && !found.contains("[::]"), "{found}");
        }
    }

    #[test]
    fn what_is_configured_or_listened_on_alone_is_kept() {
        let bound: SocketAddr = ([127, 0, 0, 1], 8085).into();
        assert_eq!(base_url("", bound), "http://127.0.0.1:8085");
        assert_eq!(base_url("https://ci.example/x/", bound), "https://ci.example/x");
    }
}
