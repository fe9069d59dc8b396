//! `madake repo`: repositories that are hosted here, attached from this machine, or linked from elsewhere.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Global, mirror};
use crate::connection::{Connection, at};
use crate::terminal::{BOLD, DIM, WARN, list, paint, read_secret, say, say_json, say_table, text};

/// Create, attach, link, describe, protect, list and remove repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum Repo {
    /// Make a repository that lives here and that people push to.
    Create {
        /// OWNER/SLUG; the owner is a project key or a name.
        #[arg(value_name = "OWNER/SLUG")]
        name: String,
        /// The branch that master plans build [default: main, in Mercurial default].
        #[arg(long, value_name = "BRANCH")]
        default_branch: Option<String>,
        /// The version control system.
        #[arg(long, value_enum, default_value_t = Scm::Git)]
        scm: Scm,
    },
    /// Attach a repository of this machine that others push to: a bare one of Git, or one of Mercurial.
    Attach {
        /// The name that it gets.
        #[arg(value_name = "OWNER/SLUG")]
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// Link a repository that lives elsewhere.
    Link {
        /// The name that plan files refer to it by.
        name: String,
        /// Its address, without a password.
        url: String,
        /// The version control system [default: what is at a path, or else git].
        #[arg(long, value_enum)]
        scm: Option<Scm>,
        /// The user name that it is read with.
        #[arg(long, requires = "password_stdin")]
        username: Option<String>,
        /// Read the password or token from standard input.
        #[arg(long, requires = "username")]
        password_stdin: bool,
        /// A shared credential that it is read with.
        #[arg(long, conflicts_with = "username")]
        credential: Option<String>,
        /// The branch that master plans build [default: the one that its host names].
        #[arg(long)]
        branch: Option<String>,
    },
    /// Give a linked repository another user name and password.
    SetCredential {
        /// The name of the repository.
        name: String,
        /// The user name that it is read with.
        #[arg(long, required_unless_present = "credential", requires = "password_stdin")]
        username: Option<String>,
        /// Read the password or token from standard input.
        #[arg(long, requires = "username")]
        password_stdin: bool,
        /// A shared credential that it is read with.
        #[arg(long, conflicts_with = "username")]
        credential: Option<String>,
    },
    /// Give a hosted or attached repository another name; the old one goes on leading to it.
    Rename {
        /// The name of the repository.
        name: String,
        /// The name that it gets.
        #[arg(value_name = "OWNER/SLUG")]
        new_name: String,
    },
    /// Remove a repository that no plan uses; the folder of a hosted one goes to the trash of the home.
    Remove {
        /// The name of the repository.
        name: String,
    },
    /// Keep a hosted repository equal to a remote; it then takes no pushes.
    MirrorFrom(mirror::MirrorFrom),
    /// Push what is pushed to a hosted repository on to a remote.
    MirrorTo(mirror::MirrorTo),
    /// List mirrors, and how they fare.
    Mirrors {
        /// Those of this repository [default: all].
        #[arg(value_name = "OWNER/SLUG")]
        name: Option<String>,
    },
    /// Run a mirror now.
    MirrorSync {
        /// The id of the mirror.
        id: i64,
    },
    /// End a mirror; what is at both sides stays.
    MirrorEnd {
        /// The id of the mirror.
        id: i64,
    },
    /// List all.
    List,
    /// Say how we hear of pushes to each linked repository: by webhooks, by looks, and what was missed.
    Hearing,
    #[command(flatten)]
    Proposals(super::pull_requests::Proposals),
    #[command(flatten)]
    Attributes(super::repo_attributes::Attributes),
}

/// A version control system.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scm {
    /// Git
    Git,
    /// Mercurial
    Hg,
}

impl Scm {
    /// The word of the API.
    fn word(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hg => "hg",
        }
    }
}

