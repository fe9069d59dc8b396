//! Says of a release that it may go on, or that it is broken: `POST /deploy/version/{id}/status/{status}`.

use madake_domain::deployment::ReleaseStatus;
use madake_domain::permission::Permission;
use madake_store::deployment;
use madake_store::deployment_release::{self, Release};

use super::rights;
use crate::access::Caller;
use crate::{Engine, EngineError, clock};

impl Engine {
    /// Gives a release a status.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn judge_release(
        &self,
        caller: &Caller,
        release_id: i64,
        status: ReleaseStatus,
    ) -> Result<Release, EngineError> {
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                let (found, release) =
                    super::show::release_for(tx, &caller, release_id, Permission::ApproveRelease)?;
                let now = clock::now_ms();
                deployment_release::set_status(tx, release.id, status, caller.name(), now)?;
                let word = match status {
                    ReleaseStatus::Approved => "approved",
                    ReleaseStatus::Broken => "marked as broken",
                    ReleaseStatus::Incomplete => "marked as incomplete",
                    ReleaseStatus::Unknown => "set back to no status",
                };
                let text = format!("the release {} was {word} by {}", release.name, caller.name());
                deployment::note(tx, found.id, (None, Some(release.id)), "info", &text, now)?;
                deployment_release::by_id(tx, release.id)?
                    .ok_or_else(|| EngineError::Internal(format!("the release {release_id} is gone")))
            })
            .await
    }

    /// A release, for those who may see its project.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn release(&self, caller: &Caller, release_id: i64) -> Result<Release, EngineError> {
        let caller = caller.clone();
        self.store()
            .read(move |tx| {
                super::show::release_for(tx, &caller, release_id, Permission::Read)
                    .map(|(_, release)| release)
            })
            .await
    }

    /// The id of the project with this name or id, for those who may see it.
    ///
    /// # Errors
    /// When it is not there, or the caller may not.
    pub async fn deployment_id(&self, caller: &Caller, name: &str) -> Result<i64, EngineError> {
        let (caller, name) = (caller.clone(), name.to_owned());
        self.store()
            .read(move |tx| Ok(rights::deployment_named(tx, &caller, &name, Permission::Read)?.id))
            .await
    }
}
