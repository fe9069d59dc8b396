//! Messages to people, handed to the mail server of the installation.
//!
//! The server is one that an administrator has set, so the guard of outgoing requests has no say. What stands in a
//! message comes from anybody who can push: no part of it can become a header or a recipient.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as Attached, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use madake_domain::text::inert;
use thiserror::Error;
use tokio::time::timeout;

use crate::Secret;

/// The longest subject, in characters; what is longer is cut.
pub const LONGEST_SUBJECT: usize = 250;

/// The end of the year 9999, in milliseconds since 1970.
const LAST_DATE_MS: i64 = 253_402_300_799_999;

/// The most recipients of one message.
pub const MOST_RECIPIENTS: usize = 100;

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all; port 25 by default. A password is sent to a server on this machine only.
    None,
    /// Plain at first, then TLS, which is required; port 587 by default.
    StartTls,
    /// TLS from the start; port 465 by default.
    Implicit,
}

/// The mail server and the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// The host name or address of the mail server.
    pub host: String,
    /// The port; `None` for that of the TLS mode.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    pub extra_ca_pem: Option<String>,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// The sender: `ci@example.org` or `Madake <ci@example.org>`.
    pub from: String,
    /// For all of the conversation with the server. Default of [`MailSettings::new`]: 30 s.
    pub timeout: Duration,
}

/// A message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// The recipients; all of them see each other.
    pub to: Vec<String>,
    /// Where answers go; `None`: to the sender.
    pub reply_to: Option<String>,
    /// The subject. Line breaks become spaces, other control characters are left out.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as a page, for readers that show it instead of the text.
    pub html: Option<String>,
    /// A file that goes with it.
    pub attachment: Option<Attachment>,
    /// The id without angle brackets (`7f3a@ci.example.org`), so that a repeated delivery is recognised.
    pub message_id: Option<String>,
    /// The id of the message that this one belongs to, without angle brackets.
    pub in_reply_to: Option<String>,
    /// The `Date` header, in milliseconds since 1970.
    pub date_ms: i64,
}

/// A file in a message, sent as plain text: a patch, a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The name of the file. Characters other than letters, digits, `.`, `-` and `_` are replaced.
    pub name: String,
    /// The content.
    pub content: String,
}

/// Why a message was not sent, or settings are none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailError {
    /// An address that is none.
    #[error("`{address}` is not a mail address; write name@example.org or Name <name@example.org>")]
    Address {
        /// What was written, made printable.
        address: String,
    },
    /// No recipients, or too many.
    #[error("a message has {count} recipients; give between 1 and {MOST_RECIPIENTS}")]
    Recipients {
        /// How many there are.
        count: usize,
    },
    /// An id that is none.
    #[error("`{id}` is not the id of a message; it looks like 7f3a@ci.example.org")]
    Id {
        /// What was given, made printable.
        id: String,
    },
    /// A password would go over the network for all to read.
    #[error("a password is not sent to {host} without TLS; set the TLS mode to starttls or implicit")]
    PlainPassword {
        /// The mail server.
        host: String,
    },
    /// Certificates that cannot be read.
    #[error("read the certificates for the mail server: {reason}")]
    Certificates {
        /// What is wrong with them.
        reason: String,
    },
    /// The mail server said no.
    #[error("the mail server {host} answered {answer}")]
    Rejected {
        /// The mail server.
        host: String,
        /// Its answer: code and text.
        answer: String,
        /// Whether trying again is of no use (5xx).
        permanent: bool,
    },
    /// The conversation came to nothing.
    #[error("the mail server {host} could not be reached: {reason}")]
    Connection {
        /// The mail server.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The conversation took too long.
    #[error("the mail server {host} took too long")]
    Timeout {
        /// The mail server.
        host: String,
    },
}

/// Sends messages.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    host: String,
    timeout: Duration,
}

