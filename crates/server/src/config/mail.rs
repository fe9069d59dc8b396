//! `[mail]` and `[brokers]`: what it takes to tell people and programs.

use std::path::PathBuf;

use madake_outgoing::Secret;
use madake_outgoing::mail::{MailSettings, MailTls, Mailer};
use serde::Deserialize;

use super::ConfigError;

/// The mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MailSection {
    /// Its name or address; empty: no mail is sent.
    pub host: String,
    /// Its port; 0: 587, 465 or 25, as `security` says.
    pub port: u16,
    /// The sender: `ci@example.org` or `Madake <ci@example.org>`.
    pub from: String,
    /// `starttls`, `tls` or `none`.
    pub security: String,
    /// The user; empty: mail is sent without logging in.
    pub user: String,
    /// The absolute path of a file with the password in its first line.
    pub password_file: PathBuf,
    /// The absolute path of a file with certificates of authorities to trust besides the public ones, as PEM.
    pub authorities_file: PathBuf,
}

impl Default for MailSection {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            from: String::new(),
            security: "starttls".into(),
            user: String::new(),
            password_file: PathBuf::new(),
            authorities_file: PathBuf::new(),
        }
    }
}

/// What brokers may do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BrokersSection {
    /// The absolute paths of programs that brokers may run.
    pub executables: Vec<String>,
}

/// The keys of `[mail]`.
pub(super) const MAIL_KEYS: &[&str] = &[
    "host",
    "port",
    "from",
    "security",
    "user",
    "password-file",
    "authorities-file",
];

impl MailSection {
    pub(super) fn settings(&self) -> Result<Option<MailSettings>, ConfigError> {
        if self.host.is_empty() {
            return Ok(None);
        }
        let wrong = |key: &str, problem: String| ConfigError {
            place: format!("mail.{key}"),
            problem,
        };
        let mut settings = MailSettings::new(&self.host, &self.from);
        settings.port = (self.port > 0).then_some(self.port);
        settings.tls = match self.security.as_str() {
            "none" => MailTls::None,
            "starttls" => MailTls::StartTls,
            "tls" => MailTls::Implicit,
            other => {
                return Err(wrong(
                    "security",
                    format!("`{other}` is none of starttls, tls, none"),
                ));
            }
        };
        if self.from.is_empty() {
            return Err(wrong("from", "name the sender, such as ci@example.org".into()));
        }
        let read = |key: &str, path: &PathBuf| {
            if !path.is_absolute() {
                let problem = format!("`{}` is not an absolute path", path.display());
                return Err(wrong(key, problem));
            }
            std::fs::read_to_string(path)
                .map_err(|error| wrong(key, format!("`{}` cannot be read: {error}", path.display())))
        };
        if self.user.is_empty() {
            if self.password_file != PathBuf::new() {
                return Err(wrong("user", "a password needs a user".into()));
            }
        } else {
            let text = read("password-file", &self.password_file)?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            settings.credentials = Some((self.user.clone(), Secret::new(password)));
        }
        if self.authorities_file != PathBuf::new() {
            settings.extra_ca_pem = Some(read("authorities-file", &self.authorities_file)?);
        }
        Mailer::new(&settings).map_err(|error| ConfigError {
            place: "mail".into(),
            problem: error.to_string(),
        })?;
        Ok(Some(settings))
    }
}

impl BrokersSection {
    pub(super) fn programs(&self) -> Result<Vec<String>, ConfigError> {
        match self.executables.iter().find(|path| !path.starts_with('/')) {
            Some(path) => Err(ConfigError {
                place: "brokers.executables".into(),
                problem: format!("`{path}` is not an absolute path"),
            }),
            None => Ok(self.executables.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_off_until_a_host_is_named_and_mistakes_name_their_key() {
        assert_eq!(MailSection::default().settings(), Ok(None));
        let section = |from: &str, security: &str, user: &str| MailSection {
            host: "mail.example".into(),
            from: from.into(),
            security: security.into(),
            user: user.into(),
            ..MailSection::default()
        };
        for (section, expected) in [
            (section("", "none", ""), "mail.from: "),
            (section("ci@example.org", "ssl", ""), "mail.security: "),
            (section("ci@example.org", "tls", "ci"), "mail.password-file: "),
            (section("nobody", "none", ""), "mail: "),
        ] {
            let error = section.settings().expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn programs_of_brokers_are_absolute_paths() {
        let section = |path: &str| BrokersSection {
            executables: vec![path.into()],
        };
        assert!(section("/opt/tell").programs().is_ok());
        assert!(section("tell").programs().is_err());
    }
}
