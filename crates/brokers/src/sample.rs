//! Made-up events for previews and tests.

use crate::event::{
    BrokerEvent, BuildResult, BuildState, Commit, EventKind, File, FileAction, Person, RefAction, RefKind,
    RefMove, Repository, Scm, VERSION,
};

/// The sample event of a kind.
#[must_use]
pub fn sample(kind: EventKind) -> BrokerEvent {
    match kind {
        EventKind::Push => sample_push(),
        EventKind::Build => sample_build(),
    }
}

/// A push of two commits to `main` and of a new tag.
#[must_use]
pub fn sample_push() -> BrokerEvent {
    let author = || Person {
        name: "grove".to_owned(),
        display_name: Some("Mei Grove".to_owned()),
        email: Some("mei@example.org".to_owned()),
    };
    let newest = "7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90";
    let first = "3e9b52d7a1c04f68be27d5903a6f81c4e20d7b15";
    BrokerEvent {
        version: VERSION,
        id: "sample-push".to_owned(),
        kind: EventKind::Push,
        time_ms: 1_772_451_296_000,
        repository: Some(repository()),
        pusher: Some(author()),
        refs: vec![
            RefMove {
                kind: RefKind::Branch,
                name: "main".to_owned(),
                full_name: "refs/heads/main".to_owned(),
                action: RefAction::Update,
                old: Some("b0d4c1e29f7a3586d1c90b24e7f5a6380d92c4e1".to_owned()),
                new: Some(newest.to_owned()),
                forced: false,
                commits: vec![
                    commit(
                        newest,
                        author(),
                        "GROVE-12: weigh each culm twice\n\nFixes #7.\n",
                        1_772_451_200_000,
                        "src/scale.rs",
                    ),
                    commit(
                        first,
                        author(),
                        "Read the scale through a trait\n",
                        1_772_447_600_000,
                        "src/main.rs",
                    ),
                ],
                commits_truncated: false,
                link: Some(
                    "https://madake.example/projects/GROVE/repos/harvest/commits?until=main".to_owned(),
                ),
            },
            RefMove {
                kind: RefKind::Tag,
                name: "v1.4".to_owned(),
                full_name: "refs/tags/v1.4".to_owned(),
                action: RefAction::Add,
                old: None,
                new: Some(newest.to_owned()),
                forced: false,
                commits: Vec::new(),
                commits_truncated: false,
                link: None,
            },
        ],
        build: None,
    }
}

/// A build that failed after one that succeeded.
#[must_use]
pub fn sample_build() -> BrokerEvent {
    BrokerEvent {
        version: VERSION,
        id: "sample-build".to_owned(),
        kind: EventKind::Build,
        time_ms: 1_772_451_420_000,
        repository: Some(repository()),
        pusher: None,
        refs: Vec::new(),
        build: Some(BuildResult {
            plan_key: "GROVE-CUT".to_owned(),
            plan_name: "Cut and dry".to_owned(),
            build_key: "GROVE-CUT-42".to_owned(),
            state: BuildState::Failed,
            previous_state: Some(BuildState::Successful),
            branch: "main".to_owned(),
            revision: Some("7c1f0c9a4be1d6e2f0b3a85d9e64c2713f5a8b90".to_owned()),
            reason: "Mei Grove pushed 2 commits".to_owned(),
            duration_ms: 83_000,
            link: "https://madake.example/browse/GROVE-CUT-42".to_owned(),
            failed_jobs: vec!["GROVE-CUT-TEST".to_owned()],
        }),
    }
}

fn repository() -> Repository {
    Repository {
        owner: "GROVE".to_owned(),
        slug: "harvest".to_owned(),
        name: "Harvest".to_owned(),
        scm: Scm::Git,
        browse_url: "https://madake.example/projects/GROVE/repos/harvest".to_owned(),
        clone_url: "https://madake.example/scm/grove/harvest.git".to_owned(),
        default_branch: Some("main".to_owned()),
    }
}

fn commit(id: &str, author: Person, message: &str, time_ms: i64, path: &str) -> Commit {
    Commit {
        id: id.to_owned(),
        author,
        message: message.to_owned(),
        time_ms,
        files: vec![File {
            path: path.to_owned(),
            action: FileAction::Modified,
        }],
        files_truncated: false,
        link: Some(format!(
            "https://madake.example/projects/GROVE/repos/harvest/commits/{id}"
        )),
    }
}
