//! The rows of hostile-inputs.md W that depend on a format, sent in the shapes of GitHub, Gitea, GitLab, our own and
//! Bitbucket's: what one reader refuses, all refuse.

use madake_formats::object_id::ObjectIdProblem;
use madake_formats::ref_name::RefNameProblem;
use madake_formats::text::CUT_MARK;
use madake_formats::{Action, Limits, Note, Push, PushError, read_push};
use serde_json::{Value, json};

use crate::samples::{id, zeros};

/// A push of one ref, in the words of one sender.
struct Told {
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: fn(ref_name: &str, before: &str, after: &str, who: &str) -> Value,
    /// Where the name of the repository stands.
    slug: &'static str,
}

fn github(ref_name: &str, before: &str, after: &str, who: &str) -> Value {
    json!({
        "ref": ref_name, "before": before, "after": after,
        "repository": {"name": "tools", "full_name": "Grove/tools", "html_url": "https://169.254.169.254/latest"},
        "sender": {"login": who}, "commits": [{
            "id": id('b'), "message": who, "timestamp": "2023-11-14T22:13:20Z", "author": {"name": who, "email": "a@b.example"},
            "added": [], "removed": [], "modified": [], "url": "https://169.254.169.254/commit",
        }],
    })
}

fn gitlab(ref_name: &str, before: &str, after: &str, who: &str) -> Value {
    let mut body = github(ref_name, before, after, who);
    body["object_kind"] = json!("push");
    body["user_username"] = json!(who);
    body["project"] = json!({
        "name": "tools", "path_with_namespace": "grove/tools", "web_url": "https://169.254.169.254/latest",
    });
    body
}

fn native(ref_name: &str, before: &str, after: &str, who: &str) -> Value {
    json!({"repository": "grove/tools", "ref": ref_name, "before": before, "after": after, "user": who})
}

fn data_center(ref_name: &str, before: &str, after: &str, who: &str) -> Value {
    let kind = match (before == zeros(), after == zeros()) {
        (true, false) => "ADD",
        (false, true) => "DELETE",
        _ => "UPDATE",
    };
    json!({
        "actor": {"name": who},
        "repository": {"slug": "tools", "name": "tools", "scmId": "git", "project": {"key": "GROVE"}},
        "changes": [{"refId": ref_name, "fromHash": before, "toHash": after, "type": kind}],
    })
}

const SENDERS: [Told; 6] = [
    Told {
        name: "GitHub",
        headers: &[("X-GitHub-Event", "push")],
        body: github,
        slug: "/repository/full_name",
    },
    Told {
        name: "Gitea",
        headers: &[("X-Gitea-Event", "push"), ("X-GitHub-Event", "push")],
        body: github,
        slug: "/repository/full_name",
    },
    Told {
        name: "Gogs",
        headers: &[("X-Gogs-Event", "push")],
        body: github,
        slug: "/repository/full_name",
    },
    Told {
        name: "GitLab",
        headers: &[("X-Gitlab-Event", "Push Hook")],
        body: gitlab,
        slug: "/project/path_with_namespace",
    },
    Told {
        name: "our own",
        headers: &[],
        body: native,
        slug: "/repository",
    },
    Told {
        name: "Bitbucket Data Center",
        headers: &[("X-Event-Key", "repo:refs_changed")],
        body: data_center,
        slug: "/repository/slug",
    },
];

fn read(of: &Told, body: &[u8]) -> Result<Push, PushError> {
    read_push(of.headers, body, &Limits::default())
}

fn sound(of: &Told) -> Value {
    (of.body)("refs/heads/main", &id('a'), &id('b'), "hana")
}

#[test]
fn bodies_that_are_too_large_or_no_json_are_refused_whoever_sends_them() {
    for of in &SENDERS {
        let name = of.name;
        let good = sound(of).to_string();
        assert!(read(of, good.as_bytes()).is_ok(), "{name}");
        let too_large = read(of, &vec![b' '; 10 * 1024 * 1024 + 1]).unwrap_err();
        assert!(too_large.is_too_large(), "W6 {name}: {too_large}");
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let crowded: Vec<String> = (0..1_000_000).map(|number| format!("\"k{number}\":0")).collect();
        let twice = format!("{{\"ref\":\"refs/heads/x\",{}", &good[1..]);
        let twice = twice.replacen("{\"ref\"", "{\"ref\":\"refs/heads/y\",\"ref\"", 1);
        let rows: [(&str, Vec<u8>); 6] = [
            (
                "W8 nested",
                good.replacen('{', &format!("{{\"x\":{nested},"), 1).into_bytes(),
            ),
            ("W8 crowded", format!("{{{}}}", crowded.join(",")).into_bytes()),
            ("W8 the same key twice", twice.into_bytes()),
            (
                "W9 not UTF-8",
                good.replace("hana", "h\u{1}na")
                    .into_bytes()
                    .iter()
                    .map(|byte| if *byte == 1 { 0xff } else { *byte })
                    .collect(),
            ),
            ("W9 lone surrogate", good.replace("hana", r"\ud800").into_bytes()),
            ("W9 nothing", Vec::new()),
        ];
        for (row, body) in rows {
            assert!(read(of, &body).is_err(), "{row} {name}");
        }
        for hostile in ["gr\u{0}ove/tools", "grove/\u{202e}tools", ""] {
            let mut body = sound(of);
            *body.pointer_mut(of.slug).unwrap() = json!(hostile);
            let outcome = read(of, body.to_string().as_bytes());
            assert!(outcome.is_err(), "W9 {name} {hostile:?}: {outcome:?}");
        }
    }
}

