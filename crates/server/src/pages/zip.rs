//! Several files of an artifact as one ZIP file, made while it is sent: nothing of it is kept, in memory or on disk, but
//! the piece that is under way and the list of the files at its end.
//!
//! The form is the plain one that every reader knows (APPNOTE.TXT 6.3, without ZIP64), so there are limits, which
//! [`too_large`] tells before the first byte is sent. Each file is compressed, with its length behind it.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

use axum::body::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use futures_util::Stream;
use madake_store::artifact::ArtifactFile;
use madake_store::blob::{BlobHash, BlobStore};
use tokio::sync::Semaphore;

/// The most files of one ZIP file.
const MOST_FILES: usize = 65_000;
/// The most bytes of the files together: what does not compress becomes a little longer.
const MOST_BYTES: u64 = 4_000_000_000;
/// Bytes of a file that are read and compressed at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// The first of January 1980, the day on which time begins: one artifact is always one and the same ZIP file.
const DATE: u16 = (1 << 5) | 1;
/// The length stands behind the file, and names are UTF-8.
const FLAGS: u16 = (1 << 3) | (1 << 11);
/// Version 2.0 of the form; file modes are those of Unix.
const VERSION: u16 = 20;
const DEFLATED: u16 = 8;

/// Why the files cannot be one ZIP file, as a sentence; `None`: they can.
pub(super) fn too_large(files: &[ArtifactFile]) -> Option<String> {
    let bytes: u64 = files
        .iter()
        .map(|file| u64::try_from(file.size).unwrap_or(0))
        .sum();
    (files.len() > MOST_FILES || bytes > MOST_BYTES).then(|| {
        format!(
            "A ZIP file has at most {MOST_FILES} files and {} MB; these are {} files and {} MB. Take them one by one.",
            MOST_BYTES / 1_000_000,
            files.len(),
            bytes / 1_000_000
        )
    })
}

/// How many pieces are packed at once: packing takes a processor each.
static PACKING: Semaphore = Semaphore::const_new(4);

/// The ZIP file in pieces. `front` is left out at the beginning of each path. One that cannot be read breaks it off, so
/// that nobody takes the part for the whole.
pub(super) fn stream(
    blobs: BlobStore,
    files: Vec<ArtifactFile>,
    front: usize,
) -> impl Stream<Item = io::Result<Bytes>> {
    let writer = Writer {
        blobs,
        files: files.into(),
        front,
        current: None,
        list: Vec::new(),
        count: 0,
        sent: 0,
        ended: false,
    };
    futures_util::stream::try_unfold(writer, |mut writer| async move {
        // No thread waits for a client that reads slowly: each piece is made when the last has been sent.
        let _turn = PACKING.acquire().await.map_err(io::Error::other)?;
        tokio::task::spawn_blocking(move || Ok(writer.piece()?.map(|piece| (Bytes::from(piece), writer))))
            .await
            .map_err(io::Error::other)?
    })
}

struct Writer {
    blobs: BlobStore,
    files: VecDeque<ArtifactFile>,
    front: usize,
    current: Option<Entry>,
    /// The list of the files that were written, as it stands at the end.
    list: Vec<u8>,
    count: u16,
    /// Bytes that were given out.
    sent: u32,
    ended: bool,
}

/// The file that is being written.
struct Entry {
    name: String,
    executable: bool,
    source: std::fs::File,
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
    /// Bytes of the file and of what became of it, so far.
    lengths: (u32, u32),
    /// Where it begins.
    offset: u32,
}

