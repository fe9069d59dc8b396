//! Files of artifacts, in the home, by what is in them.
//!
//! A blob is named by the SHA-256 of its bytes: `blobs/ab/cdef...`. What two builds made alike is there once, and what
//! is there is whole: a blob is written beside, made durable, and only then gets its name. An upload that is cut off
//! leaves nothing, and the same one again finds what the first stored (hostile-inputs.md T7).
//!
//! Which artifact has which blob stands in tables. A blob that no table names is removed by [`BlobStore::remove`]; one
//! that was just received cannot be, until its [`Received`] is dropped, which is to be after the table names it.
//!
//! All functions wait for the disk: callers on an executor call them from a thread for that.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

/// So many bytes are read and written at a time.
const PIECE: usize = 256 * 1024;

/// The SHA-256 of a blob's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash([u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits in lower case")]
pub struct NoHash;

impl FromStr for BlobHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NoHash);
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| NoHash)?;
        Ok(Self(hash))
    }
}

/// A blob: what is in it, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// The hash of its bytes.
    pub hash: BlobHash,
    /// How many bytes it has.
    pub size: u64,
}

/// Why a blob was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// It is longer than it may be.
    #[error("the file has more than the {limit} bytes that are allowed")]
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: u64,
    },
    /// It is not what was announced.
    #[error(
        "the file is not the one that was announced: {expected_size} bytes with hash {expected_hash} were, {size} with {hash} came"
    )]
    Different {
        /// The announced length.
        expected_size: u64,
        /// The announced hash.
        expected_hash: BlobHash,
        /// The length that came.
        size: u64,
        /// The hash of what came.
        hash: BlobHash,
    },
    /// The sender stopped, or its file cannot be read.
    #[error("the file could not be read to its end")]
    Source(#[source] io::Error),
    /// The disk is full, or refuses.
    #[error("the file could not be stored")]
    Disk(#[source] io::Error),
}

/// A folder of blobs. One process uses it at a time; its clones share it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blobs: PathBuf,
    incoming: PathBuf,
    counter: AtomicU64,
    /// Blobs that were received and may not be named by a table yet, with how often.
    pinned: Mutex<HashMap<BlobHash, usize>>,
}

/// A blob that was just stored. While this lives the blob is not removed.
#[derive(Debug)]
pub struct Received {
    blob: Blob,
    shared: Arc<Shared>,
}

