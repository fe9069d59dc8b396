//! Requests through a configured proxy (hostile-inputs.md O4).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use madake_domain::delivery::ErrorKind;
use madake_outgoing::Secret;
use madake_outgoing::client::{Client, ClientSettings, ProxySettings, Resolve, Resolving};
use madake_outgoing::guard::AddressPolicy;

use crate::receiver::{Receiver, Script, allowing, ok, patient, post};

struct Names;

impl Resolve for Names {
    fn resolve(&self, name: String) -> Resolving {
        let address: Option<IpAddr> = match name.as_str() {
            "public.example" => Some([8, 8, 8, 8].into()),
            "private.example" => Some([10, 0, 0, 7].into()),
            _ => None,
        };
        Box::pin(async move {
            address
                .map(|address| vec![address])
                .ok_or_else(|| io::Error::other("unknown"))
        })
    }
}

fn through(proxy: &Receiver, policy: AddressPolicy) -> Client {
    let settings = ClientSettings {
        proxy: Some(ProxySettings {
            url: format!("http://{}", proxy.address),
            credentials: Some(("squid".to_owned(), Secret::new("ink"))),
        }),
        ..patient()
    };
    Client::with_resolver(policy, settings, Arc::new(Names))
}

#[tokio::test]
async fn o4_target_behind_a_proxy_is_checked_like_any_other() {
    let proxy = Receiver::start(Script::Say(ok("through"))).await;
    let client = through(&proxy, AddressPolicy::default());
    for (url, kind) in [
        ("http://private.example/", ErrorKind::RefusedAddress),
        ("http://127.0.0.1/", ErrorKind::RefusedAddress),
        ("http://[::ffff:10.0.0.7]/", ErrorKind::RefusedAddress),
        ("http://unknown.example/", ErrorKind::Dns),
    ] {
        assert_eq!(client.send(post(url)).await.unwrap_err().kind, kind, "{url}");
    }
    assert_eq!(proxy.connections(), 0);
    let outcome = client.send(post("http://public.example/hook")).await.unwrap();
    assert_eq!(outcome.body_start, b"through");
    let request = proxy.requests()[0].to_ascii_lowercase();
    assert!(
        request.starts_with("post http://public.example/hook http/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("proxy-authorization: basic "), "{request}");
}

#[tokio::test]
async fn host_allowed_by_name_needs_no_name_server_here() {
    let proxy = Receiver::start(Script::Say(ok("through"))).await;
    let client = through(&proxy, allowing(&["unknown.example"]));
    assert!(client.send(post("http://unknown.example/")).await.is_ok());
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_that_names_the_host() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned();
    let proxy = Receiver::start(Script::SayAndClose(refusal)).await;
    let client = through(&proxy, AddressPolicy::default());
    let failure = client
        .send(post("https://public.example/hook"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Connect, "{failure}");
    assert!(!failure.sentence.contains("ink"), "{failure}");
    assert!(proxy.requests()[0].starts_with("CONNECT public.example:443 HTTP/1.1\r\n"));
}

#[test]
fn addresses_of_proxies_are_read() {
    let proxy = |url: &str| ProxySettings {
        url: url.to_owned(),
        credentials: None,
    };
    assert!(proxy("http://proxy.example:3128").check().is_ok());
    for url in [
        "proxy:3128",
        "socks5://proxy:1080",
        "https://proxy:3128",
        "http://user:pass@proxy:3128",
        "http://proxy:3128/path",
        "",
    ] {
        assert!(proxy(url).check().is_err(), "{url}");
    }
}
