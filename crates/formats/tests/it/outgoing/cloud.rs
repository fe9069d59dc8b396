//! The formats of Bitbucket Cloud, of the add-on that copies them, of GitHub, and our own.

use madake_formats::Scm;
use madake_formats::outgoing::facts::{FileChangeKind, PersonFacts, RefMove};
use madake_formats::outgoing::{Profile, PushFacts, Settings, Signing};
use madake_formats::push::RefKind;
use serde_json::{Value, json};

use super::facts::{
    branch, changeset, commit, file, git_push, json as json_of, json_text, keys, mercurial_push, moment,
    moved, one, push,
};
use crate::samples::id;

fn cloud_post(push: &PushFacts) -> Value {
    one(Profile::CloudPost, push, &Settings::default())
}

#[test]
fn the_post_service_sends_a_form_with_json_as_python_writes_it() {
    let mut push = git_push();
    push.commits[0].message = "Bambus 真竹 🎋\n".to_owned();
    let rendered = &Profile::CloudPost.render(&push, &Settings::default())[0];
    assert_eq!(rendered.content_type, "application/x-www-form-urlencoded");
    assert_eq!(rendered.headers, [("User-Agent", "Bitbucket.org".to_owned())]);
    let text = String::from_utf8(json_text(rendered)).unwrap();
    assert!(text.starts_with(r#"{"canon_url": "https://forge.grove.example", "commits": [{"author": "#));
    assert!(text.contains(r#""message": "Bambus \u771f\u7af9 \ud83c\udf8b\n", "node": "#));
    assert!(text.is_ascii());
}

#[test]
fn commits_of_git_are_told_by_the_rules_of_the_post_service() {
    let mut second = commit('2', &['1']);
    second.files = super::facts::files();
    second.author.account = None;
    let mut only_tagged = commit('4', &['3']);
    only_tagged.message = "no line break".to_owned();
    let tag = RefMove {
        commits: vec![0],
        ..moved(RefKind::Tag, "v1", None, Some('4'))
    };
    let refs = vec![branch("main", Some('1'), '3', &[1, 2]), tag];
    let commits = vec![only_tagged, commit('3', &['1', '2']), second, commit('1', &[])];
    let body = cloud_post(&push(Scm::Git, refs, commits));
    assert_eq!(keys(&body), ["canon_url", "commits", "repository", "user"]);
    let [oldest, merge, tagged] = &body["commits"].as_array().unwrap()[..] else {
        panic!("oldest first");
    };
    assert_eq!(
        keys(oldest),
        [
            "author",
            "branch",
            "files",
            "message",
            "node",
            "parents",
            "raw_author",
            "raw_node",
            "revision",
            "size",
            "timestamp",
            "utctimestamp"
        ]
    );
    assert_eq!(oldest["node"], "222222222222");
    assert_eq!(oldest["raw_node"], id('2'));
    assert_eq!(oldest["parents"], json!(["111111111111"]));
    assert_eq!(oldest["revision"], Value::Null);
    assert_eq!(oldest["size"], -1);
    assert_eq!(oldest["branch"], "main");
    assert_eq!(oldest["author"], "Hana Mori", "no account: the name");
    assert_eq!(merge["author"], "Hana", "the account");
    assert_eq!(oldest["raw_author"], "Hana Mori <hana@grove.example>");
    assert_eq!(oldest["message"], "Trim shoot 2\n\nTwice.\n");
    assert_eq!(oldest["utctimestamp"], "2023-11-14 22:14:20+00:00");
    assert_eq!(
        oldest["timestamp"], "2023-11-14 23:14:20",
        "winter: one hour ahead"
    );
    assert_eq!(merge["parents"], json!(["111111111111", "222222222222"]));
    assert_eq!(tagged["branch"], Value::Null, "on no branch of the push");
    assert_eq!(tagged["message"], "no line break\n");
    let files: Vec<(&str, &str)> = oldest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["type"].as_str().unwrap(), file["file"].as_str().unwrap()))
        .collect();
    assert_eq!(
        files,
        [
            ("added", "bin/trim tool#1"),
            ("modified", "Gemfile"),
            ("removed", ".rspec"),
            ("added", "new/ladder.txt"),
            ("removed", "old/ladder.txt"),
            ("added", "new/ladder.txt"),
            ("modified", "vendor/竹"),
        ]
    );
}

#[test]
fn commits_of_mercurial_have_revisions_and_named_branches() {
    let push = mercurial_push();
    let body = cloud_post(&push);
    let [edit, tagging] = &body["commits"].as_array().unwrap()[..] else {
        panic!("two commits");
    };
    assert_eq!(
        (&edit["revision"], &tagging["revision"]),
        (&json!(11), &json!(12))
    );
    assert_eq!(edit["branch"], "feature A");
    assert_eq!(
        edit["message"], "Trim shoot 2\n\nTwice.",
        "no line break at the end"
    );
    assert_eq!(
        body["repository"],
        json!({"absolute_url": "/~Hana/grove-tools/", "fork": true, "is_private": true,
            "name": "Grove Tools", "owner": "~Hana", "scm": "hg", "slug": "grove-tools",
            "website": "https://grove.example/"})
    );
    assert_eq!(body["user"], "Hana");
}

#[test]
fn pushes_without_new_commits_are_told_with_an_empty_list() {
    let table = [
        moved(RefKind::Branch, "x", Some('1'), None),
        moved(RefKind::Tag, "v1", None, Some('1')),
        moved(RefKind::Bookmark, "@", None, Some('1')),
        RefMove {
            forced: true,
            ..moved(RefKind::Branch, "x", Some('2'), Some('1'))
        },
    ];
    for moved in table {
        let body = cloud_post(&push(Scm::Git, vec![moved], vec![commit('1', &[])]));
        assert_eq!(body["commits"], json!([]));
    }
}

#[test]
fn the_post_service_says_that_it_left_something_out_where_it_may() {
    let settings = |commits, files| Settings {
        cloud_post_truncated: true,
        commits,
        files,
        ..Settings::default()
    };
    let push = git_push();
    let truncated = |settings| one(Profile::CloudPost, &push, &settings)["truncated"].clone();
    assert_eq!(truncated(settings(None, 100)), false);
    assert_eq!(truncated(settings(Some(2), 100)), true);
    assert_eq!(truncated(settings(None, 2)), true);
    let body = one(Profile::CloudPost, &push, &settings(Some(2), 100));
    assert_eq!(
        keys(&body),
        ["canon_url", "commits", "repository", "truncated", "user"]
    );
    assert_eq!(
        body["commits"][1]["raw_node"],
        id('4'),
        "the newest ones are told"
    );
}

#[test]
fn the_zone_of_the_post_service_can_be_chosen() {
    let settings = Settings {
        cloud_post_zone: jiff::tz::TimeZone::posix("JST-9").unwrap(),
        ..Settings::default()
    };
    let mut late = changeset('2', 1, "default", &[]);
    late.committed = moment(1_719_792_000_000);
    let refs = vec![branch("default", None, '2', &[0])];
    let body = one(
        Profile::CloudPost,
        &push(Scm::Mercurial, refs, vec![late]),
        &settings,
    );
    assert_eq!(body["commits"][0]["timestamp"], "2024-07-01 09:00:00");
    assert_eq!(body["commits"][0]["utctimestamp"], "2024-07-01 00:00:00+00:00");
}

#[test]
fn cloud_tells_old_and_new_of_each_ref() {
    let push = git_push();
    let body = one(Profile::BitbucketCloud, &push, &Settings::default());
    assert_eq!(keys(&body), ["push", "repository", "actor"]);
    let changes = body["push"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 5, "notes are neither branch nor tag");
    let [gone, main, new, tag, forced] = &changes[..] else {
        panic!("five changes");
    };
    assert_eq!(
        keys(gone),
        ["forced", "old", "truncated", "created", "closed", "new"],
        "no commits and no links"
    );
    assert_eq!((&gone["new"], &gone["closed"]), (&Value::Null, &json!(true)));
    assert_eq!(
        gone["old"]["target"],
        json!({"hash": id('9'), "links": {
            "self": {"href": format!("https://forge.grove.example/api/2.0/repositories/GROVE/grove-tools/commit/{}", id('9'))},
            "html": {"href": format!("https://forge.grove.example/GROVE/grove-tools/commits/{}", id('9'))}},
            "type": "commit"}),
        "an unknown commit is its id"
    );
    assert_eq!(
        keys(main),
        [
            "forced",
            "old",
            "links",
            "truncated",
            "commits",
            "created",
            "closed",
            "new"
        ]
    );
    assert_eq!(main["commits"].as_array().unwrap().len(), 2);
    assert_eq!(main["new"]["target"]["parents"][1]["hash"], id('2'));
    assert_eq!(keys(&main["links"]), ["commits", "html", "diff"]);
    assert_eq!((&new["old"], &new["created"]), (&Value::Null, &json!(true)));
    assert_eq!(new["new"]["name"], "feature/x");
    assert_eq!(
        keys(&new["new"]),
        ["type", "name", "links", "target"],
        "only tags have a message"
    );
    assert_eq!(tag.get("commits"), None);
    assert_eq!(tag["new"]["type"], "tag");
    assert_eq!(
        tag["new"]["target"]["hash"],
        id('2'),
        "the commit, not the tag object"
    );
    assert_eq!(tag["new"]["message"], "Version 1\n");
    assert_eq!(tag["new"]["date"], "2023-11-14T22:14:10+00:00");
    assert_eq!(tag["new"]["tagger"]["raw"], "Sora <sora@elsewhere.example>");
    assert_eq!(forced["forced"], true);
    assert_eq!(body["actor"]["username"], "Hana");
    let uuid = body["repository"]["uuid"].as_str().unwrap();
    assert_eq!((uuid.len(), &uuid[..1], &uuid[15..16]), (38, "{", "8"));
}

#[test]
fn a_lightweight_tag_of_cloud_has_null_for_what_it_lacks() {
    let tag = RefMove {
        tip: Some(0),
        ..moved(RefKind::Tag, "v1", None, Some('1'))
    };
    let push = push(Scm::Git, vec![tag], vec![commit('1', &[])]);
    let body = one(Profile::BitbucketCloud, &push, &Settings::default());
    let new = &body["push"]["changes"][0]["new"];
    assert_eq!(
        keys(new),
        ["type", "name", "links", "tagger", "date", "message", "target"]
    );
    assert_eq!((&new["tagger"], &new["message"]), (&Value::Null, &Value::Null));
}

#[test]
fn cloud_lists_five_commits_and_says_so() {
    let commits = ['7', '6', '5', '4', '3', '2'].map(|digit| commit(digit, &[]));
    let refs = vec![branch("main", None, '7', &[0, 1, 2, 3, 4, 5])];
    let push = push(Scm::Git, refs, commits.to_vec());
    let body = one(Profile::BitbucketCloud, &push, &Settings::default());
    let change = &body["push"]["changes"][0];
    assert_eq!(change["commits"].as_array().unwrap().len(), 5);
    assert_eq!(change["commits"][0]["hash"], id('7'));
    assert_eq!(change["truncated"], true);
}

#[test]
fn cloud_names_the_refs_of_mercurial() {
    let body = one(Profile::BitbucketCloud, &mercurial_push(), &Settings::default());
    let types: Vec<(&Value, &Value)> = body["push"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (&change["new"]["type"], &change["closed"]))
        .collect();
    let no = &json!(false);
    assert_eq!(
        types,
        [
            (&json!("named_branch"), &json!(true)),
            (&json!("named_branch"), no),
            (&json!("bookmark"), no),
            (&json!("tag"), no)
        ]
    );
    assert_eq!(body["repository"]["parent"]["full_name"], "GROVE/grove-tools");
    assert_eq!(body["repository"]["owner"]["type"], "user");
}

#[test]
fn headers_of_cloud_hold_the_id_of_the_webhook_and_nothing_else_of_it() {
    let settings = Settings {
        hook_uuid: Some("{4f2c-77}\r\nX-Evil: 1".to_owned()),
        ..Settings::default()
    };
    let rendered = &Profile::BitbucketCloud.render(&git_push(), &settings)[0];
    assert_eq!(
        rendered.headers,
        [
            ("X-Event-Key", "repo:push".to_owned()),
            ("User-Agent", "Bitbucket-Webhooks/2.0".to_owned()),
            ("X-Hook-UUID", "4f2c-77X-Evil1".to_owned()),
        ]
    );
}

#[test]
fn the_add_on_has_its_few_members() {
    let body = one(Profile::PostWebhooks, &git_push(), &Settings::default());
    assert_eq!(keys(&body), ["actor", "repository", "push"]);
    assert_eq!(
        body["actor"],
        json!({"username": "Hana", "displayName": "Hana Mori", "emailAddress": "hana@grove.example"})
    );
    assert_eq!(
        body["repository"],
        json!({"scmId": "git", "project": {"key": "GROVE", "name": "The Grove"}, "slug": "grove-tools",
            "links": {"self": [{"href": "https://forge.grove.example/projects/GROVE/repos/grove-tools/browse"}]},
            "public": false, "ownerName": "GROVE", "fullName": "GROVE/grove-tools",
            "owner": {"username": "GROVE", "displayName": "The Grove", "emailAddress": null}})
    );
    assert_eq!(
        body["push"]["changes"][1],
        json!({"created": false, "closed": false,
            "old": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": id('1')}},
            "new": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": id('3'),
                "commitMessage": "Trim shoot 3\n\nTwice."}}})
    );
}

