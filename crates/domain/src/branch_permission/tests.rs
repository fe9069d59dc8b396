//! Branch permissions: tables of patterns and of rules, and what must hold for all of them.

use proptest::prelude::*;

use super::*;
use crate::permission::UserPrincipal;

fn user(name: &str, groups: &[&str], administrator: bool) -> Principal {
    Principal::User(UserPrincipal {
        id: 1,
        name: name.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        administrator,
        token_limit: None,
    })
}

fn rule(id: i64, pattern: &str, restrictions: &[Restriction]) -> BranchRule {
    BranchRule {
        id,
        pattern: pattern.parse().expect(pattern),
        restrictions: restrictions.iter().copied().collect(),
        exempt_users: vec!["Hana".into()],
        exempt_groups: vec!["releasers".into()],
    }
}

#[test]
fn patterns_match_the_last_parts_of_a_name_and_names_the_whole() {
    let table: [(&str, &[&str], &[&str]); 10] = [
        ("main", &["main"], &["team/main", "main2", "Main", "mai"]),
        ("refs/heads/main", &["main"], &["refs/heads/main"]),
        (
            "release/*",
            &["release/1.0", "team/release/1", "release/"],
            &["release", "release/1/fix", "prerelease/1"],
        ),
        ("release/**", &["release/1", "release/1/fix"], &["release"]),
        ("release/", &["release/1", "release/1/fix"], &["release"]),
        (
            "hotfix-*",
            &["hotfix-1", "team/hotfix-1"],
            &["a-hotfix-1", "hotfix-1/x"],
        ),
        ("heads/hotfix-*", &["hotfix-1"], &["team/hotfix-1"]),
        ("heads/**/master*", &["master", "stable/master2"], &["amaster"]),
        ("?.?", &["1.1", "stable/2.x"], &["1.10", "1a1a"]),
        ("**", &["main", "a/b/c", "+(.)"], &[]),
    ];
    for (pattern, matching, others) in table {
        let read: BranchPattern = pattern.parse().expect(pattern);
        for name in matching {
            assert!(read.matches(name), "{pattern} does not match {name}");
        }
        for name in others {
            assert!(!read.matches(name), "{pattern} matches {name}");
        }
    }
}

