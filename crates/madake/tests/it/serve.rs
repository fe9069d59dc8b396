//! What keeps a server from starting.

use crate::place::Place;

#[test]
fn second_process_on_one_home_is_refused() {
    let place = Place::new();
    let _serving = place.serve();
    let error = place.run(&["serve", "--listen", "127.0.0.1:0"]).refused(1);
    assert!(
        error.contains("in use by another Madake") && error.contains("--home"),
        "{error}"
    );
}

#[test]
fn server_on_all_addresses_is_known_by_one_that_can_be_reached() {
    let place = Place::new();
    let serving = place.serve_at("0.0.0.0:0");
    let port = serving.url.rsplit(':').next().expect("a port");
    assert_eq!(serving.url, format!("http://0.0.0.0:{port}"));
    let status = place.run(&["server", "status", "--json"]).json();
    let base_url = status["baseUrl"].as_str().expect("an address");
    assert!(
        base_url.starts_with("http://")
            && base_url.ends_with(&format!(":{port}"))
            && !base_url.contains("0.0.0.0"),
        "{base_url}"
    );
    let created = place.run(&["repo", "create", "PROJ/app", "--json"]).json();
    assert_eq!(created["cloneUrl"], format!("{base_url}/scm/proj/app.git"));
    assert!(place.log().contains("set server.base-url"), "{}", place.log());
}

#[test]
fn paused_server_stays_paused_over_a_restart() {
    let place = Place::new();
    let serving = place.serve();
    place.run(&["server", "pause"]).ok();
    drop(serving);
    let serving = place.serve();
    assert_eq!(place.run(&["server", "status", "--json"]).json()["paused"], true);
    assert!(
        place.log().contains("still paused") && place.log().contains("madake server resume"),
        "{}",
        place.log()
    );
    place.run(&["server", "resume"]).ok();
    drop(serving);
    let _serving = place.serve();
    assert_eq!(place.run(&["server", "status", "--json"]).json()["paused"], false);
    assert!(!place.log().contains("still paused"));
}

#[test]
fn unknown_configuration_key_is_refused_with_a_suggestion() {
    let place = Place::new();
    std::fs::create_dir_all(place.home()).expect("a home");
    std::fs::write(place.home().join("madake.toml"), "[builds]\nconcurent = 3\n").expect("a file");
    for arguments in [["serve"].as_slice(), &["repo", "list"]] {
        let error = place.run(arguments).refused(1);
        assert!(
            error.contains("madake.toml:2") && error.contains("did you mean `concurrent`?"),
            "{error}"
        );
    }
}