impl MailSettings {
    /// Settings for a mail server with STARTTLS, without user and password.
    #[must_use]
    pub fn new(host: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            tls: MailTls::StartTls,
            extra_ca_pem: None,
            credentials: None,
            from: from.into(),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Mailer {
    /// Reads the settings; nothing is connected to yet.
    ///
    /// # Errors
    /// When the sender is no address, a certificate cannot be read, or a password would go out in the clear.
    pub fn new(settings: &MailSettings) -> Result<Self, MailError> {
        let from = mailbox(&settings.from)?;
        let on_this_machine = settings.host == "localhost"
            || settings
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if settings.tls == MailTls::None && settings.credentials.is_some() && !on_this_machine {
            return Err(MailError::PlainPassword {
                host: settings.host.clone(),
            });
        }
        let (tls, port) = match settings.tls {
            MailTls::None => (Tls::None, 25),
            MailTls::StartTls => (Tls::Required(tls_parameters(settings)?), 587),
            MailTls::Implicit => (Tls::Wrapper(tls_parameters(settings)?), 465),
        };
        // The name with which we greet: that of the machine is nobody's business, that of the sender is known.
        let greeting = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port.unwrap_or(port))
            .tls(tls)
            .hello_name(greeting)
            .timeout(Some(settings.timeout));
        if let Some((user, password)) = &settings.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            host: settings.host.clone(),
            timeout: settings.timeout,
        })
    }

    /// Sends one message. Once this returns without an error, the mail server has taken it.
    ///
    /// # Errors
    /// When an address or id is none, or the mail server does not take the message.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        match timeout(self.timeout, Box::pin(self.transport.send(message))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => Err(MailError::Timeout {
                host: self.host.clone(),
            }),
        }
    }

    fn message(&self, mail: &Mail) -> Result<lettre::Message, MailError> {
        if mail.to.is_empty() || mail.to.len() > MOST_RECIPIENTS {
            return Err(MailError::Recipients { count: mail.to.len() });
        }
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(inert(&mail.subject, LONGEST_SUBJECT))
            .date(moment(mail.date_ms))
            .raw_header(header("Auto-Submitted", "auto-generated"));
        for address in &mail.to {
            builder = builder.to(mailbox(address)?);
        }
        if let Some(address) = &mail.reply_to {
            builder = builder.reply_to(mailbox(address)?);
        }
        if let Some(id) = &mail.message_id {
            builder = builder.message_id(Some(bracketed(id)?));
        }
        if let Some(id) = &mail.in_reply_to {
            let id = bracketed(id)?;
            builder = builder.in_reply_to(id.clone()).references(id);
        }
        let text = SinglePart::plain(mail.text.clone());
        let both = mail
            .html
            .as_ref()
            .map(|html| MultiPart::alternative_plain_html(mail.text.clone(), html.clone()));
        let file = mail.attachment.as_ref().map(|attachment| {
            Attached::new(file_name(&attachment.name))
                .body(attachment.content.clone(), ContentType::TEXT_PLAIN)
        });
        let built = match (both, file) {
            (None, None) => builder.singlepart(text),
            (Some(both), None) => builder.multipart(both),
            (None, Some(file)) => builder.multipart(MultiPart::mixed().singlepart(text).singlepart(file)),
            (Some(both), Some(file)) => {
                builder.multipart(MultiPart::mixed().multipart(both).singlepart(file))
            }
        };
        built.map_err(|error| MailError::Address {
            address: error.to_string(),
        })
    }

    fn failure(&self, error: &lettre::transport::smtp::Error) -> MailError {
        let host = self.host.clone();
        if error.is_timeout() {
            return MailError::Timeout { host };
        }
        if error.is_permanent() || error.is_transient() {
            let code = error.status().map(|code| format!("{code} ")).unwrap_or_default();
            return MailError::Rejected {
                host,
                answer: format!("{code}{}", inert(&deepest(error), 300)),
                permanent: error.is_permanent(),
            };
        }
        MailError::Connection {
            host,
            reason: inert(&deepest(error), 300),
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("recipients", &self.to.len())
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

fn tls_parameters(settings: &MailSettings) -> Result<TlsParameters, MailError> {
    let unreadable = |error: &dyn fmt::Display| MailError::Certificates {
        reason: inert(&error.to_string(), 200),
    };
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.extra_ca_pem {
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(|error| unreadable(&error))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| unreadable(&error))
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    let refuse = || MailError::Address {
        address: inert(address, 100),
    };
    if address.chars().any(char::is_control) {
        return Err(refuse());
    }
    address.trim().parse().map_err(|_| refuse())
}

/// `<id>`, if the id has nothing in it that could end it.
fn bracketed(id: &str) -> Result<String, MailError> {
    let fits = id.len() <= 200
        && id.split('@').count() == 2
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.@".contains(&b))
        && !id.starts_with('@')
        && !id.ends_with('@');
    if fits {
        Ok(format!("<{id}>"))
    } else {
        Err(MailError::Id { id: inert(id, 100) })
    }
}

fn file_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(100)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() {
        "attachment.txt".to_owned()
    } else {
        plain.to_owned()
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The moment, moved into the years that a `Date` header can hold.
fn moment(ms: i64) -> SystemTime {
    let ms = u64::try_from(ms.clamp(0, LAST_DATE_MS)).expect("it is not negative");
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

/// The error with its cause; neither has the password in it.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}
