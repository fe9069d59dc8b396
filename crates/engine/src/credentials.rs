//! Shared credentials as jobs get them: looked up by name, the right asked again, opened for the one order.

use madake_domain::credential::plan_may_use;
use madake_domain::key::ProjectKey;
use madake_domain::text::inert;
use madake_protocol::{CredentialContent, JobCredential, Secret};
use madake_store::Tx;
use madake_store::credential::{self, Credential};
use madake_store::repository::{self, Repository};
use madake_store::seal::Sealer;
use serde::{Deserialize, Serialize};

use crate::heads::credential_place;
use crate::{Engine, EngineError, clock};

/// What a credential holds, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// A password or token.
    Password {
        /// The password.
        password: String,
    },
    /// A private key.
    Key {
        /// The key, in PEM.
        key: String,
        /// What opens it.
        passphrase: Option<String>,
    },
}

impl Content {
    /// All that nobody is to see.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Password { password } => (password, None),
            Self::Key { key, passphrase } => (key, passphrase.as_deref()),
        };
        [Some(first.as_str()), second].into_iter().flatten()
    }
}

/// Seals what a credential holds, also for the linked repositories that are read with it.
pub(crate) fn seal(
    tx: &Tx<'_>,
    sealer: &Sealer,
    id: i64,
    username: &str,
    content: &Content,
) -> Result<(), EngineError> {
    let text = serde_json::to_vec(content).map_err(madake_store::StoreError::from)?;
    credential::set_sealed(tx, id, &sealer.seal(&credential::place(id), &text)?)?;
    if let Content::Password { password } = content {
        for (repository_id, _) in credential::repositories_of(tx, id)? {
            let text = format!("{username}\0{password}");
            let sealed = sealer.seal(&credential_place(repository_id), text.as_bytes())?;
            repository::set_credential(tx, repository_id, &sealed)?;
        }
    }
    Ok(())
}

/// Opens what a credential holds.
pub(crate) fn open(sealer: &Sealer, found: &Credential) -> Result<Content, EngineError> {
    let opened = sealer.open_sealed(&credential::place(found.id), &found.sealed)?;
    serde_json::from_slice(&opened)
        .map_err(|_| EngineError::Internal(format!("the credential {} is damaged", found.name)))
}

/// Whether plans of a project, whose file is in this repository, may use a credential.
pub(crate) fn may_use(
    tx: &Tx<'_>,
    found: &Credential,
    project: &ProjectKey,
    holder: Option<i64>,
) -> Result<bool, EngineError> {
    let grants = credential::grants(tx, found.id)?;
    let owner = found.project.as_deref();
    Ok(plan_may_use(&grants, owner, project.as_str(), holder))
}

/// Why plans that name a credential cannot have it, and what to do.
pub(crate) fn unknown(name: &str) -> String {
    let name = inert(name, 100);
    format!(
        "the server knows no credential `{name}`: an administrator adds it with `madake credential add {} --username NAME \
         --password-stdin` or `--key-file FILE`",
        shell_word(&name)
    )
}

/// The same where it is there and not granted.
pub(crate) fn not_granted(found: &Credential, project: &ProjectKey, holder: Option<&Repository>) -> String {
    let scope = found
        .project
        .as_ref()
        .map_or_else(String::new, |key| format!(" --in {key}"));
    let (who, grantee) = match holder {
        Some(holder) => (
            format!("plans of {}", holder.name),
            format!("--repository {}", holder.name),
        ),
        None => (
            format!("plans of project {project}"),
            format!("--project {project}"),
        ),
    };
    format!(
        "{who} may not use the credential `{}`: an administrator allows it with `madake credential grant {}{scope} \
         {grantee}`",
        found.name,
        shell_word(&found.name)
    )
}

/// A name as a shell reads it as one word.
pub(crate) fn shell_word(name: &str) -> String {
    if name.chars().all(|c| c.is_alphanumeric() || "/._-~".contains(c)) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

/// Whose job it is that names credentials.
pub(crate) struct Asking {
    /// The project of its plan.
    pub(crate) project: ProjectKey,
    /// The repository that the plan file, or the deployment's, is in.
    pub(crate) holder: Option<i64>,
    /// Strangers wrote what runs.
    pub(crate) of_fork: bool,
    /// The key of its result.
    pub(crate) result: String,
}

impl Engine {
    /// The credentials that tasks name, for one job: opened where the plan may use them now, with the reason where not.
    pub(crate) async fn credentials_for(
        &self,
        names: Vec<String>,
        asking: Asking,
    ) -> Result<Vec<JobCredential>, EngineError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let sealer = self.sealer().clone();
        // Each use is noted, so this is a change.
        self.store()
            .write(move |tx| {
                let all = names.into_iter().map(|name| {
                    let content = given(tx, &sealer, &name, &asking)?;
                    Ok(JobCredential { name, content })
                });
                all.collect()
            })
            .await
    }
}

