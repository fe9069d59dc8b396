//! Which addresses are refused (hostile-inputs.md O1, O5), and how they are allowed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::net::IpAddr;

use madake_outgoing::guard::{AddressPolicy, Allowed, LONGEST_URL, Refused, TargetHost};
use proptest::prelude::*;

fn allowing(entries: &[&str]) -> AddressPolicy {
    AddressPolicy {
        allow: entries.iter().map(|entry| entry.parse().unwrap()).collect(),
        ..AddressPolicy::default()
    }
}

/// Every special address of O1 and of the registries, in every notation, and what would allow it.
const SPECIAL: &[(&str, &str)] = &[
    ("127.0.0.1", "127.0.0.0/8"),
    ("127.255.255.254", "127.0.0.0/8"),
    ("2130706433", "127.0.0.0/8"),
    ("0177.0.0.1", "127.0.0.0/8"),
    ("017700000001", "127.0.0.0/8"),
    ("0x7f.0.0.1", "127.0.0.0/8"),
    ("0x7f000001", "127.0.0.0/8"),
    ("127.1", "127.0.0.0/8"),
    ("127.0.0.1.", "127.0.0.0/8"),
    ("１２７.0.0.1", "127.0.0.0/8"),
    ("127。0。0。1", "127.0.0.0/8"),
    ("%31%32%37.0.0.1", "127.0.0.0/8"),
    ("localhost", "127.0.0.0/8"),
    ("LOCALHOST", "127.0.0.0/8"),
    ("localhost.", "127.0.0.0/8"),
    ("a.localhost", "127.0.0.0/8"),
    ("0.0.0.0", "0.0.0.0/8"),
    ("0", "0.0.0.0/8"),
    ("10.1.2.3", "10.0.0.0/8"),
    ("0x0a.0x01.0x02.0x03", "10.0.0.0/8"),
    ("167838211", "10.0.0.0/8"),
    ("100.64.0.1", "100.64.0.0/10"),
    ("100.100.100.200", "100.64.0.0/10"),
    ("169.254.169.254", "169.254.0.0/16"),
    ("0xa9fea9fe", "169.254.0.0/16"),
    ("172.16.0.1", "172.16.0.0/12"),
    ("172.31.255.255", "172.16.0.0/12"),
    ("192.0.0.192", "192.0.0.0/24"),
    ("192.0.2.1", "192.0.2.0/24"),
    ("192.168.1.1", "192.168.0.0/16"),
    ("198.18.0.1", "198.18.0.0/15"),
    ("198.51.100.7", "198.51.100.0/24"),
    ("203.0.113.7", "203.0.113.0/24"),
    ("224.0.0.1", "224.0.0.0/4"),
    ("239.255.255.250", "224.0.0.0/4"),
    ("240.0.0.1", "240.0.0.0/4"),
    ("255.255.255.255", "240.0.0.0/4"),
    ("168.63.129.16", "168.63.129.16/32"),
    ("[::1]", "::1/128"),
    ("[0:0:0:0:0:0:0:1]", "::1/128"),
    ("[::]", "::/128"),
    ("[::ffff:127.0.0.1]", "127.0.0.0/8"),
    ("[::ffff:7f00:1]", "127.0.0.0/8"),
    ("[::ffff:169.254.169.254]", "169.254.0.0/16"),
    ("[::127.0.0.1]", "::7f00:1"),
    ("[64:ff9b::10.0.0.1]", "10.0.0.0/8"),
    ("[64:ff9b::a9fe:a9fe]", "169.254.0.0/16"),
    ("[64:ff9b:1::1]", "64:ff9b:1::/48"),
    ("[2002:7f00:1::]", "127.0.0.0/8"),
    ("[2002:a01:203::1]", "10.0.0.0/8"),
    ("[2001:0:808:808:0:0:f5fe:fdfc]", "10.0.0.0/8"),
    ("[2001:0:a00:1:0:0:f7f7:f7f7]", "10.0.0.0/8"),
    ("[2001:db8::7]", "2001:db8::/32"),
    ("[2001:2::1]", "2001::/23"),
    ("[3fff::1]", "3fff::/20"),
    ("[fc00::1]", "fc00::/7"),
    ("[fd00:ec2::254]", "fc00::/7"),
    ("[fe80::1]", "fe80::/10"),
    ("[fec0::1]", "fec0::/10"),
    ("[ff02::1]", "ff00::/8"),
    ("[100::1]", "100::1"),
    ("[5f00::1]", "5f00::1"),
    ("[4000::1]", "4000::1"),
];

