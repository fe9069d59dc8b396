//! How much of one delivery is read; everything beyond is refused or left out with a note.

/// Upper bounds for one inbound payload. Lengths are bytes of UTF-8.
///
/// Bounds on the document as a whole (`body_bytes`, `depth`, `elements`) and on names refuse the delivery.
/// Bounds on lists keep the first entries and leave a [`crate::Note`]. Bounds on prose cut and mark it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, before parsing (hostile-inputs.md W6).
    pub body_bytes: usize,
    /// Deepest nesting of arrays and objects (W8). Values above 120 have no effect, the reader stops there.
    pub depth: usize,
    /// Most values and keys in the whole document (W8).
    pub elements: usize,
    /// Most refs taken from one push (W17).
    pub refs_per_push: usize,
    /// Most commits taken from one push.
    pub commits_per_push: usize,
    /// Most paths taken from one push, all commits together.
    pub paths_per_push: usize,
    /// Longest ref name; longer ones refuse the delivery.
    pub ref_name_bytes: usize,
    /// Longest project key, owner, slug or repository name; longer ones refuse the delivery.
    pub identifier_bytes: usize,
    /// Longest path of a changed file; a commit with a longer one counts as "paths not all known".
    pub path_bytes: usize,
    /// Longest author or pusher name before it is cut (W23).
    pub person_bytes: usize,
    /// Longest commit message before it is cut (W23).
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 * 1024 * 1024,
            depth: 64,
            elements: 500_000,
            refs_per_push: 1000,
            commits_per_push: 2000,
            paths_per_push: 50_000,
            ref_name_bytes: 1024,
            identifier_bytes: 255,
            path_bytes: 4096,
            person_bytes: 256,
            message_bytes: 8 * 1024,
        }
    }
}
