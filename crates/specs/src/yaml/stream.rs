//! Cuts a text into its documents, so that a mistake in one does not take the others with it.
//!
//! A line that starts with `---` or `...` and goes on with nothing or a blank is a document marker wherever it
//! stands (no scalar may hold such a line), so cutting by lines is exact.

/// One document of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawDocument<'t> {
    /// Lines in front of it.
    pub(super) line_offset: u32,
    /// Its text, with the `---` line.
    pub(super) text: &'t str,
    /// The line of a `%TAG` directive in front of it, counted from 1 in the whole text.
    pub(super) tag_directive: Option<u32>,
}

/// The documents of a text that have content, in order.
pub(super) fn split(text: &str) -> Vec<RawDocument<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut start_line = 0;
    let mut at = 0;
    let mut tag_directive = None;
    for (number, line) in (0u32..).zip(text.split_inclusive('\n')) {
        let marker = marker(line);
        let next = at + line.len();
        if marker.is_some() {
            let preamble = push(&mut documents, &text[start..at], start_line, tag_directive);
            if !preamble {
                tag_directive = None;
            }
            (start, start_line) = if marker == Some(Marker::Start) {
                (at, number)
            } else {
                (next, number + 1)
            };
        } else if line.starts_with("%TAG") && text[start..at].lines().all(is_empty_line) {
            tag_directive = Some(number + 1);
        }
        at = next;
    }
    push(&mut documents, &text[start..], start_line, tag_directive);
    documents
}

#[derive(PartialEq, Eq)]
enum Marker {
    Start,
    End,
}

fn marker(line: &str) -> Option<Marker> {
    let (mark, rest) = line.split_at_checked(3)?;
    let ends = rest.is_empty() || rest.starts_with([' ', '\t', '\n']);
    match mark {
        "---" if ends => Some(Marker::Start),
        "..." if ends => Some(Marker::End),
        _ => None,
    }
}

fn is_empty_line(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with('%')
}

/// Adds the document unless it is empty; says whether it was nothing but comments and directives, which then
/// belong to the next one.
fn push<'t>(
    documents: &mut Vec<RawDocument<'t>>,
    text: &'t str,
    line_offset: u32,
    tag_directive: Option<u32>,
) -> bool {
    let body = text.strip_prefix("---").unwrap_or(text);
    if body.lines().all(is_empty_line) {
        return !text.starts_with("---");
    }
    documents.push(RawDocument {
        line_offset,
        text,
        tag_directive,
    });
    false
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn documents_are_cut_at_markers_and_empty_ones_are_skipped() {
        let text = "# first\na: 1\n---\n# nothing\n---\n--- b\n...\n\n---\nc: |\n  ---x\n --- y\n----\n";
        let documents: Vec<_> = split(text).into_iter().map(|d| (d.line_offset, d.text)).collect();
        assert_eq!(
            documents,
            [
                (0, "# first\na: 1\n"),
                (5, "--- b\n"),
                (8, "---\nc: |\n  ---x\n --- y\n----\n"),
            ]
        );
    }

    #[test]
    fn directives_belong_to_the_document_behind_them() {
        let documents = split("%YAML 1.1\n%TAG !e! tag:example.org:\n---\na: 1\n---\nb: 1\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].tag_directive, Some(2));
        assert_eq!(documents[0].line_offset, 2);
        assert_eq!(documents[1].tag_directive, None);
    }
}