impl Writer {
    /// The next piece; `None`: there is no more.
    fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        while out.is_empty() && !self.ended {
            match self.current.take() {
                Some(entry) => self.go_on(entry, &mut out)?,
                None => match self.files.pop_front() {
                    Some(file) => self.begin(&file, &mut out)?,
                    None => self.end(&mut out)?,
                },
            }
        }
        self.sent = counted(self.sent, out.len())?;
        Ok((!out.is_empty()).then_some(out))
    }

    fn begin(&mut self, file: &ArtifactFile, out: &mut Vec<u8>) -> io::Result<()> {
        let hash: BlobHash = file.hash.parse().map_err(io::Error::other)?;
        let source = self.blobs.open_blob(hash)?.ok_or(io::ErrorKind::NotFound)?;
        let name = file.path.get(self.front..).unwrap_or_default().to_owned();
        put(out, &[0x4b50, 0x0403, VERSION, FLAGS, DEFLATED, 0, DATE]);
        // Checksum and lengths follow the file.
        out.extend_from_slice(&[0; 12]);
        put(out, &[length(&name)?, 0]);
        out.extend_from_slice(name.as_bytes());
        self.current = Some(Entry {
            name,
            executable: file.executable,
            source,
            encoder: DeflateEncoder::new(Vec::new(), Compression::fast()),
            crc: Crc::new(),
            lengths: (0, 0),
            offset: self.sent,
        });
        Ok(())
    }

    fn go_on(&mut self, mut entry: Entry, out: &mut Vec<u8>) -> io::Result<()> {
        let mut chunk = Vec::new();
        (&mut entry.source)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return self.finish(entry, out);
        }
        entry.crc.update(&chunk);
        entry.encoder.write_all(&chunk)?;
        out.append(entry.encoder.get_mut());
        entry.lengths = (
            counted(entry.lengths.0, chunk.len())?,
            counted(entry.lengths.1, out.len())?,
        );
        self.current = Some(entry);
        Ok(())
    }

    fn finish(&mut self, entry: Entry, out: &mut Vec<u8>) -> io::Result<()> {
        out.append(&mut entry.encoder.finish()?);
        let packed = counted(entry.lengths.1, out.len())?;
        let numbers = [entry.crc.sum(), packed, entry.lengths.0];
        put(out, &[0x4b50, 0x0807]);
        put_long(out, &numbers);

        let made_by_unix = VERSION | (3 << 8);
        put(
            &mut self.list,
            &[0x4b50, 0x0201, made_by_unix, VERSION, FLAGS, DEFLATED, 0, DATE],
        );
        put_long(&mut self.list, &numbers);
        put(&mut self.list, &[length(&entry.name)?, 0, 0, 0, 0]);
        let mode: u32 = if entry.executable { 0o100_755 } else { 0o100_644 };
        put_long(&mut self.list, &[mode << 16, entry.offset]);
        self.list.extend_from_slice(entry.name.as_bytes());
        self.count = self.count.checked_add(1).ok_or_else(too_long)?;
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.append(&mut self.list);
        let list_length = counted(0, out.len())?;
        put(out, &[0x4b50, 0x0605, 0, 0, self.count, self.count]);
        put_long(out, &[list_length, self.sent]);
        put(out, &[0]);
        self.ended = true;
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, numbers: &[u16]) {
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_long(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn too_long() -> io::Error {
    io::Error::other("the files are too large for a ZIP file")
}

fn counted(so_far: u32, more: usize) -> io::Result<u32> {
    u32::try_from(more)
        .ok()
        .and_then(|more| so_far.checked_add(more))
        .ok_or_else(too_long)
}

fn length(name: &str) -> io::Result<u16> {
    u16::try_from(name.len()).map_err(|_| too_long())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    fn file(path: &str, hash: &str, size: i64) -> ArtifactFile {
        ArtifactFile {
            path: path.into(),
            hash: hash.into(),
            size,
            executable: true,
        }
    }

    #[test]
    fn what_the_form_cannot_hold_is_refused_before_the_first_byte() {
        assert_eq!(too_large(&[file("a", "", 4_000_000_000)]), None);
        let long = too_large(&[file("a", "", 4_000_000_000), file("b", "", 1)]).expect("a reason");
        assert!(long.contains("at most 65000 files and 4000 MB"), "{long}");
        assert!(too_large(&vec![file("a", "", 0); 65_001]).is_some());
    }

    #[tokio::test]
    async fn file_that_is_gone_breaks_the_zip_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path()).expect("a store");
        let stored = blobs
            .receive(&mut b"12345".as_slice(), 100, None)
            .expect("stored");
        let hash = stored.blob().hash.to_string();
        let gone = "0".repeat(64);
        let whole = [file("d/a", &hash, 5), file("d/b", &hash, 5)].to_vec();
        let pieces: Vec<Bytes> = stream(blobs.clone(), whole, 2)
            .try_collect()
            .await
            .expect("a ZIP file");
        let bytes = pieces.concat();
        assert!(bytes.starts_with(b"PK\x03\x04") && bytes[bytes.len() - 22..].starts_with(b"PK\x05\x06"));
        assert_eq!(bytes[bytes.len() - 12], 2, "two files are listed");
        assert!(
            !bytes.windows(2).any(|pair| pair == b"d/"),
            "the folder's own path is left out"
        );
        let torn = vec![file("a", &hash, 5), file("b", &gone, 5)];
        let error = stream(blobs, torn, 0)
            .try_collect::<Vec<_>>()
            .await
            .expect_err("broken off");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
