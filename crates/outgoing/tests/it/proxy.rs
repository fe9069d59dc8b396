//! Requests through a configured proxy (hostile-inputs.md O4).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use madake_domain::delivery::ErrorKind;
use madake_outgoing::Secret;
use madake_outgoing::client::{Authorization, Client, ClientSettings, ProxySettings, Resolve, Resolving};
use madake_outgoing::guard::AddressPolicy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::receiver::{Receiver, Script, allowing, ok, patient, post};
use crate::tls::{Authority, serve};

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

fn through(proxy: SocketAddr, policy: AddressPolicy) -> Client {
    let settings = ClientSettings {
        proxy: Some(ProxySettings {
            url: format!("http://{proxy}"),
            credentials: Some(("squid".to_owned(), Secret::new("ink"))),
        }),
        ..patient()
    };
    Client::with_resolver(policy, settings, Arc::new(Names))
}

#[tokio::test]
async fn o4_target_behind_a_proxy_is_checked_like_any_other() {
    let proxy = Receiver::start(Script::Say(ok("through"))).await;
    let client = through(proxy.address, AddressPolicy::default());
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
    let client = through(proxy.address, allowing(&["unknown.example"]));
    assert!(client.send(post("http://unknown.example/")).await.is_ok());
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_that_names_the_host() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned();
    let proxy = Receiver::start(Script::SayAndClose(refusal)).await;
    let client = through(proxy.address, AddressPolicy::default());
    let failure = client
        .send(post("https://public.example/hook"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Connect, "{failure}");
    assert!(!failure.sentence.contains("ink"), "{failure}");
    assert!(proxy.requests()[0].starts_with("CONNECT public.example:443 HTTP/1.1\r\n"));
}

/// A proxy that opens tunnels, whatever host they name, to one address; it notes the requests for them.
async fn tunnels_to(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut head = Vec::new();
                // Byte by byte, so that nothing of what the tunnel is for is taken.
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = client.read_u8().await else { return };
                    head.push(byte);
                }
                heard
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&head).into_owned());
                let mut server = TcpStream::connect(target).await.unwrap();
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .await
                    .unwrap();
                // How a tunnel ends is the client's business.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn what_goes_through_a_tunnel_is_for_the_receiver_alone() {
    let authority = Authority::new();
    authority.sign("receiver", "DNS:public.example");
    let receiver = serve(authority.server_config("receiver", false), ok);
    let (proxy, tunnels) = tunnels_to(receiver).await;
    let client = through(proxy, AddressPolicy::default());
    let mut request = post(&format!("https://public.example:{}/secret-path", receiver.port()));
    request.options.authorization = Some(Authorization::Bearer(Secret::new("for-the-receiver")));
    request.options.tls.extra_ca_pem = Some(authority.text("ca.pem"));

    let outcome = client.send(request.clone()).await.unwrap();
    assert_eq!(outcome.remote_address, Some(proxy.ip()));
    let arrived = String::from_utf8(outcome.body_start)
        .unwrap()
        .to_ascii_lowercase();
    assert!(arrived.starts_with("post /secret-path http/1.1\r\n"), "{arrived}");
    assert!(
        arrived.contains("authorization: bearer for-the-receiver\r\n"),
        "{arrived}"
    );
    assert!(!arrived.contains("proxy-authorization"), "{arrived}");
    let tunnel = tunnels.lock().unwrap()[0].clone();
    let first = format!("CONNECT public.example:{} HTTP/1.1\r\n", receiver.port());
    assert!(tunnel.starts_with(&first), "{tunnel}");
    // squid:ink
    assert!(
        tunnel
            .to_ascii_lowercase()
            .contains("proxy-authorization: basic c3f1awq6aw5r\r\n"),
        "{tunnel}"
    );
    assert!(
        !tunnel.contains("secret-path") && !tunnel.contains("for-the-receiver"),
        "{tunnel}"
    );

    request.options.tls.extra_ca_pem = None;
    let failure = client.send(request.clone()).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls, "{failure}");

    let before = tunnels.lock().unwrap().len();
    request.url = "https://private.example/".to_owned();
    let failure = client.send(request).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::RefusedAddress, "{failure}");
    assert_eq!(tunnels.lock().unwrap().len(), before);
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
