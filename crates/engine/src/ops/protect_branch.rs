//! Protects branches of hosted repositories, and judges pushes by these rules.

use std::collections::BTreeSet;

use madake_domain::branch_permission::{
    BranchMove, BranchPattern, BranchRule, BranchVerdict, Restriction, judge,
};
use madake_domain::permission::Permission;
use madake_domain::repository::RepositoryKind;
use madake_domain::text::inert;
use madake_store::branch_permission::{self, NewBranchRule};
use madake_store::event::{Content, NewEvent};
use madake_store::repository::Repository;
use madake_store::{mirror, user};
use madake_vcs::git::smart_http::{Command, PushReport, PushVerdict, RefVerdict, UpdateStatus};
use madake_vcs::hg::name::LabelKind;
use madake_vcs::hg::serve::{LabelChange, LabelFate};

use super::mirror_repository::refusal_of_push;
use crate::access::{Caller, Target, require};
use crate::{Engine, EngineError, clock};

/// Rules that one repository may have; each push is held against all of them.
const MAX_RULES: usize = 200;
/// Refused refs of one push that its entry in the ledger names.
const NAMED_REFS: usize = 5;

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct ProtectBranch {
    /// The name of a branch, or a pattern of names.
    pub pattern: String,
    /// What is forbidden.
    pub restrictions: BTreeSet<Restriction>,
    /// Users to whom it does not apply.
    pub exempt_users: Vec<String>,
    /// Groups to whose members it does not apply.
    pub exempt_groups: Vec<String>,
}

impl Engine {
    /// Protects the branches of a hosted repository that `asked.pattern` names, in place of a rule that it had for the
    /// same pattern.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a pattern that matches nothing, nothing forbidden, or people who are not known;
    /// when the repository is not there or not hosted, or the caller may not.
    pub async fn protect_branch(
        &self,
        caller: &Caller,
        name: &str,
        asked: ProtectBranch,
    ) -> Result<BranchRule, EngineError> {
        if asked.restrictions.is_empty() {
            return Err(EngineError::Invalid(
                "say what is forbidden: fast-forward-only, no-deletes or read-only".into(),
            ));
        }
        let found = self.protectable(caller, name).await?;
        let pattern = BranchPattern::of(&asked.pattern, found.scm)
            .map_err(|error| EngineError::Invalid(error.to_string()))?;
        let by = caller.clone();
        let rule = self
            .store()
            .write(move |tx| {
                require(tx, &by, Permission::Administration, Target::Repository(&found))?;
                let known = branch_permission::of_repository(tx, found.id)?;
                if known.len() >= MAX_RULES && known.iter().all(|rule| rule.pattern != pattern) {
                    return Err(EngineError::Invalid(format!(
                        "{} has {MAX_RULES} branch permissions already: patterns can take the place of many",
                        found.name
                    )));
                }
                let new = NewBranchRule {
                    pattern,
                    restrictions: asked.restrictions,
                    exempt_users: known_users(tx, &asked.exempt_users)?,
                    exempt_groups: known_groups(tx, &asked.exempt_groups)?,
                };
                let id = branch_permission::keep(tx, found.id, &new, by.name(), clock::now_ms())?;
                tracing::info!(repository = %found.name, principal = %by.name(), "{} protected {} of {}", by.name(), inert(new.pattern.as_str(), 200), found.name);
                Ok(BranchRule {
                    id,
                    pattern: new.pattern,
                    restrictions: new.restrictions,
                    exempt_users: new.exempt_users,
                    exempt_groups: new.exempt_groups,
                })
            })
            .await?;
        Ok(rule)
    }

