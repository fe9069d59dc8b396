//! Links a repository that lives elsewhere, under a name that plan files refer to.

use madake_domain::permission::Permission;
use madake_domain::repository::{RepositoryKind, Scm};
use madake_store::credential;
use madake_store::repository::{self, NewRepository, Repository};
use madake_vcs::git::mirror::{RefScope, RemoteLimits, ls_remote, mirror_path};
use madake_vcs::hg;
use madake_vcs::url::{Credential, RepositoryUrl};

use crate::access::{Caller, Target, require};
use crate::heads::credential_place;
use crate::ops::attach_repository::repository_at;
use crate::ops::create_repository::{checked_branch, insert};
use crate::{Engine, EngineError};

/// What a link is made of.
#[derive(Debug, Clone)]
pub struct LinkRepository {
    /// The name, as plan files write it.
    pub name: String,
    /// The address: http(s), ssh, git, or a path of this machine. A credential in it is taken out and sealed.
    pub url: String,
    /// Its system; `None`: what is found at a path of this machine, or else Git.
    pub scm: Option<Scm>,
    /// User name and password or token; wins over one in the address.
    pub credential: Option<(String, String)>,
    /// The name of a shared credential of the server that it is read with instead.
    pub shared: Option<String>,
    /// The branch that master plans build; `None`: the one that the host names.
    pub default_branch: Option<String>,
}

impl Engine {
    /// Links a repository. The host is asked at once, so that a wrong address or password shows here.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for an address that is not allowed or does not answer, [`EngineError::Exists`] for
    /// a taken name.
    pub async fn link_repository(
        &self,
        caller: &Caller,
        new: LinkRepository,
    ) -> Result<Repository, EngineError> {
        let check = caller.clone();
        self.store()
            .read(move |tx| require(tx, &check, Permission::Administration, Target::Global))
            .await?;
        if new.name.is_empty() || new.name.len() > 128 || new.name.chars().any(char::is_control) {
            return Err(EngineError::Invalid(
                "a link's name has 1 to 128 printable characters".into(),
            ));
        }
        let url = RepositoryUrl::parse(&new.url, self.url_policy())
            .map_err(|error| EngineError::Invalid(format!("the address cannot be linked: {error}")))?;
        let shared = match &new.shared {
            Some(name) => Some(self.shared_credential(name).await?),
            None => None,
        };
        let credential = match (&shared, &new.credential) {
            (Some((_, credential)), _) => Some(credential.clone()),
            (None, Some((username, password))) => Some(
                Credential::new(username, password)
                    .map_err(|error| EngineError::Invalid(error.to_string()))?,
            ),
            (None, None) => url.credential().cloned(),
        };
        let found = || url.local_path().and_then(repository_at).map(|(scm, _)| scm);
        let scm = new.scm.or_else(found).unwrap_or(Scm::Git);
        if let Some(branch) = &new.default_branch {
            checked_branch(scm, branch)?;
        }
        let told = self
            .ask_remote(scm, &url, credential.as_ref())
            .await
            .map_err(|error| {
                EngineError::Invalid(format!(
                    "{} does not answer as a {} repository: {error}",
                    url.display(),
                    scm.title()
                ))
            })?;
        let mirrors = self.home().mirrors();
        let mirror = match scm {
            Scm::Git => mirror_path(&mirrors, &new.name, &url),
            Scm::Hg => hg::mirror::mirror_path(&mirrors, &new.name, &url),
        };
        let usual = match scm {
            Scm::Git => "master",
            Scm::Hg => scm.first_branch(),
        };
        let row = NewRepository {
            kind: RepositoryKind::Linked,
            scm,
            name: new.name.clone(),
            owner: String::new(),
            slug: String::new(),
            path: mirror.display().to_string(),
            url: url.display().to_owned(),
            default_branch: new.default_branch.or(told).unwrap_or_else(|| usual.into()),
        };
        let (maker, sealer) = (caller.clone(), self.sealer().clone());
        let made = self
            .store()
            .write(move |tx| {
                let made = insert(tx, &maker, &row)?;
                if let Some(credential) = credential {
                    let text = format!("{}\0{}", credential.username(), credential.password());
                    let sealed = sealer.seal(&credential_place(made.id), text.as_bytes())?;
                    repository::set_credential(tx, made.id, &sealed)?;
                }
                if let Some((id, _)) = shared {
                    credential::set_of_repository(tx, made.id, Some(id))?;
                }
                repository::by_id(tx, made.id)?
                    .ok_or_else(|| EngineError::Internal("the new link is gone".into()))
            })
            .await?;
        self.start_from_here(&made).await?;
        self.repository_for(caller, &made.name, Permission::Read).await
    }

    /// Asks the host of a repository, within a minute, whether it lets us in; gives the branch that it names as its
    /// default one, which Mercurial does not.
    pub(crate) async fn ask_remote(
        &self,
        scm: Scm,
        url: &RepositoryUrl,
        credential: Option<&Credential>,
    ) -> Result<Option<String>, String> {
        let limits = RemoteLimits {
            timeout: std::time::Duration::from_secs(60),
            ..RemoteLimits::default()
        };
        match scm {
            Scm::Git => {
                let asked = ls_remote(self.git(), url, credential, RefScope::Everything, &limits).await;
                let head = asked.map_err(|error| error.to_string())?.head;
                Ok(head
                    .and_then(|name| name.branch())
                    .map(|branch| branch.to_string()))
            }
            Scm::Hg => {
                let program = self.mercurial().map_err(|error| error.to_string())?.program();
                let asked = hg::mirror::look(program, url, credential, &limits).await;
                asked.map(|_| None).map_err(|error| error.to_string())
            }
        }
    }
}
