//! Receivers as the interfaces of Bitbucket see them: each resource shows those of one format.

use madake_domain::permission::Permission;
use madake_engine::EngineError;
use madake_engine::ops::keep_receiver::{ReceiverRequest, ShownReceiver};
use madake_engine::telling::ReceiverSettings;

use super::refused::Refused;
use crate::App;
use crate::auth::Visitor;

/// The receivers of a repository that get one format, in the order in which they were made.
///
/// # Errors
/// When the repository is not there, or the caller may not administer it; strangers are not told which.
pub(super) async fn of_profile(
    app: &App,
    visitor: &Visitor,
    repository: &str,
    profile: &str,
) -> Result<Vec<ShownReceiver>, Refused> {
    app.engine()
        .repository_for(&visitor.caller, repository, Permission::Administration)
        .await?;
    let mut found = app.engine().receivers(&visitor.caller, repository).await?;
    found.retain(|one| one.receiver.kind == "webhook" && one.receiver.profile == profile);
    Ok(found)
}

/// Changes a receiver and gives what it is then. One that was switched off for its failures is switched on again when
/// it is said to be active.
pub(super) async fn changed(
    app: &App,
    visitor: &Visitor,
    current: &ShownReceiver,
    request: ReceiverRequest,
) -> Result<ShownReceiver, Refused> {
    let id = current.receiver.id;
    let active = request.active;
    app.engine()
        .change_receiver_as_read(&visitor.caller, &current.receiver, request)
        .await?;
    if active == Some(true)
        && matches!(
            current.receiver.health,
            madake_domain::delivery::Receiver::Disabled { .. }
        )
    {
        app.engine().enable_receiver(&visitor.caller, id, true).await?;
    }
    Ok(app.engine().receiver(&visitor.caller, id).await?)
}

/// The settings of a receiver.
pub(super) fn settings_of(shown: &ShownReceiver) -> Result<ReceiverSettings, Refused> {
    serde_json::from_str(&shown.receiver.settings).map_err(|error| {
        EngineError::Internal(format!(
            "the settings of receiver {} cannot be read: {error}",
            shown.receiver.id
        ))
        .into()
    })
}
