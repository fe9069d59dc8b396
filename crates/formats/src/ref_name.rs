//! The check of names that a payload gives to refs, before anything is done with them.
//!
//! Git names follow the rules of `git check-ref-format`, and no component may begin with `-`, so that no
//! name looks like an option (hostile-inputs.md W10, W11; CVE-2017-14590, CVE-2022-36804). Shell
//! characters such as `$(id)` and `;` are legal in Git and stay legal here: a name never reaches a shell.

/// A ref name that passed the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName<'a>(&'a str);

impl<'a> RefName<'a> {
    /// Checks a full Git ref name, such as `refs/heads/main`.
    ///
    /// # Errors
    ///
    /// [`RefNameProblem`] names the first rule that is broken.
    pub fn git(text: &'a str) -> Result<Self, RefNameProblem> {
        let below = text.strip_prefix("refs/").ok_or(RefNameProblem::NotFull)?;
        if let Some(character) = text.chars().find(|character| is_forbidden_in_git(*character)) {
            return Err(RefNameProblem::Character(character));
        }
        if text.contains("..") || text.contains("@{") || text.ends_with('.') {
            return Err(RefNameProblem::Sequence);
        }
        for component in below.split('/') {
            if component.is_empty() {
                return Err(RefNameProblem::EmptyComponent);
            }
            if component.starts_with('-') {
                return Err(RefNameProblem::LooksLikeOption);
            }
            if component.starts_with('.') || component.ends_with(".lock") {
                return Err(RefNameProblem::Component);
            }
        }
        Ok(Self(text))
    }

    /// Checks the name of a Mercurial branch, bookmark or tag. Mercurial reserves `tip`, `.` and `null`
    /// and refuses `:`, line breaks, NUL, numbers and white space at the ends.
    ///
    /// # Errors
    ///
    /// [`RefNameProblem`] names the first rule that is broken.
    pub fn mercurial(text: &'a str) -> Result<Self, RefNameProblem> {
        if text.is_empty() {
            return Err(RefNameProblem::EmptyComponent);
        }
        if text.starts_with('-') {
            return Err(RefNameProblem::LooksLikeOption);
        }
        if let Some(character) = text
            .chars()
            .find(|character| character.is_control() || *character == ':')
        {
            return Err(RefNameProblem::Character(character));
        }
        let reserved = matches!(text, "tip" | "." | "null");
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        if reserved || number || text.trim() != text {
            return Err(RefNameProblem::Component);
        }
        Ok(Self(text))
    }

    /// The name.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

fn is_forbidden_in_git(character: char) -> bool {
    character.is_ascii_control() || matches!(character, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
}

/// Which rule a ref name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefNameProblem {
    /// A Git name without `refs/` in front.
    #[error("ref name is not full: it must begin with refs/")]
    NotFull,
    /// A character that the version control system forbids.
    #[error("ref name has the forbidden character {0:?}")]
    Character(char),
    /// `..`, `@{` or a dot at the end.
    #[error("ref name has \"..\", \"@{{\" or a dot at its end")]
    Sequence,
    /// Two slashes in a row, a slash at the end, or nothing at all.
    #[error("ref name has an empty component")]
    EmptyComponent,
    /// A component that begins with `-`.
    #[error("ref name has a component that begins with \"-\" and could be taken for an option")]
    LooksLikeOption,
    /// A component that Git or Mercurial reserves.
    #[error("ref name has a reserved component (a leading dot, a trailing .lock, or a word of mercurial)")]
    Component,
}

#[cfg(test)]
mod tests {
    use super::{RefName, RefNameProblem as Problem};

    #[test]
    fn git_names_follow_check_ref_format_and_never_look_like_options() {
        let table = [
            ("refs/heads/main", Ok(())),
            ("refs/heads/feature/JIRA-1_x.y", Ok(())),
            ("refs/heads/真竹", Ok(())),
            ("refs/heads/a@b", Ok(())),
            ("refs/tags/v1.0", Ok(())),
            // Legal in Git, harmless while no shell sees them (W11).
            ("refs/heads/$(id)", Ok(())),
            ("refs/heads/`id`", Ok(())),
            ("refs/heads/;id", Ok(())),
            // W10.
            (
                "refs/heads/--upload-pack=touch /tmp/x",
                Err(Problem::Character(' ')),
            ),
            ("refs/heads/--upload-pack=touch", Err(Problem::LooksLikeOption)),
            ("refs/heads/x/-y", Err(Problem::LooksLikeOption)),
            // W11.
            ("refs/heads/a\nb", Err(Problem::Character('\n'))),
            ("refs/heads/a..b", Err(Problem::Sequence)),
            ("refs/heads/../../etc", Err(Problem::Sequence)),
            ("refs/heads/x.lock", Err(Problem::Component)),
            ("refs/heads/x.lock/y", Err(Problem::Component)),
            // The rest of check-ref-format.
            ("refs/heads/.hidden", Err(Problem::Component)),
            ("refs/heads/x.", Err(Problem::Sequence)),
            ("refs/heads/@{-1}", Err(Problem::Sequence)),
            ("refs/heads//x", Err(Problem::EmptyComponent)),
            ("refs/heads/", Err(Problem::EmptyComponent)),
            ("refs/", Err(Problem::EmptyComponent)),
            ("/refs/heads/x", Err(Problem::NotFull)),
            ("main", Err(Problem::NotFull)),
            ("HEAD", Err(Problem::NotFull)),
            ("-", Err(Problem::NotFull)),
            ("", Err(Problem::NotFull)),
            ("refs/heads/a\\b", Err(Problem::Character('\\'))),
            ("refs/heads/a~1", Err(Problem::Character('~'))),
            ("refs/heads/a^", Err(Problem::Character('^'))),
            ("refs/heads/a:b", Err(Problem::Character(':'))),
            ("refs/heads/*", Err(Problem::Character('*'))),
            ("refs/heads/a?", Err(Problem::Character('?'))),
            ("refs/heads/[a", Err(Problem::Character('['))),
            ("refs/heads/a\u{7f}", Err(Problem::Character('\u{7f}'))),
        ];
        for (name, expected) in table {
            assert_eq!(RefName::git(name).map(|_| ()), expected, "{name:?}");
        }
    }

    #[test]
    fn mercurial_names_may_have_spaces_but_no_reserved_words() {
        let table = [
            ("default", Ok(())),
            ("release 1.x", Ok(())),
            ("--config=hooks.x=id", Err(Problem::LooksLikeOption)),
            ("a:b", Err(Problem::Character(':'))),
            ("a\nb", Err(Problem::Character('\n'))),
            ("tip", Err(Problem::Component)),
            ("null", Err(Problem::Component)),
            ("42", Err(Problem::Component)),
            (" x", Err(Problem::Component)),
            ("", Err(Problem::EmptyComponent)),
        ];
        for (name, expected) in table {
            assert_eq!(RefName::mercurial(name).map(|_| ()), expected, "{name:?}");
        }
    }
}
