//! Whatever the facts are, rendering ends, and with well-formed bytes.

use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{
    AccountFacts, CommitFacts, FileChange, FileChangeKind, Moment, NodeType, PersonFacts, PushFacts, RefMove,
    TagFacts,
};
use madake_formats::outgoing::{DcVersion, PageLimits, Profile, Settings};
use madake_formats::push::RefKind;
use madake_formats::{Scm, text};
use proptest::prelude::*;

use super::facts::{git_push, json, json_text, push};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("\u{202e}\u{1b}[31mevil\u{7f}\r\n\0\"\\".to_owned()),
        Just("../..//.".to_owned()),
        Just(String::new()),
        "[a-z]{1,8}",
    ]
}

fn id() -> impl Strategy<Value = ObjectIdText> {
    prop_oneof!["[0-9a-f]{39}[1-9a-f]", "[0-9a-f]{63}[1-9a-f]"]
        .prop_map(|id| ObjectIdText::parse(&id).unwrap())
}

fn moment() -> impl Strategy<Value = Moment> {
    (any::<i64>(), any::<i32>()).prop_map(|(ms, offset_minutes)| Moment { ms, offset_minutes })
}

fn account() -> impl Strategy<Value = AccountFacts> {
    (any::<i64>(), name(), name(), name()).prop_map(|(id, name, display_name, email)| AccountFacts {
        id,
        name,
        display_name,
        email,
    })
}

fn person() -> impl Strategy<Value = PersonFacts> {
    (name(), name(), prop::option::of(account())).prop_map(|(name, email, account)| PersonFacts {
        name,
        email,
        account,
    })
}

fn file() -> impl Strategy<Value = FileChange> {
    let kind = prop::sample::select(vec![
        FileChangeKind::Add,
        FileChangeKind::Modify,
        FileChangeKind::Delete,
        FileChangeKind::Move,
        FileChangeKind::Copy,
    ]);
    let node = prop::sample::select(vec![NodeType::File, NodeType::Directory, NodeType::Submodule]);
    let ids = (prop::option::of(id()), prop::option::of(id()));
    let paths = (name(), prop::option::of(name()));
    (kind, node, ids, paths, any::<(bool, bool, Option<u8>)>()).prop_map(
        |(kind, node_type, ids, paths, (executable, src_executable, percent_unchanged))| FileChange {
            kind,
            path: paths.0,
            src_path: paths.1,
            content_id: ids.0,
            from_content_id: ids.1,
            executable,
            src_executable,
            node_type,
            percent_unchanged,
        },
    )
}

fn commit() -> impl Strategy<Value = CommitFacts> {
    let people = (person(), moment(), person(), moment());
    let texts = (name(), any::<Option<i64>>(), prop::option::of(name()));
    let files = (prop::collection::vec(file(), 0..4), any::<bool>());
    let ids = (id(), prop::option::of(id()), prop::collection::vec(id(), 0..3));
    (ids, people, texts, files).prop_map(|(ids, people, texts, files)| CommitFacts {
        id: ids.0,
        tree: ids.1,
        parents: ids.2,
        author: people.0,
        authored: people.1,
        committer: people.2,
        committed: people.3,
        message: texts.0,
        revision: texts.1,
        named_branch: texts.2,
        files: files.0,
        files_truncated: files.1,
    })
}

fn ref_move() -> impl Strategy<Value = RefMove> {
    let kind = prop::sample::select(vec![
        RefKind::Branch,
        RefKind::Tag,
        RefKind::Other,
        RefKind::NamedBranch,
        RefKind::Bookmark,
        RefKind::MercurialTag,
    ]);
    let ids = (prop::option::of(id()), prop::option::of(id()));
    let tag = (person(), moment(), name()).prop_map(|(tagger, tagged, message)| TagFacts {
        tagger,
        tagged,
        message,
    });
    let indexes = (
        prop::collection::vec(0..6_usize, 0..5),
        prop::option::of(0..6_usize),
        prop::option::of(0..6_usize),
    );
    let flags = any::<(bool, bool, bool)>();
    (kind, name(), name(), ids, indexes, flags, prop::option::of(tag)).prop_map(
        |(kind, name, full_name, ids, indexes, flags, annotated)| RefMove {
            kind,
            name,
            full_name,
            old: ids.0,
            new: ids.1,
            forced: flags.0,
            closed: flags.1,
            commits: indexes.0,
            commits_truncated: flags.2,
            tip: indexes.1,
            old_tip: indexes.2,
            annotated,
        },
    )
}

