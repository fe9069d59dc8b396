//! Repositories, commits, refs and files of the 2.0 interface.

use madake_engine::ops::read_files::Entry;
use madake_engine::ops::read_repository::ReadableRepository;
use madake_formats::outgoing::facts::PushFacts;
use madake_formats::outgoing::links::Links;
use madake_formats::outgoing::resource;
use madake_vcs::git::read::EntryKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// What is encoded in the path of a file.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~');

/// A repository with the members that only the interface has, and no webhook.
pub(crate) fn repository(facts: &PushFacts) -> Value {
    let about = &facts.repository;
    let links = Links::new(&facts.server, about);
    let api = |below: &str| json!({ "href": links.absolute(&links.cloud_api(below)) });
    let mut clone = vec![json!({ "href": links.clone_http(), "name": "https" })];
    if let Some(ssh) = links.clone_ssh() {
        clone.push(json!({ "href": ssh, "name": "ssh" }));
    }
    let mut shown = resource::cloud_repository(facts);
    shown["slug"] = json!(about.slug);
    shown["description"] = json!(about.description);
    shown["language"] = json!("");
    shown["has_issues"] = json!(false);
    shown["has_wiki"] = json!(false);
    shown["fork_policy"] = json!("allow_forks");
    shown["mainbranch"] = match &about.default_branch {
        Some(name) => json!({ "type": "branch", "name": name }),
        None => Value::Null,
    };
    for (name, below) in [
        ("branches", "/refs/branches"),
        ("tags", "/refs/tags"),
        ("commits", "/commits"),
        ("source", "/src"),
        ("hooks", "/hooks"),
    ] {
        shown["links"][name] = api(below);
    }
    shown["links"]["clone"] = json!(clone);
    shown
}

/// One of the commits that were read.
pub(crate) fn commit(facts: &PushFacts, place: usize) -> Option<Value> {
    let mut shown = resource::cloud_commit(facts, place)?;
    shown["repository"] = short_repository(facts);
    Some(shown)
}

/// The refs of facts.
pub(crate) fn refs(facts: &PushFacts) -> Vec<Value> {
    let shown = facts.refs.iter().filter_map(|moved| {
        let mut shown = resource::cloud_ref(facts, moved)?;
        shown["target"]["repository"] = short_repository(facts);
        Some(shown)
    });
    shown.collect()
}

/// A file or folder of a revision.
pub(crate) fn entry(
    facts: &PushFacts,
    revision: &str,
    path: &str,
    kind: EntryKind,
    size: Option<u64>,
) -> Value {
    let links = Links::new(&facts.server, &facts.repository);
    let encoded = utf8_percent_encode(path, PATH);
    let is_folder = kind == EntryKind::Folder;
    let end = if is_folder && !path.is_empty() { "/" } else { "" };
    let this = links.absolute(&links.cloud_api(&format!("/src/{revision}/{encoded}{end}")));
    let mut shown = Map::new();
    shown.insert("path".into(), json!(path));
    shown.insert(
        "type".into(),
        json!(if is_folder {
            "commit_directory"
        } else {
            "commit_file"
        }),
    );
    if !is_folder {
        shown.insert("size".into(), json!(size.unwrap_or(0)));
        shown.insert("attributes".into(), json!(attributes(kind)));
    }
    shown.insert(
        "commit".into(),
        json!({
            "type": "commit",
            "hash": revision,
            "links": {
                "self": { "href": links.absolute(&links.cloud_api(&format!("/commit/{revision}"))) },
                "html": { "href": links.absolute(&format!("{}/commits/{revision}", links.cloud_repository())) },
            },
        }),
    );
    shown.insert(
        "links".into(),
        json!({ "self": { "href": this }, "meta": { "href": format!("{this}?format=meta") } }),
    );
    Value::Object(shown)
}

/// The path of an entry below a folder.
pub(crate) fn path_below(folder: &str, entry: &Entry) -> String {
    let name = entry.name_text();
    if folder.is_empty() {
        name
    } else {
        format!("{folder}/{name}")
    }
}

/// The address of a list of the repository.
pub(crate) fn address(found: &ReadableRepository, below: &str) -> String {
    let facts = found.facts();
    let links = Links::new(&facts.server, &facts.repository);
    links.absolute(&links.cloud_api(&utf8_percent_encode(below, PATH).to_string()))
}

fn attributes(kind: EntryKind) -> Vec<&'static str> {
    match kind {
        EntryKind::Executable => vec!["executable"],
        EntryKind::Symlink => vec!["link"],
        EntryKind::Submodule => vec!["subrepository"],
        EntryKind::File | EntryKind::Folder => Vec::new(),
    }
}

fn short_repository(facts: &PushFacts) -> Value {
    let whole = resource::cloud_repository(facts);
    ["type", "name", "full_name", "uuid", "links"]
        .into_iter()
        .map(|name| (name.to_owned(), whole[name].clone()))
        .collect::<Map<_, _>>()
        .into()
}
