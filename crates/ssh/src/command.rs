//! The commands that clients of git and hg send, and nothing else.
//!
//! Clients quote for a POSIX shell (git's `sq_quote`, hg's `shellquote`); there is none here. The line is cut into words
//! by the small part of the shell's rules that those clients use, and the words must be one of five commands.

use thiserror::Error;

/// Longest command that is read, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `git-upload-pack`: clone and fetch.
    GitUploadPack,
    /// `git-receive-pack`: push.
    GitReceivePack,
    /// `git-upload-archive`: `git archive --remote`.
    GitUploadArchive,
    /// `hg -R PATH serve --stdio`: everything of hg.
    HgServeStdio,
    /// `git-lfs-authenticate PATH download|upload`: where Git LFS is served over HTTP, and a pass for it.
    GitLfsAuthenticate(LfsWish),
}

/// What a client wants a pass of Git LFS for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LfsWish {
    /// Reading objects.
    Download,
    /// Adding objects.
    Upload,
}

/// A command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What is asked for.
    pub service: Service,
    /// The repository, in the client's words.
    pub path: String,
}

/// Why a command is not run; the sentence is for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Another program, or other arguments.
    #[error(
        "only git and hg are served here (git-upload-pack, git-receive-pack, git-upload-archive, git-lfs-authenticate, \
         hg serve --stdio)"
    )]
    NotServed,
    /// Git LFS over SSH itself. Every new client asks for it first, and for `git-lfs-authenticate` then.
    #[error("Git LFS is served over HTTP, to which git-lfs-authenticate gives a pass")]
    LfsTransfer,
    /// The line is not quoted as git and hg quote.
    #[error("the command is not quoted as git and hg quote")]
    Quoting,
    /// No repository is named.
    #[error("the command names no repository")]
    NoPath,
    /// The repository looks like an option.
    #[error("the name of a repository cannot start with a dash")]
    Option,
    /// Bytes that no name of a repository has.
    #[error("the command is not UTF-8, or has control characters")]
    Characters,
    /// The line is too long.
    #[error("the command is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Service {
    /// The name that clients use: `git-upload-pack` and so on, `hg serve` for hg.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitUploadPack => "git-upload-pack",
            Self::GitReceivePack => "git-receive-pack",
            Self::GitUploadArchive => "git-upload-archive",
            Self::HgServeStdio => "hg serve",
            Self::GitLfsAuthenticate(_) => "git-lfs-authenticate",
        }
    }
}

/// Reads the command line of a client.
///
/// # Errors
/// The first rule that the line breaks.
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    if line.len() > MAX_BYTES {
        return Err(CommandError::TooLong);
    }
    let line = std::str::from_utf8(line).map_err(|_| CommandError::Characters)?;
    if line.chars().any(char::is_control) {
        return Err(CommandError::Characters);
    }
    let words = match words(line) {
        // What cannot even be read is most likely no attempt at git or hg.
        Err(_) if !line.starts_with("git") && !line.starts_with("hg") => return Err(CommandError::NotServed),
        words => words?,
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (service, path) = match words[..] {
        ["git-upload-pack", ref rest @ ..] | ["git", "upload-pack", ref rest @ ..] => {
            (Service::GitUploadPack, only(rest)?)
        }
        ["git-receive-pack", ref rest @ ..] | ["git", "receive-pack", ref rest @ ..] => {
            (Service::GitReceivePack, only(rest)?)
        }
        ["git-upload-archive", ref rest @ ..] | ["git", "upload-archive", ref rest @ ..] => {
            (Service::GitUploadArchive, only(rest)?)
        }
        ["hg", "-R", path, "serve", "--stdio"] => (Service::HgServeStdio, path),
        // Old clients name an object besides.
        ["git-lfs-authenticate", path, "download"] | ["git-lfs-authenticate", path, "download", _] => {
            (Service::GitLfsAuthenticate(LfsWish::Download), path)
        }
        ["git-lfs-authenticate", path, "upload"] | ["git-lfs-authenticate", path, "upload", _] => {
            (Service::GitLfsAuthenticate(LfsWish::Upload), path)
        }
        ["git-lfs-transfer", ..] => return Err(CommandError::LfsTransfer),
        _ => return Err(CommandError::NotServed),
    };
    if path.is_empty() {
        return Err(CommandError::NoPath);
    }
    if path.starts_with('-') {
        return Err(CommandError::Option);
    }
    Ok(Command {
        service,
        path: path.to_owned(),
    })
}