fn given(
    tx: &Tx<'_>,
    sealer: &Sealer,
    name: &str,
    asking: &Asking,
) -> Result<CredentialContent, EngineError> {
    let refused = |reason: String| Ok(CredentialContent::Refused { reason });
    if asking.of_fork {
        return refused(format!(
            "builds of forks get no credentials, so `{}` is not there",
            inert(name, 100)
        ));
    }
    let Some(found) = credential::meant(tx, asking.project.as_str(), name)? else {
        return refused(unknown(name));
    };
    if !may_use(tx, &found, &asking.project, asking.holder)? {
        let holder = match asking.holder {
            Some(id) => repository::by_id(tx, id)?,
            None => None,
        };
        return refused(not_granted(&found, &asking.project, holder.as_ref()));
    }
    let content = match open(sealer, &found)? {
        Content::Password { password } => CredentialContent::Password {
            username: found.username.clone(),
            password: Secret::new(password),
        },
        Content::Key { key, passphrase } => CredentialContent::Key {
            username: found.username.clone(),
            key: Secret::new(key),
            passphrase: passphrase.map(Secret::new),
        },
    };
    credential::note_use(tx, found.id, &asking.result, clock::now_ms())?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use madake_domain::credential::{CredentialGrantee, CredentialKind};
    use madake_store::Store;
    use madake_store::credential::NewCredential;

    use super::*;

    fn asking(project: &str, holder: Option<i64>, of_fork: bool) -> Asking {
        Asking {
            project: project.parse().expect("a key"),
            holder,
            of_fork,
            result: format!("{project}-PLAN-JOB1-1"),
        }
    }

    /// A row of [`jobs_get_what_was_granted_and_builds_of_forks_get_nothing`]: who asks for which, and what comes of it.
    type Row = (&'static str, Asking, Result<&'static str, &'static str>);

    #[tokio::test]
    async fn jobs_get_what_was_granted_and_builds_of_forks_get_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let sealer = Sealer::open(&folder.path().join("key")).expect("a key");
        let sealing = sealer.clone();
        let made = store.write(move |tx| {
            for (project, password, grantee) in [
                (None, "of the server", CredentialGrantee::Repository(7)),
                (
                    Some("PROJ"),
                    "of the project",
                    CredentialGrantee::Project("PROJ".into()),
                ),
            ] {
                let row = NewCredential {
                    project: project.map(str::to_owned),
                    name: "Deploy".into(),
                    kind: CredentialKind::Password,
                    username: "joe".into(),
                    fingerprint: String::new(),
                };
                let id = credential::keep(tx, &row, "admin", 1)?;
                let content = Content::Password {
                    password: password.into(),
                };
                seal(tx, &sealing, id, "joe", &content)?;
                credential::grant(tx, id, &grantee, "admin", 1)?;
            }
            Ok::<_, EngineError>(())
        });
        made.await.expect("credentials");
        let table: [Row; 7] = [
            ("deploy", asking("PROJ", Some(7), false), Ok("of the project")),
            ("deploy", asking("OTHER", Some(7), false), Ok("of the server")),
            (
                "deploy",
                asking("OTHER", Some(8), false),
                Err("may not use the credential `Deploy`"),
            ),
            ("deploy", asking("OTHER", None, false), Err("--project OTHER")),
            (
                "deploy",
                asking("PROJ", Some(7), true),
                Err("builds of forks get no credentials"),
            ),
            (
                "nothing",
                asking("PROJ", Some(7), false),
                Err("the server knows no credential `nothing`"),
            ),
            (
                "$(id)",
                asking("PROJ", Some(7), false),
                Err("madake credential add '$(id)'"),
            ),
        ];
        for (name, asking, expected) in table {
            let sealer = sealer.clone();
            let content = store
                .write(move |tx| given(tx, &sealer, name, &asking))
                .await
                .expect("an answer");
            match (content, expected) {
                (CredentialContent::Password { username, password }, Ok(expected)) => {
                    assert_eq!((username.as_str(), password.reveal()), ("joe", expected));
                }
                (CredentialContent::Refused { reason }, Err(expected)) => {
                    assert!(reason.contains(expected), "{reason}");
                }
                (other, expected) => panic!("{name}: {other:?} instead of {expected:?}"),
            }
        }
    }
}
