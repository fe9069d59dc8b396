//! Trees: the folders of a revision.

use super::ReadError;
use crate::name::ObjectId;

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// The name, as bytes: git does not ask for UTF-8.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The content.
    pub id: ObjectId,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A folder.
    Folder,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// The mode that git tells, such as `0o100644`.
    #[must_use]
    pub fn mode(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Folder => 0o040_000,
            Self::Submodule => 0o160_000,
        }
    }
}

impl TreeEntry {
    /// The name for people and filters: what is not UTF-8 is replaced.
    #[must_use]
    pub fn name_text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

pub(super) fn parse(raw: &[u8], tree: &ObjectId) -> Result<Vec<TreeEntry>, ReadError> {
    let damaged = || ReadError::Damaged {
        object: tree.to_string(),
        reason: "an entry of the tree is cut",
    };
    let id_length = tree.as_raw().len();
    let mut entries = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let mode_end = rest.iter().position(|&byte| byte == b' ').ok_or_else(damaged)?;
        let name_end = rest
            .iter()
            .position(|&byte| byte == 0)
            .filter(|&end| end > mode_end)
            .ok_or_else(damaged)?;
        let id_end = name_end + 1 + id_length;
        let id =
            ObjectId::from_raw(rest.get(name_end + 1..id_end).ok_or_else(damaged)?).map_err(|_| damaged())?;
        let kind = match &rest[..mode_end] {
            b"40000" | b"040000" => EntryKind::Folder,
            b"120000" => EntryKind::Symlink,
            b"160000" => EntryKind::Submodule,
            b"100755" => EntryKind::Executable,
            _ => EntryKind::File,
        };
        entries.push(TreeEntry {
            name: rest[mode_end + 1..name_end].to_vec(),
            kind,
            id,
        });
        rest = &rest[id_end..];
    }
    Ok(entries)
}