impl Received {
    /// The blob.
    #[must_use]
    pub fn blob(&self) -> Blob {
        self.blob
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let mut pinned = self.shared.lock();
        if let Some(count) = pinned.get_mut(&self.blob.hash) {
            *count -= 1;
            if *count == 0 {
                pinned.remove(&self.blob.hash);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<BlobHash, usize>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, hash: BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.blobs.join(&name[..2]).join(&name[2..])
    }
}

impl BlobStore {
    /// Opens the folder, and makes it when it is missing. What uploads left behind that the last process did not finish
    /// is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: &Path) -> io::Result<Self> {
        let (blobs, incoming) = (root.join("blobs"), root.join("incoming"));
        for folder in [&blobs, &incoming] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        for leftover in fs::read_dir(&incoming)? {
            fs::remove_file(leftover?.path())?;
        }
        sync_folder(root)?;
        Ok(Self {
            shared: Arc::new(Shared {
                blobs,
                incoming,
                counter: AtomicU64::new(0),
                pinned: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// Stores what the source gives, up to its end. When this returns the blob is durable.
    ///
    /// `limit` is the most bytes that are taken. Where the sender has announced what comes, anything else is refused.
    ///
    /// # Errors
    /// When it is too long or not what was announced, or source or disk fail. Then nothing is stored.
    pub fn receive(
        &self,
        source: &mut dyn Read,
        limit: u64,
        announced: Option<&Blob>,
    ) -> Result<Received, BlobError> {
        let number = self.shared.counter.fetch_add(1, Ordering::Relaxed);
        let incoming = Incoming(self.shared.incoming.join(number.to_string()));
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&incoming.0)
            .map_err(BlobError::Disk)?;
        let blob = copy(source, &mut file, limit)?;
        if let Some(announced) = announced
            && *announced != blob
        {
            return Err(BlobError::Different {
                expected_size: announced.size,
                expected_hash: announced.hash,
                size: blob.size,
                hash: blob.hash,
            });
        }
        file.sync_all().map_err(BlobError::Disk)?;
        drop(file);
        let path = self.shared.path(blob.hash);
        // Under the lock, so that nobody removes it between its name and its pin.
        let mut pinned = self.shared.lock();
        self.name(&incoming.0, &path, blob).map_err(BlobError::Disk)?;
        *pinned.entry(blob.hash).or_default() += 1;
        drop(pinned);
        Ok(Received {
            blob,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Gives a finished file its name, unless the same blob has it already.
    fn name(&self, file: &Path, path: &Path, blob: Blob) -> io::Result<()> {
        // One that a failing disk cut short is replaced.
        if fs::metadata(path).is_ok_and(|there| there.len() == blob.size) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.shared.blobs);
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => sync_folder(&self.shared.blobs)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        fs::rename(file, path)?;
        sync_folder(folder)
    }

    /// The file of a blob, whether or not it is there. It is never written to.
    #[must_use]
    pub fn path(&self, hash: BlobHash) -> PathBuf {
        self.shared.path(hash)
    }

    /// Opens a blob for reading, at its beginning; `None`: there is none with this hash.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open_blob(&self, hash: BlobHash) -> io::Result<Option<File>> {
        match File::open(self.shared.path(hash)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a blob is there and has the bytes that its name says. Reads all of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_intact(&self, blob: &Blob) -> io::Result<bool> {
        let Some(mut file) = self.open_blob(blob.hash)? else {
            return Ok(false);
        };
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut size = 0;
        loop {
            match file.read(&mut piece)? {
                0 => break,
                count => {
                    hasher.update(&piece[..count]);
                    size += count as u64;
                }
            }
        }
        let hash = BlobHash(hasher.finalize().into());
        Ok(Blob { hash, size } == *blob)
    }

    /// Removes a blob that no table names any more: `is_named` is asked while nothing can be received. Gives whether
    /// it was removed.
    ///
    /// # Errors
    /// When the file cannot be removed, or `is_named` fails.
    pub fn remove(&self, hash: BlobHash, is_named: impl FnOnce() -> io::Result<bool>) -> io::Result<bool> {
        let pinned = self.shared.lock();
        if pinned.contains_key(&hash) || is_named()? {
            return Ok(false);
        }
        match fs::remove_file(self.shared.path(hash)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All blobs, in the order of their hashes: to find those that no table names.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Blob>> {
        let mut all = Vec::new();
        for folder in fs::read_dir(&self.shared.blobs)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let name =
                    [folder.file_name(), file.file_name()].map(|name| name.to_string_lossy().into_owned());
                // What somebody else put here is not ours to touch.
                if let Ok(hash) = name.concat().parse() {
                    let size = file.metadata()?.len();
                    all.push(Blob { hash, size });
                }
            }
        }
        all.sort_unstable();
        Ok(all)
    }
}

/// A file that is being written; removed unless it got its name.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // It is gone where it got its name; where it cannot be removed, the next start does it.
        let _ = fs::remove_file(&self.0);
    }
}

fn copy(source: &mut dyn Read, file: &mut File, limit: u64) -> Result<Blob, BlobError> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut size = 0u64;
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BlobError::Source(error)),
        };
        size += count as u64;
        if size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        hasher.update(&piece[..count]);
        file.write_all(&piece[..count]).map_err(BlobError::Disk)?;
    }
    Ok(Blob {
        hash: BlobHash(hasher.finalize().into()),
        size,
    })
}

/// Makes names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// `printf hello | sha256sum`.
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn store() -> (tempfile::TempDir, BlobStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(&folder.path().join("artifacts")).unwrap();
        (folder, store)
    }

    fn receive(store: &BlobStore, bytes: &[u8]) -> Blob {
        store
            .receive(&mut Cursor::new(bytes), u64::MAX, None)
            .unwrap()
            .blob()
    }

    fn content(store: &BlobStore, hash: BlobHash) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        store.open_blob(hash).unwrap()?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    fn incoming(folder: &tempfile::TempDir) -> usize {
        fs::read_dir(folder.path().join("artifacts/incoming"))
            .unwrap()
            .count()
    }

    /// Gives some bytes, and then fails.
    struct CutOff(Cursor<Vec<u8>>);

    impl Read for CutOff {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn blobs_are_stored_once_by_what_is_in_them() {
        let (folder, store) = store();
        let blob = receive(&store, b"hello");
        assert_eq!((blob.hash.to_string().as_str(), blob.size), (HELLO, 5));
        assert_eq!(receive(&store, b"hello"), blob);
        let empty = receive(&store, b"");
        let large = receive(&store, &vec![7; 3 * PIECE + 1]);
        assert_eq!(content(&store, blob.hash).unwrap(), b"hello");
        assert_eq!(content(&store, empty.hash).unwrap(), b"");
        let mut expected = [blob, empty, large];
        expected.sort_unstable();
        assert_eq!(store.list().unwrap(), expected);
        assert_eq!(incoming(&folder), 0);
        let path = folder
            .path()
            .join("artifacts/blobs")
            .join(&HELLO[..2])
            .join(&HELLO[2..]);
        assert!(path.is_file());
        assert!(store.is_intact(&blob).unwrap() && store.is_intact(&large).unwrap());
        fs::write(&path, "jello").unwrap();
        assert!(!store.is_intact(&blob).unwrap());
    }

    #[test]
    fn t7_upload_that_is_cut_off_leaves_nothing_and_is_tried_again() {
        let (folder, store) = store();
        let announced = Blob {
            hash: HELLO.parse().unwrap(),
            size: 5,
        };
        let mut cut_off = CutOff(Cursor::new(b"hel".to_vec()));
        let error = store.receive(&mut cut_off, 100, Some(&announced)).unwrap_err();
        assert!(matches!(error, BlobError::Source(_)), "{error}");
        let shorter = store.receive(&mut Cursor::new(b"hel"), 100, Some(&announced));
        assert!(matches!(shorter, Err(BlobError::Different { size: 3, .. })));
        let longer = store.receive(&mut Cursor::new(b"hello"), 4, None);
        assert!(matches!(longer, Err(BlobError::TooLarge { limit: 4 })));
        assert_eq!((store.list().unwrap().len(), incoming(&folder)), (0, 0));
        for _ in 0..2 {
            let received = store
                .receive(&mut Cursor::new(b"hello"), 5, Some(&announced))
                .unwrap();
            assert_eq!(received.blob(), announced);
        }
        assert_eq!(store.list().unwrap(), [announced]);
    }

    #[test]
    fn only_what_no_table_names_is_removed() {
        let (_folder, store) = store();
        let received = store.receive(&mut Cursor::new(b"hello"), 100, None).unwrap();
        let again = store.receive(&mut Cursor::new(b"hello"), 100, None).unwrap();
        let hash = received.blob().hash;
        assert!(!store.remove(hash, || Ok(false)).unwrap(), "it was just received");
        drop(received);
        assert!(
            !store.remove(hash, || Ok(false)).unwrap(),
            "it was received twice"
        );
        drop(again);
        assert!(!store.remove(hash, || Ok(true)).unwrap(), "a table names it");
        assert!(store.remove(hash, || Err(io::Error::other("no table"))).is_err());
        assert!(content(&store, hash).is_some());
        assert!(store.remove(hash, || Ok(false)).unwrap());
        assert!(!store.remove(hash, || Ok(false)).unwrap());
        assert_eq!(content(&store, hash), None);
    }

    #[test]
    fn what_the_last_process_did_not_finish_is_cleared_up() {
        let (folder, store) = store();
        let blob = receive(&store, b"hello");
        let root = folder.path().join("artifacts");
        drop(store);
        fs::write(root.join("incoming/17"), "half").unwrap();
        fs::write(root.join("blobs/notes.txt"), "not ours").unwrap();
        let store = BlobStore::open(&root).unwrap();
        assert_eq!(incoming(&folder), 0);
        assert_eq!(store.list().unwrap(), [blob]);
        let path = root.join("blobs").join(&HELLO[..2]).join(&HELLO[2..]);
        fs::write(&path, "he").unwrap();
        receive(&store, b"hello");
        assert!(
            store.is_intact(&blob).unwrap(),
            "a blob that was cut short is replaced"
        );
    }

    #[test]
    fn hashes_are_read_strictly() {
        assert_eq!(HELLO.parse::<BlobHash>().unwrap().to_string(), HELLO);
        for text in [
            "",
            "2cf2",
            &HELLO.to_uppercase(),
            &format!("{}zz", &HELLO[2..]),
            "../../etc/passwd",
        ] {
            assert_eq!(text.parse::<BlobHash>(), Err(NoHash), "{text}");
        }
    }

    #[test]
    fn many_at_once_do_not_harm_each_other() {
        let (folder, store) = store();
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..20u8 {
                        receive(store, &[n / 2, thread / 4]);
                    }
                });
            }
        });
        assert_eq!((store.list().unwrap().len(), incoming(&folder)), (20, 0));
    }
}
