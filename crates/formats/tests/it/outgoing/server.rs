//! The formats of Bitbucket Server: what each kind of push looks like (push-payloads.md A.3 to A.5, B.3).

use madake_formats::Scm;
use madake_formats::outgoing::facts::{FileChangeKind, RefMove};
use madake_formats::outgoing::{DcVersion, Generation, PageLimits, Profile, PushFacts, Settings};
use madake_formats::push::RefKind;
use serde_json::{Value, json};

use super::facts::{
    branch, commit, file, files, git_push, json as json_of, keys, mercurial_push, moved, one, push,
};
use crate::samples::{id, zeros};

const STASH2: Profile = Profile::PostReceive(Generation::Stash2);
const STASH3: Profile = Profile::PostReceive(Generation::Stash3);
const BBS5: Profile = Profile::PostReceive(Generation::Bbs5);

fn post_receive(push: &PushFacts) -> Value {
    one(STASH2, push, &Settings::default())
}

#[test]
fn each_kind_of_push_has_its_ref_change_and_its_changesets() {
    let tag = |kind, new| RefMove {
        tip: Some(0),
        ..moved(kind, "v1", None, Some(new))
    };
    let history = || vec![commit('2', &['1']), commit('1', &[])];
    let change = |name: &str, from: String, to: String, kind: &str| json!([{"refId": name, "fromHash": from, "toHash": to, "type": kind}]);
    let table = [
        (
            "new commits on a branch",
            branch("main", Some('1'), '2', &[0]),
            change("refs/heads/main", id('1'), id('2'), "UPDATE"),
            vec![id('2')],
        ),
        (
            "new branch, told with its ancestors",
            branch("x", None, '2', &[0, 1]),
            change("refs/heads/x", zeros(), id('2'), "ADD"),
            vec![id('2'), id('1')],
        ),
        (
            "new branch, told with new commits only",
            RefMove {
                tip: Some(0),
                ..moved(RefKind::Branch, "x", None, Some('2'))
            },
            change("refs/heads/x", zeros(), id('2'), "ADD"),
            vec![],
        ),
        (
            "deleted branch",
            moved(RefKind::Branch, "x", Some('2'), None),
            change("refs/heads/x", id('2'), zeros(), "DELETE"),
            vec![],
        ),
        (
            "deleted tag",
            moved(RefKind::Tag, "v1", Some('2'), None),
            change("refs/tags/v1", id('2'), zeros(), "DELETE"),
            vec![],
        ),
        (
            "forced, of which there is no sign",
            RefMove {
                forced: true,
                ..branch("main", Some('9'), '2', &[0])
            },
            change("refs/heads/main", id('9'), id('2'), "UPDATE"),
            vec![id('2')],
        ),
        (
            "lightweight tag",
            tag(RefKind::Tag, '2'),
            change("refs/tags/v1", zeros(), id('2'), "ADD"),
            vec![],
        ),
        (
            "annotated tag, by its own id",
            tag(RefKind::Tag, 'a'),
            change("refs/tags/v1", zeros(), id('a'), "ADD"),
            vec![],
        ),
        (
            "branch of mercurial, named like git's",
            RefMove {
                commits: vec![0],
                ..moved(RefKind::NamedBranch, "default", Some('1'), Some('2'))
            },
            change("refs/heads/default", id('1'), id('2'), "UPDATE"),
            vec![id('2')],
        ),
    ];
    for (case, moved, ref_changes, changesets) in table {
        let body = post_receive(&push(Scm::Git, vec![moved], history()));
        assert_eq!(body["refChanges"], ref_changes, "{case}");
        let page = &body["changesets"];
        let told: Vec<&str> = page["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|changeset| changeset["toCommit"]["id"].as_str().unwrap())
            .collect();
        assert_eq!(told, changesets, "{case}");
        assert_eq!(page["size"], changesets.len(), "{case}");
        assert_eq!(page["isLastPage"], true, "{case}");
        assert_eq!(page["start"], 0, "{case}");
        assert_eq!(page["limit"], 100, "{case}");
    }
}

#[test]
fn a_changeset_follows_its_first_parent_and_links_to_its_last_change() {
    let mut merge = commit('3', &['1', '2']);
    merge.files = vec![
        file(FileChangeKind::Modify, "a.rs"),
        file(FileChangeKind::Add, "z/b.rs"),
    ];
    merge.message = "Merge\n\nboth\n\n".to_owned();
    let commits = vec![merge, commit('2', &['1']), commit('1', &[])];
    let body = post_receive(&push(
        Scm::Git,
        vec![branch("main", None, '3', &[0, 1, 2])],
        commits,
    ));
    let [merge, empty, root] = &body["changesets"]["values"].as_array().unwrap()[..] else {
        panic!("three changesets");
    };
    assert_eq!(
        merge["fromCommit"],
        json!({"id": id('1'), "displayId": "1111111"})
    );
    assert_eq!(merge["toCommit"]["parents"].as_array().unwrap().len(), 2);
    assert_eq!(merge["toCommit"]["message"], "Merge\n\nboth");
    assert_eq!(merge["toCommit"]["authorTimestamp"], 1_700_000_000_000_i64);
    assert_eq!(merge["link"], merge["changes"]["values"][1]["link"]);
    assert_eq!(
        merge["link"]["url"],
        format!("/projects/GROVE/repos/grove-tools/commits/{}#z/b.rs", id('3'))
    );
    assert_eq!(empty["changes"]["size"], 0);
    assert_eq!(
        empty["link"]["url"],
        format!("/projects/GROVE/repos/grove-tools/commits/{}", id('2'))
    );
    assert_eq!(root.get("fromCommit"), None);
    assert_eq!(root["toCommit"]["parents"], json!([]));
}

#[test]
fn the_generations_differ_in_links_short_ids_filter_and_members() {
    let push = git_push();
    let body = |profile| one(profile, &push, &Settings::default());
    let (first, second, third) = (body(STASH2), body(STASH3), body(BBS5));
    let changeset = |body: &Value| body["changesets"]["values"][2].clone();
    let change = |body: &Value, index: usize| changeset(body)["changes"]["values"][index].clone();

    assert_eq!(
        keys(&first["repository"]),
        [
            "slug",
            "id",
            "name",
            "scmId",
            "state",
            "statusMessage",
            "forkable",
            "project",
            "public"
        ]
    );
    assert_eq!(
        keys(&first["repository"]["project"]),
        ["key", "id", "name", "public", "type", "isPersonal"]
    );
    assert_eq!(
        keys(&third["repository"]["project"]),
        ["key", "id", "name", "public", "type"]
    );
    assert_eq!(
        keys(&first["changesets"]),
        ["size", "limit", "isLastPage", "values", "start", "filter"]
    );
    assert_eq!(second["changesets"]["filter"], Value::Null);
    assert_eq!(third["changesets"].get("filter"), None);

    assert_eq!(
        keys(&changeset(&first)),
        ["fromCommit", "toCommit", "changes", "link"]
    );
    assert_eq!(
        keys(&changeset(&second)),
        ["fromCommit", "toCommit", "changes", "link", "links"]
    );
    assert_eq!(
        keys(&changeset(&third)),
        ["fromCommit", "toCommit", "changes", "links"]
    );
    assert_eq!(changeset(&first)["toCommit"]["displayId"], "2222222");
    assert_eq!(changeset(&second)["toCommit"]["displayId"], "2222222");
    assert_eq!(changeset(&third)["toCommit"]["displayId"], "22222222222");

    let table = [
        (
            0,
            [
                "contentId",
                "path",
                "executable",
                "percentUnchanged",
                "type",
                "nodeType",
                "link",
            ]
            .as_slice(),
        ),
        (
            2,
            &[
                "contentId",
                "path",
                "percentUnchanged",
                "type",
                "nodeType",
                "srcExecutable",
                "link",
            ],
        ),
        (
            3,
            &[
                "contentId",
                "path",
                "executable",
                "percentUnchanged",
                "type",
                "nodeType",
                "srcPath",
                "srcExecutable",
                "link",
            ],
        ),
    ];
    for (index, expected) in table {
        assert_eq!(keys(&change(&first, index)), expected, "{index}");
    }
    assert_eq!(
        change(&third, 3)["links"]["self"][0]["href"],
        format!(
            "https://forge.grove.example/projects/GROVE/repos/grove-tools/commits/{}#new/ladder.txt",
            id('2')
        )
    );
    let ids = |index| {
        let change = change(&third, index);
        let text = |key: &str| change[key].as_str().unwrap().to_owned();
        (text("contentId"), text("fromContentId"))
    };
    assert_eq!(ids(0), (id('c'), zeros()), "added");
    assert_eq!(ids(1), (id('c'), id('d')), "modified");
    assert_eq!(ids(2), (id('d'), id('d')), "deleted: twice what went away");
}

#[test]
fn changes_tell_kind_mode_and_path() {
    let push = git_push();
    let body = post_receive(&push);
    let changes = &body["changesets"]["values"][2]["changes"]["values"];
    let member = |key: &str| -> Vec<Value> {
        let changes = changes.as_array().unwrap();
        changes.iter().map(|change| change[key].clone()).collect()
    };
    assert_eq!(
        member("type"),
        ["ADD", "MODIFY", "DELETE", "MOVE", "COPY", "MODIFY"]
    );
    assert_eq!(json!(member("percentUnchanged")), json!([-1, -1, -1, 90, 75, -1]));
    assert_eq!(
        json!(member("executable")),
        json!([true, false, null, false, false, false])
    );
    assert_eq!(
        json!(member("srcExecutable")),
        json!([null, true, false, false, false, false])
    );
    assert_eq!(changes[5]["nodeType"], "SUBMODULE");
    let path = |index: usize| changes[index]["path"].clone();
    assert_eq!(
        path(0),
        json!({"components": ["bin", "trim tool#1"], "parent": "bin", "name": "trim tool#1",
            "toString": "bin/trim tool#1"})
    );
    assert_eq!(
        path(1),
        json!({"components": ["Gemfile"], "parent": "", "name": "Gemfile", "toString": "Gemfile"})
    );
    assert_eq!(path(2)["extension"], "rspec");
    assert_eq!(
        changes[3]["srcPath"],
        json!({"components": ["old", "ladder.txt"], "parent": "old", "name": "ladder.txt",
            "extension": "txt", "toString": "old/ladder.txt"})
    );
}

#[test]
fn a_personal_project_has_an_owner_and_a_fork_has_an_origin() {
    let push = mercurial_push();
    let body = one(STASH3, &push, &Settings::default());
    let project = &body["repository"]["project"];
    assert_eq!(
        keys(project),
        ["key", "id", "name", "description", "type", "isPersonal", "owner"]
    );
    assert_eq!(
        project["owner"],
        json!({"name": "Hana", "emailAddress": "hana@grove.example", "id": 4, "displayName": "Hana Mori",
            "active": true, "slug": "hana", "type": "NORMAL"})
    );
    assert_eq!(body["repository"]["scmId"], "hg");
    assert_eq!(body["repository"]["origin"]["id"], 2);
    assert_eq!(body["repository"]["origin"]["project"]["key"], "GROVE");
    let link = body["changesets"]["values"][0]["link"]["url"].as_str().unwrap();
    assert!(link.starts_with("/users/hana/repos/grove-tools/commits/"));
}

#[test]
fn limits_cut_and_stand_in_the_pages() {
    let mut long = commit('3', &['2']);
    long.files = files();
    let commits = vec![long, commit('2', &['1']), commit('1', &[])];
    let push = push(Scm::Git, vec![branch("main", None, '3', &[0, 1, 2])], commits);
    let pages = |changesets, changes| Settings {
        pages: Some(PageLimits {
            changesets,
            changesets_of_deletion: 500,
            changes,
        }),
        ..Settings::default()
    };
    let body = one(STASH2, &push, &pages(2, 4));
    assert_eq!(body["changesets"]["size"], 2);
    assert_eq!(body["changesets"]["limit"], 2);
    let changes = &body["changesets"]["values"][0]["changes"];
    assert_eq!(
        (changes["size"].clone(), changes["limit"].clone()),
        (json!(4), json!(4))
    );
    let changes = &body["changesets"]["values"][1]["changes"];
    assert_eq!(
        (changes["size"].clone(), changes["limit"].clone()),
        (json!(0), json!(4))
    );

    // The most files of a body: the page that is cut has no room left, the next has none either way.
    let scarce = Settings {
        files: 5,
        ..pages(10, 10)
    };
    let body = one(STASH2, &push, &scarce);
    let changes = &body["changesets"]["values"][0]["changes"];
    assert_eq!(
        (changes["size"].clone(), changes["limit"].clone()),
        (json!(5), json!(5))
    );
    assert_eq!(body["changesets"]["limit"], 10);
}

#[test]
fn what_an_engine_left_out_makes_a_page_full() {
    let mut cut = commit('2', &['1']);
    cut.files = files();
    cut.files_truncated = true;
    let mut moved = branch("main", Some('1'), '2', &[0]);
    moved.commits_truncated = true;
    let body = post_receive(&push(Scm::Git, vec![moved], vec![cut]));
    assert_eq!(body["changesets"]["limit"], 1);
    assert_eq!(body["changesets"]["values"][0]["changes"]["limit"], 6);
}

#[test]
fn the_third_generation_shows_another_limit_when_it_deletes() {
    let gone = || moved(RefKind::Branch, "x", Some('2'), None);
    let deletion = push(Scm::Git, vec![gone()], Vec::new());
    let limit = |profile, push: &PushFacts| {
        let body = one(profile, push, &Settings::default());
        body["changesets"]["limit"].as_i64().unwrap()
    };
    assert_eq!(limit(BBS5, &deletion), 500);
    assert_eq!(limit(STASH2, &deletion), 100);
    let refs = vec![gone(), branch("main", Some('1'), '2', &[0])];
    assert_eq!(limit(BBS5, &push(Scm::Git, refs, vec![commit('2', &['1'])])), 100);
}

#[test]
fn one_delivery_per_ref_tells_each_ref_with_its_own_commits() {
    let push = git_push();
    let settings = Settings {
        delivery_per_ref: true,
        ..Settings::default()
    };
    let told: Vec<(String, i64)> = STASH2
        .render(&push, &settings)
        .iter()
        .map(|rendered| {
            let body = json_of(rendered);
            assert_eq!(body["refChanges"].as_array().unwrap().len(), 1);
            let name = body["refChanges"][0]["refId"].as_str().unwrap().to_owned();
            (name, body["changesets"]["size"].as_i64().unwrap())
        })
        .collect();
    let expected = [
        ("refs/heads/stale", 0),
        ("refs/heads/main", 2),
        ("refs/heads/feature/x", 1),
        ("refs/tags/v1.0", 0),
        ("refs/heads/wip", 0),
        ("refs/notes/commits", 0),
    ];
    assert_eq!(told, expected.map(|(name, size)| (name.to_owned(), size)));
    let together = post_receive(&push);
    assert_eq!(together["refChanges"].as_array().unwrap().len(), 6);
    assert_eq!(together["changesets"]["size"], 3);
}

#[test]
fn the_envelope_is_recognisable_and_unsigned() {
    for profile in [STASH2, STASH3, BBS5] {
        let rendered = &profile.render(&git_push(), &Settings::default())[0];
        assert_eq!(rendered.content_type, "application/json");
        assert_eq!(rendered.headers, [("X-Atlassian-Token", "no-check".to_owned())]);
        assert_eq!(profile.delivery_id_header(), None);
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(rendered.body, body.to_string().into_bytes(), "no white space");
        assert_eq!(keys(&body), ["repository", "refChanges", "changesets"]);
    }
}

#[test]
fn data_center_tells_more_with_each_version() {
    let push = git_push();
    let body = |dc_version| {
        let settings = Settings {
            dc_version,
            ..Settings::default()
        };
        one(Profile::BitbucketDc, &push, &settings)
    };
    let (v5, v6, v9, v10) = (
        body(DcVersion::V5),
        body(DcVersion::V6),
        body(DcVersion::V9),
        body(DcVersion::V10),
    );
    assert_eq!(keys(&v5), ["eventKey", "date", "actor", "repository", "changes"]);
    assert_eq!(v5["date"], "2023-11-15T00:15:00+0200");
    assert_eq!(v5["actor"].get("links"), None);
    assert_eq!(
        v6["actor"]["links"]["self"][0]["href"],
        "https://forge.grove.example/users/hana"
    );
    assert_eq!(
        v6["repository"]["links"]["clone"],
        json!([{"href": "ssh://git@forge.grove.example:7999/grove/grove-tools.git", "name": "ssh"},
            {"href": "https://forge.grove.example/scm/grove/grove-tools.git", "name": "http"}])
    );
    assert_eq!(v6.get("commits"), None);
    assert_eq!(
        keys(&v9),
        [
            "eventKey",
            "date",
            "actor",
            "repository",
            "changes",
            "commits",
            "toCommit"
        ]
    );
    assert_eq!(v9["commits"].as_array().unwrap().len(), 3);
    assert_eq!(v9["commits"][0]["displayId"], "44444444444");
    assert_eq!(v9["commits"][0]["authorTimestamp"], 1_700_000_000_000_i64);
    assert_eq!(v9["repository"]["archived"], false);
    assert_eq!(v9["repository"]["hierarchyId"].as_str().unwrap().len(), 20);
    assert_eq!(v10["commits"][0]["authorTimestamp"], "2023-11-14T22:13:20.000Z");
    assert_eq!(
        v9["commits"][0]["committer"],
        json!({"name": "Sora", "emailAddress": "sora@elsewhere.example"})
    );
    // The head of the first ref that is still there, parents in full where they are known.
    assert_eq!(v9["toCommit"]["id"], id('3'));
    assert_eq!(v9["toCommit"]["parents"][0]["id"], id('1'));
    assert_eq!(v9["toCommit"]["parents"][0]["message"], "Trim shoot 1\n\nTwice.");
    assert_eq!(
        v9["toCommit"]["parents"][1]["parents"],
        json!([{"id": id('1'), "displayId": "11111111111"}])
    );
    // Notes are neither branches nor tags.
    let types: Vec<&Value> = v9["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["ref"]["type"])
        .collect();
    assert_eq!(types, ["BRANCH", "BRANCH", "BRANCH", "TAG", "BRANCH"]);
    assert_eq!(
        v9["changes"][2]["ref"],
        json!({"id": "refs/heads/feature/x", "displayId": "feature/x", "type": "BRANCH"})
    );
}

#[test]
fn data_center_tells_no_commits_of_a_deletion_and_five_of_many() {
    let deletion = push(
        Scm::Git,
        vec![moved(RefKind::Branch, "x", Some('2'), None)],
        Vec::new(),
    );
    let body = one(Profile::BitbucketDc, &deletion, &Settings::default());
    assert_eq!(
        keys(&body),
        ["eventKey", "date", "actor", "repository", "changes"]
    );
    let commits = ['7', '6', '5', '4', '3', '2'].map(|digit| commit(digit, &[]));
    let many = push(
        Scm::Git,
        vec![branch("main", None, '7', &[0, 1, 2, 3, 4, 5])],
        commits.to_vec(),
    );
    let body = one(Profile::BitbucketDc, &many, &Settings::default());
    assert_eq!(body["commits"].as_array().unwrap().len(), 5);
    assert_eq!(body["commits"][4]["id"], id('3'));
}

#[test]
fn the_connection_test_of_data_center_is_read_as_one() {
    let ping = Profile::BitbucketDc.ping().unwrap();
    assert_eq!(ping.body, br#"{"test": true}"#);
    assert_eq!(ping.headers, [("X-Event-Key", "diagnostics:ping".to_owned())]);
    assert_eq!(Profile::GitHub.ping(), None);
}

#[test]
fn a_push_that_a_format_cannot_tell_gives_no_delivery() {
    let notes = || RefMove {
        full_name: "refs/notes/commits".to_owned(),
        ..moved(RefKind::Other, "refs/notes/commits", Some('1'), Some('2'))
    };
    let nowhere = || moved(RefKind::Branch, "x", None, None);
    let count = |refs, profile: Profile| {
        profile
            .render(&push(Scm::Git, refs, Vec::new()), &Settings::default())
            .len()
    };
    for profile in Profile::ALL {
        let tells_notes = matches!(
            profile,
            Profile::PostReceive(_) | Profile::CloudPost | Profile::Native
        );
        assert_eq!(
            count(vec![notes()], profile),
            usize::from(tells_notes),
            "{profile}"
        );
        assert_eq!(count(vec![nowhere()], profile), 0, "{profile}");
        assert_eq!(count(vec![], profile), 0, "{profile}");
    }
}

#[test]
fn ids_of_sha_256_repositories_stay_long() {
    let long =
        |digit: char| madake_formats::object_id::ObjectIdText::parse(&digit.to_string().repeat(64)).unwrap();
    let mut tip = commit('2', &[]);
    tip.id = long('2');
    tip.files = vec![file(FileChangeKind::Add, "a")];
    tip.files[0].content_id = None;
    let mut moved = branch("main", None, '2', &[0]);
    moved.new = Some(long('2'));
    let body = one(
        BBS5,
        &push(Scm::Git, vec![moved], vec![tip]),
        &Settings::default(),
    );
    let zeros = "0".repeat(64);
    assert_eq!(body["refChanges"][0]["fromHash"], zeros);
    let change = &body["changesets"]["values"][0]["changes"]["values"][0];
    assert_eq!(change["contentId"], zeros);
    assert_eq!(change["fromContentId"], zeros);
}
