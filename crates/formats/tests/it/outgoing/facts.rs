//! Pushes that the tests tell of.

use madake_formats::Scm;
use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{
    AccountFacts, CommitFacts, FileChange, FileChangeKind, Moment, NodeType, PersonFacts, ProjectFacts,
    PushFacts, RefMove, RepositoryFacts, ServerFacts, TagFacts,
};
use madake_formats::outgoing::{Profile, Rendered, Settings};
use madake_formats::push::RefKind;
use serde_json::Value;

use crate::samples::object;

pub(super) fn server() -> ServerFacts {
    ServerFacts {
        base_url: "https://forge.grove.example/".to_owned(),
        ssh_url: Some("ssh://git@forge.grove.example:7999".to_owned()),
    }
}

pub(super) fn hana() -> AccountFacts {
    AccountFacts {
        id: 4,
        name: "Hana".to_owned(),
        display_name: "Hana Mori".to_owned(),
        email: "hana@grove.example".to_owned(),
    }
}

pub(super) fn repository(scm: Scm) -> RepositoryFacts {
    RepositoryFacts {
        id: 7,
        name: "Grove Tools".to_owned(),
        slug: "grove-tools".to_owned(),
        owner: "GROVE".to_owned(),
        project: ProjectFacts {
            id: 3,
            key: "GROVE".to_owned(),
            name: "The Grove".to_owned(),
            description: String::new(),
            public: false,
            owner: None,
        },
        scm,
        description: "Shears and ladders".to_owned(),
        public: false,
        archived: false,
        forkable: true,
        parent: None,
        website: "https://grove.example/".to_owned(),
        default_branch: Some("main".to_owned()),
        created_ms: 1_600_000_000_000,
    }
}

pub(super) fn moment(ms: i64) -> Moment {
    Moment {
        ms,
        offset_minutes: 120,
    }
}

/// A commit of Git whose id is forty times the digit.
pub(super) fn commit(digit: char, parents: &[char]) -> CommitFacts {
    let author = PersonFacts {
        name: "Hana Mori".to_owned(),
        email: "hana@grove.example".to_owned(),
        account: Some(hana()),
    };
    CommitFacts {
        id: object(digit),
        tree: Some(object('e')),
        parents: parents.iter().copied().map(object).collect(),
        author,
        authored: moment(1_700_000_000_000),
        committer: PersonFacts {
            name: "Sora".to_owned(),
            email: "sora@elsewhere.example".to_owned(),
            account: None,
        },
        committed: moment(1_700_000_060_000),
        message: format!("Trim shoot {digit}\n\nTwice.\n"),
        revision: None,
        named_branch: None,
        files: Vec::new(),
        files_truncated: false,
    }
}

/// The same commit in Mercurial.
pub(super) fn changeset(digit: char, revision: i64, branch: &str, parents: &[char]) -> CommitFacts {
    let git = commit(digit, parents);
    CommitFacts {
        tree: None,
        committer: git.author.clone(),
        committed: git.authored,
        message: git.message.trim_end().to_owned(),
        revision: Some(revision),
        named_branch: Some(branch.to_owned()),
        ..git
    }
}

pub(super) fn file(kind: FileChangeKind, path: &str) -> FileChange {
    FileChange {
        kind,
        path: path.to_owned(),
        src_path: None,
        content_id: (kind != FileChangeKind::Delete).then(|| object('c')),
        from_content_id: (kind != FileChangeKind::Add).then(|| object('d')),
        executable: false,
        src_executable: false,
        node_type: NodeType::File,
        percent_unchanged: None,
    }
}

/// One file of each kind of change.
pub(super) fn files() -> Vec<FileChange> {
    let moved = |kind, percent| FileChange {
        src_path: Some("old/ladder.txt".to_owned()),
        percent_unchanged: Some(percent),
        ..file(kind, "new/ladder.txt")
    };
    vec![
        FileChange {
            executable: true,
            ..file(FileChangeKind::Add, "bin/trim tool#1")
        },
        FileChange {
            src_executable: true,
            ..file(FileChangeKind::Modify, "Gemfile")
        },
        file(FileChangeKind::Delete, ".rspec"),
        moved(FileChangeKind::Move, 90),
        moved(FileChangeKind::Copy, 75),
        FileChange {
            node_type: NodeType::Submodule,
            ..file(FileChangeKind::Modify, "vendor/竹")
        },
    ]
}

/// A move of a ref without commits.
pub(super) fn moved(kind: RefKind, name: &str, old: Option<char>, new: Option<char>) -> RefMove {
    let prefix = match kind {
        RefKind::Branch => "refs/heads/",
        RefKind::Tag => "refs/tags/",
        RefKind::Other | RefKind::NamedBranch | RefKind::Bookmark | RefKind::MercurialTag => "",
    };
    RefMove {
        kind,
        name: name.to_owned(),
        full_name: format!("{prefix}{name}"),
        old: old.map(object),
        new: new.map(object),
        forced: false,
        closed: false,
        commits: Vec::new(),
        commits_truncated: false,
        tip: None,
        old_tip: None,
        annotated: None,
    }
}