fn any_push() -> impl Strategy<Value = PushFacts> {
    let refs = prop::collection::vec(ref_move(), 0..4);
    let commits = prop::collection::vec(commit(), 0..4);
    let names = [name(), name(), name(), name(), name()];
    let people = (prop::option::of(account()), prop::option::of(account()), moment());
    let flags = any::<(bool, bool, bool, i64)>();
    (refs, commits, names, people, flags).prop_map(|(refs, commits, names, people, flags)| {
        let scm = if flags.0 { Scm::Git } else { Scm::Mercurial };
        let mut push = push(scm, refs, commits);
        let [base_url, slug, owner, key, description] = names;
        push.server.base_url = base_url;
        push.repository.slug = slug;
        push.repository.owner = owner;
        push.repository.project.key = key;
        push.repository.description = description;
        push.repository.created_ms = flags.3;
        push.pusher = people.0;
        push.repository.project.owner = people.1;
        push.pushed_at = people.2;
        if flags.1 {
            push.repository.parent = Some(Box::new(push.repository.clone()));
        }
        push
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let versions = vec![DcVersion::V5, DcVersion::V6, DcVersion::V9, DcVersion::V10];
    let pages = (0..3_usize, 0..3_usize, 0..3_usize).prop_map(|limits| PageLimits {
        changesets: limits.0,
        changesets_of_deletion: limits.1,
        changes: limits.2,
    });
    let limits = (prop::option::of(pages), prop::option::of(0..3_usize), 0..6_usize);
    let rest = (
        any::<(bool, bool)>(),
        prop::sample::select(versions),
        prop::option::of(name()),
    );
    (limits, rest).prop_map(|(limits, rest)| Settings {
        delivery_per_ref: rest.0.0,
        pages: limits.0,
        commits: limits.1,
        files: limits.2,
        cloud_post_truncated: rest.0.1,
        dc_version: rest.1,
        hook_uuid: rest.2,
        ..Settings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_facts_give_well_formed_bodies_without_active_characters(push in any_push(), settings in any_settings()) {
        let refs = push.refs.iter().filter(|moved| moved.action().is_some()).count();
        for profile in Profile::ALL {
            let rendered = profile.render(&push, &settings);
            prop_assert!(rendered.len() <= refs);
            for delivery in &rendered {
                let text = String::from_utf8(json_text(delivery)).unwrap();
                prop_assert!(!text.chars().any(text::is_active), "{profile}: {text:?}");
                prop_assert!(json(delivery).is_object());
                prop_assert_eq!(delivery, &profile.render(&push, &settings)[position(&rendered, delivery)]);
                for (name, value) in &delivery.headers {
                    prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{name}: {value:?}");
                }
            }
        }
    }
}

fn position<T>(list: &[T], entry: &T) -> usize {
    list.iter()
        .position(|candidate| std::ptr::eq(candidate, entry))
        .unwrap()
}

#[test]
fn hostile_names_stay_data() {
    let evil = "\u{202e}gnp.exe\u{1b}[2J\u{0}\u{9b}</script>\"";
    let mut facts = git_push();
    facts.refs[1].name = evil.to_owned();
    facts.refs[1].full_name = format!("refs/heads/{evil}");
    facts.commits[1].message = evil.to_owned();
    facts.commits[1].author.name = evil.to_owned();
    facts.commits[1].files[0].path = evil.to_owned();
    for profile in Profile::ALL {
        for delivery in profile.render(&facts, &Settings::default()) {
            let text = String::from_utf8(json_text(&delivery)).unwrap();
            assert!(!text.chars().any(text::is_active), "{profile}");
        }
    }
    let body = super::facts::one(Profile::Native, &facts, &Settings::default());
    assert_eq!(body["data"]["commits"][1]["message"], evil);
    assert_eq!(body["data"]["refs"][1]["name"], evil);
}
