//! Which Mercurial repositories have not been touched since their refs last agreed with the ledger. To read one takes a
//! process of many megabytes; whether its files changed is known without.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use madake_store::Millis;

/// Everything that says where names are, below `.hg`.
const FILES: [&str; 5] = [
    "store/00changelog.i",
    "store/phaseroots",
    "store/obsstore",
    "store/bookmarks",
    "bookmarks",
];
/// A file that changed less than this ago may change again without its time showing it, in milliseconds.
const YOUNG_MS: i64 = 2000;

/// Which file it is, its size, and when it changed, in nanoseconds since 1970.
type Stamp = (u64, u64, i128);

/// What the files of a repository looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamps([Option<Stamp>; FILES.len()]);

/// The repositories whose refs agree with the ledger as long as their files stay.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<HashMap<i64, Stamps>>);

impl Stamps {
    /// Looks at the repository; none if it shares its commits with another one, whose files are elsewhere.
    pub(crate) fn of(repository: &Path) -> Option<Self> {
        let folder = repository.join(".hg");
        if folder.join("sharedpath").exists() {
            return None;
        }
        let stamp = |file: &str| {
            let found = fs::metadata(folder.join(file)).ok()?;
            let changed = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
            Some((found.ino(), found.len(), changed))
        };
        Some(Self(FILES.map(stamp)))
    }

    fn is_young(&self, now: Millis) -> bool {
        let newest = self.0.iter().flatten().map(|(_, _, changed)| *changed).max();
        newest.is_some_and(|newest| newest / 1_000_000 > i128::from(now - YOUNG_MS))
    }
}

impl Settled {
    /// Whether the refs agreed with the ledger when the files were like this.
    pub(crate) fn knows(&self, repository_id: i64, stamps: &Stamps) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&repository_id) == Some(stamps)
    }

    /// Notes that they do; `stamps` were taken before the refs were read.
    pub(crate) fn note(&self, repository_id: i64, stamps: Stamps, now: Millis) {
        if !stamps.is_young(now) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(repository_id, stamps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_is_settled_until_one_of_its_files_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join(".hg/store");
        fs::create_dir_all(&store).expect("a folder");
        fs::write(store.join("00changelog.i"), "1").expect("a file");
        let settled = Settled::default();
        let first = Stamps::of(folder.path()).expect("no share");
        settled.note(7, first.clone(), 0);
        assert!(!settled.knows(7, &first), "the file is too young to be sure");
        settled.note(7, first.clone(), Millis::MAX);
        assert!(settled.knows(7, &first) && !settled.knows(8, &first));

        fs::write(folder.path().join(".hg/bookmarks"), "x").expect("a file");
        let second = Stamps::of(folder.path()).expect("no share");
        assert!(!settled.knows(7, &second));
        fs::write(store.join("00changelog.i"), "12").expect("a file");
        assert_ne!(Stamps::of(folder.path()), Some(second));

        fs::write(folder.path().join(".hg/sharedpath"), "/elsewhere").expect("a file");
        assert_eq!(Stamps::of(folder.path()), None);
    }
}
