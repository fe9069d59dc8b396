//! Turns credentials into principals: passwords, access tokens, browser sessions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use madake_domain::permission::Principal;
use madake_store::user::{self, User};
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::{Engine, EngineError, clock, password};

/// How long a password that was right is believed without being hashed again, in milliseconds. Clients that send
/// Basic credentials send them with every request.
const BELIEVED_MS: i64 = 5 * 60 * 1000;
/// How many of them are kept.
const BELIEVED_LIMIT: usize = 1000;
/// Passwords that are hashed at once: each takes 19 MiB of memory and a processor.
static HASHING: Semaphore = Semaphore::const_new(2);
/// How long a browser session lasts, in milliseconds.
const SESSION_MS: i64 = 7 * 24 * 3600 * 1000;

/// Passwords that were right a moment ago, as keyed digests; the key never leaves this process.
#[derive(Debug)]
pub(crate) struct Believed {
    key: [u8; 32],
    seen: Mutex<HashMap<[u8; 32], i64>>,
}

impl Believed {
    pub(crate) fn new() -> Result<Self, EngineError> {
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key)
            .map_err(|error| EngineError::Internal(format!("no random bytes: {error}")))?;
        Ok(Self {
            key,
            seen: Mutex::new(HashMap::new()),
        })
    }

    /// The digest covers the stored hash, so that a changed password is never believed.
    fn digest(&self, name: &str, secret: &str, stored: &str) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        for part in [name, secret, stored] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac.finalize().into_bytes().into())
    }

    fn contains(&self, digest: &[u8; 32], now: i64) -> bool {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)
            .is_some_and(|until| now < *until)
    }

    fn insert(&self, digest: [u8; 32], now: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= BELIEVED_LIMIT {
            seen.retain(|_, until| now < *until);
            if seen.len() >= BELIEVED_LIMIT {
                seen.clear();
            }
        }
        seen.insert(digest, now + BELIEVED_MS);
    }
}

/// What became of a name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogIn {
    /// They are right.
    Welcome(Principal),
    /// They are not.
    Wrong,
    /// They were not looked at, as there were too many tries.
    TooManyTries,
}

/// A new browser session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The value of the cookie.
    pub token: String,
    /// The value that forms send back.
    pub form_token: String,
    /// How long it lasts, in seconds.
    pub lifetime_seconds: i64,
}

impl Engine {
    /// The principal with this name and password. Takes as long for a name that does not exist. `may_try` is asked
    /// before a password is hashed, which is where guessing is slowed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn log_in(
        &self,
        name: &str,
        secret: &str,
        may_try: impl FnOnce() -> bool,
    ) -> Result<LogIn, EngineError> {
        let asked = name.to_owned();
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(user::by_name(tx, &asked)?))
            .await?;
        let stored = found
            .as_ref()
            .filter(|user| user.enabled)
            .and_then(|user| user.password_hash.clone());
        let now = clock::now_ms();
        let digest = stored
            .as_deref()
            .and_then(|stored| self.believed().digest(name, secret, stored));
        let is_believed = || digest.is_some_and(|digest| self.believed().contains(&digest, now));
        if !is_believed() {
            // Of many who come at once with one password, the first is looked at, and the others believed.
            let _turn = HASHING.acquire().await;
            if is_believed() {
                return self.welcome(found).await;
            }
            if !may_try() {
                return Ok(LogIn::TooManyTries);
            }
            let (secret, stored) = (secret.to_owned(), stored.clone());
            let right = tokio::task::spawn_blocking(move || password::verify(&secret, stored.as_deref()))
                .await
                .map_err(|error| EngineError::Internal(error.to_string()))?;
            if !right {
                return Ok(LogIn::Wrong);
            }
            if let Some(digest) = digest {
                self.believed().insert(digest, now);
            }
        }
        self.welcome(found).await
    }

    async fn welcome(&self, found: Option<User>) -> Result<LogIn, EngineError> {
        let Some(found) = found else {
            return Ok(LogIn::Wrong);
        };
        let principal = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(user::principal(tx, &found, None)?))
            .await?;
        Ok(LogIn::Welcome(Principal::User(principal)))
    }

    /// The principal that an access token stands for, or `None`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn log_in_by_token(&self, raw: &str) -> Result<Option<Principal>, EngineError> {
        let raw = raw.to_owned();
        let now = clock::now_ms();
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(user::principal_by_token(tx, &raw, now)?))
            .await?;
        Ok(found.map(Principal::User))
    }

    /// The principal and form token of a browser session, or `None`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resume_session(&self, raw: &str) -> Result<Option<(Principal, String)>, EngineError> {
        let raw = raw.to_owned();
        let now = clock::now_ms();
        let found = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(user::principal_by_session(tx, &raw, now)?))
            .await?;
        Ok(found.map(|(principal, form_token)| (Principal::User(principal), form_token)))
    }

    /// Begins a browser session for somebody who has just logged in.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn begin_session(&self, user_id: i64) -> Result<Session, EngineError> {
        let session = Session {
            token: password::random_token("s_")?,
            form_token: password::random_token("f_")?,
            lifetime_seconds: SESSION_MS / 1000,
        };
        let stored = session.clone();
        let now = clock::now_ms();
        self.store()
            .write(move |tx| {
                user::insert_session(
                    tx,
                    &stored.token,
                    user_id,
                    &stored.form_token,
                    now + SESSION_MS,
                    now,
                )?;
                Ok::<_, EngineError>(())
            })
            .await?;
        Ok(session)
    }

    /// Ends a browser session.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_session(&self, raw: &str) -> Result<(), EngineError> {
        let raw = raw.to_owned();
        self.store()
            .write(move |tx| Ok::<_, EngineError>(user::end_session(tx, &raw)?))
            .await
    }
}