#[test]
fn github_gets_one_delivery_per_ref_with_commits_oldest_first() {
    let rendered = Profile::GitHub.render(&git_push(), &Settings::default());
    let bodies: Vec<Value> = rendered.iter().map(json_of).collect();
    let names: Vec<&str> = bodies.iter().map(|body| body["ref"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "refs/heads/stale",
            "refs/heads/main",
            "refs/heads/feature/x",
            "refs/tags/v1.0",
            "refs/heads/wip"
        ]
    );
    for each in &rendered {
        assert_eq!(each.headers, [("X-GitHub-Event", "push".to_owned())]);
    }
    let [gone, main, new, tag, forced] = &bodies[..] else {
        panic!("five deliveries");
    };
    assert_eq!(
        (&gone["deleted"], &gone["head_commit"], &gone["commits"]),
        (&json!(true), &Value::Null, &json!([]))
    );
    assert_eq!(gone["after"], "0".repeat(40));
    let ids = |body: &Value| -> Vec<Value> {
        let commits = body["commits"].as_array().unwrap();
        commits.iter().map(|commit| commit["id"].clone()).collect()
    };
    assert_eq!(ids(main), [id('2'), id('3')]);
    assert_eq!(main["head_commit"]["id"], id('3'));
    let second = &main["commits"][0];
    assert_eq!(
        second["added"],
        json!(["bin/trim tool#1", "new/ladder.txt", "new/ladder.txt"])
    );
    assert_eq!(second["removed"], json!([".rspec", "old/ladder.txt"]));
    assert_eq!(second["modified"], json!(["Gemfile", "vendor/竹"]));
    assert_eq!(second["timestamp"], "2023-11-15T00:14:20+02:00");
    assert_eq!(
        main["commits"][1]["author"],
        json!({"name": "Hana Mori", "email": "hana@grove.example", "username": "Hana"})
    );
    assert_eq!(
        second["author"],
        json!({"name": "Hana Mori", "email": "hana@grove.example"})
    );
    assert_eq!(
        (&new["created"], &new["before"]),
        (&json!(true), &json!("0".repeat(40)))
    );
    assert_eq!(
        new["compare"],
        "https://forge.grove.example/GROVE/grove-tools/compare/feature/x"
    );
    assert_eq!(tag["after"], id('a'), "the tag object");
    assert_eq!(tag["head_commit"]["id"], id('2'));
    assert_eq!(forced["forced"], true);
    assert_eq!(
        main["pusher"],
        json!({"name": "Hana", "email": "hana@grove.example"})
    );
    assert_eq!(main["repository"]["full_name"], "GROVE/grove-tools");
    assert_eq!(main["repository"]["pushed_at"], 1_700_000_100);
}

