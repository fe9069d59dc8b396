//! The documented samples and the captured bodies, where they are at hand: facts are read from each, and
//! the body that is rendered from them must be the one they were read from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use madake_formats::object_id::ObjectIdText;
use madake_formats::outgoing::facts::{
    AccountFacts, CommitFacts, FileChange, FileChangeKind, Moment, NodeType, PersonFacts, PushFacts, RefMove,
};
use madake_formats::outgoing::{DcVersion, Generation, PageLimits, Profile, Settings};
use madake_formats::push::RefKind;
use madake_formats::{Scm, outgoing};
use serde_json::Value;

use super::facts::{self, id_of};

fn shared(below: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let corpus = std::env::var_os("MADAKE_CORPUS").map(PathBuf::from);
    let folder = match (corpus, below.strip_prefix("corpus/")) {
        (Some(corpus), Some(rest)) => corpus.join(rest),
        _ => beside.join(below),
    };
    Some(folder).filter(|path| path.exists())
}

/// The JSON documents that begin a line of a page.
fn samples_of_page(file: &str) -> Vec<Value> {
    let Some(path) = shared(&format!("origin/{file}")) else {
        return Vec::new();
    };
    let page = std::fs::read_to_string(path).unwrap();
    let starts = page.match_indices("\n{\n");
    let first = |(start, _)| {
        serde_json::Deserializer::from_str(&page[start..])
            .into_iter()
            .next()
    };
    let documents: Vec<Value> = starts
        .filter_map(first)
        .filter_map(Result::ok)
        .filter(|document: &Value| document["repository"].is_object())
        .collect();
    assert!(!documents.is_empty());
    documents
}

