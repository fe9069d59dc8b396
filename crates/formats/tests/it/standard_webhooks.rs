//! Signatures of Standard Webhooks: made, checked, replaced.

use madake_formats::signature::standard_webhooks::{
    ID_HEADER, MessageCheck, SIGNATURE_HEADER, SecretProblem, SigningError, SigningSecret, TIMESTAMP_HEADER,
    TOLERANCE_MS, check, headers,
};

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const NOW_MS: i64 = 1_614_265_330_000;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

/// The secret of the test vector that all libraries of the standard share.
fn known() -> SigningSecret {
    SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn other() -> SigningSecret {
    SigningSecret::from_bytes(vec![7; 32]).unwrap()
}

fn check_with(id: &str, timestamp: &str, signature: &str, secrets: &[&SigningSecret]) -> MessageCheck {
    let headers = [
        ("Webhook-Id", id),
        ("WEBHOOK-TIMESTAMP", timestamp),
        ("webhook-signature", signature),
    ];
    check(&headers, BODY, secrets, NOW_MS)
}

#[test]
fn signing_gives_the_published_value() {
    let signed = headers(ID, NOW_MS + 999, BODY, &[&known()]).unwrap();
    let expected = [
        (ID_HEADER, ID.to_owned()),
        (TIMESTAMP_HEADER, "1614265330".to_owned()),
        (SIGNATURE_HEADER, SIGNATURE.to_owned()),
    ];
    assert_eq!(signed, expected);
}

#[test]
fn either_secret_passes_while_one_replaces_the_other() {
    let (new, old) = (other(), known());
    let [.., (_, both)] = headers(ID, NOW_MS, BODY, &[&new, &old]).unwrap();
    assert_eq!(both.split(' ').count(), 2);
    assert!(both.ends_with(SIGNATURE), "the current one first");
    for secrets in [vec![&new], vec![&old], vec![&new, &old]] {
        assert_eq!(check_with(ID, "1614265330", &both, &secrets), MessageCheck::Valid);
    }
    let third = SigningSecret::from_bytes(vec![8; 24]).unwrap();
    assert_eq!(
        check_with(ID, "1614265330", &both, &[&third]),
        MessageCheck::Mismatch
    );
    assert_eq!(check_with(ID, "1614265330", &both, &[]), MessageCheck::Mismatch);
}

#[test]
fn a_signature_covers_id_time_and_body() {
    let secret = known();
    let table = [
        ("right", ID, "1614265330", SIGNATURE, MessageCheck::Valid),
        (
            "another id",
            "msg_x",
            "1614265330",
            SIGNATURE,
            MessageCheck::Mismatch,
        ),
        (
            "another time",
            ID,
            "1614265331",
            SIGNATURE,
            MessageCheck::Mismatch,
        ),
        (
            "time with a zero before",
            ID,
            "01614265330",
            SIGNATURE,
            MessageCheck::Mismatch,
        ),
        (
            "newer versions are passed over",
            ID,
            "1614265330",
            &format!("v1a,abc {SIGNATURE} v2,x"),
            MessageCheck::Valid,
        ),
        (
            "only unknown versions",
            ID,
            "1614265330",
            "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            MessageCheck::Mismatch,
        ),
        ("empty signature", ID, "1614265330", "v1,", MessageCheck::Mismatch),
        (
            "no version",
            ID,
            "1614265330",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            MessageCheck::Malformed(SIGNATURE_HEADER),
        ),
        (
            "nothing",
            ID,
            "1614265330",
            "",
            MessageCheck::Malformed(SIGNATURE_HEADER),
        ),
        (
            "a dot in the id",
            "msg.1",
            "1614265330",
            SIGNATURE,
            MessageCheck::Malformed(ID_HEADER),
        ),
        (
            "no id",
            "",
            "1614265330",
            SIGNATURE,
            MessageCheck::Malformed(ID_HEADER),
        ),
        (
            "time with a sign",
            ID,
            "+1614265330",
            SIGNATURE,
            MessageCheck::Malformed(TIMESTAMP_HEADER),
        ),
        (
            "time with a fraction",
            ID,
            "1614265330.0",
            SIGNATURE,
            MessageCheck::Malformed(TIMESTAMP_HEADER),
        ),
        (
            "time beyond all numbers",
            ID,
            "99999999999999999999",
            SIGNATURE,
            MessageCheck::Malformed(TIMESTAMP_HEADER),
        ),
    ];
    for (case, id, timestamp, signature, expected) in table {
        assert_eq!(
            check_with(id, timestamp, signature, &[&secret]),
            expected,
            "{case}"
        );
    }
    let headers = [
        (ID_HEADER, ID),
        (TIMESTAMP_HEADER, "1614265330"),
        (SIGNATURE_HEADER, SIGNATURE),
    ];
    assert_eq!(
        check(&headers, br#"{"test":2432232314}"#, &[&secret], NOW_MS),
        MessageCheck::Mismatch
    );
}

#[test]
fn attempts_far_from_now_are_refused() {
    let secret = known();
    let table = [
        (0, MessageCheck::Valid),
        (TOLERANCE_MS, MessageCheck::Valid),
        (TOLERANCE_MS + 1, MessageCheck::TooOld),
        (-TOLERANCE_MS, MessageCheck::Valid),
        (-TOLERANCE_MS - 1, MessageCheck::TooNew),
    ];
    for (later_ms, expected) in table {
        let signed = headers(ID, NOW_MS, BODY, &[&secret]).unwrap();
        let signed: Vec<(&str, &str)> = signed
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            check(&signed, BODY, &[&secret], NOW_MS + later_ms),
            expected,
            "{later_ms}"
        );
    }
    let forged = check_with(ID, "9223372036854775807", SIGNATURE, &[&secret]);
    assert_eq!(forged, MessageCheck::Mismatch);
}

#[test]
fn each_header_is_needed_once() {
    let secret = known();
    let whole = [
        (ID_HEADER, ID),
        (TIMESTAMP_HEADER, "1614265330"),
        (SIGNATURE_HEADER, SIGNATURE),
    ];
    for (place, (name, value)) in whole.iter().enumerate() {
        let mut less = whole.to_vec();
        less.remove(place);
        assert_eq!(
            check(&less, BODY, &[&secret], NOW_MS),
            MessageCheck::Missing(name)
        );
        let mut twice = whole.to_vec();
        twice.push((name, value));
        assert_eq!(
            check(&twice, BODY, &[&secret], NOW_MS),
            MessageCheck::Malformed(name)
        );
    }
}

#[test]
fn secrets_are_read_in_their_text_form_alone() {
    let short = SigningSecret::from_bytes(vec![1; 23]);
    assert_eq!(short, Err(SecretProblem::Length(23)));
    assert_eq!(
        SigningSecret::from_bytes(vec![1; 65]),
        Err(SecretProblem::Length(65))
    );
    let text = other().to_text();
    assert!(text.starts_with("whsec_") && text.ends_with('='));
    assert_eq!(SigningSecret::parse(&text), Ok(other()));
    assert_eq!(SigningSecret::parse(text.trim_end_matches('=')), Ok(other()));
    assert_eq!(SigningSecret::parse("secret"), Err(SecretProblem::Prefix));
    assert_eq!(SigningSecret::parse("whsec_%%"), Err(SecretProblem::Encoding));
    assert_eq!(SigningSecret::parse("whsec_"), Err(SecretProblem::Length(0)));
    assert_eq!(format!("{:?}", known()), "SigningSecret(..)");
}

#[test]
fn ids_that_could_shift_what_is_signed_are_refused() {
    for id in ["", "a.b", "a b", "a\n", "ü"] {
        assert_eq!(
            headers(id, NOW_MS, BODY, &[&known()]),
            Err(SigningError::Id),
            "{id:?}"
        );
    }
    assert_eq!(headers(ID, NOW_MS, BODY, &[]), Err(SigningError::NoSecret));
}
