//! Whatever comes in, reading ends with an answer; whatever is sound, its refs come out.

use madake_formats::object_id::ObjectIdText;
use madake_formats::signature::{SignatureCheck, check, sign};
use madake_formats::{Action, Limits, Push, SenderFormat, detect, read_push, read_push_as, text};
use proptest::prelude::*;
use serde_json::json;

use crate::samples;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn read_in_every_way(body: &[u8]) {
    let limits = Limits::default();
    for headers in [
        vec![],
        vec![("Content-Type", "application/x-www-form-urlencoded")],
    ] {
        let found = detect(&headers, body, &limits);
        let push = read_push(&headers, body, &limits);
        assert!(push.is_err() || found.is_ok());
        for format in SenderFormat::ALL {
            if let Ok(push) = read_push_as(format, &headers, body, &limits) {
                check_bounds(&push, &limits);
            }
        }
    }
}

fn check_bounds(push: &Push, limits: &Limits) {
    assert!(push.changes.len() <= limits.refs_per_push);
    assert!(push.commits.len() <= limits.commits_per_push);
    for change in &push.changes {
        assert!(change.name.len() <= limits.ref_name_bytes && !change.name.contains('\0'));
        assert_eq!(change.new.is_none(), change.action == Action::Delete);
        if let Ok(name) = change.checked_name() {
            assert!(
                !name
                    .as_str()
                    .split('/')
                    .any(|component| component.starts_with('-'))
            );
        }
    }
    for commit in &push.commits {
        assert!(commit.message.len() <= limits.message_bytes + text::CUT_MARK.len());
        assert!(!commit.author.chars().any(text::is_active));
    }
}

fn object_id() -> impl Strategy<Value = String> {
    "[0-9a-f]{39}[1-9a-f]"
}

/// Refs as (short name, old, new), not both ids absent.
fn refs() -> impl Strategy<Value = Vec<(String, Option<String>, Option<String>)>> {
    let one = (
        "[a-z][a-zA-Z0-9_/é]{0,20}",
        proptest::option::of(object_id()),
        proptest::option::of(object_id()),
    )
        .prop_filter("a ref is somewhere", |(_, old, new)| {
            old.is_some() || new.is_some()
        });
    proptest::collection::vec(one, 0..20)
}

pub(crate) fn hostile_value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[[{}]]])),
        Just(json!("\u{0}\u{202e}")),
        Just(json!("0000000000000000000000000000000000000000")),
        Just(json!("/")),
        Just(json!("é")),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
    ]
}