#[test]
fn our_own_body_holds_everything_once() {
    let push = git_push();
    let body = one(Profile::Native, &push, &Settings::default());
    assert_eq!(keys(&body), ["type", "version", "timestamp", "data"]);
    assert_eq!((&body["type"], &body["version"]), (&json!("push"), &json!(1)));
    assert_eq!(body["timestamp"], "2023-11-14T22:15:00.000Z");
    let data = &body["data"];
    let refs: Vec<(&str, &str, &str)> = data["refs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|moved| {
            let text = |key: &str| moved[key].as_str().unwrap();
            (text("kind"), text("fullName"), text("action"))
        })
        .collect();
    assert_eq!(
        refs,
        [
            ("branch", "refs/heads/stale", "DELETE"),
            ("branch", "refs/heads/main", "UPDATE"),
            ("branch", "refs/heads/feature/x", "ADD"),
            ("tag", "refs/tags/v1.0", "ADD"),
            ("branch", "refs/heads/wip", "UPDATE"),
            ("other", "refs/notes/commits", "UPDATE"),
        ]
    );
    assert_eq!(data["refs"][1]["commits"], json!([id('3'), id('2')]));
    assert_eq!(data["refs"][3]["tag"]["message"], "Version 1\n");
    assert_eq!(data["refs"][3]["tip"], id('2'));
    let commits: Vec<&Value> = data["commits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|commit| &commit["id"])
        .collect();
    assert_eq!(commits, [&id('4'), &id('3'), &id('2'), &id('1')]);
    assert_eq!(
        data["commits"][2]["files"][3],
        json!({"change": "MOVE", "path": "new/ladder.txt", "srcPath": "old/ladder.txt",
            "contentId": id('c'), "fromContentId": id('d'), "executable": false, "srcExecutable": false,
            "node": "FILE", "percentUnchanged": 90})
    );
    let few = Settings {
        commits: Some(2),
        files: 0,
        ..Settings::default()
    };
    let data = one(Profile::Native, &push, &few)["data"].clone();
    assert_eq!(data["refs"][1]["commits"], json!([id('3')]));
    assert_eq!(data["refs"][1]["commitsTruncated"], true);
    assert_eq!(data["commits"][1]["filesTruncated"], true);
    let anonymous = PushFacts {
        pusher: None,
        ..git_push()
    };
    assert_eq!(
        one(Profile::Native, &anonymous, &few)["data"]["pusher"],
        Value::Null
    );
}

