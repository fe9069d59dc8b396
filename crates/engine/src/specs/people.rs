//! Whom a plan file grants something, and what of it takes effect: what `madake permission grant` refuses, a file does not
//! grant either. A name that nobody has gets nothing, also when somebody has it later.

use std::collections::BTreeSet;

use madake_domain::permission::{Grantee, Permission, Scope};
use madake_specs::{Diagnostic, Mention, MentionKind, Reading, Severity};
use madake_store::repository::{self, Repository};
use madake_store::{Millis, Tx, permission, user};

use super::examine::{DEPLOYMENT_PERMISSIONS, Examined};
use crate::EngineError;
use crate::credentials::shell_word;

/// Whether the one is there who is to be granted something.
pub(crate) fn exists(tx: &Tx<'_>, grantee: &Grantee) -> Result<bool, EngineError> {
    Ok(match grantee {
        Grantee::User(name) => user::by_name(tx, name)?.is_some(),
        Grantee::Group(name) => user::group_exists(tx, name)?,
        Grantee::Repository(name) => repository::with_name(tx, name)?.is_some(),
        Grantee::LoggedIn | Grantee::Anonymous => true,
    })
}

/// Grants what a file says, unless the grantee is not there or cannot hold it.
pub(crate) fn grant(
    tx: &Tx<'_>,
    scope: Scope,
    key: &str,
    grantee: &Grantee,
    granted: Permission,
    now: Millis,
) -> Result<(), EngineError> {
    let beyond = *grantee == Grantee::Anonymous && !granted.for_anonymous();
    if !beyond && exists(tx, grantee)? {
        permission::grant(tx, scope, key, grantee, granted, now)?;
    }
    Ok(())
}

/// Users and groups that a file names and that are not there.
pub(super) fn unknown(
    tx: &Tx<'_>,
    found: &Repository,
    reading: &Reading,
    examined: &Examined,
) -> Result<Vec<Diagnostic>, EngineError> {
    let refused = |place: &Mention| {
        let mut keys = examined.permissions_refused.iter();
        let mut deployments = examined.deployment_permissions_refused.iter();
        keys.any(|key| {
            place.is_about("plan", key.as_str()) || place.is_about("permissions of plan", key.as_str())
        }) || deployments.any(|name| place.is_about(DEPLOYMENT_PERMISSIONS, name))
    };
    let (mut seen, mut findings) = (BTreeSet::new(), Vec::new());
    for place in &reading.mentions {
        let (grantee, kind, name) = match &place.kind {
            MentionKind::User(name) => (Grantee::User(name.clone()), "user", name),
            MentionKind::Group(name) => (Grantee::Group(name.clone()), "group", name),
            _ => continue,
        };
        // Who may not set permissions is not told who is there.
        if refused(place)
            || !seen.insert((place.subject.as_deref(), kind, name.to_lowercase()))
            || exists(tx, &grantee)?
        {
            continue;
        }
        let message = format!(
            "there is no {kind} `{name}`: nothing is granted to that name, nor to who gets it later; once it is there, run \
             `madake specs reread {}` or push a change of the file",
            shell_word(&found.name)
        );
        findings.push(place.finding(Severity::Warning, &format!("unknown-{kind}"), message));
    }
    Ok(findings)
}
