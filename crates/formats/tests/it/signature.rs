//! Signatures over raw bodies.

use madake_formats::signature::{HEADER, HEADER_256, SignatureCheck, check, sign};

const SECRET: &[u8] = b"green shoots in spring";
const BODY: &[u8] = br#"{"refChanges": [] }"#;

#[test]
fn signing_gives_the_published_value() {
    // The example of GitHub's documentation on validating deliveries.
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(sign(b"It's a Secret to Everybody", b"Hello, World!"), expected);
}

#[test]
fn only_the_documented_form_of_a_right_signature_is_valid() {
    let right = sign(SECRET, BODY);
    let digits = right.strip_prefix("sha256=").unwrap().to_owned();
    let upper = digits.to_uppercase();
    let reserialised = sign(SECRET, br#"{"refChanges":[]}"#);
    let table: Vec<(&str, Option<String>, SignatureCheck)> = vec![
        ("right", Some(right.clone()), SignatureCheck::Valid),
        (
            "W1 of another secret",
            Some(sign(b"other", BODY)),
            SignatureCheck::Mismatch,
        ),
        (
            "W2 upper-case digits",
            Some(format!("sha256={upper}")),
            SignatureCheck::Malformed,
        ),
        (
            "W2 upper-case name",
            Some(format!("SHA256={digits}")),
            SignatureCheck::Malformed,
        ),
        (
            "W2 space behind",
            Some(format!("{right} ")),
            SignatureCheck::Malformed,
        ),
        (
            "W2 space before",
            Some(format!(" {right}")),
            SignatureCheck::Malformed,
        ),
        (
            "W2 space inside",
            Some(format!("sha256= {digits}")),
            SignatureCheck::Malformed,
        ),
        ("W2 no name", Some(digits.clone()), SignatureCheck::Malformed),
        (
            "W2 one digit less",
            Some(right[..right.len() - 1].to_owned()),
            SignatureCheck::Malformed,
        ),
        (
            "W2 two digits more",
            Some(format!("{right}00")),
            SignatureCheck::Malformed,
        ),
        (
            "W2 no digits",
            Some("sha256=".to_owned()),
            SignatureCheck::Malformed,
        ),
        (
            "W2 letters beyond ascii",
            Some(format!("sha256={}", "é".repeat(32))),
            SignatureCheck::Malformed,
        ),
        (
            "W2 list",
            Some(format!("{right},{right}")),
            SignatureCheck::Malformed,
        ),
        ("W2 empty", Some(String::new()), SignatureCheck::Malformed),
        ("W3 no header", None, SignatureCheck::Missing),
        (
            "W4 of re-serialised json",
            Some(reserialised),
            SignatureCheck::Mismatch,
        ),
        (
            "W5 sha1",
            Some(format!("sha1={}", "a".repeat(40))),
            SignatureCheck::Unsupported("sha1"),
        ),
        (
            "W5 sha512",
            Some(format!("sha512={}", "a".repeat(128))),
            SignatureCheck::Unsupported("sha512"),
        ),
        (
            "W5 unknown",
            Some("crc32=00000000".to_owned()),
            SignatureCheck::Malformed,
        ),
    ];
    for (case, value, expected) in table {
        for name in [HEADER, HEADER_256, "x-hub-signature"] {
            let headers: Vec<(&str, &str)> = value.iter().map(|value| (name, value.as_str())).collect();
            assert_eq!(check(&headers, BODY, &[SECRET]), expected, "{case} in {name}");
        }
    }
}

#[test]
fn each_active_secret_counts_while_secrets_are_replaced() {
    let (old, new): (&[u8], &[u8]) = (b"old secret", b"new secret");
    for secret in [old, new] {
        let value = sign(secret, BODY);
        assert_eq!(
            check(&[(HEADER, &value)], BODY, &[old, new]),
            SignatureCheck::Valid
        );
        assert_eq!(
            check(&[(HEADER, &value)], BODY, &[b"third"]),
            SignatureCheck::Mismatch
        );
    }
}

#[test]
fn an_empty_secret_and_no_secret_let_nothing_in() {
    let value = sign(b"", BODY);
    assert_eq!(check(&[(HEADER, &value)], BODY, &[b""]), SignatureCheck::Mismatch);
    assert_eq!(check(&[(HEADER, &value)], BODY, &[]), SignatureCheck::Mismatch);
}

#[test]
fn the_header_for_sha_256_wins_and_is_never_fallen_back_from() {
    let right = sign(SECRET, BODY);
    let wrong = sign(b"other", BODY);
    let table = [
        (
            "sha-1 beside",
            vec![(HEADER, "sha1=00"), (HEADER_256, &right)],
            SignatureCheck::Valid,
        ),
        (
            "wrong one wins",
            vec![(HEADER, &right), (HEADER_256, &wrong)],
            SignatureCheck::Mismatch,
        ),
        (
            "broken one wins",
            vec![(HEADER, &right), (HEADER_256, "x")],
            SignatureCheck::Malformed,
        ),
        (
            "twice",
            vec![(HEADER, &right), ("X-HUB-SIGNATURE", &right)],
            SignatureCheck::Malformed,
        ),
    ];
    for (case, headers, expected) in table {
        assert_eq!(check(&headers, BODY, &[SECRET]), expected, "{case}");
    }
}
