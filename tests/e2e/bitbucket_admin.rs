//! Scripts that administer Bitbucket administer Madake: hooks, webhooks and services are faces of the same receivers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::telling::{Listening, server};
use madake_testkit::{Server, wait_for};

const HOOK: &str = "com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook";

/// The status and the body of a call; the body is null where there is none.
async fn call(server: &Server, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = server.request(method, path);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// A receiver that hears of every push: what it was told is decided for all others too.
fn witness(server: &Server) -> Listening {
    let listening = Listening::start();
    server.madake(&[
        "receiver",
        "create",
        "PROJ/app",
        &listening.url("/witness"),
        "--profile",
        "github",
    ]);
    listening
}

/// The receivers of the repository without the witness.
fn receivers(server: &Server) -> Vec<Value> {
    let listed: Value =
        serde_json::from_str(&server.madake(&["--json", "receiver", "list", "PROJ/app"])).expect("JSON");
    let mut all = listed["receivers"].as_array().expect("receivers").clone();
    all.retain(|one| one["profile"] != "github");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_enables_post_receive_webhooks_and_is_told() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    let witness = witness(&server);
    let hooks = "/rest/api/1.0/projects/PROJ/repos/app/settings/hooks";
    let hook = format!("{hooks}/{HOOK}");
    let (_, before) = call(&server, Method::GET, &format!("{hooks}?type=POST_RECEIVE"), None).await;
    assert_eq!(before["values"][0]["details"]["key"], HOOK);
    assert_eq!(before["values"][0]["enabled"], false);
    let (status, none) = call(&server, Method::GET, &format!("{hooks}?type=PRE_RECEIVE"), None).await;
    assert_eq!((status, &none["size"]), (200, &json!(0)));
    // What Drone and many scripts send.
    let settings = json!({ "hook-url-0": receiver.url("/one") });
    let (status, enabled) = call(
        &server,
        Method::PUT,
        &format!("{hook}/enabled"),
        Some(settings.clone()),
    )
    .await;
    assert_eq!(
        (status, &enabled["enabled"], &enabled["configured"]),
        (200, &json!(true), &json!(true))
    );
    assert_eq!(
        call(&server, Method::GET, &format!("{hook}/settings"), None).await,
        (200, settings)
    );
    let made = receivers(&server);
    assert_eq!((made.len(), &made[0]["profile"]), (1, &json!("stash2")));
    let _ = work.push("main", &[("a.txt", "1")]);
    let got = receiver.wait_for(1).await;
    assert_eq!(
        (got[0].path.as_str(), got[0].header("x-atlassian-token")),
        ("/one", Some("no-check"))
    );
    assert_eq!(got[0].json()["refChanges"][0]["refId"], "refs/heads/main");

    // Another address beside the first, which keeps its log; then the first alone is taken away.
    let two = json!({ "hook-url-0": receiver.url("/one"), "hook-url-4": receiver.url("/two") });
    let (status, kept) = call(&server, Method::PUT, &format!("{hook}/settings"), Some(two)).await;
    assert_eq!((status, &kept["hook-url-1"]), (200, &json!(receiver.url("/two"))));
    assert_eq!(receivers(&server)[0]["id"], made[0]["id"]);
    let (status, _) = call(
        &server,
        Method::PUT,
        &format!("{hook}/settings"),
        Some(json!({ "hook-url-0": receiver.url("/two") })),
    )
    .await;
    assert_eq!((status, receivers(&server).len()), (200, 1));

    // A hook that is disabled keeps its settings and tells nobody.
    let (status, disabled) = call(&server, Method::DELETE, &format!("{hook}/enabled"), None).await;
    assert_eq!(
        (status, &disabled["enabled"], &disabled["configured"]),
        (200, &json!(false), &json!(true))
    );
    let _ = work.push("main", &[("a.txt", "2")]);
    witness.wait_for(2).await;
    call(&server, Method::PUT, &format!("{hook}/enabled"), None).await;
    let _ = work.push("main", &[("a.txt", "3")]);
    let got = receiver.wait_for(2).await;
    let told: Value = got.last().expect("the last").json();
    assert_eq!(got.last().expect("the last").path, "/two");
    assert_eq!(told["changesets"]["size"], 1, "the push between was not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_before_enabling_tell_nobody_until_then() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    let witness = witness(&server);
    let hook = format!("/rest/api/latest/projects/proj/repos/APP/settings/hooks/{HOOK}");
    let settings = json!({ "hook-url-0": receiver.url("/x"), "hook-url-1": "", "version": 3 });
    let (status, _) = call(&server, Method::PUT, &format!("{hook}/settings"), Some(settings)).await;
    assert_eq!(status, 200);
    assert_eq!(receivers(&server)[0]["active"], false);
    let _ = work.push("main", &[("a.txt", "1")]);
    witness.wait_for(1).await;
    let (_, enabled) = call(&server, Method::PUT, &format!("{hook}/enabled"), None).await;
    assert_eq!(enabled["enabled"], true);
    let _ = work.push("main", &[("a.txt", "2")]);
    let got = receiver.wait_for(1).await;
    assert_eq!(got[0].json()["refChanges"][0]["type"], "UPDATE");

    // One wrong address among several changes nothing.
    let wrong = json!({ "hook-url-0": "http://10.1.2.3/x", "hook-url-1": receiver.url("/y") });
    let (status, refused) = call(&server, Method::PUT, &format!("{hook}/settings"), Some(wrong)).await;
    assert_eq!(
        (status, &refused["errors"][0]["context"]),
        (400, &json!("hook-url-0"))
    );
    assert_eq!(receivers(&server).len(), 1);
    let (status, _) = call(
        &server,
        Method::PUT,
        &format!("{hook}/settings"),
        Some(json!({ "hook-url-0": "x".repeat(33 * 1024) })),
    )
    .await;
    assert_eq!(status, 400);
    let (status, unknown) = call(&server, Method::GET, &hook.replace("postReceive", "other"), None).await;
    assert_eq!(status, 404);
    assert!(
        unknown["errors"][0]["message"]
            .as_str()
            .is_some_and(|text| text.contains(HOOK))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_made_called_and_counted() {
    let server = server().await;
    let work = server.hosted("PROJ/app");
    let receiver = Listening::start();
    let witness = witness(&server);
    let webhooks = "/rest/api/1.0/projects/PROJ/repos/app/webhooks";
    let new = json!({
        "name": "Build",
        "url": receiver.url("/dc"),
        "events": ["repo:refs_changed", "pr:merged"],
        "active": true,
        "configuration": { "secret": "s3cret-s3cret" },
    });
    let (status, made) = call(&server, Method::POST, webhooks, Some(new)).await;
    assert_eq!(status, 201, "{made}");
    let one = format!("{webhooks}/{}", made["id"]);
    assert!(!made.to_string().contains("s3cret"));
    assert_eq!(receivers(&server)[0]["profile"], "bitbucket-dc");
    assert_eq!(
        call(&server, Method::GET, &format!("{one}/latest"), None).await.0,
        204
    );
    assert_eq!(
        call(&server, Method::GET, &format!("{one}/statistics/summary"), None)
            .await
            .0,
        204
    );

    let _ = work.push("main", &[("a.txt", "1")]);
    let got = receiver.wait_for(1).await;
    assert_eq!(got[0].header("x-event-key"), Some("repo:refs_changed"));
    assert!(
        got[0]
            .header("x-hub-signature")
            .is_some_and(|value| value.starts_with("sha256="))
    );
    let latest = wait_for("the attempt to be in the log", || async {
        let (status, latest) = call(
            &server,
            Method::GET,
            &format!("{one}/latest?outcome=SUCCESS"),
            None,
        )
        .await;
        (status == 200).then_some(latest)
    })
    .await;
    assert_eq!(latest["result"]["response"]["statusCode"], 200);
    assert_eq!(latest["request"]["url"], receiver.url("/dc"));
    assert!(
        latest["request"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("refs_changed"))
    );
    let (_, statistics) = call(&server, Method::GET, &format!("{one}/statistics"), None).await;
    assert_eq!(statistics["counts"]["successes"], 1);
    let (_, listed) = call(&server, Method::GET, &format!("{webhooks}?statistics=true"), None).await;
    assert_eq!(listed["values"][0]["statistics"]["counts"]["failures"], 0);
    let (_, others) = call(&server, Method::GET, &format!("{webhooks}?event=pr:opened"), None).await;
    assert_eq!(others["size"], 0);

    // A connection test waits for the answer, and goes nowhere that deliveries may not go.
    receiver.status.store(503, std::sync::atomic::Ordering::SeqCst);
    let (status, tested) = call(
        &server,
        Method::POST,
        &format!("{webhooks}/test?webhookId={}", made["id"]),
        None,
    )
    .await;
    assert_eq!((status, &tested["result"]["outcome"]), (200, &json!("FAILURE")));
    let ping = receiver.wait_for(2).await;
    assert_eq!(ping[1].header("x-event-key"), Some("diagnostics:ping"));
    let (status, refused) = call(
        &server,
        Method::POST,
        &format!("{webhooks}/test?url=http://169.254.169.254/latest"),
        None,
    )
    .await;
    assert_eq!((status, &refused["errors"][0]["context"]), (400, &json!("url")));
    receiver.status.store(200, std::sync::atomic::Ordering::SeqCst);

    // What was got can be sent back with one thing changed, and the secret stays.
    let (_, mut shown) = call(&server, Method::GET, &one, None).await;
    shown["name"] = json!("Renamed");
    let (status, changed) = call(&server, Method::PUT, &one, Some(shown)).await;
    assert_eq!((status, &changed["name"]), (200, &json!("Renamed")));
    assert_eq!(receivers(&server)[0]["signed"], true);
    // Without the event of pushes it hears of none.
    call(
        &server,
        Method::PUT,
        &one,
        Some(json!({ "events": ["pr:merged"] })),
    )
    .await;
    let _ = work.push("main", &[("a.txt", "2")]);
    witness.wait_for(2).await;
    call(
        &server,
        Method::PUT,
        &one,
        Some(json!({ "events": ["repo:refs_changed"] })),
    )
    .await;
    let third = work.push("main", &[("a.txt", "3")]);
    let got = receiver.wait_for(3).await;
    assert_eq!(got[2].json()["changes"][0]["toHash"], third.as_str());

    assert_eq!(call(&server, Method::DELETE, &one, None).await.0, 204);
    assert_eq!(call(&server, Method::GET, &one, None).await.0, 404);
    assert!(receivers(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_hooks_of_the_cloud_are_receivers_too() {
    let server = server().await;
    let work = server.hosted("marcus/project-x");
    let receiver = Listening::start();
    let services = "/1.0/repositories/marcus/project-x/services";
    let answer = server
        .request(Method::POST, services)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("type=post;URL={}", receiver.url("/post")))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let made: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(made["service"]["type"], "POST");
    assert_eq!(made["service"]["fields"][0]["value"], receiver.url("/post"));
    let hooks = "/2.0/repositories/marcus/project-x/hooks";
    let new = json!({
        "description": "CI", "url": receiver.url("/hook"), "active": true, "events": ["repo:push"], "secret": "s",
    });
    let (status, hook) = call(&server, Method::POST, hooks, Some(new)).await;
    assert_eq!((status, &hook["secret_set"]), (201, &json!(true)));
    let _ = work.push("main", &[("a.txt", "1")]);
    let got = receiver.wait_for(2).await;
    let at = |path: &str| got.iter().find(|one| one.path == path).expect(path);
    assert!(at("/post").body.starts_with(b"payload="));
    let told_id = at("/hook").header("x-hook-uuid").expect("an id").to_owned();
    assert_eq!(
        hook["uuid"],
        format!("{{{told_id}}}"),
        "the hook is known by the id that it is told with"
    );

    let one = format!("{hooks}/%7B{told_id}%7D");
    let (status, changed) = call(&server, Method::PUT, &one, Some(json!({ "active": false }))).await;
    assert_eq!(
        (status, &changed["active"], &changed["secret_set"]),
        (200, &json!(false), &json!(true))
    );
    let (_, listed) = call(&server, Method::GET, hooks, None).await;
    assert_eq!(
        (&listed["size"], &listed["values"][0]["uuid"]),
        (&json!(1), &hook["uuid"])
    );
    assert_eq!(call(&server, Method::DELETE, &one, None).await.0, 204);

    let service = format!("{services}/{}", made["id"]);
    let answer = server
        .request(Method::PUT, &service)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("URL={}", receiver.url("/other")))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let (_, shown) = call(&server, Method::GET, &service, None).await;
    assert_eq!(shown[0]["service"]["fields"][0]["value"], receiver.url("/other"));
    let (status, refused) = call(
        &server,
        Method::POST,
        services,
        Some(json!({ "type": "Twitter" })),
    )
    .await;
    assert_eq!((status, &refused["type"]), (400, &json!("error")));
    assert_eq!(call(&server, Method::DELETE, &service, None).await.0, 204);
    assert_eq!(call(&server, Method::GET, services, None).await.1, json!([]));
}
