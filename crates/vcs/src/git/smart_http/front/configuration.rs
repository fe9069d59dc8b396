//! The configuration of a repository, as far as it changes what clients see of refs.

use std::fs;
use std::path::Path;

/// Longest configuration that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// A configuration in which nothing is left to git.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Understood {
    hidden: Vec<String>,
}

impl Understood {
    /// The configuration of a git directory; `None` if it holds something that only git understands.
    pub(super) fn read(git_directory: &Path) -> Option<Self> {
        Self::parse(&read_text(git_directory)?)
    }

    /// The text of such a configuration.
    pub(super) fn text(git_directory: &Path) -> Option<String> {
        let text = read_text(git_directory)?;
        Self::parse(&text).map(|_| text)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut understood = Self::default();
        let mut section = String::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.ends_with('\\') {
                return None;
            }
            if let Some(header) = line.strip_prefix('[') {
                let name = header.strip_suffix(']')?;
                section = name.split([' ', '.']).next()?.to_ascii_lowercase();
                match section.as_str() {
                    // What they bring in may say anything.
                    "include" | "includeif" | "lsrefs" => return None,
                    _ => continue,
                }
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match (section.as_str(), key.as_str()) {
                ("extensions", "objectformat") if value == "sha1" => {}
                ("extensions", _) | ("transfer", "advertisesid") => return None,
                ("transfer" | "uploadpack", "hiderefs") => {
                    let unusual = |c: char| c.is_whitespace() || "\"'\\;#!^".contains(c);
                    if value.is_empty() || value.contains(unusual) {
                        return None;
                    }
                    understood.hidden.push(value.trim_end_matches('/').to_owned());
                }
                _ => {}
            }
        }
        Some(understood)
    }

    /// Whether clients do not see a ref.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.hidden.iter().any(|hidden| {
            name.strip_prefix(hidden.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

fn read_text(git_directory: &Path) -> Option<String> {
    // A work tree of another repository, and another storage of refs.
    if git_directory.join("commondir").exists() || git_directory.join("reftable").exists() {
        return None;
    }
    let path = git_directory.join("config");
    (fs::metadata(&path).ok()?.len() <= MAX_BYTES).then_some(())?;
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_refs_are_those_below_a_prefix() {
        let text = "[core]\n\tbare = true\n[transfer]\n\thideRefs = refs/madake\n[uploadpack]\nhiderefs=refs/pull/\n";
        let understood = Understood::parse(text).unwrap();
        for (name, hidden) in [
            ("refs/madake", true),
            ("refs/madake/1", true),
            ("refs/madakes", false),
            ("refs/pull/1/head", true),
            ("refs/heads/main", false),
        ] {
            assert_eq!(understood.hides(name), hidden, "{name}");
        }
    }

    #[test]
    fn what_only_git_understands_is_left_to_it() {
        for text in [
            "[include]\n\tpath = more\n",
            "[includeIf \"gitdir:x\"]\n\tpath = more\n",
            "[extensions]\n\trefStorage = reftable\n",
            "[extensions]\n\tobjectFormat = sha256\n",
            "[extensions]\n\tworktreeConfig = true\n",
            "[transfer]\n\thideRefs = !refs/x\n",
            "[transfer]\n\thideRefs = \"refs/x\"\n",
            "[transfer]\n\thideRefs\n",
            "[transfer]\n\tadvertiseSID = true\n",
            "[lsrefs]\n\tunborn = ignore\n",
            "[core] bare = true\n",
            "[a]\n\tb = c \\\n",
        ] {
            assert_eq!(Understood::parse(text), None, "{text}");
        }
        assert!(Understood::parse("[extensions]\n\tobjectformat = sha1\n").is_some());
    }
}
