//! Tables of what Ant says, and a comparison with the plainest way to say it.

use proptest::prelude::*;

use super::*;

fn patterns(list: &str) -> AntPatterns {
    AntPatterns::parse(list).unwrap()
}

#[test]
fn paths_match_as_ant_matches_them() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("*.jar", &["a.jar", ".jar"], &["lib/a.jar", "a.jar.txt", "a.JAR"]),
        (
            "**/*.jar",
            &["a.jar", "lib/a.jar", "a/b/c/d.jar"],
            &["a.jar/x", "jar"],
        ),
        (
            "target/*.jar",
            &["target/a.jar"],
            &["a.jar", "target/x/a.jar", "x/target/a.jar"],
        ),
        (
            "target/**/*.jar",
            &["target/a.jar", "target/x/y/a.jar"],
            &["a.jar", "target"],
        ),
        ("t?st", &["test", "täst"], &["tst", "teest", "t/st"]),
        ("docs/", &["docs/a", "docs/a/b", "docs"], &["doc/a", "x/docs/a"]),
        ("docs/**", &["docs/a", "docs/a/b", "docs"], &["docs2/a"]),
        ("**/docs/**", &["docs/a", "x/docs/a/b", "x/docs"], &["x/doc/a"]),
        ("**", &["a", "a/b/c"], &[]),
        ("**/*", &["a", "a/b/c"], &[]),
        ("*/*", &["a/b"], &["a", "a/b/c"]),
        ("**/a/**/b", &["a/b", "x/a/y/b", "a/a/b/b"], &["b", "x/b/a"]),
        ("a**b", &["ab", "axxb"], &["a/b"]),
        ("**b", &["b", "ab"], &["a/b"]),
        (
            "a.txt, b.txt ,,**/c",
            &["a.txt", "b.txt", "x/c"],
            &["c.txt", "", " b.txt"],
        ),
        ("./target//x", &["target/x", "./target/x"], &["x"]),
        ("/target/x", &["target/x"], &["x/target/x"]),
        ("/**", &["etc/passwd", "a"], &[]),
        ("dir\\*.dll", &["dir/a.dll"], &["dir\\a.dll"]),
        ("a[b]{c}", &["a[b]{c}"], &["ab", "abc"]),
        (
            "**/*.xml,!**/skip/**",
            &["a.xml", "b/a.xml"],
            &["skip/a.xml", "b/skip/c/a.xml"],
        ),
        ("!a", &[], &["a", "b"]),
        ("", &[], &["a", ""]),
        (" / , ./ ", &[], &["a", ""]),
    ];
    for (list, matching, others) in table {
        let patterns = patterns(list);
        for path in *matching {
            assert!(patterns.matches(path), "`{list}` matches `{path}`");
        }
        for path in *others {
            assert!(!patterns.matches(path), "`{list}` does not match `{path}`");
        }
    }
}

#[test]
fn exclusions_and_case_can_be_asked_for() {
    let all = patterns("**").without(DEFAULT_EXCLUDES).unwrap();
    for path in ["a", ".github/x", "src/git/HEAD"] {
        assert!(all.matches(path), "{path}");
    }
    for path in [
        ".git/HEAD",
        "sub/.git/objects/ab/cd",
        "a~",
        "x/.DS_Store",
        ".gitignore",
    ] {
        assert!(!all.matches(path), "{path}");
    }
    let any_case = patterns("**/*.JaR").with_case(Case::Insensitive);
    assert!(any_case.matches("LIB/ÄÖ.jAr") && !any_case.matches("a.jär"));
    assert!(patterns("ÄÖ").with_case(Case::Insensitive).matches("äö"));
}

#[test]
fn lists_that_climb_or_are_too_long_are_refused() {
    for climbing in ["../x", "a/../b", "**/..", "ok,..\\x"] {
        assert!(
            matches!(AntPatterns::parse(climbing), Err(AntPatternError::Climbs(_))),
            "{climbing}"
        );
    }
    assert!(AntPatterns::parse("a..b/...").is_ok());
    assert_eq!(
        AntPatterns::parse(&"a,".repeat(MAX_PATTERNS + 1)),
        Err(AntPatternError::TooLong)
    );
    assert_eq!(
        AntPatterns::parse(&"a".repeat(MAX_LENGTH + 1)),
        Err(AntPatternError::TooLong)
    );
}

#[test]
fn folders_without_anything_of_interest_are_not_entered() {
    let rows = [
        ("target/*.jar", "target", true),
        ("target/*.jar", "src", false),
        ("target/*.jar", "target/sub", false),
        ("**/*.jar", "src/deep", true),
        ("*.jar", "src", false),
        ("**,!**/.git/**", ".git", false),
        ("**,!**/.git/**", "a/.git", false),
        ("**,!**/.git/*", "a/.git", true),
    ];
    for (list, folder, entered) in rows {
        let patterns = patterns(list);
        let mut place = Some(patterns.start());
        for name in folder.split('/') {
            place = place.and_then(|place| place.enter(name));
        }
        assert_eq!(place.is_some(), entered, "`{list}` in `{folder}`");
    }
}

#[test]
fn hostile_patterns_take_no_time() {
    let path = "a/".repeat(2000) + "b";
    let long_name = "a".repeat(20_000);
    let started = std::time::Instant::now();
    assert!(!patterns(&("**/a/".repeat(200) + "c")).matches(&path));
    assert!(!patterns(&("*a".repeat(300) + "b")).matches(&long_name));
    assert!(started.elapsed().as_secs() < 20);
}

/// The same by trying everything, for short texts.
fn naive(names: &[&str], path: &[&str]) -> bool {
    match names.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skipped| naive(rest, &path[skipped..])),
        Some((name, rest)) => path
            .split_first()
            .is_some_and(|(first, others)| naive_name(name, first) && naive(rest, others)),
    }
}

fn naive_name(glob: &str, name: &str) -> bool {
    match glob.chars().next() {
        None => name.is_empty(),
        Some('*') => (0..=name.len()).any(|taken| naive_name(&glob[1..], &name[taken..])),
        Some(letter) => name
            .strip_prefix(|first| letter == '?' || letter == first)
            .is_some_and(|rest| naive_name(&glob[1..], rest)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_trying_everything(
        names in prop::collection::vec("\\*\\*|[ab*?]{1,4}", 1..6),
        path in prop::collection::vec("[ab]{1,4}", 1..6),
    ) {
        let expected = naive(
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
            &path.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        prop_assert_eq!(patterns(&names.join("/")).matches(&path.join("/")), expected);
    }

    #[test]
    fn a_folder_that_is_not_entered_holds_no_match(
        list in "[ab*?/,!]{1,16}",
        folder in prop::collection::vec("[ab]{1,2}", 1..4),
        rest in prop::collection::vec("[ab]{1,2}", 1..4),
    ) {
        let patterns = patterns(&list);
        let mut place = Some(patterns.start());
        for name in &folder {
            place = place.and_then(|place| place.enter(name));
        }
        if place.is_none() {
            let path = [folder, rest].concat().join("/");
            prop_assert!(!patterns.matches(&path));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(list in ".{0,60}", path in ".{0,60}") {
        if let Ok(patterns) = AntPatterns::parse(&list) {
            let _ = patterns.matches(&path);
        }
    }
}
