//! The first minutes with the product.

use crate::place::Place;

#[test]
fn once_ends_green_with_plain_lines_and_leaves_a_home_to_look_into() {
    let place = Place::new();
    let out = place
        .run(&["quickstart", "--once", "--listen", "127.0.0.1:0"])
        .ok();
    for expected in [
        "listening on http://127.0.0.1:",
        "✓ repository    DEMO/hello",
        "successful  Build: Compile",
        "successful  Test: Unit tests",
        "✓ successful in",
        "push received → first command",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "escapes where no terminal is: {out}");

    // The home tells the same story without a server.
    let status = place.run(&["build", "status", "DEMO-HELLO", "--json"]).json();
    assert_eq!(
        (&status["state"], &status["continuable"]),
        (&"Successful".into(), &true.into())
    );
    let why = place.run(&["why", "DEMO-HELLO"]).ok();
    for expected in [
        "from admin",
        "✓ DEMO-HELLO  build",
        "✓ plan-enabled",
        "became DEMO-HELLO-1",
    ] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let log = place.run(&["build", "log", "DEMO-HELLO-1", "--job", "TEST"]).ok();
    assert!(log.contains("test greets ... ok"), "{log}");
    let tokens = place.run(&["token", "list", "--json"]).json();
    assert!(tokens["tokens"][0]["revokedMs"].is_i64(), "{tokens}");

    let queued = place.run(&["build", "queue", "DEMO-HELLO"]).ok();
    assert!(
        queued.contains("queued DEMO-HELLO-2") && queued.contains("next start"),
        "{queued}"
    );
    let error = place.run(&["build", "watch", "DEMO-HELLO-2"]).refused(1);
    assert!(error.contains("no server runs in"), "{error}");

    let error = place.run(&["quickstart", "--once"]).refused(1);
    assert!(error.contains("madake serve --home"), "{error}");

    // The next start runs what was queued, and goes on where it is told to.
    let _serving = place.serve();
    let out = place.run(&["build", "watch", "DEMO-HELLO-2"]).ok();
    assert!(out.contains("✓ DEMO-HELLO-2 successful"), "{out}");
    let out = place.run(&["build", "continue", "DEMO-HELLO-2", "--watch"]).ok();
    assert!(out.contains("successful  Release: Publish"), "{out}");
    let error = place.run(&["trigger", "DEMO-HELLO"]).refused(1);
    assert!(error.contains("has no remote trigger"), "{error}");
    let refused = place.run(&["events", "--refused"]).ok();
    assert!(refused.contains("has no remote trigger"), "{refused}");
}