fn capture(file: &str) -> Option<(String, Value)> {
    let text = std::fs::read_to_string(shared(&format!("corpus/payloads/{file}"))?).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    Some((text.trim_end().to_owned(), value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn id_or_none(value: &Value) -> Option<ObjectIdText> {
    ObjectIdText::parse_or_zero(value.as_str()?).unwrap()
}

fn account(user: &Value) -> Option<AccountFacts> {
    user["id"].as_i64().map(|id| AccountFacts {
        id,
        name: text(&user["name"]),
        display_name: text(&user["displayName"]),
        email: text(&user["emailAddress"]),
    })
}

/// Facts of the repository of a body of Bitbucket Server.
fn server_push(body: &Value, base: &str) -> PushFacts {
    let told = &body["repository"];
    let mut push = facts::push(Scm::Git, Vec::new(), Vec::new());
    base.clone_into(&mut push.server.base_url);
    let repository = &mut push.repository;
    repository.id = told["id"].as_i64().unwrap();
    repository.name = text(&told["name"]);
    repository.slug = text(&told["slug"]);
    repository.public = told["public"].as_bool().unwrap();
    repository.forkable = told["forkable"].as_bool().unwrap();
    let project = &told["project"];
    repository.owner = text(&project["key"]);
    repository.project.id = project["id"].as_i64().unwrap();
    repository.project.key = text(&project["key"]);
    repository.project.name = text(&project["name"]);
    repository.project.description = text(&project["description"]);
    repository.project.public = project["public"].as_bool().unwrap_or_default();
    repository.project.owner = account(&project["owner"]);
    push.pusher = account(&body["actor"]);
    push
}

fn server_ref(change: &Value) -> RefMove {
    let full_name = text(&change["refId"]);
    let kind = RefKind::of_git_ref(&full_name);
    let name = full_name.splitn(3, '/').nth(2).unwrap().to_owned();
    RefMove {
        full_name,
        old: id_or_none(&change["fromHash"]),
        new: id_or_none(&change["toHash"]),
        ..facts::moved(kind, &name, None, None)
    }
}

fn post_receive_push(body: &Value, base: &str) -> PushFacts {
    let mut push = server_push(body, base);
    push.refs = body["refChanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(server_ref)
        .collect();
    push.commits = body["changesets"]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(changeset)
        .collect();
    push.refs[0].commits = (0..push.commits.len()).collect();
    push
}

fn changeset(told: &Value) -> CommitFacts {
    let to = &told["toCommit"];
    let id = |commit: &Value| id_of(commit["id"].as_str().unwrap());
    CommitFacts {
        id: id(to),
        parents: to["parents"].as_array().unwrap().iter().map(id).collect(),
        author: PersonFacts {
            name: text(&to["author"]["name"]),
            email: text(&to["author"]["emailAddress"]),
            account: None,
        },
        authored: facts::moment(to["authorTimestamp"].as_i64().unwrap()),
        message: format!("{}\n", to["message"].as_str().unwrap()),
        files: told["changes"]["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(file)
            .collect(),
        ..facts::commit('1', &[])
    }
}

fn file(told: &Value) -> FileChange {
    let kind = match told["type"].as_str().unwrap() {
        "ADD" => FileChangeKind::Add,
        "DELETE" => FileChangeKind::Delete,
        _ => FileChangeKind::Modify,
    };
    let is = |key: &str| told[key].as_bool().unwrap_or_default();
    FileChange {
        kind,
        path: text(&told["path"]["toString"]),
        src_path: None,
        content_id: id_or_none(&told["contentId"]).filter(|_| kind != FileChangeKind::Delete),
        from_content_id: id_or_none(&told["fromContentId"]),
        executable: is("executable"),
        src_executable: is("srcExecutable"),
        node_type: NodeType::File,
        percent_unchanged: None,
    }
}

#[test]
fn the_documented_body_of_bitbucket_server_is_rendered_to_the_byte() {
    for body in samples_of_page("002_5003eb3d6bd1dff1.txt") {
        let push = post_receive_push(&body, "https://forge.example");
        let rendered = Profile::PostReceive(Generation::Stash2).render(&push, &Settings::default());
        assert_eq!(rendered.len(), 1);
        assert_eq!(
            String::from_utf8(rendered[0].body.clone()).unwrap(),
            body.to_string()
        );
    }
}

#[test]
fn captured_post_receive_bodies_are_rendered_to_the_byte() {
    let table = [
        ("update.json", Generation::Bbs5, "https://bitbucket.example.com"),
        ("delete.json", Generation::Bbs5, "https://bitbucket.example.com"),
        (
            "update-personal-project.json",
            Generation::Stash3,
            "https://git.example.com",
        ),
        (
            "add-branch-100-changesets.json",
            Generation::Bbs5,
            "https://bitbucket.example.com/",
        ),
        ("update-documented.json", Generation::Stash2, "https://x.example"),
    ];
    for (name, generation, base) in table {
        let Some((bytes, body)) = capture(&format!("post-receive/{name}")) else {
            continue;
        };
        let push = post_receive_push(&body, base);
        let rendered = Profile::PostReceive(generation).render(&push, &Settings::default());
        let rendered = String::from_utf8(rendered[0].body.clone()).unwrap();
        // Two of them were indented by those who published them.
        if bytes.starts_with("{\"") {
            assert_eq!(rendered, bytes, "{name}");
        } else {
            assert_eq!(rendered, body.to_string(), "{name}");
        }
    }
}

#[test]
fn the_captured_limit_of_a_full_page_is_the_one_of_its_generation() {
    let Some((_, body)) = capture("post-receive/add-branch-100-changesets.json") else {
        return;
    };
    let limits = PageLimits::of(Generation::Bbs5);
    assert_eq!(body["changesets"]["limit"], limits.changesets);
    assert_eq!(
        body["changesets"]["values"][0]["changes"]["limit"],
        limits.changes
    );
}

#[test]
fn captured_bodies_of_data_center_are_rendered_to_the_byte() {
    let table = [
        ("push-update-signed", DcVersion::V5),
        ("push-branch-create", DcVersion::V5),
        ("push-branch-delete", DcVersion::V5),
        ("push-tag-create", DcVersion::V5),
        ("push-tag-delete", DcVersion::V5),
        ("push-branch-delete-personal-signed", DcVersion::V6),
    ];
    for (name, dc_version) in table {
        let Some((_, body)) = capture(&format!("bitbucket-dc/{name}.json")) else {
            continue;
        };
        let mut push = server_push(&body, "https://server.bitbucket.local");
        push.server.ssh_url = Some("ssh://git@server.bitbucket.local:7999".to_owned());
        push.pushed_at = moment_of(body["date"].as_str().unwrap());
        push.refs = body["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(server_ref)
            .collect();
        let settings = Settings {
            dc_version,
            ..Settings::default()
        };
        let rendered = Profile::BitbucketDc.render(&push, &settings);
        assert_eq!(
            String::from_utf8(rendered[0].body.clone()).unwrap(),
            body.to_string(),
            "{name}"
        );
    }
}

fn moment_of(text: &str) -> Moment {
    let (_, offset) = text.split_at(text.len() - 5);
    let minutes: i32 = offset[1..3].parse::<i32>().unwrap() * 60 + offset[3..].parse::<i32>().unwrap();
    Moment {
        ms: text.parse::<jiff::Timestamp>().unwrap().as_millisecond(),
        offset_minutes: if offset.starts_with('-') {
            -minutes
        } else {
            minutes
        },
    }
}

#[test]
fn the_newest_captured_bodies_of_data_center_have_the_members_that_are_rendered() {
    for (name, dc_version) in [
        ("push-branch-create-v10", DcVersion::V9),
        ("push-update-v10", DcVersion::V10),
    ] {
        let Some((_, body)) = capture(&format!("bitbucket-dc/{name}.json")) else {
            continue;
        };
        let mut push = facts::git_push();
        // As in the captures: one branch, an account for everybody, a merge.
        push.refs = vec![push.refs.remove(1)];
        push.repository.project.description = "Trees".to_owned();
        for commit in &mut push.commits {
            commit.author.account = Some(facts::hana());
            commit.committer.account = Some(facts::hana());
        }
        let settings = Settings {
            dc_version,
            ..Settings::default()
        };
        let rendered = facts::one(Profile::BitbucketDc, &push, &settings);
        for pointer in [
            "",
            "/actor",
            "/repository",
            "/repository/project",
            "/repository/links",
            "/changes/0",
            "/changes/0/ref",
            "/commits/0",
            "/commits/0/author",
            "/toCommit",
        ] {
            let sorted = |value: &Value| {
                let mut keys: Vec<String> = facts::keys(value.pointer(pointer).unwrap())
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                keys.sort();
                keys
            };
            assert_eq!(sorted(&rendered), sorted(&body), "{name} {pointer}");
        }
        let time = |body: &Value| body["commits"][0]["authorTimestamp"].is_i64();
        assert_eq!(time(&rendered), time(&body));
    }
}

/// Facts of a body of the POST service.
fn cloud_post_push(body: &Value) -> PushFacts {
    let told = &body["repository"];
    let scm = if told["scm"] == "hg" {
        Scm::Mercurial
    } else {
        Scm::Git
    };
    let mut push = facts::push(scm, Vec::new(), Vec::new());
    push.server.base_url = text(&body["canon_url"]);
    push.repository.name = text(&told["name"]);
    push.repository.slug = text(&told["slug"]);
    push.repository.owner = text(&told["owner"]);
    push.repository.public = !told["is_private"].as_bool().unwrap();
    push.repository.website = text(&told["website"]);
    push.pusher = Some(AccountFacts {
        name: text(&body["user"]),
        ..facts::hana()
    });
    let commits = body["commits"].as_array().unwrap();
    push.commits = commits.iter().rev().map(cloud_commit).collect();
    for (index, commit) in commits.iter().rev().enumerate() {
        // What no branch is told for came by a tag.
        let branch = commit["branch"].as_str();
        let kind = match (branch, scm) {
            (None, _) => RefKind::Tag,
            (_, Scm::Git) => RefKind::Branch,
            (_, Scm::Mercurial) => RefKind::NamedBranch,
        };
        let place = push
            .refs
            .iter()
            .position(|moved| moved.name == branch.unwrap_or("none"));
        let place = place.unwrap_or_else(|| {
            let new = Some(push.commits[index].id.clone());
            let moved = facts::moved(kind, branch.unwrap_or("none"), None, None);
            push.refs.push(RefMove { new, ..moved });
            push.refs.len() - 1
        });
        push.refs[place].commits.push(index);
    }
    push
}

fn cloud_commit(told: &Value) -> CommitFacts {
    let long = |short: &Value| id_of(&format!("{}{}", short.as_str().unwrap(), "0".repeat(28)));
    let time = told["utctimestamp"].as_str().unwrap();
    let mut author = PersonFacts::from_raw(told["raw_author"].as_str().unwrap());
    author.account = Some(AccountFacts {
        name: text(&told["author"]),
        ..facts::hana()
    });
    let files = told["files"].as_array().unwrap().iter().map(|told| {
        let kind = match told["type"].as_str().unwrap() {
            "added" => FileChangeKind::Add,
            "removed" => FileChangeKind::Delete,
            _ => FileChangeKind::Modify,
        };
        facts::file(kind, told["file"].as_str().unwrap())
    });
    CommitFacts {
        id: id_of(told["raw_node"].as_str().unwrap()),
        parents: told["parents"].as_array().unwrap().iter().map(long).collect(),
        author,
        committed: facts::moment(time.parse::<jiff::Timestamp>().unwrap().as_millisecond()),
        message: text(&told["message"]),
        revision: told["revision"].as_i64(),
        named_branch: told["branch"].as_str().map(str::to_owned),
        files: files.collect(),
        ..facts::commit('1', &[])
    }
}

#[test]
fn both_documented_bodies_of_the_post_service_are_rendered_to_the_byte() {
    let samples = samples_of_page("003_810650c6bbe4fd42.txt");
    assert!(samples.is_empty() || samples.len() == 2);
    for body in samples {
        let rendered = facts::one(Profile::CloudPost, &cloud_post_push(&body), &Settings::default());
        assert_eq!(rendered.to_string(), body.to_string());
    }
}

#[test]
fn captured_bodies_of_the_post_service_say_the_same() {
    for name in [
        "git-one-commit",
        "git-merge-branch-null",
        "hg-one-commit",
        "hg-two-commits",
        "hg-named-branch",
    ] {
        let Some((_, mut body)) = capture(&format!("cloud-post/{name}.json")) else {
            continue;
        };
        for commit in body["commits"].as_array_mut().unwrap() {
            // Which other branches hold a commit is not told here.
            commit.as_object_mut().unwrap().remove("branches");
        }
        let settings = Settings {
            cloud_post_truncated: body.get("truncated").is_some(),
            ..Settings::default()
        };
        let rendered = facts::one(Profile::CloudPost, &cloud_post_push(&body), &settings);
        assert_eq!(rendered, body, "{name}");
    }
}

/// The place of every member of a document, list entries as `*`.
fn places(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(entries) => {
            for entry in entries {
                places(entry, &format!("{at}/*"), found);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let at = format!("{at}/{key}");
                places(member, &at, found);
                found.insert(at);
            }
        }
        _ => {}
    }
}

#[test]
fn no_member_is_rendered_that_captured_bodies_do_not_have() {
    let table = [
        (
            Profile::BitbucketCloud,
            "bitbucket-cloud",
            // Of bodies later than those at hand (push-payloads.md C.4).
            ["nickname", "workspace", "project"].as_slice(),
        ),
        (Profile::GitHub, "github", [].as_slice()),
    ];
    for (profile, folder, later) in table {
        let Some(folder) = shared(&format!("corpus/payloads/{folder}")) else {
            continue;
        };
        let mut known = BTreeSet::new();
        for file in folder.read_dir().unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("push-") && name.matches('.').count() == 1 {
                let body = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                places(&body, "", &mut known);
            }
        }
        let mut push = facts::git_push();
        push.refs[1].old_tip = Some(3);
        for rendered in profile.render(&push, &outgoing::Settings::default()) {
            let mut told = BTreeSet::new();
            places(&facts::json(&rendered), "", &mut told);
            // Annotated tags are not among the captures.
            told.retain(|place| !place.contains("/tagger/") && !known.contains(place));
            told.retain(|place| !later.iter().any(|key| place.split('/').any(|part| part == *key)));
            assert_eq!(told, BTreeSet::new(), "{profile}");
        }
    }
}