#[test]
fn o1_special_addresses_are_refused_in_every_notation() {
    for (host, network) in SPECIAL {
        let refused = AddressPolicy::default()
            .check_url(&format!("http://{host}/hook"))
            .expect_err(host);
        let sentence = refused.to_string();
        let setting = format!("[outgoing] allow = [\"{network}\"]");
        assert!(sentence.ends_with(&setting), "{host}: {sentence}");
    }
}

#[test]
fn entry_that_the_sentence_names_allows_the_address() {
    for (host, network) in SPECIAL {
        let policy = allowing(&[network]);
        let url = format!("http://{host}/hook");
        assert!(policy.check_url(&url).is_ok(), "{host} by {network}");
    }
}

#[test]
fn public_addresses_pass() {
    for host in [
        "8.8.8.8",
        "ci.example.org",
        "ci.example.org.",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "169.253.255.255",
        "11.0.0.0",
        "223.255.255.255",
        "localhost.example.org",
        "notlocalhost",
        "[2606:4700::1]",
        "[64:ff9b::808:808]",
        "[2002:808:808::1]",
        "[::ffff:8.8.8.8]",
        "[2001:0:808:808:0:0:f7f7:f7f7]",
    ] {
        let checked = AddressPolicy::default().check_url(&format!("https://{host}/"));
        assert!(checked.is_ok(), "{host}: {checked:?}");
    }
}

#[test]
fn o5_other_schemes_and_ports_are_refused() {
    for (url, part) in [
        ("file:///etc/passwd", "`file` addresses"),
        ("gopher://example.org/_x", "`gopher` addresses"),
        ("dict://example.org/d", "`dict` addresses"),
        ("ftp://example.org/", "`ftp` addresses"),
        ("ws://example.org/", "`ws` addresses"),
        ("javascript:alert(1)", "`javascript` addresses"),
        ("http://example.org:25/", "allow-ports = [25]"),
        ("http://example.org:6379/", "allow-ports = [6379]"),
        ("https://example.org:22/", "allow-ports = [22]"),
        ("http://example.org:11211/", "allow-ports = [11211]"),
        ("http://example.org:0/", "allow-ports = [0]"),
        ("", "it is empty"),
        ("example.org/hook", "not a web address"),
        ("//example.org/hook", "not a web address"),
        ("http://", "not a web address"),
        ("http:///", "not a web address"),
        ("http://exa mple.org/", "a space or a control character"),
        ("http://example.org/\r\nX: y", "a space or a control character"),
        ("ht\ntp://example.org/", "a space or a control character"),
        ("http://[fe80::1%25eth0]/", "not a web address"),
        ("http://1.2.3.4.5/", "not a web address"),
        ("http://256.256.256.256/", "not a web address"),
    ] {
        let sentence = AddressPolicy::default()
            .check_url(url)
            .expect_err(url)
            .to_string();
        assert!(sentence.contains(part), "{url}: {sentence}");
    }
    let long = format!("http://example.org/{}", "a".repeat(LONGEST_URL));
    assert!(matches!(
        AddressPolicy::default().check_url(&long),
        Err(Refused::Malformed { .. })
    ));
}

#[test]
fn configured_port_is_allowed() {
    let policy = AddressPolicy {
        allow_ports: vec![6379],
        ..AddressPolicy::default()
    };
    assert!(policy.check_url("http://example.org:6379/").is_ok());
    assert!(policy.check_url("http://example.org:25/").is_err());
}

/// O5 expects user and password in an address to be refused. Here that is a setting: existing hooks carry them, and
/// once they are taken out of the address they are plain Basic credentials that no log or error shows.
#[test]
fn o5_credentials_leave_the_address_or_are_refused() {
    let url = "https://ci%20bot:p%40ss%3Aword@ci.example.org/hook?x=1#top";
    let target = AddressPolicy::default().check_url(url).unwrap();
    let credentials = target.credentials().unwrap();
    assert_eq!(credentials.user, "ci bot");
    assert_eq!(credentials.password.expose(), "p@ss:word");
    assert_eq!(target.url().as_str(), "https://ci.example.org/hook?x=1");
    let shown = format!("{target:?} {} {credentials:?}", target.shown());
    assert!(!shown.contains("p@ss") && !shown.contains("hook"), "{shown}");

    let strict = AddressPolicy {
        allow_userinfo: false,
        ..AddressPolicy::default()
    };
    assert_eq!(strict.check_url(url), Err(Refused::Userinfo));
    assert!(strict.check_url("https://:x@ci.example.org/").is_err());
    assert!(strict.check_url("https://ci.example.org/a@b:c").is_ok());
}

