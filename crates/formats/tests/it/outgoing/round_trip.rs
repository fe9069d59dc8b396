//! What is written is read back by the readers of this crate.

use std::collections::BTreeSet;

use madake_formats::outgoing::facts::{FileChangeKind, RefMove};
use madake_formats::outgoing::{DcVersion, Profile, PushFacts, Rendered, Settings, Signing};
use madake_formats::push::RefKind;
use madake_formats::signature::{self, SignatureCheck};
use madake_formats::{Action, Limits, NotAPush, Push, PushError, Scm, SenderFormat, read_push};
use proptest::prelude::*;

use super::facts::{self, branch, changeset, commit, file, git_push, mercurial_push, moved, push};
use crate::samples::object;

fn read(rendered: &Rendered) -> Result<Push, PushError> {
    let mut headers = vec![("Content-Type", rendered.content_type)];
    headers.extend(
        rendered
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    read_push(&headers, &rendered.body, &Limits::default())
}

fn reader_of(profile: Profile) -> Option<SenderFormat> {
    match profile {
        Profile::PostReceive(_) => Some(SenderFormat::PostReceive),
        Profile::CloudPost => Some(SenderFormat::CloudPost),
        Profile::BitbucketDc => Some(SenderFormat::BitbucketDc),
        Profile::BitbucketCloud => Some(SenderFormat::BitbucketCloud),
        Profile::PostWebhooks => Some(SenderFormat::PostWebhooks),
        Profile::GitHub => Some(SenderFormat::GitHub),
        Profile::Native => Some(SenderFormat::Native),
    }
}

type Change = (String, RefKind, Option<String>, Option<String>, Action);

/// What the reader of a profile must find, of refs that moved.
fn expected(profile: Profile, push: &PushFacts, refs: &[&RefMove]) -> Vec<Change> {
    let id = |id: &Option<madake_formats::object_id::ObjectIdText>| id.as_ref().map(ToString::to_string);
    let tip = |index: Option<usize>| Some(push.commits.get(index?)?.id.to_string());
    let moved = |moved: &&RefMove| match profile {
        Profile::PostReceive(_) | Profile::BitbucketDc | Profile::GitHub => {
            let name = moved.git_name();
            let kind = RefKind::of_git_ref(&name);
            Some((name, kind, id(&moved.old), id(&moved.new), moved.action()?))
        }
        Profile::BitbucketCloud | Profile::PostWebhooks => Some((
            moved.full_name.clone(),
            moved.kind,
            tip(moved.old_tip)
                .filter(|_| moved.old.is_some())
                .or(id(&moved.old)),
            tip(moved.tip).filter(|_| moved.new.is_some()).or(id(&moved.new)),
            moved.action()?,
        )),
        Profile::Native => {
            let name = match moved.kind {
                RefKind::Branch | RefKind::Tag | RefKind::Other => &moved.full_name,
                RefKind::NamedBranch | RefKind::Bookmark | RefKind::MercurialTag => &moved.name,
            };
            Some((
                name.clone(),
                moved.kind,
                id(&moved.old),
                id(&moved.new),
                moved.action()?,
            ))
        }
        Profile::CloudPost => None,
    };
    refs.iter()
        .filter(|moved| {
            moved.kind != RefKind::Other || matches!(profile, Profile::PostReceive(_) | Profile::Native)
        })
        .filter_map(moved)
        .collect()
}

fn found(push: &Push) -> Vec<Change> {
    push.changes
        .iter()
        .map(|change| {
            let id =
                |id: &Option<madake_formats::object_id::ObjectIdText>| id.as_ref().map(ToString::to_string);
            (
                change.name.clone(),
                change.kind,
                id(&change.old),
                id(&change.new),
                change.action,
            )
        })
        .collect()
}

/// The paths that a push touched, as far as facts tell.
fn paths(push: &PushFacts) -> BTreeSet<&str> {
    push.refs
        .iter()
        .flat_map(|moved| &moved.commits)
        .filter_map(|index| push.commits.get(*index))
        .flat_map(|commit| &commit.files)
        .flat_map(|file| [Some(file.path.as_str()), file.src_path.as_deref()])
        .flatten()
        .collect()
}

fn check(push: &PushFacts, settings: &Settings) {
    for profile in Profile::ALL {
        let all: Vec<&RefMove> = push.refs.iter().collect();
        let rendered = profile.render(push, settings);
        let Some(sender) = reader_of(profile) else {
            continue;
        };
        let mut changes = Vec::new();
        for delivery in &rendered {
            let read = read(delivery).unwrap_or_else(|error| panic!("{profile}: {error}"));
            assert_eq!(read.sender, sender, "{profile}");
            assert_eq!(read.repository.slug, push.repository.slug);
            if profile != Profile::GitHub {
                assert_eq!(read.repository.scm, Some(push.repository.scm));
            }
            changes.extend(found(&read));
            // GitHub's push is of one ref whatever the settings say.
            let per_ref = settings.delivery_per_ref || profile == Profile::GitHub;
            if let (Some(known), false) = (read.known_paths(), per_ref) {
                // A copy leaves its source as it was; to name it is no harm.
                let known: BTreeSet<&str> = known.collect();
                let touched = push.commits.iter().flat_map(|commit| &commit.files);
                let sources: BTreeSet<&str> = touched
                    .filter(|file| file.kind == FileChangeKind::Copy)
                    .filter_map(|file| file.src_path.as_deref())
                    .collect();
                let missing: Vec<&str> = paths(push).difference(&known).copied().collect();
                assert!(
                    missing.iter().all(|path| sources.contains(path)),
                    "{profile}: {missing:?}"
                );
            }
        }
        if profile == Profile::CloudPost {
            check_branches(push, &changes);
        } else {
            assert_eq!(changes, expected(profile, push, &all), "{profile}");
        }
    }
}

/// The POST service tells branches by their commits alone.
fn check_branches(push: &PushFacts, found: &[Change]) {
    for (name, _, old, _, action) in found {
        assert_eq!((old, action), (&None, &Action::Update), "{name}");
    }
    let mut told: Vec<(String, Option<String>)> = found
        .iter()
        .map(|(name, _, _, new, _)| (name.clone(), new.clone()))
        .collect();
    let mut expected: Vec<(String, Option<String>)> = push
        .refs
        .iter()
        .filter(|moved| matches!(moved.kind, RefKind::Branch | RefKind::NamedBranch))
        .filter(|moved| !moved.commits.is_empty())
        .map(|moved| {
            let tip = moved.commits.first().and_then(|index| push.commits.get(*index));
            (moved.full_name.clone(), tip.map(|tip| tip.id.to_string()))
        })
        .collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

fn every_setting() -> Vec<Settings> {
    let mut all = Vec::new();
    for dc_version in [DcVersion::V5, DcVersion::V6, DcVersion::V9, DcVersion::V10] {
        for delivery_per_ref in [false, true] {
            all.push(Settings {
                delivery_per_ref,
                dc_version,
                cloud_post_truncated: dc_version == DcVersion::V9,
                ..Settings::default()
            });
        }
    }
    all
}

#[test]
fn every_profile_is_read_back_with_the_same_refs() {
    for settings in every_setting() {
        check(&git_push(), &settings);
        check(&mercurial_push(), &settings);
    }
}

#[test]
fn a_body_that_left_files_out_is_never_read_as_whole() {
    let mut long = commit('2', &['1']);
    long.files = (0..20)
        .map(|number| file(FileChangeKind::Modify, &format!("f{number}")))
        .collect();
    let facts = push(Scm::Git, vec![branch("main", Some('1'), '2', &[0])], vec![long]);
    let settings = |files| Settings {
        files,
        cloud_post_truncated: true,
        ..Settings::default()
    };
    for profile in Profile::ALL {
        if !matches!(profile, Profile::PostReceive(_) | Profile::CloudPost) {
            continue;
        }
        let known = |settings: &Settings, facts: &PushFacts| {
            let rendered = profile.render(facts, settings);
            let read = read(&rendered[0]).unwrap();
            read.commits_complete && read.commits.iter().all(|commit| commit.paths_complete)
        };
        assert!(known(&settings(20), &facts), "{profile}");
        assert!(!known(&settings(19), &facts), "{profile}");
        assert!(!known(&settings(0), &facts), "{profile}");
        let mut cut = facts.clone();
        cut.commits[0].files_truncated = true;
        assert!(!known(&settings(20), &cut), "{profile}");
        let mut cut = facts.clone();
        cut.refs[0].commits_truncated = true;
        assert!(!known(&settings(20), &cut), "{profile}");
    }
}

#[test]
fn a_ping_is_read_as_a_ping() {
    let ping = Profile::BitbucketDc.ping().unwrap();
    assert_eq!(read(&ping), Err(PushError::NotAPush(NotAPush::Ping)));
}

#[test]
fn signed_bodies_pass_the_check() {
    let secrets: [&[u8]; 3] = [b"", b"new secret", b"old secret"];
    for profile in Profile::ALL {
        let rendered = &profile.render(&git_push(), &Settings::default())[0];
        let signed = match profile.signing() {
            Signing::Hub(header) => {
                let value = signature::sign_first(&secrets, &rendered.body).unwrap();
                assert_eq!(value, signature::sign(b"new secret", &rendered.body));
                vec![(header, value)]
            }
            Signing::GitHub => signature::sign_as_github(&secrets, &rendered.body)
                .unwrap()
                .to_vec(),
            Signing::None | Signing::StandardWebhooks => continue,
        };
        let headers: Vec<(&str, &str)> = signed
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            signature::check(&headers, &rendered.body, &secrets),
            SignatureCheck::Valid,
            "{profile}"
        );
    }
    assert_eq!(signature::sign_first(&[], b"body"), None);
    assert_eq!(signature::sign_first(&[b""], b"body"), None);
    assert_eq!(signature::sign_as_github(&[b""], b"body"), None);
}

/// The values are those of RFC 2202 and RFC 4231, the second case of each.
#[test]
fn github_signs_by_sha_256_and_by_sha_1() {
    let signed = signature::sign_as_github(&[b"Jefe"], b"what do ya want for nothing?").unwrap();
    let by_256 = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let by_1 = "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    assert_eq!(
        signed,
        [
            ("X-Hub-Signature-256", by_256.to_owned()),
            ("X-Hub-Signature", by_1.to_owned())
        ]
    );
}

