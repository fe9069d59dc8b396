//! Payloads of every supported sender, written for these tests.

use madake_formats::object_id::ObjectIdText;
use madake_formats::{Limits, Push, PushError, read_push};

/// Forty times the same digit.
pub(crate) fn id(digit: char) -> String {
    digit.to_string().repeat(40)
}

pub(crate) fn object(digit: char) -> ObjectIdText {
    ObjectIdText::parse(&id(digit)).unwrap()
}

pub(crate) fn zeros() -> String {
    id('0')
}

pub(crate) fn read(body: &str) -> Result<Push, PushError> {
    read_push(&[], body.as_bytes(), &Limits::default())
}

/// First generation: relative links, `filter`, short ids of seven digits.
pub(crate) fn post_receive_stash2() -> String {
    r#"{
  "repository":{"slug":"grove-tools","id":7,"name":"Grove Tools","scmId":"git","state":"AVAILABLE",
    "statusMessage":"Available","forkable":true,
    "project":{"key":"GROVE","id":3,"name":"The Grove","public":false,"type":"NORMAL","isPersonal":false},
    "public":false},
  "refChanges":[{"refId":"refs/heads/main","fromHash":"OLD","toHash":"NEW","type":"UPDATE"}],
  "changesets":{"size":1,"limit":100,"isLastPage":true,"values":[{
    "fromCommit":{"id":"OLD","displayId":"aaaaaaa"},
    "toCommit":{"id":"NEW","displayId":"bbbbbbb",
      "author":{"name":"Hana Mori","emailAddress":"hana@grove.example"},
      "authorTimestamp":1700000000000,"message":"Trim the shoots\n\nTwice.",
      "parents":[{"id":"OLD","displayId":"aaaaaaa"}]},
    "changes":{"size":2,"limit":500,"isLastPage":true,"values":[
      {"contentId":"cccccccccccccccccccccccccccccccccccccccc",
       "path":{"components":["tools","trim.rs"],"parent":"tools","name":"trim.rs","extension":"rs","toString":"tools/trim.rs"},
       "executable":false,"percentUnchanged":-1,"type":"MODIFY","nodeType":"FILE","srcExecutable":false,
       "link":{"url":"/projects/GROVE/repos/grove-tools/commits/NEW#tools/trim.rs","rel":"self"}},
      {"contentId":"cccccccccccccccccccccccccccccccccccccccc",
       "path":{"components":["README"],"parent":"","name":"README","toString":"README"},
       "srcPath":{"components":["READ.ME"],"parent":"","name":"READ.ME","extension":"ME","toString":"READ.ME"},
       "executable":false,"percentUnchanged":97,"type":"MOVE","nodeType":"FILE","srcExecutable":false,
       "link":{"url":"/projects/GROVE/repos/grove-tools/commits/NEW#README","rel":"self"}}],
      "start":0,"filter":null},
    "link":{"url":"/projects/GROVE/repos/grove-tools/commits/NEW#README","rel":"self"}}],
    "start":0,"filter":null}
}"#
    .replace("OLD", &id('a'))
    .replace("NEW", &id('b'))
}

