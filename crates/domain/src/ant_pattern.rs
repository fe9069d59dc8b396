//! Ant-style patterns over relative paths: which files of a folder are an artifact, or a test report
//! (bamboo-specs.md 3.6, 4.4).
//!
//! A pattern is a list of names between slashes. In a name `*` stands for any characters and `?` for one; the name
//! `**` stands for any number of folders, none among them. A pattern that ends with a slash means all below it.
//! Several patterns are separated by commas; one that begins with `!` takes files out again.
//!
//! Matching walks a path name by name with a set of places in each pattern, so its time is bounded by the length of
//! the pattern times the length of the path, whatever the pattern (hostile-inputs.md J5). A folder that holds
//! nothing of interest is recognised without looking into it.

/// The most patterns in one list.
pub const MAX_PATTERNS: usize = 1000;
/// The longest list of patterns, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// What Ant leaves out unless told otherwise: files of editors, and folders of version control.
pub const DEFAULT_EXCLUDES: &str = "**/*~,**/#*#,**/.#*,**/%*%,**/._*,**/CVS,**/CVS/**,**/.cvsignore,**/SCCS,\
    **/SCCS/**,**/vssver.scc,**/.svn,**/.svn/**,**/.DS_Store,**/.git,**/.git/**,**/.gitattributes,**/.gitignore,\
    **/.gitmodules,**/.hg,**/.hg/**,**/.hgignore,**/.hgsub,**/.hgsubstate,**/.hgtags,**/.bzr,**/.bzr/**,\
    **/.bzrignore";

/// Why a list of patterns is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AntPatternError {
    /// Too much of it.
    #[error(
        "the list of patterns is too long: at most {MAX_PATTERNS} patterns and {MAX_LENGTH} bytes are read"
    )]
    TooLong,
    /// A pattern names the folder above.
    #[error("the pattern `{0}` climbs out of the folder; patterns look below it, so write it without `..`")]
    Climbs(String),
}

/// Whether upper and lower case letters are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Case {
    /// They are, as on Linux. The default.
    #[default]
    Sensitive,
    /// They are the same.
    Insensitive,
}

/// A list of patterns, and what is taken out of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AntPatterns {
    includes: Vec<AntPattern>,
    excludes: Vec<AntPattern>,
    case: Case,
}

/// One pattern: its names, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AntPattern {
    names: Vec<Name>,
}

/// One name of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// `**`: any number of folders.
    Folders,
    /// Letters, `*` and `?`.
    Glob(Vec<char>),
}

impl AntPatterns {
    /// Reads a list that is separated by commas. Blanks around a pattern, `./` and `/` in front of it, doubled
    /// slashes and empty patterns mean nothing; `\` is a slash, as it is to Ant. An empty list matches nothing.
    ///
    /// # Errors
    /// When it is too long, or climbs with `..`.
    pub fn parse(list: &str) -> Result<Self, AntPatternError> {
        let mut patterns = Self::default();
        patterns.add(list)?;
        Ok(patterns)
    }

    /// Leaves out what this list, which is separated by commas, matches.
    ///
    /// # Errors
    /// When it is too long, or climbs with `..`.
    pub fn without(mut self, list: &str) -> Result<Self, AntPatternError> {
        let excluded = Self::parse(list)?;
        self.excludes.extend(excluded.includes);
        if self.excludes.len() > MAX_PATTERNS {
            return Err(AntPatternError::TooLong);
        }
        Ok(self)
    }

    /// Sets whether upper and lower case letters are different.
    #[must_use]
    pub fn with_case(mut self, case: Case) -> Self {
        self.case = case;
        for name in self
            .includes
            .iter_mut()
            .chain(&mut self.excludes)
            .flat_map(|pattern| &mut pattern.names)
        {
            if let Name::Glob(glob) = name {
                *glob = glob.iter().map(|letter| fold(*letter, case)).collect();
            }
        }
        self
    }

    /// Whether nothing can match, since there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.includes.is_empty()
    }

    /// Whether a path below the folder matches. The path's names are separated by `/`.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
        let Some(mut name) = names.next() else {
            return false;
        };
        let mut place = self.start();
        for next in names {
            match place.enter(name) {
                Some(inner) => place = inner,
                None => return false,
            }
            name = next;
        }
        place.takes(name)
    }

    /// Where a walk through the folder begins.
    #[must_use]
    pub fn start(&self) -> AntPlace<'_> {
        AntPlace {
            patterns: self,
            includes: self.includes.iter().map(AntPattern::start).collect(),
            excludes: self.excludes.iter().map(AntPattern::start).collect(),
        }
    }

    fn add(&mut self, list: &str) -> Result<(), AntPatternError> {
        if list.len() > MAX_LENGTH {
            return Err(AntPatternError::TooLong);
        }
        for text in list.split(',').map(str::trim) {
            let (text, excluded) = match text.strip_prefix('!') {
                Some(rest) => (rest.trim_start(), true),
                None => (text, false),
            };
            let Some(pattern) = AntPattern::parse(text)? else {
                continue;
            };
            let side = if excluded {
                &mut self.excludes
            } else {
                &mut self.includes
            };
            side.push(pattern);
            if side.len() > MAX_PATTERNS {
                return Err(AntPatternError::TooLong);
            }
        }
        Ok(())
    }
}

