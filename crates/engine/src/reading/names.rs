//! What the full names of refs mean to plans, in each version control system.
//!
//! | system | a branch of plans is | where it is looked for |
//! | - | - | - |
//! | Git | a branch | `refs/heads/NAME` |
//! | Mercurial | a named branch or a bookmark, under its own name (spaces and all) | `refs/heads/`, then `refs/bookmarks/` |
//!
//! Where a named branch and a bookmark of Mercurial have one name, the branch counts and the bookmark is no branch of
//! plans: who may push a bookmark must not take a plan branch over. How names of Mercurial are written as refs is said
//! in [`madake_vcs::hg::name`].

use std::collections::BTreeMap;

use madake_domain::repository::Scm;
use madake_vcs::hg::name::{LabelKind, label, ref_name};
use madake_vcs::name::RefName;

/// What a ref stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A branch of Git, or a named branch of Mercurial.
    Branch(String),
    /// A bookmark of Mercurial.
    Bookmark(String),
    /// A tag.
    Tag(String),
    /// Nothing that plans know.
    Other,
}

/// What the ref with this full name stands for.
pub(crate) fn named(scm: Scm, full_name: &str) -> Named {
    match scm {
        Scm::Git => match (
            full_name.strip_prefix("refs/heads/"),
            full_name.strip_prefix("refs/tags/"),
        ) {
            (Some(branch), _) => Named::Branch(branch.to_owned()),
            (_, Some(tag)) => Named::Tag(tag.to_owned()),
            _ => Named::Other,
        },
        Scm::Hg => match RefName::parse(full_name).ok().and_then(|name| label(&name)) {
            Some((LabelKind::Branch, name)) => Named::Branch(name),
            Some((LabelKind::Bookmark, name)) => Named::Bookmark(name),
            Some((LabelKind::Tag, name)) => Named::Tag(name),
            None => Named::Other,
        },
    }
}

/// The refs that may be the branch of this name, in the order in which they are looked for.
pub(crate) fn refs_of_branch(scm: Scm, branch: &str) -> Vec<String> {
    match scm {
        Scm::Git => vec![format!("refs/heads/{branch}")],
        Scm::Hg => [LabelKind::Branch, LabelKind::Bookmark]
            .into_iter()
            .filter_map(|kind| ref_name(kind, branch).ok())
            .map(|name| name.to_string())
            .collect(),
    }
}

/// The refs that `text` may name in a request: a branch or a tag by its short name.
pub(crate) fn refs_of_name(scm: Scm, text: &str) -> Vec<String> {
    let mut names = refs_of_branch(scm, text);
    match scm {
        Scm::Git => names.extend([format!("refs/tags/{text}"), text.to_owned()]),
        Scm::Hg => names.extend(ref_name(LabelKind::Tag, text).map(|name| name.to_string())),
    }
    names
}

/// The ref of a tag.
pub(crate) fn ref_of_tag(scm: Scm, tag: &str) -> String {
    match scm {
        Scm::Git => format!("refs/tags/{tag}"),
        Scm::Hg => ref_name(LabelKind::Tag, tag)
            .map(|name| name.to_string())
            .unwrap_or_default(),
    }
}

/// The branches among refs, by the names that plans use: to where they are.
#[must_use]
pub fn branches(scm: Scm, refs: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut branches = BTreeMap::new();
    for (full_name, id) in refs {
        match named(scm, full_name) {
            Named::Branch(name) => {
                branches.insert(name, id.clone());
            }
            Named::Bookmark(name) => {
                branches.entry(name).or_insert_with(|| id.clone());
            }
            Named::Tag(_) | Named::Other => {}
        }
    }
    branches
}

/// Where a branch is among refs.
pub(crate) fn branch_in<'a>(
    scm: Scm,
    refs: &'a BTreeMap<String, String>,
    branch: &str,
) -> Option<&'a String> {
    refs_of_branch(scm, branch)
        .iter()
        .find_map(|full_name| refs.get(full_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter()
            .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
            .collect()
    }

    #[test]
    fn names_mean_what_each_system_means_by_them() {
        for (scm, full_name, meant) in [
            (Scm::Git, "refs/heads/a/b", Named::Branch("a/b".into())),
            (Scm::Git, "refs/heads/a%20b", Named::Branch("a%20b".into())),
            (Scm::Git, "refs/tags/1", Named::Tag("1".into())),
            (Scm::Git, "refs/bookmarks/x", Named::Other),
            (Scm::Git, "refs/notes/x", Named::Other),
            (
                Scm::Hg,
                "refs/heads/my%20branch",
                Named::Branch("my branch".into()),
            ),
            (Scm::Hg, "refs/bookmarks/x", Named::Bookmark("x".into())),
            (Scm::Hg, "refs/tags/1.0", Named::Tag("1.0".into())),
            (Scm::Hg, "refs/notes/x", Named::Other),
        ] {
            assert_eq!(named(scm, full_name), meant, "{full_name}");
        }
    }

    #[test]
    fn named_branch_counts_before_the_bookmark_of_its_name() {
        let both = refs(&[
            ("refs/bookmarks/stable", "2"),
            ("refs/bookmarks/work in progress", "4"),
            ("refs/heads/stable", "1"),
            ("refs/tags/stable", "3"),
        ]);
        assert_eq!(branches(Scm::Hg, &both)["stable"], "1");
        assert_eq!(branch_in(Scm::Hg, &both, "stable").map(String::as_str), Some("1"));
        let closed = refs(&[("refs/bookmarks/stable", "2"), ("refs/bookmarks/a%20b", "5")]);
        assert_eq!(
            branch_in(Scm::Hg, &closed, "stable").map(String::as_str),
            Some("2")
        );
        assert_eq!(branch_in(Scm::Hg, &closed, "a b").map(String::as_str), Some("5"));
        assert_eq!(branches(Scm::Hg, &closed)["a b"], "5");
        assert_eq!(branch_in(Scm::Git, &closed, "stable"), None);
    }

    #[test]
    fn requests_name_branches_before_tags() {
        assert_eq!(
            refs_of_name(Scm::Hg, "x"),
            ["refs/heads/x", "refs/bookmarks/x", "refs/tags/x"]
        );
        assert_eq!(refs_of_name(Scm::Git, "x"), ["refs/heads/x", "refs/tags/x", "x"]);
    }
}