/// Second generation: both kinds of link, a personal project with its owner.
pub(crate) fn post_receive_stash3() -> String {
    post_receive_stash2()
        .replace(r#""key":"GROVE""#, r#""key":"~HANA""#)
        .replace(
            r#""public":false,"type":"NORMAL","isPersonal":false"#,
            r#""type":"PERSONAL","isPersonal":true,"owner":{"name":"hana","displayName":"Hana Mori","slug":"hana","type":"NORMAL"}"#,
        )
        .replace(r#""rel":"self"}"#, r#""rel":"self"},"links":{"self":[{"href":"https://stash.grove.example/x"}]}"#)
}

/// Third generation: absolute links only, longer short ids, `fromContentId`, no `filter`.
pub(crate) fn post_receive_bbs5() -> String {
    post_receive_stash2()
        .replace(r#","filter":null"#, "")
        .replace(r#","isPersonal":false"#, "")
        .replace("aaaaaaa\"}", "aaaaaaaaaaa\"}")
        .replace(
            r#""contentId""#,
            r#""fromContentId":"dddddddddddddddddddddddddddddddddddddddd","contentId""#,
        )
        .replace(
            r#""link":{"url":""#,
            r#""links":{"self":[{"href":"https://bitbucket.grove.example"#,
        )
        .replace(r#"","rel":"self"}"#, r#""}]}"#)
}

/// A Post-Receive payload with the given refs, as a list of JSON objects, and no changesets.
pub(crate) fn post_receive_with(refs: &str) -> String {
    format!(
        r#"{{"repository":{{"slug":"grove-tools","name":"grove-tools","scmId":"git","project":{{"key":"GROVE"}}}},
        "refChanges":[{refs}],"changesets":{{"size":0,"limit":100,"isLastPage":true,"values":[],"start":0}}}}"#
    )
}

pub(crate) fn server_ref(name: &str, from: &str, to: &str, kind: &str) -> String {
    let name = serde_json::to_string(name).unwrap();
    let from = serde_json::to_string(from).unwrap();
    let to = serde_json::to_string(to).unwrap();
    format!(r#"{{"refId":{name},"fromHash":{from},"toHash":{to},"type":"{kind}"}}"#)
}

/// POST service, Git.
pub(crate) fn cloud_post_git() -> String {
    r#"{"canon_url":"https://forge.example","commits":[{"author":"hana","branch":"main",
      "files":[{"file":"tools/trim.rs","type":"modified"},{"file":"CHANGES","type":"added"}],
      "message":"Trim the shoots\n","node":"bbbbbbbbbbbb","parents":["aaaaaaaaaaaa"],
      "raw_author":"Hana Mori <hana@grove.example>","raw_node":"NEW","revision":null,"size":-1,
      "timestamp":"2012-05-30 06:07:03","utctimestamp":"2012-05-30 04:07:03+00:00"}],
      "repository":{"absolute_url":"/hana/grove-tools/","fork":false,"is_private":true,"name":"Grove Tools",
      "owner":"hana","scm":"git","slug":"grove-tools","website":"https://grove.example/"},
      "truncated":false,"user":"hana"}"#
        .replace("NEW", &id('b'))
}

/// POST service, Mercurial, as before `truncated` was there.
pub(crate) fn cloud_post_hg() -> String {
    cloud_post_git()
        .replace(r#""scm":"git""#, r#""scm":"hg""#)
        .replace(r#""branch":"main""#, r#""branch":"stable line""#)
        .replace(r#""revision":null"#, r#""revision":12"#)
        .replace(r#""truncated":false,"#, "")
}

/// The same as a form, as it goes over the wire.
pub(crate) fn as_form(json: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(json.as_bytes()).collect();
    format!("payload={encoded}")
}

/// `repo:refs_changed` with commits, times in both forms.
pub(crate) fn bitbucket_dc() -> String {
    r#"{"eventKey":"repo:refs_changed","date":"2024-03-01T10:00:00+0100",
      "actor":{"name":"HMORI","emailAddress":"hana@grove.example","id":4,"displayName":"Hana Mori","active":true,"slug":"hmori","type":"NORMAL"},
      "repository":{"slug":"grove-tools","id":7,"name":"Grove Tools","scmId":"git","archived":false,
        "project":{"key":"GROVE","id":3,"type":"NORMAL"},
        "links":{"clone":[{"href":"ssh://git@forge.example:7999/grove/grove-tools.git","name":"ssh"}]}},
      "changes":[{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"refId":"refs/heads/main","fromHash":"OLD","toHash":"NEW","type":"UPDATE"}],
      "commits":[{"id":"NEW","displayId":"bbbbbbbbbbb","author":{"name":"hana","emailAddress":"hana@grove.example"},
        "authorTimestamp":1700000000000,"committerTimestamp":"2023-11-14T22:13:21.000Z","message":"Trim","parents":[]}],
      "toCommit":{"id":"NEW","message":"Trim","parents":[]}}"#
        .replace("OLD", &id('a'))
        .replace("NEW", &id('b'))
}

/// `repo:push` of Bitbucket Cloud with the given changes.
pub(crate) fn bitbucket_cloud_with(changes: &str) -> String {
    format!(
        r#"{{"push":{{"changes":[{changes}]}},
        "repository":{{"scm":"git","name":"Grove Tools","full_name":"hana/grove-tools","type":"repository"}},
        "actor":{{"display_name":"Hana Mori","nickname":"hana","type":"user"}}}}"#
    )
}

/// One change of Bitbucket Cloud: `old` and `new` are digits of ids.
pub(crate) fn cloud_change(
    kind: &str,
    name: &str,
    old: Option<char>,
    new: Option<char>,
    more: &str,
) -> String {
    let side = |digit: Option<char>| {
        digit.map_or("null".to_owned(), |digit| {
            let name = serde_json::to_string(name).unwrap();
            format!(
                r#"{{"type":"{kind}","name":{name},"target":{{"type":"commit","hash":"{}","commitMessage":"Trim"}}}}"#,
                id(digit)
            )
        })
    };
    format!(r#"{{"old":{},"new":{}{more}}}"#, side(old), side(new))
}

/// The add-on's payload with the given changes.
pub(crate) fn post_webhooks_with(changes: &str) -> String {
    format!(
        r#"{{"actor":{{"username":"hana","displayName":"Hana Mori"}},
        "repository":{{"scmId":"git","project":{{"key":"GROVE","name":"The Grove"}},"slug":"grove-tools",
          "fullName":"GROVE/grove-tools","links":{{"self":[{{"href":"https://forge.example/browse"}}]}}}},
        "push":{{"changes":[{changes}]}}}}"#
    )
}

/// One body of every format, with its event header.
pub(crate) fn one_of_each() -> Vec<(&'static str, Option<&'static str>, String)> {
    let commits = format!(
        r#","truncated":false,"commits":[{{"hash":"{}","message":"Trim"}}]"#,
        id('b')
    );
    let cloud = cloud_change("branch", "main", Some('a'), Some('b'), &commits);
    let add_on = cloud_change("branch", "main", Some('a'), Some('b'), "");
    vec![
        ("post-receive", None, post_receive_stash2()),
        ("post-receive", None, post_receive_stash3()),
        ("post-receive", None, post_receive_bbs5()),
        ("cloud-post", None, cloud_post_git()),
        ("cloud-post", None, cloud_post_hg()),
        ("cloud-post", None, as_form(&cloud_post_git())),
        ("bitbucket-dc", Some("repo:refs_changed"), bitbucket_dc()),
        ("bitbucket-cloud", Some("repo:push"), bitbucket_cloud_with(&cloud)),
        ("post-webhooks", Some("repo:push"), post_webhooks_with(&add_on)),
        (
            "post-webhooks",
            Some("repo:refs_changed"),
            post_webhooks_with(&add_on),
        ),
    ]
}
