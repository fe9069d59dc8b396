//! `madake permission`: who may do what with which thing.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{list, say, say_json, say_table, text};

/// Grant, revoke and list permissions.
#[derive(Debug, Subcommand)]
pub(crate) enum Permission {
    /// Grant permissions.
    Grant(Change),
    /// Revoke permissions.
    Revoke(Change),
    /// List what is granted on a thing itself.
    List {
        /// What kind of thing.
        #[arg(value_enum)]
        scope: Scope,
        /// PROJ, PROJ-PLAN, OWNER/SLUG, the name of a deployment project, or PROJECT/ENVIRONMENT; the server has none.
        key: Option<String>,
    },
}

/// What is granted or revoked, on what, and to whom.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// What kind of thing.
    #[arg(value_enum)]
    scope: Scope,
    /// The key (PROJ, PROJ-PLAN, OWNER/SLUG, the name of a deployment project, PROJECT/ENVIRONMENT; the server has
    /// none), then permissions: READ, WRITE, BUILD (on an environment: to deploy), CLONE, VIEW_CONFIGURATION,
    /// CREATE_PLAN_BRANCH, CREATE, CREATEREPOSITORY, CREATE_RELEASE, APPROVE_RELEASE, ADMINISTRATION.
    #[arg(required = true, value_name = "[KEY] PERMISSION")]
    words: Vec<String>,
    #[command(flatten)]
    grantee: Grantee,
}

/// Whom it is for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Grantee {
    /// A user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Everyone in a group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Everyone who is logged in.
    #[arg(long)]
    logged_in: bool,
    /// Everyone.
    #[arg(long)]
    anonymous: bool,
    /// The plan files of a repository: CREATE on a project lets them make plans there, READ on a repository use it, BUILD
    /// on a plan start it, ADMINISTRATION set permissions.
    #[arg(long, value_name = "OWNER/SLUG")]
    repository: Option<String>,
}

/// What kind of thing a permission is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// A plan and its branches.
    Plan,
    /// A project, its plans and its repositories.
    Project,
    /// A repository.
    Repository,
    /// A deployment project.
    Deployment,
    /// An environment of a deployment project.
    Environment,
    /// The whole server.
    Global,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Project => "project",
            Self::Repository => "repository",
            Self::Deployment => "deployment",
            Self::Environment => "environment",
            Self::Global => "global",
        }
    }
}

pub(super) fn run(global: &Global, permission: Permission) -> anyhow::Result<()> {
    match permission {
        Permission::Grant(asked) => change(global, &asked, true),
        Permission::Revoke(asked) => change(global, &asked, false),
        Permission::List { scope, key } => {
            let mut target = at(&["permissions"]).with("scope", scope.word());
            if let Some(key) = &key {
                target = target.with("key", key);
            }
            let answer = Connection::look(global)?.get(target)?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer, &subject(scope, key.as_deref()))
        }
    }
}

fn change(global: &Global, asked: &Change, granting: bool) -> anyhow::Result<()> {
    let (key, permissions) = match (asked.scope, asked.words.as_slice()) {
        (Scope::Global, permissions) => (None, permissions),
        (_, [key, permissions @ ..]) if !permissions.is_empty() => (Some(key.as_str()), permissions),
        _ => bail!(
            "name the {} and at least one permission, for example: madake permission grant plan PROJ-PLAN READ --user joe",
            asked.scope.word()
        ),
    };
    let (to, name) = match &asked.grantee {
        Grantee { user: Some(name), .. } => ("user", Some(name)),
        Grantee {
            group: Some(name), ..
        } => ("group", Some(name)),
        Grantee {
            repository: Some(name),
            ..
        } => ("repository", Some(name)),
        Grantee { logged_in: true, .. } => ("logged-in", None),
        _ => ("anonymous", None),
    };
    let body = json!({
        "scope": asked.scope.word(), "key": key, "to": to, "name": name, "permissions": permissions,
    });
    let verb = if granting { "grant" } else { "revoke" };
    let answer = Connection::open(global)?.post(at(&["permissions", verb]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    let whom = name.map_or_else(|| everyone(to).to_owned(), |name| format!("{to} {name}"));
    let on = subject(asked.scope, key);
    let words = |field| {
        let names: Vec<&str> = list(&answer, field).iter().filter_map(Value::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(changed) = words("changed") {
        let (verb, preposition) = if granting {
            ("granted", "to")
        } else {
            ("revoked", "from")
        };
        say(format_args!("{verb} {changed} on {on} {preposition} {whom}"))?;
    }
    if let Some(unchanged) = words("unchanged") {
        let state = if granting { "already had" } else { "did not have" };
        say(format_args!("{whom} {state} {unchanged} on {on}"))?;
    }
    Ok(())
}

fn show(answer: &Value, on: &str) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = list(answer, "permissions")
        .iter()
        .map(|one| {
            let to = text(one, "to");
            let whom = match text(one, "name") {
                name if name.is_empty() => everyone(&to).to_owned(),
                name => format!("{to} {name}"),
            };
            vec![whom, text(one, "permission")]
        })
        .collect();
    if rows.is_empty() {
        return say(format_args!("nothing is granted on {on} itself"));
    }
    say_table(&["who", "permission"], &rows)
}

fn everyone(to: &str) -> &'static str {
    if to == "logged-in" {
        "everyone who is logged in"
    } else {
        "everyone"
    }
}

fn subject(scope: Scope, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{} {key}", scope.word()),
        None => "the server".to_owned(),
    }
}
