//! Each template with hostile samples: it renders, and nothing of a sample becomes part of the page's own text.

use madake_vcs::git::read::{CommitFile, FilePatch, Hunk, Patch, PatchBody, PatchLine};
use serde_json::json;

use super::*;

const HOSTILE: &str = "</td><script>alert(1)</script>\"' onload=x &amp;";

fn frame(is_known: bool) -> Frame {
    Frame {
        title: HOSTILE.into(),
        home: "/".into(),
        stylesheet: "/assets/pages.css".into(),
        version: "",
        visitor: is_known.then(|| HOSTILE.into()),
        log_in: "/login".into(),
        log_out: is_known.then(|| "/logout".into()),
        ways: vec![Way {
            title: "Builds",
            url: HOSTILE.into(),
            is_here: true,
        }],
        repository: is_known.then(|| RepositoryFrame {
            owner: HOSTILE.into(),
            slug: HOSTILE.into(),
            url: "/".into(),
            project_url: "/".into(),
            description: HOSTILE.into(),
            tabs: vec![Tab {
                title: "Files",
                url: "/".into(),
                is_here: true,
            }],
        }),
    }
}

#[test]
fn every_template_renders_and_keeps_text_of_people_inside_its_place() {
    let row = json!({"url": HOSTILE, "subject": HOSTILE, "author": HOSTILE, "time": "now", "short": "abc"});
    let crumbs = json!([{"title": HOSTILE, "url": HOSTILE}, {"title": HOSTILE, "url": null}]);
    let file = json!({
        "path": HOSTILE, "fragment": HOSTILE, "letter": "M", "mark": "changed", "what": HOSTILE, "note": HOSTILE,
        "view_url": HOSTILE, "added": 1, "removed": 2,
        "hunks": [{"heading": HOSTILE, "lines": [{"kind": "added", "sign": "+", "old": "", "new": "1", "text": HOSTILE}]}],
    });
    let deployed = json!({
        "url": HOSTILE, "id": 7, "release": HOSTILE, "release_url": HOSTILE, "environment": HOSTILE,
        "state": "failed", "words": HOSTILE, "at": {"exact": HOSTILE, "shown": HOSTILE},
    });
    let at = json!({"exact": HOSTILE, "shown": HOSTILE});
    let chip = json!({"url": HOSTILE, "key": HOSTILE, "number": 7, "verdict": "failed", "words": HOSTILE, "at": at, "took": HOSTILE});
    let marked = json!([{"text": HOSTILE, "is_code": false}, {"text": HOSTILE, "is_code": true}]);
    let branch = json!({"name": HOSTILE, "url": HOSTILE, "is_disabled": true, "last": chip});
    let stage = json!({
        "name": HOSTILE, "is_manual": true, "is_final": true, "jobs": [{"name": HOSTILE, "is_disabled": true}],
    });
    let finding = json!({
        "severity": "error", "place": HOSTILE, "url": HOSTILE, "message": marked, "help": marked, "enter_url": HOSTILE,
        "from": HOSTILE, "revision": HOSTILE, "lines": [{"number": 2, "text": HOSTILE, "is_meant": true}],
    });
    let place = json!({"name": HOSTILE, "url": HOSTILE, "release": HOSTILE, "failed": HOSTILE, "failed_url": HOSTILE});
    let source = json!({
        "repository": HOSTILE, "repository_url": HOSTILE, "revision": HOSTILE, "short": HOSTILE, "commit_url": HOSTILE,
        "folder_url": HOSTILE,
    });
    let under_way = json!({
        "url": HOSTILE, "title": HOSTILE, "of": HOSTILE, "state": "runs", "words": HOSTILE, "since": at,
    });
    let pages = [
        (
            "list.html",
            json!({
                "heading": HOSTILE, "truncated": true, "nothing": "none",
                "repositories": [{"name": HOSTILE, "url": HOSTILE, "note": HOSTILE, "description": HOSTILE}],
            }),
        ),
        (
            "home.html",
            json!({
                "heading": HOSTILE, "all_url": HOSTILE, "under_way": [under_way], "more_under_way": 2, "more_plans": 3,
                "projects": [{"key": HOSTILE, "name": HOSTILE, "url": HOSTILE, "plans": [
                    {"key": HOSTILE, "name": HOSTILE, "url": HOSTILE, "is_disabled": true, "last": chip},
                    {"key": HOSTILE, "name": HOSTILE, "url": HOSTILE, "is_disabled": false, "last": null}]}],
                "deployments": [{"name": HOSTILE, "url": HOSTILE, "places": [place]}],
                "deployments_url": HOSTILE, "repositories_url": HOSTILE, "all_repositories": 12,
                "repositories": [{"name": HOSTILE, "url": HOSTILE, "note": HOSTILE, "description": HOSTILE}],
                "is_empty": true, "is_administrator": true, "is_stranger": false, "clone_url": HOSTILE,
                "others": [{"title": HOSTILE, "url": HOSTILE}],
            }),
        ),
        (
            "folder.html",
            json!({
                "at": HOSTILE, "is_empty": false, "crumbs": crumbs, "newest": row, "truncated": true,
                "entries": [{"name": HOSTILE, "url": HOSTILE, "kind": "folder", "note": HOSTILE},
                            {"name": HOSTILE, "url": null, "kind": "plainfile", "note": ""}],
                "clone_urls": [HOSTILE], "readme": {"name": HOSTILE, "text": HOSTILE},
            }),
        ),
        (
            "folder.html",
            json!({
                "at": HOSTILE, "is_empty": true, "crumbs": [], "newest": null, "truncated": false, "entries": [],
                "clone_urls": [HOSTILE], "readme": null,
            }),
        ),
        (
            "file.html",
            json!({
                "at": HOSTILE, "crumbs": crumbs, "size": "1 byte", "what": HOSTILE, "note": HOSTILE, "raw_url": HOSTILE,
                "history_url": HOSTILE, "lines": [HOSTILE, ""],
            }),
        ),
        (
            "build.html",
            json!({
                "heading": HOSTILE, "about": HOSTILE, "state": HOSTILE, "revision": HOSTILE, "note": HOSTILE, "plan_file": HOSTILE,
                "stages": [{"name": HOSTILE, "state": HOSTILE, "jobs": [{
                    "name": HOSTILE, "state": HOSTILE, "verdict": "failed", "message": HOSTILE, "log_url": HOSTILE,
                    "tests": HOSTILE}]}],
                "facts": {"verdict": "failed", "plan": HOSTILE, "plan_url": HOSTILE,
                    "began": {"exact": HOSTILE, "shown": HOSTILE}, "took": HOSTILE, "more_commits": 2,
                    "commits": [{"id": HOSTILE, "author": HOSTILE, "subject": HOSTILE}]},
                "tests": HOSTILE,
                "failed": [{"id": 1, "job": HOSTILE, "name": HOSTILE, "since": HOSTILE, "text": HOSTILE}],
                "others": [{"title": HOSTILE, "more": 1,
                    "names": [{"id": 2, "job": HOSTILE, "name": HOSTILE, "note": HOSTILE}]}],
                "more_failed": 3, "problem": HOSTILE,
                "artifacts": [{"name": HOSTILE, "url": HOSTILE, "zip_url": HOSTILE, "note": HOSTILE}],
            }),
        ),
        (
            "artifact.html",
            json!({
                "heading": HOSTILE, "build": HOSTILE, "build_url": HOSTILE, "zip_url": HOSTILE, "truncated": true,
                "entries": [{"name": HOSTILE, "url": HOSTILE, "kind": "folder", "note": HOSTILE}],
            }),
        ),
        (
            "plan.html",
            json!({
                "project": HOSTILE, "project_url": HOSTILE, "name": HOSTILE, "key": HOSTILE, "plan_url": HOSTILE,
                "branch": HOSTILE, "description": HOSTILE, "is_disabled": true, "problem": HOSTILE, "run_url": HOSTILE,
                "form_token": HOSTILE, "under_way": [under_way], "results": [chip, chip],
                "stages": [stage],
                "branches": [branch], "is_cut": true,
                "owner": HOSTILE, "source": source, "since": at, "variables_url": HOSTILE,
                "variables": [{"name": HOSTILE, "value": HOSTILE, "is_secret": false}],
                "conflicts": [{"repository": HOSTILE, "command": HOSTILE}], "decided": [HOSTILE], "own_triggers": true,
                "triggers": [{"words": HOSTILE, "next": at}],
                "last": {"words": marked, "at": at, "command": HOSTILE},
                "findings": [finding],
            }),
        ),
        (
            "commits.html",
            json!({
                "at": HOSTILE, "crumbs": crumbs, "rows": [row], "newer_url": HOSTILE, "older_url": HOSTILE,
            }),
        ),
        (
            "commit.html",
            json!({
                "id": "abc", "subject": HOSTILE, "body": HOSTILE, "author": HOSTILE, "authored": "now",
                "committer": HOSTILE, "committed": "now", "parents": [{"title": HOSTILE, "url": HOSTILE}],
                "browse_url": HOSTILE, "note": HOSTILE, "files": [file, file], "truncated": true,
            }),
        ),
        (
            "compare.html",
            json!({
                "heading": HOSTILE, "note": HOSTILE, "rows": [row], "files": [file], "truncated": false,
            }),
        ),
        (
            "refs.html",
            json!({
                "heading": HOSTILE, "truncated": true,
                "rows": [{"name": HOSTILE, "url": HOSTILE, "is_default": true, "rules": [HOSTILE], "subject": HOSTILE,
                          "time": "now", "commit_url": HOSTILE, "short": "abc"}],
            }),
        ),
        (
            "login.html",
            json!({
                "action": HOSTILE, "next": HOSTILE, "name": HOSTILE, "asked": HOSTILE, "problem": HOSTILE,
            }),
        ),
        (
            "hearing.html",
            json!({
                "serving_all": HOSTILE,
                "rows": [
                    {"name": HOSTILE, "address": HOSTILE, "state": "missed", "sentence": HOSTILE,
                     "told": {"exact": HOSTILE, "shown": HOSTILE}, "told_by": HOSTILE, "looked": null, "pause": "1 min",
                     "missed": {"exact": "now", "shown": "now"}, "missed_count": 2, "entry": 42, "entry_url": HOSTILE},
                ],
            }),
        ),
        (
            "deployments.html",
            json!({
                "projects": [{"name": HOSTILE, "url": HOSTILE, "plan": HOSTILE, "plan_url": HOSTILE,
                              "description": HOSTILE, "environments": [place]}],
            }),
        ),
        (
            "deployment.html",
            json!({
                "name": HOSTILE, "description": HOSTILE, "plan": HOSTILE, "plan_url": HOSTILE, "source": source, "next_name": HOSTILE,
                "environments": [{"name": HOSTILE, "url": HOSTILE, "description": HOSTILE, "rules": [HOSTILE],
                                  "deployed": deployed, "newest": deployed}],
                "releases": [{"name": HOSTILE, "url": HOSTILE, "build": HOSTILE, "build_url": HOSTILE, "status": HOSTILE,
                              "made": {"exact": HOSTILE, "shown": HOSTILE}, "creator": HOSTILE}],
                "notes": [{"level": "error", "text": HOSTILE, "at": {"exact": HOSTILE, "shown": HOSTILE}}],
            }),
        ),
        (
            "environment.html",
            json!({
                "project": HOSTILE, "project_url": HOSTILE, "name": HOSTILE, "description": HOSTILE, "rules": [HOSTILE],
                "deployed": deployed, "rows": [deployed], "truncated": true,
            }),
        ),
        (
            "deployed.html",
            json!({
                "project": HOSTILE, "project_url": HOSTILE, "environment": HOSTILE, "environment_url": HOSTILE,
                "one": deployed, "key": HOSTILE, "reason": HOSTILE, "agent": HOSTILE, "message": HOSTILE, "took": HOSTILE,
                "is_cut": true, "lines": [{"time": HOSTILE, "text": HOSTILE, "is_error": true}],
            }),
        ),
        (
            "release.html",
            json!({
                "project": HOSTILE, "project_url": HOSTILE, "name": HOSTILE, "build": HOSTILE, "build_url": HOSTILE,
                "branch": HOSTILE, "creator": HOSTILE, "status": HOSTILE, "status_by": HOSTILE,
                "made": {"exact": HOSTILE, "shown": HOSTILE}, "rows": [deployed],
                "variables": [{"name": HOSTILE, "value": HOSTILE}],
            }),
        ),
        ("problem.html", json!({"heading": HOSTILE, "sentence": HOSTILE})),
        (
            "variables.html",
            json!({
                "heading": HOSTILE, "about": "about", "action": "/variables", "form_token": HOSTILE, "project": HOSTILE,
                "plan": HOSTILE, "problem": HOSTILE, "others": [{"title": HOSTILE, "url": HOSTILE}],
                "rows": [{"name": HOSTILE, "value": HOSTILE, "is_secret": false, "by": HOSTILE,
                          "at": {"exact": HOSTILE, "shown": HOSTILE}}],
                "explained": [{"name": HOSTILE, "value": HOSTILE, "is_hidden": false, "is_foreign": true,
                               "source": HOSTILE, "counts": HOSTILE, "is_beaten": false}],
                "has_rivals": true,
            }),
        ),
        (
            "credentials.html",
            json!({"rows": [{
                "name": HOSTILE, "project": HOSTILE, "kind": HOSTILE, "username": HOSTILE, "fingerprint": HOSTILE,
                "may_change": true, "grants": [HOSTILE], "uses": [HOSTILE], "changed_by": HOSTILE, "used_by": HOSTILE,
                "changed": {"exact": HOSTILE, "shown": HOSTILE}, "used": {"exact": HOSTILE, "shown": HOSTILE}}]}),
        ),
    ];
    for (name, page) in &pages {
        for is_known in [false, true] {
            let text =
                text_of(name, &frame(is_known), page).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(text.contains("&lt;script&gt;"), "{name} shows nothing of it");
            for own in ["<script", "onload=x &amp;\"", "\"' onload", "</td><scr"] {
                assert!(!text.contains(own), "{name}: {own} in {text}");
            }
            assert!(
                !text.contains("none</") && text.trim_end().ends_with("</html>"),
                "{name}: {text}"
            );
        }
    }
    let rendered: std::collections::BTreeSet<&str> = pages.iter().map(|(name, _)| *name).collect();
    let all = TEMPLATES.templates().map(|(name, _)| name);
    let missed: Vec<&str> = all
        .filter(|name| !rendered.contains(name) && !["layout.html", "parts.html"].contains(name))
        .collect();
    assert_eq!(missed, Vec::<&str>::new(), "without a sample");
}