/// Pushes of up to five refs, each with a straight line of commits.
fn sound_push() -> impl Strategy<Value = PushFacts> {
    let path = "[a-z]{1,4}(/[a-zA-Z0-9 ._#%竹-]{1,6}){0,2}x";
    let one_ref = (
        "[a-z][a-z0-9/_]{0,6}x",
        0..3_u8,
        0..3_usize,
        any::<bool>(),
        prop::collection::vec(path, 0..3),
    );
    let kinds = prop::collection::vec(one_ref, 1..5);
    (any::<bool>(), kinds).prop_map(|(is_git, refs)| {
        let scm = if is_git { Scm::Git } else { Scm::Mercurial };
        let mut commits = Vec::new();
        let mut names = BTreeSet::new();
        let mut moves = Vec::new();
        for (place, (name, action, count, is_tag, paths)) in refs.into_iter().enumerate() {
            if !names.insert(name.clone()) {
                continue;
            }
            let kind = match (scm, is_tag) {
                (Scm::Git, false) => RefKind::Branch,
                (Scm::Git, true) => RefKind::Tag,
                (Scm::Mercurial, false) => RefKind::NamedBranch,
                (Scm::Mercurial, true) => RefKind::Bookmark,
            };
            let count = if action == 2 || is_tag { 0 } else { count };
            let digits = ["123", "456", "789", "abc", "def"][place].chars();
            let digits: Vec<char> = digits.take(count).collect();
            let start = commits.len();
            for (step, digit) in digits.iter().enumerate() {
                let parents: Vec<char> = digits.get(step + 1).copied().into_iter().collect();
                let mut one = match scm {
                    Scm::Git => commit(*digit, &parents),
                    Scm::Mercurial => changeset(*digit, 1, &name, &parents),
                };
                one.files = paths
                    .iter()
                    .map(|path| file(FileChangeKind::Modify, path))
                    .collect();
                commits.push(one);
            }
            let (old, new) = (object('e'), object('f'));
            moves.push(RefMove {
                old: (action != 0).then_some(old),
                new: (action != 2).then(|| digits.first().copied().map_or(new, object)),
                commits: (start..start + count).collect(),
                tip: (count > 0).then_some(start),
                ..moved(kind, &name, None, None)
            });
        }
        facts::push(scm, moves, commits)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sound_push_is_read_back_with_the_same_refs(push in sound_push(), per_ref in any::<bool>(), files in 0..8_usize) {
        let settings = Settings {
            delivery_per_ref: per_ref,
            cloud_post_truncated: true,
            files,
            ..Settings::default()
        };
        check(&push, &settings);
    }
}
