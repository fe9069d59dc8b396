//! Looks for secrets in files on their way (hostile-inputs.md S6).

use std::io::{self, Read, Write};

use madake_domain::mask::Masks;

/// So much is read at once.
const PIECE: usize = 256 * 1024;

/// What was copied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// How many bytes there were.
    pub size: u64,
    /// The first secret that stands in them, as it stands there.
    pub secret: Option<Vec<u8>>,
}

/// Copies all bytes, and looks for a secret in them, also where it is read in two pieces.
///
/// # Errors
/// When reading or writing fails.
pub(crate) fn copy_watched(
    from: &mut (impl Read + ?Sized),
    to: &mut (impl Write + ?Sized),
    masks: &Masks,
) -> io::Result<Copied> {
    let mut size = 0;
    let mut buffer = vec![0; masks.longest() + PIECE];
    // What stays of the pieces before: a secret may begin in it.
    let mut kept = 0;
    loop {
        let read = match from.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            return Ok(Copied { size, secret: None });
        }
        to.write_all(&buffer[kept..kept + read])?;
        size += read as u64;
        let filled = kept + read;
        if let Some((begin, end)) = masks.first(&buffer[..filled]) {
            let secret = Some(buffer[begin..end].to_vec());
            drop(buffer);
            let rest = io::copy(from, to)?;
            return Ok(Copied {
                size: size + rest,
                secret,
            });
        }
        kept = filled.min(masks.longest().saturating_sub(1));
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1).min(self.0.len());
            buffer[..most].copy_from_slice(&self.0[..most]);
            self.0 = &self.0[most..];
            Ok(most)
        }
    }

    #[test]
    fn secrets_are_found_wherever_pieces_end_and_all_is_copied() {
        let masks = Masks::of_whole_secrets(["correct horse battery"]);
        let with = [
            vec![b'x'; 3000],
            b"correct horse battery".to_vec(),
            vec![b'y'; 999],
        ]
        .concat();
        let without = [
            vec![b'x'; 3000],
            b"correct horse batterx".to_vec(),
            vec![b'y'; 999],
        ]
        .concat();
        for drop in [1, 2, 7, 100, 1000, 100_000] {
            let mut written = Vec::new();
            let copied = copy_watched(&mut Drops(&with, drop), &mut written, &masks).unwrap();
            assert_eq!(
                copied.secret.as_deref(),
                Some(&b"correct horse battery"[..]),
                "{drop}"
            );
            assert_eq!((copied.size, &written), (with.len() as u64, &with));
            written.clear();
            let copied = copy_watched(&mut Drops(&without, drop), &mut written, &masks).unwrap();
            assert_eq!((copied.secret, copied.size), (None, without.len() as u64));
            assert_eq!(written, without);
        }
    }

    #[test]
    fn a_secret_across_the_border_of_two_full_pieces_is_found() {
        let masks = Masks::of_whole_secrets(["correct horse battery"]);
        let mut bytes = vec![b'x'; PIECE + masks.longest() - 5];
        bytes.extend_from_slice(b"correct horse battery");
        let copied = copy_watched(&mut &bytes[..], &mut io::sink(), &masks).unwrap();
        assert!(copied.secret.is_some());
    }
}
