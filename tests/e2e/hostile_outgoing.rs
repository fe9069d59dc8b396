//! Hostile receivers and addresses (hostile-inputs.md O1 and O3 to O8), towards the real binary. The guard and the client
//! have their own tables in the tests of `madake-outgoing`, O2 (names that flip) among them.

use std::sync::atomic::Ordering;

use madake_testkit::{Server, ServerOptions, git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::hostile_support::{status_as, user};
use crate::telling::{Listening, server};

const RECEIVERS: &str = "/rest/madake/1.0/receivers";

async fn create(server: &Server, body: Value) -> (u16, Value) {
    let answer = server
        .request(Method::POST, RECEIVERS)
        .json(&body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Deliveries of a receiver, each with its attempts.
async fn deliveries(server: &Server, receiver: &Value) -> Vec<Value> {
    let listed = server.get(&format!("{RECEIVERS}/{receiver}/deliveries")).await;
    let mut found = Vec::new();
    for one in listed["deliveries"].as_array().expect("a list") {
        found.push(
            server
                .get(&format!("/rest/madake/1.0/deliveries/{}", one["id"]))
                .await,
        );
    }
    found
}

/// The first attempt at telling a receiver.
async fn attempt(server: &Server, receiver: &Value) -> Value {
    wait_for("an attempt", || async {
        let told = deliveries(server, receiver).await;
        told.iter()
            .find_map(|one| one["log"].as_array()?.first().cloned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_o1_and_o5_are_refused_when_made_and_when_changed() {
    let server = Server::start_with(ServerOptions {
        configuration: "[outgoing]\nallow = [\"127.0.0.2\"]\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let _ = server.hosted("PROJ/app");
    let (status, made) = create(
        &server,
        json!({ "repository": "PROJ/app", "url": "http://127.0.0.2:8080/" }),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    let before = made["url"].clone();
    for url in [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://[fc00::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[::]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://localhost/",
        "http://localhost./",
        "http://x.localhost/",
        "http://127.0.0.2@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.2/",
        "dict://127.0.0.2/",
        "ftp://127.0.0.2/",
        "http://example.org:25/",
        "http://example.org:6379/",
        "http://example.org\r\nX-Injected: 1/",
        "//example.org/",
        "",
    ] {
        let (status, said) = create(&server, json!({ "repository": "PROJ/app", "url": url })).await;
        assert_eq!(status, 400, "{url:?}: {said}");
        let changed = server
            .request(Method::PUT, &format!("{RECEIVERS}/{}", made["id"]))
            .json(&json!({ "url": url }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(changed.status().as_u16(), 400, "{url:?}");
    }
    let shown = server.get(&format!("{RECEIVERS}/{}", made["id"])).await;
    assert_eq!(shown["url"], before);
    // What only looks like credentials of another host is none of the address that is gone to.
    for url in [
        "http://127.0.0.2:8080#@127.0.0.1/",
        "http://127.0.0.2:8080\\@127.0.0.1/",
    ] {
        let body = json!({ "url": url });
        let changed = server
            .request(Method::PUT, &format!("{RECEIVERS}/{}", made["id"]))
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let shown = server.get(&format!("{RECEIVERS}/{}", made["id"])).await;
        let shown = shown["url"].as_str().expect("an address");
        assert!(
            shown.starts_with("http://127.0.0.2:8080/"),
            "{url}: {} {shown}",
            changed.status()
        );
    }
    let listed = server.get(&format!("{RECEIVERS}?repository=PROJ%2Fapp")).await;
    let listed = listed["receivers"].as_array().expect("a list");
    assert_eq!(listed.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_redirects_o3_are_answers_and_are_not_followed() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let inside = Listening::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let target = inside.url("/inside");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 65_536];
            let _ = connection.read(&mut request).await;
            let text = format!(
                "HTTP/1.1 307 Go\r\nLocation: {target}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = connection.write_all(text.as_bytes()).await;
        }
    });
    let (status, made) = create(&server, json!({ "repository": "PROJ/app", "url": url })).await;
    assert_eq!(status, 201, "{made}");
    let _ = work.push("master", &[("x", "1")]);
    let tried = attempt(&server, &made["id"]).await;
    assert_eq!(tried["status"], 307, "{tried}");
    assert!(inside.got().is_empty(), "the redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_receivers_o6_that_never_end_keep_no_other_waiting() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let mut made = Vec::new();
    for endless in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("its address"));
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 65_536];
                let _ = connection.read(&mut request).await;
                if endless {
                    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
                    let mut sent = connection.write_all(head).await;
                    while sent.is_ok() {
                        sent = connection.write_all(&[b'x'; 65_536]).await;
                    }
                } else {
                    // It takes the request and says nothing.
                    kept.push(connection);
                }
            }
        });
        let (status, one) = create(&server, json!({ "repository": "PROJ/app", "url": url })).await;
        assert_eq!(status, 201, "{one}");
        made.push(one);
    }
    let well = Listening::start();
    server.madake(&["receiver", "create", "PROJ/app", &well.url("/")]);
    for number in 1..=3 {
        let _ = work.push("master", &[("x", &number.to_string())]);
        well.wait_for(number).await;
    }
    // Ten gigabytes are cut, and what is kept of them is little.
    let tried = attempt(&server, &made[0]["id"]).await;
    let kept = tried["responseBody"].as_str().expect("text").len();
    assert!(kept <= 1024 * 1024, "{kept}");
    assert!(crate::hostile_support::peak_kib(server.process_id()) < 400 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_o7_are_shown_to_administrators_alone_and_o8_headers_stay_whole() {
    const SECRET: &str = "a-password-of-theirs";
    let server = server().await;
    let work = server.hosted("PROJ/app");
    for (name, granted) in [
        ("writer", ["READ", "WRITE"].as_slice()),
        ("owner", &["READ", "WRITE", "ADMINISTRATION"]),
    ] {
        user(&server, name, SECRET);
        let words = [
            &["permission", "grant", "repository", "PROJ/app"],
            granted,
            &["--user", name],
        ];
        server.madake(&words.concat());
    }
    // A receiver that says everything back.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let read = connection.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = format!(
                "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: {}\r\n\r\n\x1b[2J{text}",
                text.len() + 4
            );
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    let (status, made) = create(
        &server,
        json!({ "repository": "PROJ/app", "url": format!("http://{address}/"), "user": "joe", "password": "s3cret-of-joe" }),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    let _ = work.push("master", &[("x", "1")]);
    let tried = attempt(&server, &made["id"]).await;
    assert!(
        tried["responseBody"].to_string().contains("POST / HTTP/1.1"),
        "{tried}"
    );
    let id = deliveries(&server, &made["id"]).await[0]["id"].to_string();
    for path in [
        format!("{RECEIVERS}/{}", made["id"]),
        format!("{RECEIVERS}/{}/deliveries", made["id"]),
        format!("/rest/madake/1.0/deliveries/{id}"),
        format!("{RECEIVERS}?repository=PROJ%2Fapp"),
    ] {
        for (who, expected) in [("writer", 403), ("owner", 200)] {
            let status = status_as(&server, Method::GET, &path, who, SECRET).await;
            assert_eq!(status, expected, "{who} {path}");
        }
        let anonymous = server
            .anonymous(Method::GET, &path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(anonymous.status().as_u16(), 401, "{path}");
    }
    assert!(!server.log().contains("s3cret-of-joe") && !server.log().contains('\x1b'));

    // Line breaks in what becomes headers.
    for (field, value) in [
        ("user", "joe\r\nX-Injected: 1"),
        ("password", "x\r\nX-Injected: 1"),
        ("url", "http://127.0.0.1:1/a\r\nX-Injected: 1"),
        ("url", "http://127.0.0.1:1/a\nb"),
    ] {
        let mut body =
            json!({ "repository": "PROJ/app", "url": "http://127.0.0.1:1/", "user": "joe", "password": "x" });
        body[field] = json!(value);
        let (status, said) = create(&server, body).await;
        assert_eq!(status, 400, "{field}: {said}");
    }
    let well = Listening::start();
    well.status.store(200, Ordering::SeqCst);
    let body = json!({ "repository": "PROJ/app", "url": well.url("/"), "user": "jo:e", "password": "x" });
    let (status, said) = create(&server, body).await;
    assert!(
        status == 400 && said.to_string().contains("cannot have a colon"),
        "{said}"
    );
    server.madake(&["receiver", "create", "PROJ/app", &well.url("/")]);
    // A branch whose name is as odd as git allows.
    git(
        &work.path,
        &["push", "--quiet", "origin", "master:refs/heads/x;y=\"$(id)\""],
    );
    for got in well.wait_for(1).await {
        assert_eq!(got.header("x-injected"), None);
    }
}