pub(super) fn run(global: &Global, repo: Repo) -> anyhow::Result<()> {
    match repo {
        Repo::Create {
            name,
            default_branch,
            scm,
        } => {
            let body = json!({ "name": name, "defaultBranch": default_branch, "scm": scm.word() });
            made(
                global,
                "created",
                &Connection::open(global)?.post(at(&["repositories"]), &body)?,
            )
        }
        Repo::Attach { name, path } => {
            // The server's working directory is not ours.
            let path =
                std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
            let body = json!({ "name": name, "path": path });
            let answer = Connection::open(global)?.post(at(&["repositories", "attach"]), &body)?;
            made(global, "attached", &answer)?;
            if !global.json {
                say(paint(
                    DIM,
                    format_args!(
                        "  to learn of its pushes at once: madake hook install {}",
                        path.display()
                    ),
                ))?;
            }
            Ok(())
        }
        Repo::Link {
            name,
            url,
            scm,
            username,
            password_stdin,
            credential,
            branch,
        } => {
            let password = if password_stdin {
                Some(read_secret("password")?)
            } else {
                None
            };
            let body = json!({
                "name": name, "url": url, "username": username, "password": password, "branch": branch,
                "credential": credential, "scm": scm.map(Scm::word),
            });
            let answer = Connection::open(global)?.post(at(&["repositories", "link"]), &body)?;
            made(global, "linked", &answer)
        }
        Repo::SetCredential {
            name,
            username,
            credential,
            ..
        } => {
            let password = match username {
                Some(_) => Some(read_secret("password")?),
                None => None,
            };
            let body = json!({
                "name": name, "username": username, "password": password, "credential": credential,
            });
            let answer = Connection::look(global)?.put(at(&["repositories", "credential"]), &body)?;
            if global.json {
                return say_json(&answer);
            }
            let url = text(&answer, "cloneUrl");
            match (username, credential) {
                (Some(username), _) => {
                    say(format_args!("{url} lets {username} in; the new password is kept"))
                }
                (None, credential) => say(format_args!(
                    "{url} answers; it is read with the credential {} from now on",
                    credential.unwrap_or_default()
                )),
            }
        }
        Repo::Rename { name, new_name } => {
            let body = json!({ "name": name, "newName": new_name });
            let answer = Connection::look(global)?.put(at(&["repositories", "name"]), &body)?;
            made(global, "renamed to", &answer)
        }
        Repo::Remove { name } => {
            let target = at(&["repositories"]).with("name", &name);
            let answer = Connection::look(global)?.delete(target)?;
            if global.json {
                return say_json(&answer);
            }
            say(format_args!("removed {}", paint(BOLD, text(&answer, "name"))))?;
            let (trash, note) = (text(&answer, "trash"), text(&answer, "note"));
            if !trash.is_empty() {
                say(format_args!("  what was pushed to it is in {trash}"))?;
            }
            if !note.is_empty() {
                say(format_args!("  {note}"))?;
            }
            Ok(())
        }
        Repo::Proposals(asked) => super::pull_requests::run(global, asked),
        Repo::Attributes(asked) => super::repo_attributes::run(global, asked),
        Repo::MirrorFrom(asked) => mirror::follow(global, &asked),
        Repo::MirrorTo(asked) => mirror::push_on(global, &asked),
        Repo::Mirrors { name } => mirror::show(global, name.as_deref()),
        Repo::MirrorSync { id } => mirror::sync(global, id),
        Repo::MirrorEnd { id } => mirror::end(global, id),
        Repo::List => {
            let answer = Connection::look(global)?.get(at(&["repositories"]))?;
            if global.json {
                return say_json(&answer);
            }
            show(&answer)
        }
        Repo::Hearing => super::hearing::run(global),
    }
}

fn made(global: &Global, verb: &str, answer: &Value) -> anyhow::Result<()> {
    if global.json {
        return say_json(answer);
    }
    say(format_args!("{verb} {}", paint(BOLD, text(answer, "name"))))?;
    say(format_args!("  clone   {}", text(answer, "cloneUrl")))?;
    let ssh = text(answer, "sshUrl");
    if !ssh.is_empty() {
        say(format_args!("          {ssh}"))?;
    }
    say(format_args!("  branch  {}", text(answer, "defaultBranch")))
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = list(answer, "repositories")
        .iter()
        .map(|one| {
            let fields = ["name", "kind", "scm", "defaultBranch", "cloneUrl"];
            fields.iter().map(|field| text(one, field)).collect()
        })
        .collect();
    if rows.is_empty() {
        return say("no repositories yet: make one with `madake repo create OWNER/SLUG`");
    }
    say_table(&["name", "kind", "scm", "branch", "address"], &rows)?;
    for one in list(answer, "repositories") {
        let problem = text(one, "problem");
        if !problem.is_empty() {
            say(format_args!(
                "{} {}: {problem}",
                paint(WARN, "!"),
                text(one, "name")
            ))?;
        }
    }
    Ok(())
}
