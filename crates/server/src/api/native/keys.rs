//! SSH keys of users and repositories.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use madake_engine::EngineError;
use madake_engine::ops::ssh_keys::KeysOf;
use madake_ssh::OfferedKey;
use madake_store::ssh_key::{KeyOwner, NewSshKey, SshKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Json, id, invalid};
use crate::App;
use crate::api::bamboo::query::Parameters;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// What comes in by the SSH server; an old DSA key would be registered and never work.
const ALGORITHMS: [&str; 4] = ["ssh-ed25519 ", "ecdsa-sha2-", "sk-", "ssh-rsa "];
/// Base64 characters of an RSA key of 2048 bits with the smallest exponent.
const SHORTEST_RSA: usize = 368;

/// `GET /keys?user=` or `?repository=`: all of them for administrators without either.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer<Value>, Failure> {
    let parameters = Parameters::from_query(query.as_deref());
    let named = |name| parameters.text(name).map(str::to_owned);
    let owner = owner(named("user"), named("repository"))?;
    let found = app.engine().list_ssh_keys(&visitor.caller, owner).await?;
    let rows: Vec<Value> = found.iter().map(view).collect();
    Ok(Answer(json!({ "keys": rows })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    user: Option<String>,
    repository: Option<String>,
    #[serde(default)]
    write: bool,
    key: String,
}

/// `POST /keys`: the text of a `.pub` file, for a user or for a repository.
pub(super) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Json(new): Json<Add>,
) -> Result<(StatusCode, Answer<Value>), Failure> {
    let owner = owner(new.user, new.repository)?
        .ok_or_else(|| invalid("`user` or `repository` says whose key it is"))?;
    if new.write && matches!(owner, KeysOf::User(_)) {
        return Err(
            invalid("`write` is for keys of repositories; a user's key may do what the user may").into(),
        );
    }
    let key = read(&new.key)?;
    let made = app
        .engine()
        .add_ssh_key(&visitor.caller, owner, new.write, key)
        .await?;
    Ok((StatusCode::CREATED, Answer(view(&made))))
}

/// `DELETE /keys/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(text): Path<String>,
) -> Result<StatusCode, Failure> {
    app.engine().remove_ssh_key(&visitor.caller, id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn owner(user: Option<String>, repository: Option<String>) -> Result<Option<KeysOf>, EngineError> {
    match (user, repository) {
        (Some(_), Some(_)) => Err(invalid("a key is a user's or a repository's, and not both")),
        (Some(user), None) => Ok(Some(KeysOf::User(user))),
        (None, Some(repository)) => Ok(Some(KeysOf::Repository(repository))),
        (None, None) => Ok(None),
    }
}

fn read(text: &str) -> Result<NewSshKey, EngineError> {
    let text = text.trim();
    if text.lines().count() > 1 && !text.contains("PRIVATE KEY") {
        return Err(invalid("one key at a time: the text of one .pub file"));
    }
    let key = OfferedKey::parse(text).map_err(invalid)?;
    if !ALGORITHMS.iter().any(|name| key.openssh.starts_with(name)) {
        return Err(invalid(
            "keys of this kind do not come in: make one with `ssh-keygen -t ed25519`",
        ));
    }
    if let Some(data) = key.openssh.strip_prefix("ssh-rsa ")
        && data.len() < SHORTEST_RSA
    {
        return Err(invalid("an RSA key needs 2048 bits or more"));
    }
    let comment = text.splitn(3, char::is_whitespace).nth(2).unwrap_or_default();
    Ok(NewSshKey {
        comment: comment.trim().to_owned(),
        openssh: key.openssh,
        fingerprint: key.fingerprint,
    })
}

fn view(key: &SshKey) -> Value {
    let (user, repository, write) = match &key.owner {
        KeyOwner::User { name, .. } => (Some(name), None, None),
        KeyOwner::Repository { name, write, .. } => (None, Some(name), Some(write)),
    };
    json!({
        "id": key.id,
        "user": user,
        "repository": repository,
        "write": write,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "createdMs": key.created_ms,
        "lastUsedMs": key.last_used_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_their_comment() {
        let text =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPmqJB9nT3VKbDKhHBuBtHzHPvKNTVcGDIqQHbWDHzE ann's laptop\n";
        let key = read(text).expect("a key");
        assert_eq!(key.comment, "ann's laptop");
        assert!(key.openssh.ends_with("DHzE"), "{}", key.openssh);
    }

    #[test]
    fn what_would_not_come_in_is_refused_with_a_sentence() {
        let one = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPmqJB9nT3VKbDKhHBuBtHzHPvKNTVcGDIqQHbWDHzE";
        let short = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDGn3tm1jbEBmSlKxkXMsXkLZ3PqkeSvv3qjVGNBHQqjJvTPoBVPBtGnLIqvZRvRbjxdXVYTWGQ7rrVJ1zkUN2xT4vVV3cMxTOlYWw1qBQpDRyRW1SHiG2kDqPlcvPZ2Lbcx8Wv7mZ5nFcSdH2Wl9tPkGm1ukcCtgyqqGL3VbVDRQ==";
        for (text, sentence) in [
            (format!("{one}\n{one}"), "one key at a time"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n".to_owned(),
                "a private key",
            ),
            ("hello".to_owned(), "not a public key"),
            (short.to_owned(), "2048 bits"),
        ] {
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }
}
