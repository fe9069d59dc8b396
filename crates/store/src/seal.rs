//! Secrets at rest: XChaCha20-Poly1305 with a key that lives in the home beside the store.
//!
//! A sealed value starts with a format byte and its nonce; where it lives (table, column, row) is bound to it,
//! so that a value copied to another row does not open.

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::StoreError;

const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Seals and opens secrets of one home.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// Reads the key of a home from `path`, or makes one that only the owner may read.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not a key.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable =
            |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let bytes = match std::fs::read(path) {
            Ok(text) => hex::decode(text.trim_ascii())
                .map_err(|_| StoreError::Damaged(format!("{} is not a key", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0_u8; 32];
                random(&mut key)?;
                write_private(path, hex::encode(key).as_bytes()).map_err(unusable)?;
                key.to_vec()
            }
            Err(error) => return Err(unusable(error)),
        };
        let key = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| StoreError::Damaged(format!("{} is not a key of 32 bytes", path.display())))?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new(&Key::from(key)),
        })
    }

    /// Seals `secret` for the place `place`, for example `webhook.secret:12`.
    ///
    /// # Errors
    /// When the machine gives no random bytes.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0_u8; NONCE_LENGTH];
        random(&mut nonce)?;
        let sealed = self
            .cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: secret,
                    aad: place.as_bytes(),
                },
            )
            .map_err(|_| StoreError::Engine("a secret could not be sealed".into()))?;
        Ok([&[FORMAT][..], &nonce, &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same place.
    ///
    /// # Errors
    /// When the bytes were made for another place, with another key, or are damaged.
    pub fn open_sealed(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || {
            StoreError::Damaged(format!(
                "the secret at {place} does not open with this home's key"
            ))
        };
        let (&[FORMAT], rest) = sealed.split_at_checked(1).ok_or_else(damaged)? else {
            return Err(damaged());
        };
        let (nonce, sealed) = rest.split_at_checked(NONCE_LENGTH).ok_or_else(damaged)?;
        let nonce = <[u8; NONCE_LENGTH]>::try_from(nonce).map_err(|_| damaged())?;
        self.cipher
            .decrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: sealed,
                    aad: place.as_bytes(),
                },
            )
            .map_err(|_| damaged())
    }
}

fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Unavailable(format!("no random bytes: {error}")))
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_at_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret.key");
        let sealed = Sealer::open(&path)
            .expect("a key")
            .seal("a:1", b"swordfish")
            .expect("sealed");
        assert!(!sealed.windows(9).any(|window| window == b"swordfish"));
        let again = Sealer::open(&path).expect("the same key");
        assert_eq!(again.open_sealed("a:1", &sealed).expect("opened"), b"swordfish");
        assert!(again.open_sealed("a:2", &sealed).is_err());
        assert!(again.open_sealed("a:1", &sealed[..20]).is_err());
        let other = Sealer::open(&folder.path().join("other.key")).expect("another key");
        assert!(other.open_sealed("a:1", &sealed).is_err());
    }
}