/// A branch that moves to the first of some commits, which all came with it.
pub(super) fn branch(name: &str, old: Option<char>, new: char, commits: &[usize]) -> RefMove {
    RefMove {
        commits: commits.to_vec(),
        tip: commits.first().copied(),
        ..moved(RefKind::Branch, name, old, Some(new))
    }
}

pub(super) fn push(scm: Scm, refs: Vec<RefMove>, commits: Vec<CommitFacts>) -> PushFacts {
    PushFacts {
        server: server(),
        repository: repository(scm),
        pusher: Some(hana()),
        pushed_at: moment(1_700_000_100_000),
        refs,
        commits,
    }
}

/// Everything that Git can do in one push: an update with a merge, a new branch, an annotated tag, a forced
/// branch, a deleted one, and a note.
pub(super) fn git_push() -> PushFacts {
    let mut merge = commit('3', &['1', '2']);
    merge.files = vec![file(FileChangeKind::Modify, "README.md")];
    let mut second = commit('2', &['1']);
    second.files = files();
    second.author.account = None;
    let tag = RefMove {
        tip: Some(2),
        annotated: Some(TagFacts {
            tagger: PersonFacts::from_raw("Sora <sora@elsewhere.example>"),
            tagged: moment(1_700_000_050_000),
            message: "Version 1\n".to_owned(),
        }),
        ..moved(RefKind::Tag, "v1.0", None, Some('a'))
    };
    let refs = vec![
        moved(RefKind::Branch, "stale", Some('9'), None),
        branch("main", Some('1'), '3', &[1, 2]),
        branch("feature/x", None, '4', &[0]),
        tag,
        RefMove {
            forced: true,
            tip: Some(3),
            ..moved(RefKind::Branch, "wip", Some('8'), Some('1'))
        },
        RefMove {
            full_name: "refs/notes/commits".to_owned(),
            name: "refs/notes/commits".to_owned(),
            ..moved(RefKind::Other, "", Some('6'), Some('7'))
        },
    ];
    let commits = vec![commit('4', &['3']), merge, second, commit('1', &[])];
    push(Scm::Git, refs, commits)
}

/// Two named branches, one closed, a bookmark and a tag in one push of Mercurial, into a person's fork.
pub(super) fn mercurial_push() -> PushFacts {
    let mut edit = changeset('2', 11, "feature A", &['1']);
    edit.files = files();
    let mut tagging = changeset('3', 12, "default", &['1', '2']);
    tagging.files = vec![file(FileChangeKind::Modify, ".hgtags")];
    let refs = vec![
        RefMove {
            closed: true,
            commits: vec![1],
            tip: Some(1),
            ..moved(RefKind::NamedBranch, "feature A", None, Some('2'))
        },
        RefMove {
            commits: vec![0],
            tip: Some(0),
            old_tip: Some(2),
            ..moved(RefKind::NamedBranch, "default", Some('1'), Some('3'))
        },
        RefMove {
            tip: Some(1),
            ..moved(RefKind::Bookmark, "@", Some('1'), Some('2'))
        },
        RefMove {
            tip: Some(1),
            ..moved(RefKind::MercurialTag, "1.0", None, Some('2'))
        },
    ];
    let commits = vec![tagging, edit, changeset('1', 10, "default", &[])];
    let mut push = push(Scm::Mercurial, refs, commits);
    let parent = RepositoryFacts {
        id: 2,
        ..repository(Scm::Mercurial)
    };
    push.repository.owner = "~Hana".to_owned();
    push.repository.project = ProjectFacts {
        id: 9,
        key: "~HANA".to_owned(),
        name: "Hana Mori".to_owned(),
        description: "My own".to_owned(),
        public: false,
        owner: Some(hana()),
    };
    push.repository.parent = Some(Box::new(parent));
    push
}

/// One delivery, as JSON with the order of its keys.
pub(super) fn one(profile: Profile, facts: &PushFacts, settings: &Settings) -> Value {
    let mut rendered = profile.render(facts, settings);
    assert_eq!(rendered.len(), 1, "{profile}");
    json(&rendered.remove(0))
}

/// The JSON of a delivery, out of its form if it is one.
pub(super) fn json(rendered: &Rendered) -> Value {
    serde_json::from_slice(&json_text(rendered)).unwrap()
}

pub(super) fn json_text(rendered: &Rendered) -> Vec<u8> {
    if rendered.content_type != "application/x-www-form-urlencoded" {
        return rendered.body.clone();
    }
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(&rendered.body).into_owned().collect();
    assert_eq!(fields.len(), 1);
    let (name, value) = fields.remove(0);
    assert_eq!(name, "payload");
    value.into_bytes()
}

/// The keys of an object, in order.
pub(super) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(super) fn id_of(text: &str) -> ObjectIdText {
    ObjectIdText::parse(text).unwrap()
}
