//! Included files: which paths an `!include` may name, and where their text comes from.

/// Where the text of an included file comes from: the work tree, a commit, a map in a test.
pub trait SourceTree {
    /// The content of the file at `path`, which starts with the folder of the plan file
    /// (`bamboo-specs/jobs/build.yml`), has no `.` or `..` in it and `/` between its parts.
    ///
    /// # Errors
    /// When there is no such file or it is not text.
    fn read(&self, path: &str) -> Result<String, IncludeError>;
}

impl<F: Fn(&str) -> Result<String, IncludeError>> SourceTree for F {
    fn read(&self, path: &str) -> Result<String, IncludeError> {
        self(path)
    }
}

/// Why the text of an included file is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncludeError {
    /// There is no such file.
    #[error("there is no such file")]
    NotFound,
    /// There is no such file, and nothing says that there should be: the plan file stands alone, out of its repository.
    /// That is a warning; what the file would hold is not checked.
    #[error("the file is not here, and what it holds is not checked")]
    NotHere,
    /// The file is not UTF-8 text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// The file is larger than a plan file may be.
    #[error("the file is too large")]
    TooLarge,
    /// Something else, in words for the author of the plan file.
    #[error("{0}")]
    Other(String),
}

/// The path below the specs folder that `written` names, with `.` and `..` resolved; or what is wrong with it
/// (bamboo-specs.md 2.2: relative to `bamboo-specs/` whatever file includes it, never out of it).
pub(crate) fn resolve(written: &str) -> Result<String, &'static str> {
    if written.is_empty() {
        return Err("names no file");
    }
    if written.starts_with(['/', '\\', '~']) || written.contains(':') {
        return Err("must be relative to the folder of the plan file");
    }
    if written.contains('\\') {
        return Err("must have `/` between its parts");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts
                    .pop()
                    .ok_or("may not lead out of the folder of the plan file")?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let is_yaml = path.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && (ending.eq_ignore_ascii_case("yml") || ending.eq_ignore_ascii_case("yaml"))
    });
    if is_yaml {
        Ok(path)
    } else {
        Err("must end in `.yml` or `.yaml`")
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn paths_stay_in_the_specs_folder() {
        let rows = [
            ("jobs/build.yml", Ok("jobs/build.yml")),
            ("./jobs/../build.yaml", Ok("build.yaml")),
            ("jobs//x.YML", Ok("jobs/x.YML")),
            ("../x.yml", Err("may not lead out of the folder of the plan file")),
            (
                "a/../../x.yml",
                Err("may not lead out of the folder of the plan file"),
            ),
            (
                "/etc/x.yml",
                Err("must be relative to the folder of the plan file"),
            ),
            ("C:x.yml", Err("must be relative to the folder of the plan file")),
            ("a\\x.yml", Err("must have `/` between its parts")),
            ("script.sh", Err("must end in `.yml` or `.yaml`")),
            ("", Err("names no file")),
        ];
        for (written, expected) in rows {
            assert_eq!(resolve(written), expected.map(str::to_owned), "{written}");
        }
    }
}
