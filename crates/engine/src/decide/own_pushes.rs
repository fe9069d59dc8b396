//! What a plan's own builds pushed is passed over: it would push again and never end (hostile-inputs.md L3). So is what
//! too many pushes of builds in a row led to, of whatever plan.

use madake_domain::change::{Decision, ReasonCode, Revision};
use madake_domain::repository::RepositoryKind;
use madake_store::repository::Repository;

use super::judge::{Asked, Loaded};
use super::record::BUILT_ANYWAY;
use crate::job_right::pushing_build;
use crate::own_push::{Moved, Of, OwnPushes};
use crate::reading::{ref_of_tag, refs_of_branch};
use crate::{Engine, EngineError, push_chain};

/// Turns a decision to build into one that does not, where the plan's own build pushed it, whoever found it, or pushes
/// of builds led to it that nobody but the store knows of. What is built whether or not anything changed is built all the
/// same.
pub(super) async fn weigh(
    engine: &Engine,
    found: Option<&Repository>,
    loaded: &Loaded,
    asked: &Asked,
    decision: &mut Decision,
    tag: Option<&str>,
) -> Result<(), EngineError> {
    if !decision.build {
        return Ok(());
    }
    if let Some(build) = own_build(loaded, asked) {
        pass_over(decision, build);
        return Ok(());
    }
    let by_a_change = tag.is_some() || !BUILT_ANYWAY.contains(&decision.code);
    let (true, Some(found), Some(revision)) = (by_a_change, found, &decision.revision) else {
        return Ok(());
    };
    let refs = match (tag, &decision.vcs_branch) {
        (Some(tag), _) => vec![ref_of_tag(found.scm, tag)],
        (None, Some(branch)) => refs_of_branch(found.scm, branch),
        (None, None) => return Ok(()),
    };
    let (plan_id, repository_id) = (loaded.plan.id, found.id);
    let (revision, considered) = (revision.to_string(), decision.previous.clone());
    let limit = engine.settings().pushes_in_a_row;
    // Of a hosted repository the pusher says which build it is.
    let is_counted = found.kind != RepositoryKind::Hosted;
    let of = if is_counted { Of::All } else { Of::Judged };
    let pushes = OwnPushes::now(engine, Some(plan_id), of).await?;
    let (own, too_many) = engine
        .store()
        .read(move |tx| {
            let moved = Moved {
                repository_id,
                is_ref: &|name| refs.iter().any(|one| one == name),
                revision: &revision,
                considered: considered.as_ref().map(Revision::as_str),
            };
            let own = pushes.build_of(tx, Some(plan_id), moved)?;
            if own.is_some() || !is_counted {
                return Ok((own, None));
            }
            let too_many = match pushes.build_of(tx, None, moved)? {
                Some(last) => push_chain::too_many(tx, &pushes, &last, limit)?,
                None => None,
            };
            Ok::<_, EngineError>((None, too_many))
        })
        .await?;
    if let Some(build) = own {
        pass_over(decision, &build);
    } else if let Some(sentence) = too_many {
        refuse(decision, sentence);
    }
    Ok(())
}

/// Turns a decision to build into one that does not, because too many pushes of builds led to it.
pub(super) fn refuse(decision: &mut Decision, sentence: String) {
    decision.build = false;
    decision.code = ReasonCode::PushChain;
    decision.sentence = sentence;
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
fn pass_over(decision: &mut Decision, build: &str) {
    decision.build = false;
    decision.code = ReasonCode::OwnPush;
    decision.sentence = format!(
        "not built, because {build}, a build of this plan, pushed it; start a build by hand if it is wanted"
    );
}
