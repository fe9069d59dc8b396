//! What a plan's own builds pushed is passed over: it would push again and never end (hostile-inputs.md L3).

use madake_domain::change::{Decision, ReasonCode};
use madake_store::repository::Repository;

use super::judge::{Asked, Loaded};
use super::record::BUILT_ANYWAY;
use crate::job_right::pushing_build;
use crate::reading::{ref_of_tag, refs_of_branch};
use crate::{Engine, EngineError, own_push};

/// The key of the plan's own build that pushed what is to be built, if one did, whoever found it. What is built whether
/// or not anything changed is built all the same.
pub(super) async fn pushed_by(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    asked: &Asked,
    decision: &Decision,
    tag: Option<&str>,
) -> Result<Option<String>, EngineError> {
    if !decision.build {
        return Ok(None);
    }
    if let Some(build) = own_build(loaded, asked) {
        return Ok(Some(build.to_owned()));
    }
    let by_a_change = tag.is_some() || !BUILT_ANYWAY.contains(&decision.code);
    let (true, Some(found), Some(revision)) = (by_a_change, found, &decision.revision) else {
        return Ok(None);
    };
    let refs = match (tag, &decision.vcs_branch) {
        (Some(tag), _) => vec![ref_of_tag(found.scm, tag)],
        (None, Some(branch)) => refs_of_branch(found.scm, branch),
        (None, None) => return Ok(None),
    };
    own_push::build_of(engine, loaded.plan.id, found.id, &refs, revision.as_str()).await
}

/// The key of the plan's own build that pushed this, as the pusher says.
fn own_build<'a>(loaded: &Loaded, asked: &'a Asked) -> Option<&'a str> {
    let build = pushing_build(&asked.pusher.as_ref()?.name)?;
    let (plan, _) = build.rsplit_once('-')?;
    loaded
        .branches
        .iter()
        .any(|branch| branch.key.as_str() == plan)
        .then_some(build)
}

/// Turns a decision to build into one that passes over what that build pushed.
pub(super) fn pass_over(decision: &mut Decision, build: &str) {
    decision.build = false;
    decision.code = ReasonCode::OwnPush;
    decision.sentence = format!(
        "not built, because {build}, a build of this plan, pushed it; start a build by hand if it is wanted"
    );
}
