//! Asks an address whether it answers: the connection test of a webhook that may not be saved yet.

use std::time::Duration;

use madake_domain::permission::Permission;
use madake_formats::outgoing::Profile;
use madake_store::delivery::Attempt;
use uuid::Uuid;

use super::keep_receiver::same_place;
use crate::access::Caller;
use crate::telling::{ReceiverSecrets, ReceiverSettings, secrets_of};
use crate::{Engine, EngineError, clock};

/// How long an answer to a test may take: somebody waits for it.
const PATIENCE_SECONDS: u64 = 20;
/// Bytes of the answer's body that are shown.
const SHOWN_BODY: usize = 16 * 1024;

/// What is to be tried.
#[derive(Debug, Clone, Default)]
pub struct AddressTest {
    /// The address.
    pub url: String,
    /// Whether its certificate is checked.
    pub verify_tls: bool,
    /// A user name and a password.
    pub credentials: Option<(String, String)>,
    /// The receiver whose credentials are used where none are given and the address is at the same place.
    pub receiver_id: Option<i64>,
}

/// What was sent and what came back.
#[derive(Debug, Clone)]
pub struct TestedAddress {
    /// The address, without credentials.
    pub url: String,
    /// The body that was sent.
    pub body: Vec<u8>,
    /// How it went.
    pub attempt: Attempt,
}

impl Engine {
    /// Sends the connection test of Bitbucket Data Center (push-payloads.md B.2) to an address, through the same guard
    /// as every delivery. Nothing is stored.
    ///
    /// # Errors
    /// When the caller may not administer the repository, or the address is refused.
    pub async fn test_address(
        &self,
        caller: &Caller,
        repository: &str,
        test: AddressTest,
    ) -> Result<TestedAddress, EngineError> {
        self.repository_for(caller, repository, Permission::Administration)
            .await?;
        let target = self
            .settings()
            .outgoing_policy
            .check_url(&test.url)
            .map_err(|refused| EngineError::Invalid(format!("url: {refused}")))?;
        let url = target.url().to_string();
        let mut secrets = ReceiverSecrets::default();
        if let Some(known) = target.credentials() {
            secrets.user = Some(known.user.clone());
            secrets.password = Some(known.password.expose().to_owned());
        }
        if let Some((user, password)) = test.credentials {
            (secrets.user, secrets.password) = (Some(user), Some(password));
        }
        if let Some(id) = test.receiver_id {
            let (receiver, _) = self.administered_receiver(caller, id).await?;
            if secrets.user.is_none() && same_place(&url, &receiver.url) {
                let kept = secrets_of(self, &receiver)?;
                (secrets.user, secrets.password) = (kept.user, kept.password);
            }
        }
        let settings = ReceiverSettings {
            verify_tls: test.verify_tls,
            timeout_seconds: Some(PATIENCE_SECONDS),
            ..ReceiverSettings::default()
        };
        let ping = Profile::BitbucketDc
            .ping()
            .ok_or_else(|| EngineError::Internal("the format has no connection test".into()))?;
        let mut headers = vec![("Content-Type".to_owned(), ping.content_type.to_owned())];
        headers.extend(
            ping.headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        headers.push(("X-Request-Id".to_owned(), Uuid::now_v7().to_string()));
        let request = madake_outgoing::client::Request {
            method: http::Method::POST,
            url: url.clone(),
            headers: headers.clone(),
            body: ping.body.clone(),
            options: settings.request_options(&secrets),
        };
        let mut attempt = Attempt {
            number: 1,
            began_ms: clock::now_ms(),
            duration_ms: 0,
            address: String::new(),
            request_headers: headers,
            status: None,
            response_headers: Vec::new(),
            response_body: Vec::new(),
            answer: String::new(),
            timings: "{}".into(),
        };
        let taken: Duration = match self.outgoing().send(request).await {
            Ok(outcome) => {
                attempt.status = Some(i64::from(outcome.status));
                attempt.response_headers = outcome.headers;
                attempt.response_body = outcome.body_start;
                attempt.response_body.truncate(SHOWN_BODY);
                attempt.answer = madake_domain::delivery::Answer::Status(outcome.status).to_string();
                outcome.timings.total
            }
            Err(failure) => {
                attempt.answer = failure.sentence;
                failure.timings.total
            }
        };
        attempt.duration_ms = i64::try_from(taken.as_millis()).unwrap_or(i64::MAX);
        Ok(TestedAddress {
            url,
            body: ping.body,
            attempt,
        })
    }
}
