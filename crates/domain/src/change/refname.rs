//! Which names of branches are taken up at all. The version control crate guards each use once more; here a bad
//! name ends as an explained decision instead of a failed build (hostile-inputs W10, W11, G7).

use crate::repository::Scm;

/// The longest branch name, in bytes.
const MAX_LENGTH: usize = 1000;

/// Checks the name of a branch, without `refs/heads/` in front.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that starts with the name.
pub fn acceptable_branch_name(name: &str, scm: Scm) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > MAX_LENGTH {
        return Err("is longer than 1000 bytes");
    }
    if name.starts_with('-') {
        return Err("starts with a dash, which programs take for an option");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character");
    }
    match scm {
        Scm::Git => acceptable_git_name(name),
        Scm::Hg => acceptable_hg_name(name),
    }
}

/// The rules of `git check-ref-format --branch`.
fn acceptable_git_name(name: &str) -> Result<(), &'static str> {
    if name == "HEAD" || name == "@" {
        return Err("is a name that Git gives another meaning");
    }
    if name.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) {
        return Err("has a character that Git does not allow in names (space ~ ^ : ? * [ \\)");
    }
    if name.contains("..") || name.contains("@{") {
        return Err("has `..` or `@{`, which Git does not allow in names");
    }
    if name.ends_with('.') {
        return Err("ends with a dot, which Git does not allow");
    }
    let part_is_bad = |part: &str| part.is_empty() || part.starts_with(['.', '-']) || part.ends_with(".lock");
    if name.split('/').any(part_is_bad) {
        return Err("has a part that is empty, starts with a dot or a dash, or ends with `.lock`");
    }
    Ok(())
}

/// The rules of Mercurial's named branches.
fn acceptable_hg_name(name: &str) -> Result<(), &'static str> {
    if matches!(name, "tip" | "." | "null") || name.bytes().all(|b| b.is_ascii_digit()) {
        return Err("is a name that Mercurial gives another meaning");
    }
    if name.contains(':') || name.trim() != name {
        return Err("has a colon, or white space at an end, which Mercurial does not allow");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_git_and_mercurial() {
        for name in [
            "master",
            "feature/x",
            "a$(id)",
            "`id`",
            ";id",
            "ä/ö",
            "x@y",
            "refs/heads/x",
            "release-1.0",
        ] {
            assert_eq!(acceptable_branch_name(name, Scm::Git), Ok(()), "{name}");
        }
        for name in [
            "",
            "-",
            "--upload-pack=touch /tmp/x",
            "HEAD",
            "@",
            "@{-1}",
            "a..b",
            "a.lock",
            "x/.y",
            "x/-y",
            "a//b",
            "/a",
            "a/",
            "a.",
            "a b",
            "a\nb",
            "a\0",
            "a\u{85}b",
            "a:b",
            "a\\b",
            "x.lock/y",
        ] {
            assert!(acceptable_branch_name(name, Scm::Git).is_err(), "{name:?}");
        }
        for name in ["default", "feature x", "a..b", "1.0"] {
            assert_eq!(acceptable_branch_name(name, Scm::Hg), Ok(()), "{name}");
        }
        for name in ["tip", "null", ".", "12", "--config=x", "a:b", " a", "a\nb"] {
            assert!(acceptable_branch_name(name, Scm::Hg).is_err(), "{name:?}");
        }
        assert!(acceptable_branch_name(&"x".repeat(1001), Scm::Git).is_err());
    }
}
