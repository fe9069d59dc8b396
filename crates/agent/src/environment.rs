//! Which of the server's environment reaches a job.
//!
//! A job gets what a person's shell on this machine would have (paths, language, home), not what the server
//! was configured with: its own settings, those of the service manager, and whatever looks like a secret.

use std::ffi::{OsStr, OsString};

/// Beginnings of names that stay with the server.
const WITHHELD_BEGINNINGS: [&str; 8] = [
    "MADAKE_",
    "GIT_",
    "BAMBOO_",
    "LISTEN_",
    "WATCHDOG_",
    "SYSTEMD_",
    "CREDENTIALS_",
    "RUST_",
];

/// Names that stay with the server: the service manager's, and places of databases.
const WITHHELD_NAMES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MAINPID",
    "MANAGERPID",
    "DATABASE_URL",
];

/// Parts of names that look like a secret.
const SECRET_PARTS: [&str; 10] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE_KEY",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
];

/// The environment of this process as far as a job may see it.
pub(crate) fn inheritable() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| is_inheritable(name))
        .collect()
}

fn is_inheritable(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_uppercase();
    !WITHHELD_NAMES.contains(&name.as_str())
        && !WITHHELD_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
        && !SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_server_and_secrets_stay_behind() {
        for name in [
            "MADAKE_HOME",
            "GIT_DIR",
            "git_config_count",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "PGPASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "npm_token",
            "DATABASE_URL",
            "bamboo_tmp_directory",
            "RUST_LOG",
        ] {
            assert!(!is_inheritable(OsStr::new(name)), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "LANG",
            "USER",
            "TZ",
            "SSH_AUTH_SOCK",
            "RUSTUP_HOME",
            "JAVA_HOME",
        ] {
            assert!(is_inheritable(OsStr::new(name)), "{name}");
        }
    }
}
