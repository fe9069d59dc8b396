//! Folders and files.

use madake_engine::ops::read_files::Entry;
use madake_formats::outgoing::resource::server_path;
use madake_vcs::git::read::EntryKind;
use serde_json::{Map, Value, json};

use crate::api::bitbucket::paging::Part;

/// Bytes that are looked at to tell whether a file is text.
const LOOKED_AT: usize = 8000;

/// A folder: `{path, revision, children}`.
pub(crate) fn folder(path: &str, revision: &str, children: Part<Value>) -> Value {
    json!({
        "path": server_path(path),
        "revision": revision,
        "children": children.server(),
    })
}

/// An entry of a folder. Its path is relative to the folder; files have a size in bytes.
pub(crate) fn child(entry: &Entry, size: Option<u64>) -> Value {
    let mut shown = Map::new();
    shown.insert("path".into(), server_path(&entry.name_text()));
    if let Some(id) = entry.id {
        let field = match entry.kind {
            EntryKind::Folder => "node",
            _ => "contentId",
        };
        shown.insert(field.into(), json!(id.to_string()));
    }
    shown.insert("type".into(), json!(type_name(entry.kind)));
    if let Some(size) = size {
        shown.insert("size".into(), json!(size));
    }
    Value::Object(shown)
}

/// `FILE`, `DIRECTORY` or `SUBMODULE`.
pub(crate) fn type_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Folder => "DIRECTORY",
        EntryKind::Submodule => "SUBMODULE",
        EntryKind::File | EntryKind::Executable | EntryKind::Symlink => "FILE",
    }
}

/// Whether a file is shown as text, as git decides it: by a NUL near its beginning.
pub(crate) fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(LOOKED_AT)].contains(&0)
}

/// The lines of a text without their ends. What is not UTF-8 is replaced.
pub(crate) fn lines(content: &[u8]) -> Vec<String> {
    if content.is_empty() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(content);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned())
        .collect()
}

/// `{"lines":[{"text":..}],"start":0,"size":1,"isLastPage":true}`, a page whose values are called lines.
pub(crate) fn source(part: Part<String>) -> Value {
    let page = part.map(|text| json!({ "text": text })).server();
    let mut shown = Map::new();
    if let Value::Object(mut page) = page {
        shown.insert("lines".into(), page.remove("values").unwrap_or_default());
        for name in ["start", "size", "isLastPage", "limit", "nextPageStart"] {
            if let Some(value) = page.remove(name) {
                shown.insert(name.into(), value);
            }
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use madake_vcs::name::ObjectId;

    use super::*;
    use crate::api::bitbucket::paging::Asked;

    #[test]
    fn folders_tell_their_children() {
        let entry = |name: &str, kind| Entry {
            name: name.into(),
            kind,
            id: ObjectId::parse(&"c".repeat(40)).ok(),
        };
        let children = vec![
            child(&entry("src", EntryKind::Folder), None),
            child(&entry("run.sh", EntryKind::Executable), Some(12)),
            child(&entry("lib", EntryKind::Submodule), None),
        ];
        let part = Asked { start: 0, limit: 2 }.of(children);
        let id = "c".repeat(40);
        assert_eq!(
            folder("a/b", "refs/heads/main", part).to_string(),
            format!(
                r#"{{"path":{{"components":["a","b"],"parent":"a","name":"b","toString":"a/b"}},"revision":"refs/heads/main","children":{{"size":2,"limit":2,"isLastPage":false,"values":[{{"path":{{"components":["src"],"parent":"","name":"src","toString":"src"}},"node":"{id}","type":"DIRECTORY"}},{{"path":{{"components":["run.sh"],"parent":"","name":"run.sh","extension":"sh","toString":"run.sh"}},"contentId":"{id}","type":"FILE","size":12}}],"start":0,"nextPageStart":2}}}}"#
            )
        );
    }

    #[test]
    fn lines_come_without_their_ends() {
        let rows: [(&[u8], &[&str]); 5] = [
            (b"", &[]),
            (b"\n", &[""]),
            (b"a\r\nb", &["a", "b"]),
            (b"a\n\n", &["a", ""]),
            (b"\xff\n", &["\u{fffd}"]),
        ];
        for (content, expected) in rows {
            assert_eq!(lines(content), expected, "{content:?}");
        }
        let part = Asked { start: 1, limit: 1 }.of(lines(b"a\nb\nc\n"));
        assert_eq!(
            source(part).to_string(),
            r#"{"lines":[{"text":"b"}],"start":1,"size":1,"isLastPage":false,"limit":1,"nextPageStart":2}"#
        );
        assert!(is_binary(b"a\0b") && !is_binary(b"ab"));
    }
}