#[test]
fn texts_that_can_match_no_branch_are_refused() {
    let long = "x*".repeat(300);
    for bad in [
        "",
        "-x",
        "-*",
        "a b",
        "a b*",
        "/x*",
        "a//b*",
        "/",
        "a\n*",
        "a:*",
        "[ab]*",
        "tags/*",
        "refs/tags/**",
        "HEAD",
        &long,
    ] {
        assert!(BranchPattern::of(bad, Scm::Git).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn names_of_mercurial_may_have_what_git_does_not_allow() {
    let table: [(&str, &[&str], &[&str]); 4] = [
        ("my branch", &["my branch"], &["my", "a/my branch"]),
        ("my *", &["my branch", "team/my branch"], &["your branch"]),
        ("a//b", &["a//b"], &["a/b"]),
        ("[x]^*", &["[x]^1"], &["x1"]),
    ];
    for (text, matching, others) in table {
        let pattern = BranchPattern::of(text, Scm::Hg).expect(text);
        assert!(BranchPattern::of(text, Scm::Git).is_err(), "{text}");
        // As the store reads it again.
        assert_eq!(text.parse::<BranchPattern>().as_ref(), Ok(&pattern));
        for name in matching {
            assert!(pattern.matches(name), "{text} does not match {name}");
        }
        for name in others {
            assert!(!pattern.matches(name), "{text} matches {name}");
        }
    }
    for bad in ["", "-x", "tip", "12", "a:b", "a:*", " x", "a\n*", "tags/*", "/"] {
        assert!(BranchPattern::of(bad, Scm::Hg).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn each_restriction_forbids_its_moves_to_everybody_who_is_not_exempt() {
    use BranchMove::{Create, Delete, Update};
    use Restriction::{FastForwardOnly, NoDeletes, ReadOnly};
    let joe = user("joe", &["devs"], false);
    let administrator = user("root", &[], true);
    // A letter for each of making, moving and deleting: allowed, forward only, refused.
    let table: [(&[Restriction], &str); 5] = [
        (&[FastForwardOnly], "afa"),
        (&[NoDeletes], "aar"),
        (&[ReadOnly], "rrr"),
        (&[FastForwardOnly, NoDeletes], "afr"),
        (&[FastForwardOnly, ReadOnly], "rrr"),
    ];
    let letter = |verdict| match verdict {
        BranchVerdict::Allowed => 'a',
        BranchVerdict::ForwardOnly(_) => 'f',
        BranchVerdict::Refused(_) => 'r',
    };
    for (restrictions, expected) in table {
        let rules = [rule(1, "release/*", restrictions)];
        let verdicts = |who: &Principal, branch: &str| -> String {
            let moves = [Create, Update, Delete].into_iter();
            moves
                .map(|wanted| letter(judge(&rules, who, branch, wanted)))
                .collect()
        };
        for who in [&joe, &administrator, &Principal::Local, &Principal::Anonymous] {
            assert_eq!(
                verdicts(who, "release/1"),
                expected,
                "{restrictions:?} for {who:?}"
            );
            assert_eq!(verdicts(who, "main"), "aaa");
        }
        for who in [
            &user("HANA", &[], false),
            &user("kim", &["x", "Releasers"], false),
        ] {
            assert_eq!(verdicts(who, "release/1"), "aaa", "{who:?} is exempt");
        }
    }
}

#[test]
fn an_exemption_from_one_rule_is_none_from_another_and_the_sentence_names_the_rule() {
    let hana = user("hana", &[], false);
    let mut second = rule(2, "**", &[Restriction::NoDeletes]);
    second.exempt_users.clear();
    let rules = [rule(1, "release/*", &[Restriction::ReadOnly]), second];
    assert_eq!(
        judge(&rules, &hana, "release/1", BranchMove::Update),
        BranchVerdict::Allowed
    );
    assert_eq!(
        judge(&rules, &hana, "release/1", BranchMove::Delete),
        BranchVerdict::Refused("release/1 may not be deleted (branch permission 2 on **)".into())
    );
}

fn any_rule() -> impl Strategy<Value = BranchRule> {
    let pattern = prop::sample::select(vec!["main", "release/*", "**", "heads/a*", "x/", "?.?"]);
    let restrictions = prop::collection::btree_set(prop::sample::select(Restriction::ALL.to_vec()), 1..4);
    let people = prop::collection::vec(prop::sample::select(vec!["joe".to_owned(), "kim".into()]), 0..2);
    (1..99_i64, pattern, restrictions, people.clone(), people).prop_map(
        |(id, pattern, restrictions, exempt_users, exempt_groups)| BranchRule {
            id,
            pattern: pattern.parse().expect("a pattern"),
            restrictions,
            exempt_users,
            exempt_groups,
        },
    )
}

fn strictness(verdict: &BranchVerdict) -> u8 {
    match verdict {
        BranchVerdict::Allowed => 0,
        BranchVerdict::ForwardOnly(_) => 1,
        BranchVerdict::Refused(_) => 2,
    }
}

proptest! {
    #[test]
    fn another_rule_never_allows_more(
        rules in prop::collection::vec(any_rule(), 0..4),
        more in any_rule(),
        branch in prop::sample::select(vec!["main", "release/1", "a", "x/y", "1.1"]),
        wanted in prop::sample::select(vec![BranchMove::Create, BranchMove::Update, BranchMove::Delete]),
        name in prop::sample::select(vec!["joe", "ann"]),
    ) {
        let who = user(name, &["kim"], true);
        let before = judge(&rules, &who, branch, wanted);
        let with_more: Vec<BranchRule> = rules.iter().cloned().chain([more]).collect();
        let after = judge(&with_more, &who, branch, wanted);
        prop_assert!(strictness(&after) >= strictness(&before));
        let mut reversed = with_more;
        reversed.reverse();
        prop_assert_eq!(strictness(&judge(&reversed, &who, branch, wanted)), strictness(&after));
    }

    #[test]
    fn any_text_is_refused_or_matches_in_bounded_time(text in "[a-z*?/.+(){}|\\[\\]]{0,60}", name in "[a-z/.]{1,200}") {
        if let Ok(pattern) = text.parse::<BranchPattern>() {
            let again: BranchPattern = pattern.as_str().parse().expect("its own text");
            prop_assert_eq!(pattern.matches(&name), again.matches(&name));
        }
    }

    #[test]
    fn a_name_is_about_itself_alone(name in "[a-z]{1,8}(/[a-z0-9]{1,8}){0,3}", other in "[a-z]{1,8}") {
        if let Ok(pattern) = name.parse::<BranchPattern>() {
            prop_assert!(pattern.matches(&name));
            prop_assert_eq!(pattern.matches(&other), name == other);
        }
    }
}
