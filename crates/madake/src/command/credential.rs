//! `madake credential`: what plans log in with elsewhere, kept by the server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use crate::connection::{Connection, at};
use crate::terminal::{
    DIM, WARN, ago, flag, list, number, paint, read_secret, say, say_json, say_table, text,
};

/// The largest file that is read, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// Keep credentials that plans name (`shared-credentials: NAME`), and say who may use them.
#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Add a credential. What it holds is read from standard input or a file, sealed, and never shown again.
    ///
    /// Nobody may use it until it is granted.
    Add(Add),
    /// List the credentials that you may change or use, with who may use them and where they are used.
    List,
    /// Remove a credential.
    Remove {
        #[command(flatten)]
        which: Which,
        /// Remove it although it is used.
        #[arg(long)]
        force: bool,
    },
    /// Let a repository's plan files, the plans of a project, a user or a group use a credential.
    ///
    /// Users see it, and may grant it to repositories and projects that they administrate.
    Grant {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        grantee: Grantee,
    },
    /// Take that back.
    Revoke {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        grantee: Grantee,
    },
}

/// A credential by its name.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its name.
    name: String,
    /// It belongs to this project, and its plans alone may use it; without this, it is the server's.
    #[arg(long = "in", value_name = "PROJ")]
    owner: Option<String>,
}

/// A credential that is added.
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    which: Which,
    /// What kind it is: `password` or `ssh-key` [default: what is given].
    #[arg(long)]
    kind: Option<String>,
    /// The user name over there. For a key it may be left to who names it.
    #[arg(long)]
    username: Option<String>,
    /// Read the password or token from standard input.
    #[arg(long, conflicts_with_all = ["password_file", "key_file"])]
    password_stdin: bool,
    /// Read the password or token from a file, without the end of its line.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    password_file: Option<PathBuf>,
    /// Read a private SSH key in PEM from a file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase of the key from standard input.
    #[arg(long, requires = "key_file", conflicts_with = "passphrase_file")]
    passphrase_stdin: bool,
    /// Read the passphrase of the key from a file, without the end of its line.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// Give the credential of this name another content; who may use it stays.
    #[arg(long)]
    replace: bool,
}

/// Who may use it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Grantee {
    /// The plan files of a repository.
    #[arg(long, value_name = "OWNER/SLUG")]
    repository: Option<String>,
    /// All plans of a project.
    #[arg(long, value_name = "PROJ")]
    project: Option<String>,
    /// A user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Everyone in a group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

impl Grantee {
    fn words(&self) -> (&'static str, &str) {
        let all = [
            ("repository", &self.repository),
            ("project", &self.project),
            ("user", &self.user),
            ("group", &self.group),
        ];
        let given = all
            .into_iter()
            .find_map(|(to, name)| Some((to, name.as_deref()?)));
        given.unwrap_or(("user", ""))
    }
}