/// A folder on the way of a walk: what can still match below it.
#[derive(Debug, Clone)]
pub struct AntPlace<'a> {
    patterns: &'a AntPatterns,
    includes: Vec<States>,
    excludes: Vec<States>,
}

/// The places in one pattern that the names walked so far may have reached, in order, each once.
type States = Vec<usize>;

impl<'a> AntPlace<'a> {
    /// Whether the file of this name in the folder matches.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let letters = folded(name, self.patterns.case);
        let any = |patterns: &[AntPattern], states: &[States]| {
            patterns
                .iter()
                .zip(states)
                .any(|(pattern, states)| pattern.is_whole(&pattern.step(states, &letters)))
        };
        any(&self.patterns.includes, &self.includes) && !any(&self.patterns.excludes, &self.excludes)
    }

    /// The folder of this name in the folder; `None` when nothing below it can match.
    #[must_use]
    pub fn enter(&self, name: &str) -> Option<AntPlace<'a>> {
        let letters = folded(name, self.patterns.case);
        let walk = |patterns: &[AntPattern], states: &[States]| -> Vec<States> {
            patterns
                .iter()
                .zip(states)
                .map(|(pattern, states)| pattern.step(states, &letters))
                .collect()
        };
        let inner = AntPlace {
            patterns: self.patterns,
            includes: walk(&self.patterns.includes, &self.includes),
            excludes: walk(&self.patterns.excludes, &self.excludes),
        };
        let is_of_interest = inner.has_open_include() && !inner.is_all_excluded();
        is_of_interest.then_some(inner)
    }

    fn has_open_include(&self) -> bool {
        self.patterns
            .includes
            .iter()
            .zip(&self.includes)
            .any(|(pattern, states)| states.iter().any(|at| *at < pattern.names.len()))
    }

    /// Whether an exclusion stands at a `**` that is its last name.
    fn is_all_excluded(&self) -> bool {
        self.patterns
            .excludes
            .iter()
            .zip(&self.excludes)
            .any(|(pattern, states)| {
                let last = pattern.names.len() - 1;
                pattern.names[last] == Name::Folders && states.contains(&last)
            })
    }
}

impl AntPattern {
    fn parse(text: &str) -> Result<Option<Self>, AntPatternError> {
        let text = text.replace('\\', "/");
        let mut names = Vec::new();
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            match name {
                ".." => return Err(AntPatternError::Climbs(text.clone())),
                "**" if names.last() == Some(&Name::Folders) => {}
                "**" => names.push(Name::Folders),
                _ => names.push(Name::Glob(name.chars().collect())),
            }
        }
        if text.ends_with('/') && names.last().is_some_and(|last| *last != Name::Folders) {
            names.push(Name::Folders);
        }
        Ok((!names.is_empty()).then_some(Self { names }))
    }

    fn start(&self) -> States {
        let mut states = Vec::with_capacity(2);
        self.reach(0, &mut states);
        states
    }

    /// Adds a place, and the one behind it where a `**` may stand for no folder at all. Two never follow each other.
    fn reach(&self, at: usize, states: &mut States) {
        if states.last().is_none_or(|last| *last < at) {
            states.push(at);
        }
        if self.names.get(at) == Some(&Name::Folders) && states.last() == Some(&at) {
            states.push(at + 1);
        }
    }

    fn step(&self, states: &[usize], name: &[char]) -> States {
        let mut next = Vec::with_capacity(states.len() + 1);
        for at in states {
            match self.names.get(*at) {
                Some(Name::Folders) => self.reach(*at, &mut next),
                Some(Name::Glob(glob)) if glob_matches(glob, name) => self.reach(*at + 1, &mut next),
                Some(Name::Glob(_)) | None => {}
            }
        }
        next
    }

    fn is_whole(&self, states: &[usize]) -> bool {
        states.last() == Some(&self.names.len())
    }
}

/// Whether a name matches letters, `*` and `?`: when a letter does not fit, the last `*` takes one more.
fn glob_matches(glob: &[char], name: &[char]) -> bool {
    let (mut in_glob, mut in_name) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match glob.get(in_glob) {
            Some('*') => {
                last_star = Some((in_glob + 1, in_name));
                in_glob += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[in_name] => {
                in_glob += 1;
                in_name += 1;
            }
            Some(_) | None => match &mut last_star {
                Some((behind_star, taken)) => {
                    *taken += 1;
                    in_glob = *behind_star;
                    in_name = *taken;
                }
                None => return false,
            },
        }
    }
    glob[in_glob..].iter().all(|letter| *letter == '*')
}

fn folded(name: &str, case: Case) -> Vec<char> {
    name.chars().map(|letter| fold(letter, case)).collect()
}

/// One letter for one letter: those whose small form is longer stay as they are.
fn fold(letter: char, case: Case) -> char {
    let mut small = letter.to_lowercase();
    match (case, small.next(), small.next()) {
        (Case::Insensitive, Some(one), None) => one,
        _ => letter,
    }
}

#[cfg(test)]
mod tests;
