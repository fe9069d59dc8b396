//! Ref names and object ids: our rules against those of `git check-ref-format` (W10-W12, G6, G7).

use std::process::Command;

use madake_vcs::name::{BranchName, NameError, ObjectId, RefKind, RefName, check_ref_format};
use proptest::prelude::*;

fn git_accepts(name: &str) -> bool {
    Command::new("git")
        .args(["check-ref-format", name])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .status()
        .unwrap()
        .success()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_are_those_of_git_check_ref_format(
        name in "(refs/)?(heads/)?([a-zé@.{}/~^:?*\\[\\\\ \x01\x7f-]|\\.lock|@\\{|HEAD|//|\\.\\.){1,8}"
    ) {
        prop_assert_eq!(check_ref_format(&name).is_ok(), git_accepts(&name), "{:?}", name);
    }

    #[test]
    fn object_ids_come_back_as_they_were(id in "[0-9a-f]{40}|[0-9a-f]{64}") {
        let parsed = ObjectId::parse(&id).unwrap();
        prop_assert_eq!(parsed.to_string(), id.clone());
        prop_assert_eq!(ObjectId::from_raw(parsed.as_raw()).unwrap(), parsed);
        prop_assert_eq!(parsed.is_sha256(), id.len() == 64);
    }
}

#[test]
fn hostile_branch_names_are_refused_with_the_reason() {
    for (name, reason) in [
        ("--upload-pack=touch /tmp/x", NameError::ForbiddenCharacter(' ')),
        ("--upload-pack=x", NameError::LeadingDash),
        ("-", NameError::LeadingDash),
        ("feature/-x", NameError::LeadingDash),
        ("a\nb", NameError::ControlCharacter),
        ("a\0b", NameError::ControlCharacter),
        ("a..b", NameError::ForbiddenSequence("..")),
        ("../../etc/passwd", NameError::ForbiddenSequence("..")),
        ("@{-1}", NameError::ForbiddenSequence("@{")),
        ("@", NameError::LoneAt),
        ("x.lock", NameError::LockSuffix),
        ("x.lock/y", NameError::LockSuffix),
        (".hidden", NameError::LeadingDot),
        ("ends.", NameError::TrailingDot),
        ("a//b", NameError::EmptyComponent),
        ("a/", NameError::EmptyComponent),
        ("", NameError::Empty),
        ("HEAD", NameError::Head),
        ("refs/heads/x", NameError::NestedRefs),
        ("a^b", NameError::ForbiddenCharacter('^')),
    ] {
        assert_eq!(BranchName::parse(name), Err(reason), "{name:?}");
    }
    assert_eq!(BranchName::parse(&"x".repeat(251)), Err(NameError::TooLong));
    assert_eq!(
        RefName::parse("refs/heads/refs/heads/x"),
        Err(NameError::NestedRefs)
    );
    assert_eq!(RefName::parse("refs/heads/HEAD"), Err(NameError::Head));
    assert_eq!(RefName::parse("master"), Err(NameError::NotFull));
    assert_eq!(RefName::parse("refs/stash"), Err(NameError::NotFull));
    assert_eq!(RefName::parse("heads/master"), Err(NameError::NotFull));
    assert_eq!(RefName::from_bytes(b"refs/heads/\xff"), Err(NameError::NotUtf8));
}

#[test]
fn names_that_only_a_shell_would_mind_are_accepted_as_data() {
    for name in [
        "$(id)",
        "`id`",
        ";id",
        "a&b",
        "a'b\"c",
        "feature/竹",
        "%PATH%",
        "a=b",
        "#1",
        "<script>",
    ] {
        assert_eq!(BranchName::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn names_that_differ_in_case_or_unicode_form_stay_distinct() {
    let names =
        ["Feature", "feature", "caf\u{e9}", "cafe\u{301}"].map(|name| BranchName::parse(name).unwrap());
    let distinct: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn ref_tells_its_kind_and_short_name() {
    let branch = RefName::parse("refs/heads/a/b").unwrap();
    assert_eq!((branch.kind(), branch.short()), (RefKind::Branch, "a/b"));
    assert_eq!(branch.branch().unwrap().ref_name(), branch);
    let tag = RefName::parse("refs/tags/v1").unwrap();
    assert_eq!(
        (tag.kind(), tag.tag(), tag.branch()),
        (RefKind::Tag, Some("v1"), None)
    );
    let note = RefName::parse("refs/notes/commits").unwrap();
    assert_eq!((note.kind(), note.short()), (RefKind::Other, "notes/commits"));
}

#[test]
fn only_full_lower_case_object_ids_are_accepted() {
    for text in [
        "-n1",
        "",
        "abc",
        &"a".repeat(39),
        &"a".repeat(41),
        &"A".repeat(40),
        &"g".repeat(40),
        &"é".repeat(20),
    ] {
        assert_eq!(ObjectId::parse(text), Err(NameError::NotAnObjectId), "{text}");
    }
    assert!(ObjectId::parse(&"0".repeat(40)).unwrap().is_zero());
    assert_eq!(ObjectId::parse(&"0".repeat(40)).unwrap(), ObjectId::ZERO);
    assert!(!ObjectId::parse(&"1".repeat(40)).unwrap().is_zero());
    assert_eq!(
        ObjectId::parse(&"a".repeat(40)).unwrap().abbreviated(7),
        "aaaaaaa"
    );
}

#[test]
fn deserialisation_goes_through_the_guard() {
    assert!(serde_json::from_str::<BranchName>("\"master\"").is_ok());
    assert!(serde_json::from_str::<BranchName>("\"-x\"").is_err());
    assert!(serde_json::from_str::<RefName>("\"refs/heads/a..b\"").is_err());
    assert!(serde_json::from_str::<ObjectId>("\"HEAD\"").is_err());
}
