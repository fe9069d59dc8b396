//! Each form of a secret, overlaps, and random texts.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

fn masked(secrets: &[&str], text: &str) -> String {
    Masks::new(secrets.iter().copied())
        .apply_to_text(text)
        .into_owned()
}

#[test]
fn s1_secret_is_covered_in_each_form() {
    let secret = "p@ss w'rd/\"ü?<";
    for form in [
        secret,
        "7040737320772772642f22c3bc3f3c",
        "7040737320772772642F22C3BC3F3C",
        "p%40ss%20w%27rd%2F%22%C3%BC%3F%3C",
        "p%40ss%20w%27rd%2f%22%c3%bc%3f%3c",
        "p%40ss+w%27rd%2F%22%C3%BC%3F%3C",
        "p@ss%20w'rd/%22%C3%BC?%3C",
        "p@ss w'rd/\\\"ü?<",
        "p@ss w'rd\\/\\\"ü?<",
        "p@ss w'rd/\\\"\\u00fc?<",
        "p@ss w'rd/\\\"ü?\\u003c",
        "p@ss w'\\''rd/\"ü?<",
        "p@ss w&apos;rd/&quot;ü?&lt;",
        "p@ss w'rd/\"ü?&lt;",
        "<?ü\"/dr'w ss@p",
    ] {
        assert_eq!(
            masked(&[secret], &format!("a {form} b")),
            "a ******** b",
            "{form}"
        );
    }
}

#[test]
fn s1_base64_is_covered_in_all_alignments_and_alphabets() {
    let secret = "hunter22?>hunter";
    for prefix in ["", "u", "us", "use", "user:"] {
        for suffix in ["", "\n", "xy", "xyz"] {
            for alphabet in [&STANDARD, &URL_SAFE] {
                let encoded = alphabet.encode(format!("{prefix}{secret}{suffix}"));
                let shown = masked(&[secret], &encoded);
                assert!(shown.contains(COVER), "{prefix} {suffix}");
                let left = shown.replace(COVER, "").len();
                assert!(left <= (prefix.len() + suffix.len() + 6) * 4 / 3 + 2, "{shown}");
            }
        }
    }
}

#[test]
fn base64_of_a_secret_alone_leaves_nothing_of_it() {
    for secret in ["hunter22", "hunter222", "hunter2222"] {
        for end in ["", "\n"] {
            let encoded = STANDARD.encode(format!("{secret}{end}"));
            let shown = masked(&[secret], &encoded);
            let rest = shown.replace(COVER, "");
            assert!(
                rest.chars().all(|letter| "=KCgo".contains(letter)),
                "{encoded}: {shown}"
            );
        }
    }
}

#[test]
fn long_secret_is_covered_in_the_lines_of_base64() {
    let secret: String = (0..200).map(|n| char::from(b'!' + n % 90)).collect();
    let encoded = STANDARD.encode(&secret);
    for length in [64, 76] {
        for line in encoded.as_bytes().chunks(length) {
            let line = String::from_utf8_lossy(line);
            assert!(masked(&[&secret], &line).len() <= COVER.len() + 4, "{line}");
        }
    }
}

#[test]
fn s2_lines_of_a_key_are_covered() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkq\n-----END KEY-----\n";
    assert_eq!(masked(&[key], "MIIEvQIBADAN"), COVER);
    assert_eq!(masked(&[key], "Bgkq"), "Bgkq");
    assert_eq!(
        masked(&[key], &key.replace('\n', "\\n")),
        COVER,
        "as JSON it is one text"
    );
    assert_eq!(masked(&["hunter22\n"], "hunter22"), COVER);
    assert_eq!(
        masked(&["-----BEGIN-----\r\nabcdefghij\r\n"], "abcdefghij"),
        COVER
    );
}

#[test]
fn s3_weak_secrets_are_left_alone_and_named() {
    for (secret, expected) in [
        ("", Some(SecretWeakness::TooShort)),
        ("abc", Some(SecretWeakness::TooShort)),
        (" ab\n", Some(SecretWeakness::TooShort)),
        ("true", Some(SecretWeakness::CommonWord)),
        ("Admin", Some(SecretWeakness::CommonWord)),
        ("1234", Some(SecretWeakness::CommonWord)),
        ("12345", None),
        ("hunter22", None),
        ("ä€𝄞x", None),
    ] {
        assert_eq!(weakness(secret), expected, "{secret:?}");
        if expected.is_some() {
            let text = format!("a {secret} b");
            assert_eq!(masked(&[secret], &text), text);
        }
    }
}

