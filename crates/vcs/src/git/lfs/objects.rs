//! The objects of one repository: taken whole or not at all, and never changed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::LfsId;

/// Bytes that are read and written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The objects of the repository with one git directory.
#[derive(Clone, Debug)]
pub struct LfsObjects {
    folder: PathBuf,
}

/// Why an object was not taken. Nothing of it is kept then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It has another size than was announced.
    #[error(
        "the object was announced with {announced} bytes, and {came} came: nothing of it is kept, send it again"
    )]
    Size {
        /// Bytes that were announced.
        announced: u64,
        /// Bytes that came; of too many only the first that was too much is counted.
        came: u64,
    },
    /// It is not what its name says.
    #[error(
        "the bytes that came have the SHA-256 {found} and not {announced}: nothing of them is kept, send them again"
    )]
    Hash {
        /// The name under which it was sent.
        announced: LfsId,
        /// What it hashes to.
        found: String,
    },
    /// The sender stopped.
    #[error("the sender went away before the object was whole: {0}")]
    Sender(io::Error),
    /// The disk is full.
    #[error("the disk of the server is full")]
    DiskFull,
    /// The file system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl LfsObjects {
    /// The objects of the repository with this git directory; the folder is made when the first one comes.
    #[must_use]
    pub fn of(git_directory: &Path) -> Self {
        Self {
            folder: git_directory.join("lfs"),
        }
    }

    /// Whether the repository ever had an object.
    #[must_use]
    pub fn any(&self) -> bool {
        self.folder.join("objects").is_dir()
    }

    /// Where an object lies, if it is there.
    #[must_use]
    pub fn path_of(&self, id: &LfsId) -> PathBuf {
        let id = id.as_str();
        self.folder
            .join("objects")
            .join(&id[..2])
            .join(&id[2..4])
            .join(id)
    }

    /// The size of an object in bytes; none if the repository does not have it.
    ///
    /// # Errors
    /// The file system's failure.
    pub fn size_of(&self, id: &LfsId) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(self.path_of(id)) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens an object for reading, with its size in bytes; none if the repository does not have it.
    ///
    /// # Errors
    /// The file system's failure.
    pub async fn open(&self, id: &LfsId) -> io::Result<Option<(tokio::fs::File, u64)>> {
        if self.size_of(id)?.is_none() {
            return Ok(None);
        }
        let file = tokio::fs::File::open(self.path_of(id)).await?;
        let size = file.metadata().await?.len();
        Ok(Some((file, size)))
    }

    /// Takes an object: written beside the others, hashed on the way, synced, and only then given its name. When this
    /// returns it is durable. A failure, or dropping the future, leaves nothing.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn receive(
        &self,
        id: &LfsId,
        size: u64,
        mut bytes: impl AsyncRead + Unpin,
    ) -> Result<(), ReceiveError> {
        let incoming = Incoming::new(&self.folder, id).map_err(|error| self.refused(error))?;
        let mut file = tokio::fs::File::create_new(&incoming.path)
            .await
            .map_err(|error| self.refused(error))?;
        let mut hash = Sha256::new();
        let mut came: u64 = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = bytes.read(&mut chunk).await.map_err(ReceiveError::Sender)?;
            if read == 0 {
                break;
            }
            came += read as u64;
            if came > size {
                break;
            }
            hash.update(&chunk[..read]);
            file.write_all(&chunk[..read])
                .await
                .map_err(|error| self.refused(error))?;
        }
        if came != size {
            return Err(ReceiveError::Size {
                announced: size,
                came,
            });
        }
        let found = hexadecimal(&hash.finalize());
        if found != id.as_str() {
            return Err(ReceiveError::Hash {
                announced: id.clone(),
                found,
            });
        }
        let synced = async {
            file.flush().await?;
            file.sync_all().await
        };
        synced.await.map_err(|error| self.refused(error))?;
        let place = self.path_of(id);
        let kept = tokio::task::spawn_blocking(move || incoming.keep(&place)).await;
        kept.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| self.refused(error))
    }

    /// Removes what uploads left behind that ended with the server, if nobody has written to it for `age`.
    ///
    /// # Errors
    /// The file system's failure.
    pub fn remove_leftovers(&self, age: Duration) -> io::Result<()> {
        let entries = match fs::read_dir(self.folder.join("incoming")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let rests = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if rests >= age {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn refused(&self, source: io::Error) -> ReceiveError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReceiveError::DiskFull,
            _ => ReceiveError::Io {
                path: self.folder.clone(),
                source,
            },
        }
    }
}

/// A file that is being written; dropping it removes it.
struct Incoming {
    path: PathBuf,
}

