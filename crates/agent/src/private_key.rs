//! Private keys as people keep them, looked at before one is stored.

use russh::keys::{HashAlg, decode_secret_key};

/// Opens a private key in PEM with its passphrase, and gives its fingerprint, `SHA256:...`.
///
/// # Errors
/// When it is no private key, is of an unknown kind, or does not open.
pub fn fingerprint(key: &str, passphrase: Option<&str>) -> Result<String, String> {
    let opened = decode_secret_key(key, passphrase).map_err(|error| {
        // A key that wants a passphrase says so in other words than one that gets a wrong one.
        let hint = match passphrase {
            None => "if it has a passphrase, give that too",
            Some(_) => "is the passphrase right?",
        };
        format!("it is not a private key in PEM that opens: {error}; {hint}")
    })?;
    Ok(opened.public_key().fingerprint(HashAlg::Sha256).to_string())
}
