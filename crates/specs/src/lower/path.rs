//! Paths that a plan file names: they stay below the working directory.

use super::{Context, scalar};
use crate::report::{Finding, shown};
use crate::source::Span;
use crate::yaml::Node;

/// A path below the working directory. What variables in it stand for is checked where it is used.
pub(super) fn relative(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    let path = scalar::text(cx, node, what)?;
    checked(cx, path, node.span, what)
}

/// The same, of a path that stands at `span`.
pub(super) fn checked(cx: &mut Context<'_>, path: String, span: Span, what: &str) -> Option<String> {
    match fault(&path) {
        None => Some(path),
        Some(fault) => {
            cx.add(
                Finding::error("path-outside", span, format!("{what} `{}` {fault}", shown(&path)))
                    .expected("a path below the working directory"),
            );
            None
        }
    }
}

fn fault(path: &str) -> Option<&'static str> {
    if path.chars().any(char::is_control) {
        return Some("has a control character");
    }
    let drive = path.len() >= 2 && path.as_bytes()[1] == b':' && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with(['/', '\\', '~']) || drive {
        return Some("is absolute");
    }
    let mut depth = 0usize;
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return Some("leads out of the working directory"),
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn paths_may_not_lead_out() {
        for path in ["", ".", "./a", "a/../b", "a/b/", "${bamboo.dir}/x", "a..b", "c:"] {
            let expected = (path == "c:").then_some("is absolute");
            assert_eq!(fault(path), expected, "{path}");
        }
        for path in ["..", "a/../../b", "..\\x", "./../x"] {
            assert_eq!(fault(path), Some("leads out of the working directory"), "{path}");
        }
        for path in ["/", "/etc", "\\\\host\\x", "~/x", "C:\\x"] {
            assert_eq!(fault(path), Some("is absolute"), "{path}");
        }
    }
}