#[test]
fn hostile_names_of_refs_fail_the_check_whoever_tells_them() {
    let rows = [
        (
            "W10",
            "refs/heads/--upload-pack=touch /tmp/x",
            Some(RefNameProblem::Character(' ')),
        ),
        (
            "W10",
            "refs/heads/--upload-pack=touch",
            Some(RefNameProblem::LooksLikeOption),
        ),
        ("W11", "refs/heads/a\nb", Some(RefNameProblem::Character('\n'))),
        ("W11", "refs/heads/../x", Some(RefNameProblem::Sequence)),
        ("W11", "refs/heads/x.lock", Some(RefNameProblem::Component)),
        ("W11", "refs/heads/$(id)", None),
        ("W11", "refs/heads/`id`", None),
        ("W11", "refs/heads/;id", None),
    ];
    for of in &SENDERS {
        for (row, ref_name, problem) in &rows {
            let body = (of.body)(ref_name, &id('a'), &id('b'), "hana").to_string();
            let push = read(of, body.as_bytes()).unwrap();
            assert_eq!(
                push.changes[0].checked_name().err(),
                *problem,
                "{row} {} {ref_name:?}",
                of.name
            );
        }
        let long = format!("refs/heads/{}", "x".repeat(2000));
        let body = (of.body)(&long, &id('a'), &id('b'), "hana").to_string();
        assert!(read(of, body.as_bytes()).is_err(), "{}", of.name);
    }
}

#[test]
fn what_is_no_full_id_refuses_the_payload_and_zeros_mean_gone() {
    let rows = [
        ("option", "-n1".to_owned(), ObjectIdProblem::Length),
        ("39 digits", "a".repeat(39), ObjectIdProblem::Length),
        ("upper case", "A".repeat(40), ObjectIdProblem::Digits),
        (
            "64 zeros beside 40 digits",
            "0".repeat(64),
            ObjectIdProblem::MixedLengths,
        ),
        (
            "64 digits beside 40",
            "b".repeat(64),
            ObjectIdProblem::MixedLengths,
        ),
    ];
    for of in &SENDERS {
        for (row, hash, expected) in &rows {
            let body = (of.body)("refs/heads/main", &id('a'), hash, "hana").to_string();
            let error = read(of, body.as_bytes()).unwrap_err();
            let fits = matches!(&error, PushError::ObjectId { problem, .. } if problem == expected);
            assert!(fits, "W12 {} {row}: {error:?}", of.name);
        }
        let gone = (of.body)("refs/heads/main", &id('a'), &zeros(), "hana").to_string();
        let push = read(of, gone.as_bytes()).unwrap();
        assert_eq!(
            (push.changes[0].action, &push.changes[0].new),
            (Action::Delete, &None),
            "W13 {}",
            of.name
        );
        let nowhere = (of.body)("refs/heads/main", &zeros(), &zeros(), "hana").to_string();
        assert!(
            matches!(read(of, nowhere.as_bytes()), Err(PushError::Contradiction { .. })),
            "W12 {}",
            of.name
        );
    }
}

#[test]
fn links_are_dropped_and_people_are_inert_whoever_tells_them() {
    let hostile = "<script>\u{202e}gnp\u{1b}[31m\r\nx";
    let long = "ひ".repeat(1024 * 1024 / 3);
    for of in &SENDERS {
        let body = (of.body)("refs/heads/main", &id('a'), &id('b'), hostile).to_string();
        let mut push = read(of, body.as_bytes()).unwrap();
        push.repository.addresses.clear();
        assert!(!format!("{push:?}").contains("169.254"), "W22 {}", of.name);
        assert_eq!(
            push.pusher.as_deref(),
            Some("<script>gnp[31m x"),
            "W23 {}",
            of.name
        );
        let body = (of.body)("refs/heads/main", &id('a'), &id('b'), &long).to_string();
        let push = read(of, body.as_bytes()).unwrap();
        let pusher = push.pusher.unwrap();
        let bound = Limits::default().person_bytes + CUT_MARK.len();
        assert!(
            pusher.ends_with(CUT_MARK) && pusher.len() <= bound,
            "W23 {}",
            of.name
        );
    }
}

#[test]
fn crowds_of_refs_are_bounded_and_counted_in_the_shapes_that_name_several() {
    let refs = |count: usize| -> Vec<Value> {
        (0..count)
            .map(
                |number| json!({"ref": format!("refs/heads/b{number}"), "before": id('a'), "after": id('b')}),
            )
            .collect()
    };
    let native = json!({"repository": "grove/tools", "refs": refs(1500)});
    let system = json!({
        "event_name": "repository_update", "changes": refs(1500),
        "project": {"name": "tools", "path_with_namespace": "grove/tools"},
    });
    let rows: [(&[(&str, &str)], Value); 2] = [(&[], native), (&[("X-Gitlab-Event", "System Hook")], system)];
    for (headers, body) in rows {
        let push = read_push(headers, body.to_string().as_bytes(), &Limits::default()).unwrap();
        assert_eq!(
            (push.changes.len(), push.changes_complete),
            (1000, false),
            "W17 {headers:?}"
        );
        let left_out = Note::RefsLeftOut {
            named: 1500,
            taken: 1000,
        };
        assert!(
            push.notes.contains(&left_out),
            "W17 {headers:?}: {:?}",
            push.notes
        );
    }
}
