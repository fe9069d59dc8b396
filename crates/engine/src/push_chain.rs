//! How many pushes of builds in a row led to a push: read from the ledger, so that nothing has to be carried along.

use madake_domain::push_chain::{Cause, pushes_that_led_here, refusal};
use madake_store::event::{self, Content};
use madake_store::{Tx, build, deployment, deployment_release};

use crate::job_right::pushing_build;
use crate::{Engine, EngineError};

/// Why nothing is built of what this pusher pushed, where too many pushes of builds in a row led to it.
pub(crate) async fn refused(engine: &Engine, pusher: Option<&str>) -> Result<Option<String>, EngineError> {
    let limit = engine.settings().pushes_in_a_row;
    let Some(last) = pusher.and_then(pushing_build).filter(|_| limit > 0) else {
        return Ok(None);
    };
    let last = last.to_owned();
    engine
        .store()
        .read(move |tx| {
            let pushing = pushes_that_led_here(&last, limit, &mut |key| cause_of(tx, key))?;
            Ok(refusal(&pushing, limit))
        })
        .await
}

/// What started a build, as the arrival says that it came from. Of a build that is gone nothing is known.
fn cause_of(tx: &Tx<'_>, key: &str) -> Result<Cause, EngineError> {
    let Some(event_id) = build::by_key(tx, key)?.and_then(|found| found.event_id) else {
        return Ok(Cause::Other);
    };
    let Some(arrival) = event::by_id(tx, event_id)? else {
        return Ok(Cause::Other);
    };
    Ok(match arrival.content {
        Content::Push {
            pusher: Some(pusher), ..
        } => match pushing_build(&pusher) {
            Some(before) => Cause::Push(before.to_owned()),
            None => Cause::Other,
        },
        Content::Parent { build, .. } => Cause::Build(build),
        Content::Deployment { project, release, .. } => {
            let found = match deployment::by_name(tx, &project)? {
                Some(found) => deployment_release::by_name(tx, found.id, &release)?,
                None => None,
            };
            found.map_or(Cause::Other, |release| Cause::Build(release.build_key))
        }
        _ => Cause::Other,
    })
}