fn only<'a>(arguments: &[&'a str]) -> Result<&'a str, CommandError> {
    match arguments {
        [] => Err(CommandError::NoPath),
        [path] => Ok(path),
        [first, ..] if first.starts_with('-') => Err(CommandError::Option),
        _ => Err(CommandError::NotServed),
    }
}

/// Cuts a line into words: single quotes, a backslash before `'` or `!` outside of them, and characters that mean
/// nothing to a shell.
fn words(line: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(character) => word.push(character),
                        None => return Err(CommandError::Quoting),
                    }
                }
            }
            '\\' => match characters.next() {
                Some(quoted @ ('\'' | '!')) => word.get_or_insert_default().push(quoted),
                _ => return Err(CommandError::Quoting),
            },
            plain if plain.is_alphanumeric() || "@%_+=:,./~-".contains(plain) => {
                word.get_or_insert_default().push(plain);
            }
            _ => return Err(CommandError::Quoting),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Git's `sq_quote`.
    fn sq_quote(text: &str) -> String {
        let quoted = text.replace('\'', r"'\''").replace('!', r"'\!'");
        format!("'{quoted}'")
    }

    #[test]
    fn commands_of_real_clients_are_understood() {
        use Service::{GitLfsAuthenticate, GitReceivePack, GitUploadArchive, GitUploadPack, HgServeStdio};
        for (line, service, path) in [
            (
                "git-upload-pack '/scm/proj/repo.git'",
                GitUploadPack,
                "/scm/proj/repo.git",
            ),
            ("git-upload-pack 'proj/repo'", GitUploadPack, "proj/repo"),
            (
                "git upload-pack '/proj/repo.git'",
                GitUploadPack,
                "/proj/repo.git",
            ),
            (
                "git-receive-pack '~ann/repo.git'",
                GitReceivePack,
                "~ann/repo.git",
            ),
            (
                "git-receive-pack '/~ann/repo.git'",
                GitReceivePack,
                "/~ann/repo.git",
            ),
            ("git-receive-pack '../../x'", GitReceivePack, "../../x"),
            ("git receive-pack '/it'\\''s'", GitReceivePack, "/it's"),
            ("git-upload-archive '/wow'\\!''", GitUploadArchive, "/wow!"),
            ("git-upload-archive '/a b'", GitUploadArchive, "/a b"),
            ("git-upload-pack proj/repo.git", GitUploadPack, "proj/repo.git"),
            (
                "git-upload-pack '/$(id);`id`|\"&'",
                GitUploadPack,
                "/$(id);`id`|\"&",
            ),
            ("git-upload-pack '/真竹'", GitUploadPack, "/真竹"),
            ("hg -R proj/repo serve --stdio", HgServeStdio, "proj/repo"),
            ("hg -R hg/proj/repo serve --stdio", HgServeStdio, "hg/proj/repo"),
            ("hg -R '/a b' serve --stdio", HgServeStdio, "/a b"),
            (
                "git-lfs-authenticate '/scm/proj/repo.git' download",
                GitLfsAuthenticate(LfsWish::Download),
                "/scm/proj/repo.git",
            ),
            (
                "git-lfs-authenticate proj/repo upload 4d7a21",
                GitLfsAuthenticate(LfsWish::Upload),
                "proj/repo",
            ),
        ] {
            let path = path.to_owned();
            assert_eq!(parse(line.as_bytes()), Ok(Command { service, path }), "{line}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        use CommandError::{Characters, LfsTransfer, NoPath, NotServed, Option, Quoting, TooLong};
        let long = format!("git-upload-pack '{}'", "x".repeat(MAX_BYTES));
        for (line, error) in [
            ("", NotServed),
            ("ls", NotServed),
            ("scp -t /tmp/x", NotServed),
            ("rsync --server -vlogDtpre.iLsfxCIvu . x", NotServed),
            ("sh -c 'git-upload-pack x'", NotServed),
            ("/usr/bin/git-upload-pack 'x'", NotServed),
            ("git-shell", NotServed),
            ("git", NotServed),
            ("git-lfs-authenticate 'x'", NotServed),
            ("git-lfs-authenticate 'x' delete", NotServed),
            ("git-lfs-authenticate '' upload", NoPath),
            ("git-lfs-authenticate '-x' upload", Option),
            ("git-lfs-authenticate 'x' upload; id", Quoting),
            ("git-lfs-transfer 'x' upload", LfsTransfer),
            ("git -c core.x=y upload-pack 'x'", NotServed),
            ("git --exec-path=/tmp upload-pack 'x'", NotServed),
            ("'git-upload-pack x'", NotServed),
            ("GIT_TRACE=1 git-upload-pack 'x'", NotServed),
            ("echo $(id)", NotServed),
            ("git-upload-pack", NoPath),
            ("git-upload-pack ''", NoPath),
            ("git upload-pack", NoPath),
            ("git-upload-pack --help", Option),
            ("git-upload-pack '--help'", Option),
            ("git-upload-pack --strict 'x'", Option),
            ("git-receive-pack '-x'", Option),
            ("git-upload-pack 'x' 'y'", NotServed),
            ("git-upload-pack 'x'; id", Quoting),
            ("git-upload-pack 'x' && id", Quoting),
            ("git-upload-pack 'x' | id", Quoting),
            ("git-upload-pack 'x' > /tmp/x", Quoting),
            ("git-upload-pack $(id)", Quoting),
            ("git-upload-pack `id`", Quoting),
            ("git-upload-pack \"x\"", Quoting),
            ("git-upload-pack 'x", Quoting),
            ("git-upload-pack x\\", Quoting),
            ("git-upload-pack x\\ y", Quoting),
            ("git-upload-pack *", Quoting),
            ("git-upload-pack 'x'\nid", Characters),
            ("git-upload-pack 'x\0y'", Characters),
            ("git-upload-pack 'x\x1b[31m'", Characters),
            ("hg serve --stdio", NotServed),
            ("hg -R x serve", NotServed),
            ("hg -R x serve --stdio --debugger", NotServed),
            ("hg -R x --config ui.ssh=id serve --stdio", NotServed),
            ("hg --config alias.serve=!id -R x serve --stdio", Quoting),
            ("hg -R x --debugger serve --stdio", NotServed),
            ("hg -R --config=alias.serve=!id serve --stdio", Quoting),
            ("hg -R --config=alias.serve=x serve --stdio", Option),
            ("hg -R '' serve --stdio", NoPath),
            ("hg init x", NotServed),
            (&long, TooLong),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(error), "{line}");
        }
        assert_eq!(parse(b"git-upload-pack '\xff'"), Err(Characters));
    }

    proptest! {
        #[test]
        fn quoted_paths_come_back_as_they_were(path in "[^-\\p{Cc}]\\P{Cc}{0,60}", index in 0_usize..4) {
            let services =
                [Service::GitUploadPack, Service::GitReceivePack, Service::GitUploadArchive, Service::HgServeStdio];
            let service = services[index];
            let quoted = sq_quote(&path);
            let line = match service {
                Service::HgServeStdio => format!("hg -R {quoted} serve --stdio"),
                _ => format!("{} {quoted}", service.name()),
            };
            prop_assert_eq!(parse(line.as_bytes()), Ok(Command { service, path }));
        }

        #[test]
        fn any_line_is_refused_or_names_a_harmless_path(line in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(command) = parse(&line) {
                prop_assert!(!command.path.is_empty() && !command.path.starts_with('-'));
                prop_assert!(!command.path.chars().any(char::is_control));
            }
        }

        #[test]
        fn any_tail_is_refused_or_is_one_path(tail in "[ '\\\\!;$a-c-]{0,12}") {
            let line = format!("git-upload-pack {tail}");
            if let Ok(command) = parse(line.as_bytes()) {
                // What was read, quoted again, is read as the same.
                let again = format!("git-upload-pack {}", sq_quote(&command.path));
                prop_assert_eq!(parse(again.as_bytes()), Ok(command));
            }
        }
    }
}
