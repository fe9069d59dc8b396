//! The output of a command in a container: frames of standard output and standard error on one connection.

use madake_protocol::log::LogKind;

/// The head of a frame: the stream, three empty bytes, the length.
const HEAD: usize = 8;

/// Takes a stream apart as it comes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: Vec<u8>,
    kind: Option<LogKind>,
    left: usize,
}

impl Frames {
    /// Hands on the output that these bytes hold, in order. A frame that is longer than one read comes in pieces.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut output: impl FnMut(LogKind, &[u8])) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let wanted = HEAD - self.head.len();
                let (more, rest) = bytes.split_at(wanted.min(bytes.len()));
                self.head.extend_from_slice(more);
                bytes = rest;
                if let [stream, _, _, _, a, b, c, d] = self.head[..] {
                    self.kind = Some(if stream == 2 {
                        LogKind::Error
                    } else {
                        LogKind::Build
                    });
                    self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                    self.head.clear();
                }
                continue;
            }
            let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
            output(self.kind.unwrap_or(LogKind::Build), part);
            self.left -= part.len();
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_however_they_are_cut() {
        let mut stream = Vec::new();
        for (kind, text) in [(1, "one\n"), (2, "oops"), (1, ""), (1, "two")] {
            stream.extend([kind, 0, 0, 0]);
            stream.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            stream.extend(text.as_bytes());
        }
        for cut in 1..stream.len() {
            let mut frames = Frames::default();
            let (mut out, mut err) = (String::new(), String::new());
            for part in stream.chunks(cut) {
                frames.push(part, |kind, bytes| {
                    let text = std::str::from_utf8(bytes).unwrap();
                    if kind == LogKind::Error {
                        &mut err
                    } else {
                        &mut out
                    }
                    .push_str(text);
                });
            }
            assert_eq!((out.as_str(), err.as_str()), ("one\ntwo", "oops"), "cut {cut}");
        }
    }
}
