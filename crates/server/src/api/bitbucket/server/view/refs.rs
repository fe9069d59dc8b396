//! Branches and tags.

use madake_engine::ops::read_repository::NamedRef;
use serde_json::{Value, json};

/// A branch.
pub(crate) fn branch(one: &NamedRef, default_branch: &str, details: bool) -> Value {
    let commit = one.commit.to_string();
    let mut shown = json!({
        "id": one.full_name,
        "displayId": one.name,
        "type": "BRANCH",
        "latestCommit": commit,
        // The name that it had in Stash.
        "latestChangeset": commit,
        "isDefault": one.full_name == default_branch,
    });
    if details {
        // Add-ons put what they know here; there are none.
        shown["metadata"] = json!({});
    }
    shown
}

/// A tag; `hash` is the tag object of an annotated one.
pub(crate) fn tag(one: &NamedRef) -> Value {
    let commit = one.commit.to_string();
    json!({
        "id": one.full_name,
        "displayId": one.name,
        "type": "TAG",
        "latestCommit": commit,
        "latestChangeset": commit,
        "hash": (one.id != one.commit).then(|| one.id.to_string()),
    })
}

/// Those whose names hold a text, in any case. With `boost`, the name itself comes first, then those that begin with
/// the text.
pub(crate) fn filtered(mut refs: Vec<NamedRef>, text: Option<&str>, boost: bool) -> Vec<NamedRef> {
    let Some(text) = text.map(str::to_lowercase) else {
        return refs;
    };
    refs.retain(|one| one.name.to_lowercase().contains(&text));
    if boost {
        refs.sort_by_key(|one| {
            let name = one.name.to_lowercase();
            (name != text, !name.starts_with(&text))
        });
    }
    refs
}

#[cfg(test)]
pub(crate) mod tests {
    use madake_vcs::name::ObjectId;

    use super::*;

    pub(crate) fn named(full_name: &str, id: char) -> NamedRef {
        let id = ObjectId::parse(&id.to_string().repeat(40)).expect("an id");
        NamedRef {
            is_tag: full_name.starts_with("refs/tags/"),
            full_name: full_name.to_owned(),
            name: full_name.splitn(3, '/').nth(2).expect("a short name").to_owned(),
            id,
            commit: id,
        }
    }

    #[test]
    fn branches_and_tags_are_told_with_their_commits() {
        let id = "a".repeat(40);
        assert_eq!(
            branch(&named("refs/heads/feature/x", 'a'), "refs/heads/main", false).to_string(),
            format!(
                r#"{{"id":"refs/heads/feature/x","displayId":"feature/x","type":"BRANCH","latestCommit":"{id}","latestChangeset":"{id}","isDefault":false}}"#
            )
        );
        let mut annotated = named("refs/tags/v1", 'a');
        assert_eq!(tag(&annotated)["hash"], Value::Null);
        annotated.id = ObjectId::parse(&"b".repeat(40)).expect("an id");
        assert_eq!(
            tag(&annotated).to_string(),
            format!(
                r#"{{"id":"refs/tags/v1","displayId":"v1","type":"TAG","latestCommit":"{id}","latestChangeset":"{id}","hash":"{}"}}"#,
                "b".repeat(40)
            )
        );
        let details = branch(&named("refs/heads/main", 'a'), "refs/heads/main", true);
        assert_eq!(details["isDefault"], true);
        assert_eq!(details["metadata"], json!({}));
    }

    #[test]
    fn a_filter_finds_parts_of_names_and_may_boost_whole_ones() {
        let all = || {
            [
                "refs/heads/a/main",
                "refs/heads/main-2",
                "refs/heads/MAIN",
                "refs/heads/x",
            ]
            .map(|name| named(name, 'a'))
            .to_vec()
        };
        let names = |refs: Vec<NamedRef>| refs.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(
            names(filtered(all(), Some("main"), false)),
            ["a/main", "main-2", "MAIN"]
        );
        assert_eq!(
            names(filtered(all(), Some("main"), true)),
            ["MAIN", "main-2", "a/main"]
        );
        assert_eq!(filtered(all(), None, true).len(), 4);
    }
}
