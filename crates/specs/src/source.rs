//! The texts of a reading, and places in them.

/// The texts that a reading looked at, by file name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    /// The text of a file, with line feeds as line ends and without a byte order mark.
    #[must_use]
    pub fn text(&self, file: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|(name, _)| name == file)
            .map(|(_, text)| text.as_str())
    }

    /// The name of the file that was read first.
    pub(crate) fn first(&self) -> &str {
        self.files.first().map_or("", |(name, _)| name)
    }

    pub(crate) fn add(&mut self, name: &str, text: String) -> FileId {
        let known = self.files.iter().position(|(other, _)| other == name);
        let index = known.unwrap_or_else(|| {
            self.files.push((name.to_owned(), text));
            self.files.len() - 1
        });
        FileId(index)
    }

    /// How many files were read before this one.
    pub(crate) fn rank(&self, file: &str) -> usize {
        self.files
            .iter()
            .position(|(name, _)| name == file)
            .unwrap_or(usize::MAX)
    }

    pub(crate) fn name(&self, file: FileId) -> &str {
        self.files.get(file.0).map_or("", |(name, _)| name)
    }
}

/// One of the files of [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(usize);

/// A stretch of one file. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) file: FileId,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
}

impl Span {
    /// The single character at a place.
    pub(crate) fn point(file: FileId, line: u32, column: u32) -> Self {
        Self {
            file,
            line,
            column,
            end_line: line,
            end_column: column + 1,
        }
    }
}