pub(crate) fn replace_nth(value: &mut serde_json::Value, countdown: &mut usize, with: &serde_json::Value) {
    if *countdown == 0 {
        *value = with.clone();
        *countdown = usize::MAX;
        return;
    }
    *countdown -= 1;
    match value {
        serde_json::Value::Array(entries) => {
            entries
                .iter_mut()
                .for_each(|entry| replace_nth(entry, countdown, with));
        }
        serde_json::Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| replace_nth(member, countdown, with));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read_in_every_way(&body);
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(body in r#"[\[\]{}:,"\\0-9a-eu\-+. ]{0,200}"#) {
        read_in_every_way(body.as_bytes());
    }

    #[test]
    fn payloads_with_changed_bytes_never_panic(
        sample in 0usize..10,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..8),
        keep in 0usize..=100,
    ) {
        let mut body = samples::one_of_each().swap_remove(sample).2.into_bytes();
        for (place, byte, edit) in edits {
            let place = place.index(body.len());
            match edit {
                0 => body[place] = byte,
                1 => body.insert(place, byte),
                _ => drop(body.remove(place)),
            }
        }
        // Four of five stay whole in length; the others are cut somewhere.
        if keep < 20 {
            body.truncate(body.len() * keep / 20);
        }
        read_in_every_way(&body);
    }

    #[test]
    fn payloads_with_changed_values_never_panic(
        sample in 0usize..10,
        mut places in proptest::collection::vec(0usize..90, 1..4),
        with in hostile_value(),
    ) {
        let text = samples::one_of_each().swap_remove(sample).2;
        if let Ok(mut payload) = serde_json::from_str::<serde_json::Value>(&text) {
            for place in &mut places {
                replace_nth(&mut payload, place, &with);
            }
            read_in_every_way(payload.to_string().as_bytes());
        }
    }

    #[test]
    fn refs_of_sound_payloads_come_out_in_order(refs in refs()) {
        let zeros = samples::zeros();
        let action = |old: &Option<String>, new: &Option<String>| match (old, new) {
            (None, _) => "ADD",
            (_, None) => "DELETE",
            _ => "UPDATE",
        };
        let side = |name: &str, id: &Option<String>| {
            id.as_ref().map(|id| json!({"type": "branch", "name": name, "target": {"hash": id}}))
        };
        let server: Vec<_> = refs.iter().map(|(name, old, new)| json!({
            "refId": format!("refs/heads/{name}"),
            "fromHash": old.as_ref().unwrap_or(&zeros),
            "toHash": new.as_ref().unwrap_or(&zeros),
            "type": action(old, new),
        })).collect();
        let cloud: Vec<_> = refs.iter().map(|(name, old, new)| json!({
            "old": side(name, old),
            "new": side(name, new),
        })).collect();
        let repository = json!({"slug": "x", "project": {"key": "P"}});
        let bodies = [
            (SenderFormat::PostReceive, json!({"repository": &repository, "refChanges": &server})),
            (SenderFormat::BitbucketDc, json!({"repository": &repository, "changes": &server})),
            (SenderFormat::PostWebhooks, json!({"repository": &repository, "push": {"changes": &cloud}})),
            (
                SenderFormat::BitbucketCloud,
                json!({"repository": {"full_name": "o/x"}, "push": {"changes": &cloud}}),
            ),
        ];
        for (sender, body) in bodies {
            let push = samples::read(&body.to_string()).unwrap();
            prop_assert_eq!(push.sender, sender);
            prop_assert_eq!(push.changes_complete, !refs.is_empty());
            let found: Vec<_> = push.changes.iter().map(|change| (
                change.name.strip_prefix("refs/heads/").unwrap().to_owned(),
                change.old.as_ref().map(ObjectIdText::to_string),
                change.new.as_ref().map(ObjectIdText::to_string),
            )).collect();
            prop_assert_eq!(&found, &refs);
        }
    }

    #[test]
    fn forms_say_what_their_json_says(message in any::<String>()) {
        let encoded = serde_json::to_string(&message).unwrap();
        let json = samples::cloud_post_git().replace(r#""Trim the shoots\n""#, &encoded);
        prop_assert_eq!(samples::read(&samples::as_form(&json)), samples::read(&json));
    }

    #[test]
    fn a_signature_is_valid_for_its_own_body_and_secret_alone(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        secret in proptest::collection::vec(any::<u8>(), 1..100),
        flip in any::<prop::sample::Index>(),
    ) {
        let value = sign(&secret, &body);
        let headers = [("X-Hub-Signature", value.as_str())];
        prop_assert_eq!(check(&headers, &body, &[&secret]), SignatureCheck::Valid);
        let mut other = body.clone();
        other.push(b'x');
        prop_assert_eq!(check(&headers, &other, &[&secret]), SignatureCheck::Mismatch);
        let mut other = secret.clone();
        let place = flip.index(other.len());
        other[place] ^= 1;
        prop_assert_eq!(check(&headers, &body, &[&other]), SignatureCheck::Mismatch);
    }

    #[test]
    fn arbitrary_signature_headers_are_never_valid(value in any::<String>()) {
        prop_assert_ne!(check(&[("X-Hub-Signature", &value)], b"body", &[b"secret"]), SignatureCheck::Valid);
    }
}