impl Incoming {
    fn new(folder: &Path, id: &LfsId) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let incoming = folder.join("incoming");
        make_folders(folder, &incoming)?;
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            path: incoming.join(format!("{id}.{}.{number}", std::process::id())),
        })
    }

    /// Gives the file its name. Two uploads of one object have the same bytes, so the later one may win.
    fn keep(self, place: &Path) -> io::Result<()> {
        // As git's own objects: a link to it in a checkout is not written to by mistake.
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o444))?;
        let folder = place.parent().unwrap_or(Path::new("/"));
        let objects = folder.ancestors().nth(2).unwrap_or(folder);
        make_folders(objects, folder)?;
        fs::rename(&self.path, place)?;
        fs::File::open(folder)?.sync_all()
    }
}

/// Makes `folder` and what is missing above it down from `first`, each durable in its parent. What `first` is in must be
/// there: an upload that ends after its repository was removed brings nothing of it back.
fn make_folders(first: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    if folder != first {
        make_folders(first, parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(parent)?.sync_all(),
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After `keep` there is nothing under this name.
        let _ = fs::remove_file(&self.path);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const CONTENT: &[u8] = b"a large file";

    fn named(content: &[u8]) -> LfsId {
        LfsId::parse(&hexadecimal(&Sha256::digest(content))).unwrap()
    }

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                found.extend(files_below(&entry.path()));
            } else {
                found.push(entry.path());
            }
        }
        found
    }

    #[tokio::test]
    async fn object_is_there_after_it_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let objects = LfsObjects::of(folder.path());
        let id = named(CONTENT);
        assert!(!objects.any());
        assert_eq!(objects.size_of(&id).unwrap(), None);
        assert!(objects.open(&id).await.unwrap().is_none());
        for _ in 0..2 {
            objects.receive(&id, 12, CONTENT).await.unwrap();
        }
        assert!(objects.any());
        assert_eq!(objects.size_of(&id).unwrap(), Some(12));
        let (mut file, size) = objects.open(&id).await.unwrap().unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).await.unwrap();
        assert_eq!((read.as_slice(), size), (CONTENT, 12));
        assert_eq!(files_below(folder.path()), [objects.path_of(&id)]);
        let mode = fs::metadata(objects.path_of(&id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
    }

    #[tokio::test]
    async fn what_is_not_as_announced_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let objects = LfsObjects::of(folder.path());
        let id = named(CONTENT);
        let short = objects.receive(&id, 13, CONTENT).await.unwrap_err();
        assert!(matches!(
            short,
            ReceiveError::Size {
                announced: 13,
                came: 12
            }
        ));
        let long = objects.receive(&id, 5, CONTENT).await.unwrap_err();
        assert!(matches!(long, ReceiveError::Size { announced: 5, .. }));
        let other = objects.receive(&id, 12, &b"a LARGE file"[..]).await.unwrap_err();
        assert!(other.to_string().contains(id.as_str()), "{other}");
        assert!(matches!(other, ReceiveError::Hash { .. }));
        let (mut sender, receiving) = tokio::io::duplex(4);
        {
            let mut taking = pin!(objects.receive(&id, 12, receiving));
            tokio::select! {
                _ = &mut taking => panic!("the object is not whole"),
                sent = sender.write_all(b"a large") => sent.unwrap(),
            }
        }
        assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
        assert_eq!(objects.size_of(&id).unwrap(), None);
    }

    #[tokio::test]
    async fn repository_that_went_meanwhile_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (there, trash) = (folder.path().join("x.git"), folder.path().join("trash"));
        fs::create_dir(&there).unwrap();
        let objects = LfsObjects::of(&there);
        let id = named(CONTENT);
        let (mut sender, receiving) = tokio::io::duplex(64);
        let taking = objects.receive(&id, 12, receiving);
        let going = async {
            sender.write_all(&CONTENT[..3]).await.unwrap();
            while fs::read_dir(there.join("lfs/incoming")).map_or(0, Iterator::count) == 0 {
                tokio::task::yield_now().await;
            }
            fs::rename(&there, &trash).unwrap();
            sender.write_all(&CONTENT[3..]).await.unwrap();
            drop(sender);
        };
        let (taken, ()) = tokio::join!(taking, going);
        assert!(matches!(taken.unwrap_err(), ReceiveError::Io { .. }));
        assert!(!there.exists());
        let later = objects.receive(&id, 12, CONTENT).await.unwrap_err();
        assert!(matches!(later, ReceiveError::Io { .. }));
        assert!(!there.exists());
    }

    #[test]
    fn leftovers_are_removed_once_they_rest() {
        let folder = tempfile::tempdir().unwrap();
        let objects = LfsObjects::of(folder.path());
        objects.remove_leftovers(Duration::ZERO).unwrap();
        let left = folder.path().join("lfs/incoming/x");
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "half").unwrap();
        objects.remove_leftovers(Duration::from_secs(3600)).unwrap();
        assert!(left.exists());
        objects.remove_leftovers(Duration::ZERO).unwrap();
        assert!(!left.exists());
    }
}
