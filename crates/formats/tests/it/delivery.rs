//! The proof that a delivery comes from somebody who knows the secret, in the way of each product.

use madake_formats::signature::delivery::{DeliveryCheck, check};
use madake_formats::signature::sign;
use madake_formats::signature::standard_webhooks::{SigningSecret, TOLERANCE_MS, headers};

const SECRET: &[u8] = b"green shoots in spring";
const BODY: &[u8] = br#"{"ref": "refs/heads/main"}"#;
const NOW: i64 = 1_700_000_000_000;

/// What the case is, headers, what they are worth.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, DeliveryCheck);

fn digits(secret: &[u8]) -> String {
    sign(secret, BODY).trim_start_matches("sha256=").to_owned()
}

#[test]
fn each_product_proves_itself_in_its_own_way() {
    let (right, wrong) = (digits(SECRET), digits(b"other"));
    let (hub, upper) = (sign(SECRET, BODY), right.to_uppercase());
    let secret = std::str::from_utf8(SECRET).unwrap();
    let table: Vec<Case<'_>> = vec![
        ("gitea", vec![("X-Gitea-Signature", &right)], DeliveryCheck::Valid),
        (
            "forgejo",
            vec![("X-Forgejo-Signature", &right)],
            DeliveryCheck::Valid,
        ),
        ("gogs", vec![("x-gogs-signature", &right)], DeliveryCheck::Valid),
        (
            "gitea, wrong",
            vec![("X-Gitea-Signature", &wrong)],
            DeliveryCheck::Mismatch("X-Gitea-Signature"),
        ),
        (
            "gitea, upper case",
            vec![("X-Gitea-Signature", &upper)],
            DeliveryCheck::Malformed("X-Gitea-Signature"),
        ),
        (
            "gitea, with the prefix of others",
            vec![("X-Gitea-Signature", &hub)],
            DeliveryCheck::Malformed("X-Gitea-Signature"),
        ),
        (
            "gitea without a secret",
            vec![("X-Gitea-Signature", "")],
            DeliveryCheck::Malformed("X-Gitea-Signature"),
        ),
        (
            "twice",
            vec![("X-Gitea-Signature", &right), ("x-gitea-signature", &right)],
            DeliveryCheck::Malformed("X-Gitea-Signature"),
        ),
        (
            "the specific one decides",
            vec![
                ("X-Hub-Signature-256", &hub),
                ("X-Gogs-Signature", &right),
                ("X-Gitea-Signature", &wrong),
            ],
            DeliveryCheck::Mismatch("X-Gitea-Signature"),
        ),
        (
            "old digests beside a good one",
            vec![
                ("X-Hub-Signature", "sha1=00"),
                ("X-Gitea-Signature", &right),
                ("X-Hub-Signature-256", &hub),
            ],
            DeliveryCheck::Valid,
        ),
        (
            "github",
            vec![("X-Hub-Signature-256", &hub), ("X-Hub-Signature", "sha1=00")],
            DeliveryCheck::Valid,
        ),
        ("bitbucket", vec![("X-Hub-Signature", &hub)], DeliveryCheck::Valid),
        (
            "sha-1 alone",
            vec![("X-Hub-Signature", "sha1=00")],
            DeliveryCheck::Unsupported("sha1"),
        ),
        (
            "no prefix",
            vec![("X-Hub-Signature-256", &right)],
            DeliveryCheck::Malformed("X-Hub-Signature-256"),
        ),
        ("gitlab", vec![("X-Gitlab-Token", secret)], DeliveryCheck::Valid),
        (
            "gitlab, wrong",
            vec![("X-Gitlab-Token", "green shoots in autumn")],
            DeliveryCheck::Mismatch("X-Gitlab-Token"),
        ),
        (
            "gitlab, longer",
            vec![("X-Gitlab-Token", "green shoots in spring ")],
            DeliveryCheck::Mismatch("X-Gitlab-Token"),
        ),
        (
            "gitlab, empty",
            vec![("X-Gitlab-Token", "")],
            DeliveryCheck::Mismatch("X-Gitlab-Token"),
        ),
        (
            "a token does not help a wrong signature",
            vec![("X-Gitlab-Token", secret), ("X-Hub-Signature-256", "x")],
            DeliveryCheck::Malformed("X-Hub-Signature-256"),
        ),
        (
            "nothing",
            vec![("X-GitHub-Event", "push")],
            DeliveryCheck::Missing,
        ),
    ];
    for (case, headers, expected) in table {
        assert_eq!(check(&headers, BODY, &[SECRET], NOW), expected, "{case}");
    }
}

#[test]
fn an_empty_secret_lets_nothing_in() {
    for (name, value) in [
        ("X-Gitlab-Token", String::new()),
        ("X-Gitea-Signature", digits(b"")),
        ("X-Hub-Signature", sign(b"", BODY)),
    ] {
        for secrets in [&[b"".as_slice()][..], &[]] {
            assert_ne!(
                check(&[(name, &value)], BODY, secrets, NOW),
                DeliveryCheck::Valid,
                "{name}"
            );
        }
    }
}

#[test]
fn while_a_secret_is_replaced_both_count() {
    for secret in [SECRET, b"the next one".as_slice()] {
        let value = digits(secret);
        assert_eq!(
            check(
                &[("X-Gitea-Signature", &value)],
                BODY,
                &[SECRET, b"the next one"],
                NOW
            ),
            DeliveryCheck::Valid
        );
    }
}

#[test]
fn standard_webhooks_hold_for_five_minutes_with_both_kinds_of_secret() {
    let encoded = SigningSecret::from_bytes(vec![7; 32]).unwrap();
    let plain = b"a plain secret of at least 24 bytes".to_vec();
    for (key, secret) in [
        (encoded.clone(), encoded.to_text().into_bytes()),
        (SigningSecret::from_bytes(plain.clone()).unwrap(), plain),
    ] {
        let signed = headers("msg_1", NOW, BODY, &[&key]).unwrap();
        let sent: Vec<(&str, &str)> = signed
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let at = |now| check(&sent, BODY, &[&secret], now);
        assert_eq!(at(NOW), DeliveryCheck::Valid);
        assert_eq!(at(NOW + TOLERANCE_MS), DeliveryCheck::Valid);
        assert_eq!(at(NOW + TOLERANCE_MS + 1000), DeliveryCheck::TooOld);
        assert_eq!(at(NOW - TOLERANCE_MS - 1000), DeliveryCheck::TooNew);
        assert_eq!(
            check(&sent, b"{}", &[&secret], NOW),
            DeliveryCheck::Mismatch("webhook-signature")
        );
        assert_eq!(
            check(&sent, BODY, &[b"short"], NOW),
            DeliveryCheck::Mismatch("webhook-signature")
        );
        assert_eq!(
            check(&sent[1..], BODY, &[&secret], NOW),
            DeliveryCheck::Malformed("webhook-id")
        );
        // GitLab may send its token, too: it does not make up for a signature that is wrong.
        let token = String::from_utf8(secret.clone()).unwrap();
        let mut both = sent.clone();
        both.push(("X-Gitlab-Token", &token));
        assert_eq!(
            check(&both, b"{}", &[&secret], NOW),
            DeliveryCheck::Mismatch("webhook-signature")
        );
    }
}