#[test]
fn a_push_by_nobody_gets_a_stand_in_where_a_person_is_demanded() {
    let facts = PushFacts {
        pusher: None,
        ..push(
            Scm::Git,
            vec![branch("main", None, '1', &[0])],
            vec![commit('1', &[])],
        )
    };
    let at = |profile, pointer: &str| {
        let body = one(profile, &facts, &Settings::default());
        body.pointer(pointer).cloned().unwrap()
    };
    assert_eq!(at(Profile::BitbucketDc, "/actor/name"), "anonymous");
    assert_eq!(at(Profile::BitbucketCloud, "/actor/username"), "anonymous");
    assert_eq!(at(Profile::PostWebhooks, "/actor/username"), "anonymous");
    assert_eq!(at(Profile::GitHub, "/pusher/name"), "anonymous");
    assert_eq!(at(Profile::CloudPost, "/user"), "");
}

#[test]
fn each_profile_says_how_it_is_sent() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_name(profile.name()), Some(profile));
        assert_eq!(profile.to_string(), profile.name());
        let delivery = profile.delivery_id_header();
        let (expected, signing) = match profile {
            Profile::BitbucketDc => (Some("X-Request-Id"), Signing::Hub("X-Hub-Signature")),
            Profile::BitbucketCloud => (Some("X-Request-UUID"), Signing::Hub("X-Hub-Signature")),
            Profile::PostWebhooks => (None, Signing::Hub("X-Hub-Signature")),
            Profile::GitHub => (Some("X-GitHub-Delivery"), Signing::GitHub),
            Profile::Native => (None, Signing::StandardWebhooks),
            Profile::PostReceive(_) | Profile::CloudPost => (None, Signing::None),
        };
        assert_eq!((delivery, profile.signing()), (expected, signing), "{profile}");
        let counts_attempts = profile == Profile::BitbucketCloud;
        assert_eq!(profile.attempt_header().is_some(), counts_attempts, "{profile}");
    }
    assert_eq!(Profile::from_name("stash4"), None);
}

#[test]
fn authors_of_mercurial_are_read_as_they_come() {
    let table = [
        (
            "Hana Mori <hana@grove.example>",
            "Hana Mori",
            "hana@grove.example",
        ),
        ("  Hana  < hana@grove.example > ", "Hana", "hana@grove.example"),
        ("hana", "hana", ""),
        ("hana@grove.example", "hana@grove.example", ""),
        ("<hana@grove.example>", "", "hana@grove.example"),
        ("Hana (a > b)", "Hana (a > b)", ""),
        ("", "", ""),
        (">", ">", ""),
    ];
    for (raw, name, email) in table {
        let person = PersonFacts::from_raw(raw);
        assert_eq!(
            (person.name.as_str(), person.email.as_str()),
            (name, email),
            "{raw:?}"
        );
    }
    let raw = |raw: &str| PersonFacts::from_raw(raw).raw();
    assert_eq!(raw("Hana <h@x>"), "Hana <h@x>");
    assert_eq!(raw("<h@x>"), "<h@x>");
    assert_eq!(raw("hana"), "hana");
    assert_eq!(file(FileChangeKind::Add, "x").from_content_id, None);
}
