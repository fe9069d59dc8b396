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
