//! Refs as git keeps them in files: one file for each, and `packed-refs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::Question;
use crate::name::{ObjectId, RefName};

/// How deep folders of refs may lie in each other.
const MAX_DEPTH: usize = 64;

/// Where a ref points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: ObjectId,
    /// What it peels to, where the file says so; the inner `None` stands for nothing.
    pub(super) peeled: Option<Option<ObjectId>>,
}

/// The refs of a repository.
#[derive(Debug)]
pub(super) struct Files {
    /// By name, in git's order.
    pub(super) refs: BTreeMap<String, Found>,
    pub(super) head: ObjectId,
    /// The branch that HEAD names.
    pub(super) head_target: Option<String>,
}

impl Files {
    /// Reads what a question may be about, and perhaps more. `None` if something is not as this reader knows it.
    pub(super) fn read(git_directory: &Path, question: &Question) -> Option<Self> {
        let (mut refs, mut loose) = (BTreeMap::new(), BTreeMap::new());
        // Packing writes the packed file before it removes the others, so this order misses nothing.
        read_folder(&git_directory.join("refs"), "refs/", question, 0, &mut loose)?;
        read_packed(git_directory, &mut refs)?;
        refs.extend(loose);
        let text = fs::read_to_string(git_directory.join("HEAD")).ok()?;
        let (head, head_target) = match text.strip_prefix("ref: ") {
            Some(target) => {
                let target = RefName::parse(target.trim()).ok()?;
                let loose = read_file(&git_directory.join(target.as_str()))?;
                let packed = refs.get(target.as_str()).map(|found| found.id);
                // A branch that is nowhere may be on its way from one place to the other: git knows.
                (loose.or(packed)?, Some(target.as_str().to_owned()))
            }
            None => (ObjectId::parse(text.trim_end()).ok()?, None),
        };
        Some(Self {
            refs,
            head,
            head_target,
        })
    }
}

/// What one file holds, if it is there.
fn read_file(path: &Path) -> Option<Option<ObjectId>> {
    match fs::read_to_string(path) {
        // A symbolic ref, or damage, is for git to judge.
        Ok(text) => ObjectId::parse(text.trim_end()).ok().map(Some),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => Some(None),
            _ => None,
        },
    }
}

fn read_folder(
    folder: &Path,
    name: &str,
    question: &Question,
    depth: usize,
    refs: &mut BTreeMap<String, Found>,
) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // It became empty and was removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound && depth > 0 => return Some(()),
        Err(_) => return None,
    };
    for entry in entries {
        let entry = entry.ok()?;
        let file = entry.file_name().into_string().ok()?;
        if file.starts_with('.') || file.ends_with(".lock") {
            continue;
        }
        let full = format!("{name}{file}");
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            let below = format!("{full}/");
            if question.wants_below(&below) {
                read_folder(&entry.path(), &below, question, depth + 1, refs)?;
            }
        } else if !kind.is_file() {
            return None;
        } else if question.wants(&full) {
            RefName::parse(&full).ok()?;
            if let Some(id) = read_file(&entry.path())? {
                refs.insert(full, Found { id, peeled: None });
            }
        }
    }
    Some(())
}

fn read_packed(git_directory: &Path, refs: &mut BTreeMap<String, Found>) -> Option<()> {
    let text = match fs::read_to_string(git_directory.join("packed-refs")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(()),
        Err(_) => return None,
    };
    let mut fully_peeled = false;
    let mut last: Option<String> = None;
    for line in text.lines() {
        if let Some(traits) = line.strip_prefix("# pack-refs with:") {
            fully_peeled = traits.split_whitespace().any(|word| word == "fully-peeled");
        } else if let Some(peeled) = line.strip_prefix('^') {
            let found = refs.get_mut(last.as_ref()?)?;
            found.peeled = Some(Some(ObjectId::parse(peeled).ok()?));
        } else {
            let (id, name) = line.split_once(' ')?;
            let id = ObjectId::parse(id).ok()?;
            RefName::parse(name).ok()?;
            let peeled = fully_peeled.then_some(None);
            refs.insert(name.to_owned(), Found { id, peeled });
            last = Some(name.to_owned());
        }
    }
    Some(())
}