#[test]
fn host_behind_credentials_is_the_one_that_is_judged() {
    for url in [
        "http://ci.example.org@127.0.0.1/",
        "http://ci.example.org:80@127.0.0.1/",
        "http://ci.example.org\\@127.0.0.1@127.0.0.1/",
    ] {
        let checked = AddressPolicy::default().check_url(url);
        match checked {
            Err(Refused::Address { .. }) => {}
            // A backslash ends the host for every parser of web addresses, so the rest is a path.
            Ok(target) => assert_eq!(target.host(), &TargetHost::Name("ci.example.org".to_owned())),
            Err(other) => panic!("{url}: {other}"),
        }
    }
}

#[test]
fn names_are_allowed_with_everything_they_resolve_to() {
    let policy = allowing(&["hooks.corp.example.org", "*.lab.example.org"]);
    let private: Vec<IpAddr> = vec!["10.0.0.7".parse().unwrap()];
    for (name, allowed) in [
        ("hooks.corp.example.org", true),
        ("HOOKS.corp.example.org.", true),
        ("x.hooks.corp.example.org", false),
        ("evilhooks.corp.example.org", false),
        ("a.lab.example.org", true),
        ("a.b.lab.example.org", true),
        ("lab.example.org", false),
        ("evillab.example.org", false),
        (".lab.example.org", false),
    ] {
        assert_eq!(policy.check_resolved(name, &private).is_ok(), allowed, "{name}");
    }
    assert!(
        allowing(&["localhost"])
            .check_url("http://localhost:8080/")
            .is_ok()
    );
}

#[test]
fn only_the_fitting_addresses_of_a_name_are_left() {
    let policy = AddressPolicy::default();
    let mixed: Vec<IpAddr> = ["10.0.0.7", "8.8.8.8", "::1", "64:ff9b::7f00:1"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    assert_eq!(policy.check_resolved("x.example", &mixed).unwrap(), [mixed[1]]);
    let sentence = policy
        .check_resolved("x.example", &[mixed[3], mixed[0]])
        .unwrap_err()
        .to_string();
    assert_eq!(
        sentence,
        "`x.example` has the address 64:ff9b::7f00:1, that is 127.0.0.1, which is a loopback address; an \
         administrator can allow it in the configuration: [outgoing] allow = [\"127.0.0.0/8\"]"
    );
}

#[test]
fn entries_of_the_allow_list_are_read_and_shown() {
    for (text, shown) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("fd00::/8", "fd00::/8"),
        ("[::1]", "::1/128"),
        (" Hooks.Example.org. ", "hooks.example.org"),
        ("*.Example.org", "*.example.org"),
        ("localhost", "localhost"),
    ] {
        assert_eq!(text.parse::<Allowed>().unwrap().to_string(), shown);
    }
    for (text, reason) in [
        ("*", "0.0.0.0/0"),
        ("*.", "0.0.0.0/0"),
        ("", "0.0.0.0/0"),
        ("10.0.0.0/33", "too large"),
        ("10.0.0/8", "no address before the slash"),
        ("10.0.0.0/x", "no number"),
        ("a.*.example.org", "a star may only"),
        ("*example.org", "a star may only"),
        ("http://example.org", "no address before the slash"),
        ("example.org:8080", "a scheme or a port"),
        ("10.0.0.*", "a star may only"),
        ("0177.0.0.1", "neither an address nor a host name"),
        ("256.1.1.1", "neither an address nor a host name"),
        ("exa mple", "neither an address nor a host name"),
        ("a..b", "neither an address nor a host name"),
    ] {
        let error = text.parse::<Allowed>().expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

proptest! {
    /// Whatever an address is wrapped into, the verdict is that of the address.
    #[test]
    fn wrapped_addresses_are_judged_like_bare_ones(bits in any::<u32>()) {
        let policy = allowing(&["10.1.0.0/16"]);
        let four = std::net::Ipv4Addr::from_bits(bits);
        let [a, b, c, d] = four.octets();
        let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
        let verdict = policy.check_address(four.into()).is_ok();
        for text in [format!("::ffff:{four}"), format!("64:ff9b::{four}"), format!("2002:{hex}::1")] {
            let wrapped: IpAddr = text.parse().unwrap();
            prop_assert_eq!(policy.check_address(wrapped).is_ok(), verdict, "{}", text);
        }
        for host in [four.to_string(), bits.to_string(), format!("{bits:#x}"), format!("0{bits:o}")] {
            prop_assert_eq!(policy.check_url(&format!("http://{host}/")).is_ok(), verdict, "{}", host);
        }
    }

    #[test]
    fn no_text_makes_the_guard_fail_over(text in "\\PC{0,60}") {
        let _ = AddressPolicy::default().check_url(&text);
        let _ = AddressPolicy::default().check_url(&format!("http://{text}"));
        let _ = text.parse::<Allowed>();
    }
}