#[test]
fn differences_are_numbered_and_bounded() {
    let file = |path: &str, lines: usize| FilePatch {
        file: CommitFile {
            status: 'M',
            path: path.into(),
            source: None,
            old_mode: 0o100_644,
            new_mode: 0o100_644,
            old_id: None,
            new_id: None,
            similarity: None,
        },
        body: PatchBody::Text(vec![Hunk {
            old_start: 7,
            new_start: 9,
            heading: HOSTILE.into(),
            lines: [
                vec![PatchLine::Same("a".into()), PatchLine::Removed("b".into())],
                vec![PatchLine::Added("c".into()); lines],
            ]
            .concat(),
        }]),
    };
    let site = crate::pages::address::Site::of_context("").repository_at("PROJ", "app");
    let files = [
        vec![file("big", 5000)],
        (0..600).map(|number| file(&format!("f{number}"), 100)).collect(),
    ]
    .concat();
    let patch = Patch {
        files,
        truncated: false,
    };
    let all = crate::pages::differences::Differences::of(patch, &site, "abc");
    assert!(all.truncated && all.files.len() == 500);
    assert!(all.files[0].hunks.is_empty() && all.files[0].note.starts_with("5002 lines"));
    assert_eq!((all.files[0].added, all.files[0].removed), (5000, 1));
    let lines = &all.files[1].hunks[0].lines;
    let shown: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line.old.as_str(), line.new.as_str()))
        .collect();
    assert_eq!(shown[..4], [("7", "9"), ("8", ""), ("", "10"), ("", "11")]);
    assert!(all.files[499].hunks.is_empty() && !all.files[499].note.is_empty());
    let total: usize = all
        .files
        .iter()
        .flat_map(|file| &file.hunks)
        .map(|hunk| hunk.lines.len())
        .sum();
    assert!(total <= 12_000, "{total}");
}