#[test]
fn s4_overlapping_secrets_leave_no_remainder() {
    for (secrets, text, expected) in [
        (&["abcdef", "defghi"][..], "1 abcdefghi 2", "1 ******** 2"),
        (
            &["token-x", "token-x-long"],
            "token-x-long token-x",
            "******** ********",
        ),
        (&["bcde", "abcdefgh", "fghi"], "1 abcdefghi 2", "1 ******** 2"),
        (&["aaaa"], "aaaaaaaab", "********b"),
        (&["abcd"], "abcdabcd", "****************"),
    ] {
        let shown = masked(secrets, text);
        assert!(
            shown == expected || shown.replace(COVER, "") == expected.replace(COVER, ""),
            "{text}: {shown}"
        );
    }
}

#[test]
fn s1_secret_in_very_short_lines_is_suspected() {
    let watched = |lines: &[&str]| {
        let mut watch = LeakWatch::new(["correct horse", "true"]);
        for line in lines {
            watch.line(line.as_bytes());
        }
        watch.is_suspected()
    };
    let letters: Vec<String> = "correct horse".chars().map(String::from).collect();
    let lines: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert!(watched(&lines));
    assert!(watched(&lines.iter().rev().copied().collect::<Vec<_>>()));
    assert!(watched(&["x", "co", "rr", "e", "", "ct", "ho", "rs", "e"]));
    assert!(!watched(&lines[1..]));
    assert!(!watched(&["t", "r", "u", "e"]));
    let mut interrupted = lines.clone();
    interrupted.insert(6, "a whole line of other output");
    assert!(!watched(&interrupted));
    assert!(!format!("{:?}", LeakWatch::new(["correct horse"])).contains("horse"));
}

#[test]
fn short_lines_without_end_take_no_memory() {
    let mut watch = LeakWatch::new(["correct horse"]);
    for _ in 0..100_000 {
        watch.line(b"x");
    }
    assert!(watch.pieces.len() < 1000);
}

proptest! {
    #[test]
    fn nothing_of_a_secret_is_left(
        secrets in prop::collection::vec("[a-c/\"&%ü ]{5,12}", 1..5),
        text in "[a-c/\"&%ü ]{0,40}",
        at in 0usize..5,
    ) {
        let masks = Masks::new(secrets.iter().map(String::as_str));
        let hidden = &secrets[at % secrets.len()];
        let shown = masks.apply_to_text(&format!("{text}{hidden}{text}")).into_owned();
        for secret in secrets.iter().filter(|secret| weakness(secret).is_none()) {
            prop_assert!(!shown.contains(secret.as_str()), "{:?} in {:?}", secret, shown);
        }
    }

    #[test]
    fn spans_are_in_order_and_apart(
        secrets in prop::collection::vec("[ab]{4,8}", 1..6),
        text in "[ab]{0,60}",
    ) {
        let masks = Masks::new(secrets.iter().map(String::as_str));
        let spans = masks.spans(text.as_bytes());
        prop_assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0));
        let mut covered = vec![false; text.len()];
        for (from, to) in &spans {
            covered[*from..*to].fill(true);
        }
        for secret in &secrets {
            for (at, _) in text.char_indices().filter(|(at, _)| text[*at..].starts_with(secret.as_str())) {
                prop_assert!(covered[at..at + secret.len()].iter().all(|covered| *covered));
            }
        }
    }

    #[test]
    fn text_without_secrets_stays_as_it_is(text in ".{0,80}") {
        prop_assert_eq!(&*Masks::new(["correct horse battery"]).apply_to_text(&text), text.as_str());
        prop_assert_eq!(&*Masks::default().apply_to_text(&text), text.as_str());
    }
}

#[test]
fn s6_whole_secrets_are_found_in_each_form_and_coincidences_are_not() {
    let key = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nc2VjcmV0IHBhcnQ\n-----END KEY-----\n";
    let other = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nb3RoZXIgc2VjcmV0\n-----END KEY-----\n";
    let masks = Masks::of_whole_secrets(["hunter2", "correct horse", "password", key]);
    assert!(!masks.is_empty());
    for (text, found) in [
        ("x=correct horse;", true),
        ("Y29ycmVjdCBob3JzZQ==", true),
        ("correct%20horse", true),
        ("correct hors", false),
        ("too short for files: hunter2, and a common word: password", false),
        (
            "another key: -----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nc29tZXRoaW5n",
            false,
        ),
        (key, true),
        (key.trim(), true),
        (&STANDARD.encode(key), true),
        (&STANDARD.encode(other), false),
    ] {
        assert_eq!(masks.first(text.as_bytes()).is_some(), found, "{text}");
    }
    assert!(Masks::of_whole_secrets(["abc", ""]).is_empty());
}