    /// The branch permissions of a repository, the oldest first.
    ///
    /// # Errors
    /// When the repository is not there, or the caller may not read it.
    pub async fn branch_permissions(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<BranchRule>, EngineError> {
        let found = self.repository_for(caller, name, Permission::Read).await?;
        self.store()
            .read(move |tx| Ok::<_, EngineError>(branch_permission::of_repository(tx, found.id)?))
            .await
    }

    /// Takes the rule for `pattern` off a repository.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when there is none; when the caller may not.
    pub async fn unprotect_branch(
        &self,
        caller: &Caller,
        name: &str,
        pattern: &str,
    ) -> Result<(), EngineError> {
        let pattern = pattern.strip_prefix("refs/heads/").unwrap_or(pattern).to_owned();
        let found = self.protectable(caller, name).await?;
        let by = caller.clone();
        self.store()
            .write(move |tx| {
                require(tx, &by, Permission::Administration, Target::Repository(&found))?;
                if !branch_permission::remove(tx, found.id, &pattern)? {
                    return Err(EngineError::NotFound(format!(
                        "{} has no branch permission on `{}`",
                        found.name,
                        inert(&pattern, 200)
                    )));
                }
                tracing::info!(repository = %found.name, principal = %by.name(), "{} took the protection off {} of {}", by.name(), inert(&pattern, 200), found.name);
                Ok(())
            })
            .await
    }

    /// What the branch permissions of a hosted repository say to a push, one verdict for each of its refs. What is
    /// refused at once is logged and entered in the ledger here.
    ///
    /// # Errors
    /// A sentence for the person who pushes when the repository follows a remote, or the rules cannot be read: then
    /// nothing may move.
    pub async fn judge_push(
        &self,
        caller: &Caller,
        found: &Repository,
        commands: &[Command],
    ) -> Result<PushVerdict, String> {
        let id = found.id;
        let follows = self
            .store()
            .read(move |tx| Ok::<_, EngineError>(mirror::source_of(tx, id)?))
            .await
            .map_err(|error| {
                tracing::error!(repository = %found.name, "the mirrors of {} cannot be read: {error}", found.name);
                "the mirrors of the repository cannot be read: nothing was moved".to_owned()
            })?;
        if let Some(url) = follows {
            return Err(refusal_of_push(&found.name, &url));
        }
        let rules = self.rules_of(found).await?;
        if rules.is_empty() {
            return Ok(PushVerdict::default());
        }
        let verdicts: Vec<RefVerdict> = commands
            .iter()
            .map(|command| verdict(&rules, caller, command))
            .collect();
        let refused = commands
            .iter()
            .zip(&verdicts)
            .filter_map(|(command, verdict)| match verdict {
                RefVerdict::Refused(reason) => Some((command.name.as_str(), reason.as_str())),
                RefVerdict::Allowed | RefVerdict::ForwardOnly(_) => None,
            });
        self.note_refused_refs(caller, found, refused.collect()).await;
        Ok(PushVerdict(verdicts))
    }

    /// What the branch permissions of a hosted Mercurial repository say to a push, which moves as a whole or not at all.
    /// What is refused is logged and entered in the ledger here.
    ///
    /// # Errors
    /// A sentence for the person who pushes.
    pub(crate) async fn judge_hg_push(
        &self,
        caller: &Caller,
        found: &Repository,
        changes: &[LabelChange],
    ) -> Result<(), String> {
        let rules = self.rules_of(found).await?;
        let refused: Vec<(&str, String)> = changes
            .iter()
            .filter_map(|change| Some((change.label.as_str(), hg_refusal(&rules, caller, change)?)))
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let named: Vec<(&str, &str)> = refused.iter().map(|(name, why)| (*name, why.as_str())).collect();
        let sentence = all_reasons(&named);
        self.note_refused_refs(caller, found, named).await;
        Err(format!("{sentence}; nothing of the push was taken"))
    }

    /// Logs and enters that somebody who may only read a Mercurial repository tried to push to it.
    pub(crate) async fn note_denied_push(&self, caller: &Caller, found: &Repository) {
        let reason = if found.kind == RepositoryKind::Hosted {
            "lacks WRITE"
        } else {
            "a push to a repository that is not hosted here"
        };
        self.note_refused_push(caller, found, &found.name, reason.to_owned())
            .await;
    }

    async fn rules_of(&self, found: &Repository) -> Result<Vec<BranchRule>, String> {
        let id = found.id;
        self.store()
            .read(move |tx| Ok::<_, EngineError>(branch_permission::of_repository(tx, id)?))
            .await
            .map_err(|error| {
                tracing::error!(repository = %found.name, "the branch permissions of {} cannot be read: {error}", found.name);
                "the branch permissions cannot be read: nothing was moved".to_owned()
            })
    }

    /// Logs and enters the refs of a push that were found to break a rule when its objects had arrived.
    pub(crate) async fn note_rewrites(&self, caller: &Caller, found: &Repository, report: &PushReport) {
        let refused = report.updates.iter().filter_map(|update| match &update.status {
            UpdateStatus::NotForward(reason) => Some((update.name.as_str(), reason.as_str())),
            UpdateStatus::Ok | UpdateStatus::Rejected(_) => None,
        });
        self.note_refused_refs(caller, found, refused.collect()).await;
    }

    async fn note_refused_refs(&self, caller: &Caller, found: &Repository, refused: Vec<(&str, &str)>) {
        if refused.is_empty() {
            return;
        }
        self.note_refused_push(caller, found, refused[0].0, all_reasons(&refused))
            .await;
    }

    async fn note_refused_push(&self, caller: &Caller, found: &Repository, what: &str, reason: String) {
        let (who, name) = (caller.name(), &found.name);
        tracing::warn!(
            target: "madake::authorisation",
            principal = %who,
            address = %caller.address,
            subject = %name,
            reason = %reason,
            "refused refs of a push to {name}: principal {who} from {}: {reason}",
            caller.address
        );
        let entry = NewEvent {
            kind: "refused",
            delivery_id: None,
            address: caller.address.clone(),
            principal: who.to_owned(),
            repository_id: Some(found.id),
            plan_key: None,
            summary: format!("push to {name}: {}", inert(what, 200)),
            raw: Vec::new(),
            content: Content::Refused,
        };
        self.record_refusal(entry, 403, reason).await;
    }

    async fn protectable(&self, caller: &Caller, name: &str) -> Result<Repository, EngineError> {
        let found = self
            .repository_for(caller, name, Permission::Administration)
            .await?;
        if found.kind == RepositoryKind::Hosted {
            return Ok(found);
        }
        Err(EngineError::Invalid(format!(
            "{} is not hosted here: who may push to it is decided where it lives",
            found.name
        )))
    }
}

/// The reasons of the first few refused refs, and how many more there are.
fn all_reasons(refused: &[(&str, &str)]) -> String {
    let named: Vec<&str> = refused
        .iter()
        .take(NAMED_REFS)
        .map(|(_, reason)| *reason)
        .collect();
    match refused.len().saturating_sub(NAMED_REFS) {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    }
}

/// Why a branch or a bookmark of Mercurial may not be changed so.
fn hg_refusal(rules: &[BranchRule], caller: &Caller, change: &LabelChange) -> Option<String> {
    let wanted = match change.fate {
        LabelFate::Made => BranchMove::Create,
        LabelFate::Forward | LabelFate::Rewritten => BranchMove::Update,
        LabelFate::Removed => BranchMove::Delete,
    };
    let reason = match judge(rules, &caller.principal, &change.label, wanted) {
        BranchVerdict::Allowed => return None,
        BranchVerdict::ForwardOnly(_) if change.fate == LabelFate::Forward => return None,
        BranchVerdict::ForwardOnly(reason) | BranchVerdict::Refused(reason) => reason,
    };
    Some(match (change.kind, change.fate) {
        (LabelKind::Branch, LabelFate::Rewritten) => format!("{reason}: the push makes another head of it"),
        (LabelKind::Branch, LabelFate::Removed) => format!("{reason}: the push closes it"),
        _ => reason,
    })
}

fn verdict(rules: &[BranchRule], caller: &Caller, command: &Command) -> RefVerdict {
    let Some(branch) = command.name.as_str().strip_prefix("refs/heads/") else {
        return RefVerdict::Allowed;
    };
    let wanted = match (command.old.is_zero(), command.new.is_zero()) {
        (_, true) => BranchMove::Delete,
        (true, false) => BranchMove::Create,
        (false, false) => BranchMove::Update,
    };
    match judge(rules, &caller.principal, branch, wanted) {
        BranchVerdict::Allowed => RefVerdict::Allowed,
        BranchVerdict::ForwardOnly(reason) => RefVerdict::ForwardOnly(reason),
        BranchVerdict::Refused(reason) => RefVerdict::Refused(reason),
    }
}

/// The names as the users have them: an exemption for somebody who does not exist is a misspelling.
fn known_users(tx: &madake_store::Tx<'_>, names: &[String]) -> Result<Vec<String>, EngineError> {
    let mut known = Vec::with_capacity(names.len());
    for name in names {
        let found = user::by_name(tx, name)?
            .ok_or_else(|| EngineError::Invalid(format!("there is no user `{}`", inert(name, 80))))?;
        known.push(found.name);
    }
    Ok(known)
}

fn known_groups(tx: &madake_store::Tx<'_>, names: &[String]) -> Result<Vec<String>, EngineError> {
    for name in names {
        if !user::group_exists(tx, name)? {
            return Err(EngineError::Invalid(format!(
                "there is no group `{}`",
                inert(name, 80)
            )));
        }
    }
    Ok(names.to_vec())
}
