//! Repository addresses (G1, G2, G9, O1).

use madake_vcs::url::{RepositoryUrl, Scheme, UrlError, UrlPolicy};

const STRICT: UrlPolicy = UrlPolicy {
    allow_local_paths: false,
    allow_private_hosts: false,
};
const OPEN: UrlPolicy = UrlPolicy {
    allow_local_paths: true,
    allow_private_hosts: true,
};

#[test]
fn hostile_addresses_are_refused_even_by_the_open_policy() {
    for (address, reason) in [
        ("-oProxyCommand=touch x", UrlError::LeadingDash),
        ("--upload-pack=touch", UrlError::LeadingDash),
        ("ext::sh -c touch% x", UrlError::TransportHelper),
        ("fd::17", UrlError::TransportHelper),
        ("http::https://example.org/x", UrlError::TransportHelper),
        ("ext::ssh://example.org/x", UrlError::TransportHelper),
        ("ftp://example.org/x", UrlError::Scheme),
        ("ssh+git://example.org/x", UrlError::Scheme),
        ("gopher://example.org/x", UrlError::Scheme),
        ("relative/path", UrlError::Scheme),
        ("./x:y", UrlError::Scheme),
        ("../x", UrlError::Scheme),
        ("ssh://-oX/x", UrlError::LeadingDash),
        ("ssh://-oX:22/x", UrlError::LeadingDash),
        ("ssh://-x@host/x", UrlError::LeadingDash),
        ("ssh://user@-host/x", UrlError::LeadingDash),
        ("ssh://%2DoX/x", UrlError::Host),
        ("ssh://a%2dx@host/x", UrlError::Credential),
        ("git@-host:x", UrlError::LeadingDash),
        ("-x@host:x", UrlError::LeadingDash),
        ("git@host:-x", UrlError::LeadingDash),
        ("git@host:/-x", UrlError::LeadingDash),
        ("a.-b:x", UrlError::Host),
        ("ssh://git:secret@host/x", UrlError::Credential),
        ("git://user@host/x", UrlError::Credential),
        ("https://host/x\n", UrlError::ControlCharacter),
        ("https://host/a b", UrlError::ControlCharacter),
        ("https://host/\0", UrlError::ControlCharacter),
        ("https://host\t/x", UrlError::ControlCharacter),
        ("https://u%0a:p@host/x", UrlError::Credential),
        ("https://u:p%zz@host/x", UrlError::Credential),
        ("https://host", UrlError::Path),
        ("https://host/", UrlError::Path),
        ("https:///x", UrlError::Host),
        ("https://host:0/x", UrlError::Port),
        ("https://host:99999/x", UrlError::Port),
        ("https://host:+1/x", UrlError::Port),
        ("https://host/x?private_token=abc", UrlError::Query),
        ("https://host/x#y", UrlError::Query),
        ("https://exa\u{301}mple.org/x", UrlError::Host),
        ("https://2130706433/x", UrlError::Host),
        ("https://0x7f.1/x", UrlError::Host),
        ("https://0177.0.0.1/x", UrlError::Host),
        ("https://127.1/x", UrlError::Host),
        ("file://../x", UrlError::RelativePath),
        ("/srv/../etc", UrlError::RelativePath),
        ("file://host/x", UrlError::RelativePath),
        ("", UrlError::Length),
    ] {
        assert_eq!(
            RepositoryUrl::parse(address, OPEN).unwrap_err(),
            reason,
            "{address:?}"
        );
    }
    assert_eq!(
        RepositoryUrl::parse(&"x".repeat(2001), OPEN).unwrap_err(),
        UrlError::Length
    );
}

#[test]
fn local_paths_need_the_policy() {
    for address in ["file:///etc", "/etc", "FILE:///etc"] {
        assert_eq!(
            RepositoryUrl::parse(address, STRICT).unwrap_err(),
            UrlError::LocalPath
        );
        let url = RepositoryUrl::parse(address, OPEN).unwrap();
        assert_eq!(url.local_path().unwrap().to_str(), Some("/etc"));
        assert_eq!(url.scheme(), Scheme::Local);
    }
}

#[test]
fn private_hosts_need_the_policy() {
    for host in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "[::1]",
        "[::]",
        "[fc00::1]",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:7f00:1::]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let address = format!("https://{host}/x");
        assert_eq!(
            RepositoryUrl::parse(&address, STRICT).unwrap_err(),
            UrlError::PrivateHost,
            "{host}"
        );
        assert!(RepositoryUrl::parse(&address, OPEN).is_ok(), "{host}");
    }
    for host in [
        "example.org",
        "8.8.8.8",
        "[2001:4860::8888]",
        "100.128.0.1",
        "127.0.0.1.example.org",
    ] {
        assert!(
            RepositoryUrl::parse(&format!("https://{host}/x"), STRICT).is_ok(),
            "{host}"
        );
    }
}

#[test]
fn usual_addresses_are_accepted_and_normalised() {
    for (address, display, scheme) in [
        (
            "https://Example.ORG:443/Team/Repo.git/",
            "https://example.org/Team/Repo.git",
            Scheme::Https,
        ),
        (
            "http://example.org:8080/r",
            "http://example.org:8080/r",
            Scheme::Http,
        ),
        (
            "SSH://git@example.org:22/~u/r",
            "ssh://git@example.org/~u/r",
            Scheme::Ssh,
        ),
        (
            "ssh://example.org:7999/p/r.git",
            "ssh://example.org:7999/p/r.git",
            Scheme::Ssh,
        ),
        ("git://example.org/r", "git://example.org/r", Scheme::Git),
        (
            "git@example.org:team/r.git",
            "git@example.org:team/r.git",
            Scheme::Ssh,
        ),
        ("example.org:r", "example.org:r", Scheme::Ssh),
        ("git@[2001:db8::1]:r", "git@[2001:db8::1]:r", Scheme::Ssh),
        (
            "https://[2001:DB8::1]:81/r",
            "https://[2001:db8::1]:81/r",
            Scheme::Https,
        ),
    ] {
        let url = RepositoryUrl::parse(address, STRICT).unwrap_or_else(|error| panic!("{address}: {error}"));
        assert_eq!((url.display(), url.scheme()), (display, scheme), "{address}");
    }
    let url = RepositoryUrl::parse("https://example.org:8443/a/b", STRICT).unwrap();
    assert_eq!(url.origin(), Some("https://example.org:8443"));
}

#[test]
fn credential_is_split_off_and_never_shown() {
    let url = RepositoryUrl::parse("https://ann%40x:s3cr%2Fet@example.org/r", STRICT).unwrap();
    let credential = url.credential().unwrap();
    assert_eq!(
        (credential.username(), credential.password()),
        ("ann@x", "s3cr/et")
    );
    assert_eq!(url.display(), "https://example.org/r");
    assert!(!format!("{url:?} {url} {credential:?}").contains("s3cr"));
    let token = RepositoryUrl::parse("https://ghp_token@example.org/r", STRICT).unwrap();
    assert_eq!(token.credential().unwrap().username(), "ghp_token");
    assert!(!format!("{token:?} {token}").contains("ghp_token"));
}