pub(super) fn run(global: &Global, credential: Credential) -> anyhow::Result<()> {
    match credential {
        Credential::Add(add) => keep(global, &add),
        Credential::List => {
            let answer = Connection::look(global)?.get(at(&["credentials"]))?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Credential::Remove { which, force } => {
            let mut target = at(&["credentials"]).with("name", &which.name);
            if let Some(key) = &which.owner {
                target = target.with("project", key);
            }
            if force {
                target = target.with("force", "true");
            }
            Connection::open(global)?.delete(target)?;
            if global.json {
                return say_json(&json!({ "removed": which.name }));
            }
            say(format_args!("removed the credential {}", which.name))
        }
        Credential::Grant { which, grantee } => change(global, &which, &grantee, true),
        Credential::Revoke { which, grantee } => change(global, &which, &grantee, false),
    }
}

fn keep(global: &Global, add: &Add) -> anyhow::Result<()> {
    // Said before anything is asked for.
    if let Some(kind) = &add.kind {
        kind.parse::<madake_domain::credential::CredentialKind>()?;
    }
    let password = match (&add.password_file, add.password_stdin) {
        (Some(path), _) => Some(line_of(path)?),
        (None, true) => Some(read_secret("password")?),
        (None, false) => None,
    };
    let key = match add.key_file.as_deref() {
        Some(path) if path == Path::new("-") && add.passphrase_stdin => {
            bail!("standard input is one thing: the key or its passphrase; give one of them as a file")
        }
        Some(path) if path == Path::new("-") => {
            Some(std::io::read_to_string(std::io::stdin()).context("the key cannot be read")?)
        }
        Some(path) => Some(text_of(path)?),
        None => None,
    };
    if password.is_none() && key.is_none() {
        bail!("say what it holds: --password-stdin, --password-file FILE or --key-file FILE");
    }
    let passphrase = match (&add.passphrase_file, add.passphrase_stdin) {
        (Some(path), _) => Some(line_of(path)?),
        (None, true) => Some(read_secret("passphrase")?),
        (None, false) => None,
    };
    let body = json!({
        "name": add.which.name, "project": add.which.owner, "kind": add.kind,
        "username": add.username.as_deref().unwrap_or_default(), "password": password, "key": key,
        "passphrase": passphrase, "replace": add.replace,
    });
    let answer = Connection::open(global)?.put(at(&["credentials"]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    let name = text(&answer, "name");
    let kept = if add.replace { "kept" } else { "added" };
    say(format_args!(
        "{kept} the credential {name} ({})",
        described(&answer)
    ))?;
    if list(&answer, "grants").is_empty() {
        let scope = add
            .which
            .owner
            .as_ref()
            .map_or_else(String::new, |key| format!(" --in {key}"));
        say(paint(
            DIM,
            format_args!(
                "  nobody may use it yet: madake credential grant {name}{scope} --repository OWNER/SLUG"
            ),
        ))?;
    }
    match text(&answer, "warning") {
        warning if warning.is_empty() => Ok(()),
        warning => say(format_args!("{}: {warning}", paint(WARN, "warning"))),
    }
}

fn described(one: &Value) -> String {
    let parts = [text(one, "kind"), text(one, "username"), text(one, "fingerprint")];
    let given: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    given.join(", ")
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("{} cannot be read", path.display()))?
        .len();
    if size > FILE_LIMIT {
        bail!(
            "{} has {size} bytes; a secret has at most {FILE_LIMIT}",
            path.display()
        );
    }
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn line_of(path: &Path) -> anyhow::Result<String> {
    let text = text_of(path)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn change(global: &Global, which: &Which, grantee: &Grantee, granting: bool) -> anyhow::Result<()> {
    let (to, whom) = grantee.words();
    let body = json!({ "name": which.name, "project": which.owner, "to": to, "grantee": whom });
    let verb = if granting { "grant" } else { "revoke" };
    let answer = Connection::open(global)?.post(at(&["credentials", verb]), &body)?;
    if global.json {
        return say_json(&answer);
    }
    let name = &which.name;
    let whom = match to {
        "repository" => format!("plan files of {whom}"),
        "project" => format!("plans of project {whom}"),
        _ => format!("{to} {whom}"),
    };
    match (granting, flag(&answer, "changed")) {
        (true, true) => say(format_args!("{whom} may use the credential {name}"))?,
        (true, false) => say(format_args!("{whom} could use the credential {name} already"))?,
        (false, true) => say(format_args!("{whom} may not use the credential {name} any more"))?,
        (false, false) => say(format_args!("{whom} could not use the credential {name}"))?,
    }
    list(&answer, "reread")
        .iter()
        .try_for_each(super::specs::say_reread)
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let now = madake_engine::clock::now_ms();
    let joined = |one: &Value, field: &str, word: fn(&Value) -> String| {
        let words: Vec<String> = list(one, field).iter().map(word).collect();
        words.join(", ")
    };
    let rows: Vec<Vec<String>> = list(answer, "credentials")
        .iter()
        .map(|one| {
            let name = match text(one, "project") {
                project if project.is_empty() => text(one, "name"),
                project => format!("{} (in {project})", text(one, "name")),
            };
            let fingerprint = text(one, "fingerprint");
            let who = |grant: &Value| format!("{} {}", text(grant, "to"), text(grant, "grantee"));
            vec![
                name,
                text(one, "kind"),
                text(one, "username"),
                fingerprint,
                joined(one, "grants", who),
                joined(one, "uses", |one| one.as_str().unwrap_or_default().to_owned()),
                number(one, "lastUsedMs").map_or_else(|| "never".to_owned(), |at| ago(at, now)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return say("there are no credentials that you may change or use");
    }
    let headings = [
        "name",
        "kind",
        "user name",
        "fingerprint",
        "may use it",
        "used by",
        "last used",
    ];
    say_table(&headings, &rows)
}
