//! Items of the collections of a result (bamboo-rest.md 5.5).

use madake_domain::key::ResultKey;

use super::super::expand::Expand;
use super::super::link::self_link;
use super::super::node::Object;
use super::super::view::{ArtifactView, ChangeView, CommentView, IssueView, RevisionView};
use super::RenderContext;
use super::collection::nested;

/// A commit: its author with `changes`, everything with `changes.change`, files with `changes.change.files`.
pub(super) fn change(change: &ChangeView, expand: Option<&Expand>, ctx: &RenderContext) -> Object {
    let short = Object::new()
        .attribute("changesetId", change.changeset_id.as_str())
        .attribute("fullName", change.full_name.as_str())
        .optional_attribute("userName", change.user_name.as_deref())
        .attribute("author", change.author.as_str())
        .attribute("expand", "files");
    let Some(expand) = expand else {
        return short;
    };
    short
        .element("comment", change.comment.as_str())
        .element("date", ctx.iso(change.date_ms))
        .optional_element("commitUrl", change.commit_url.as_deref())
        .element(
            "files",
            nested(&change.files, "file", expand, "files", |file, _| {
                Object::new()
                    .element("name", file.name.as_str())
                    .element("revision", file.revision.as_str())
            }),
        )
}

pub(super) fn revision(revision: &RevisionView) -> Object {
    Object::new()
        .element("repositoryId", revision.repository_id)
        .element("repositoryName", revision.repository_name.as_str())
        .element("vcsRevisionKey", revision.revision.as_str())
}

pub(super) fn artifact(artifact: &ArtifactView, ctx: &RenderContext) -> Object {
    let producer = &artifact.producer;
    let result = ResultKey {
        plan: producer.job.plan.clone(),
        number: producer.number,
    };
    let job = (!artifact.shared).then_some(producer.job.job.as_str());
    let href = ctx.links.artifact(&result, job, &artifact.name, &artifact.path);
    Object::new()
        .element("name", artifact.name.as_str())
        .element("link", self_link(href))
        .element("producerJobKey", producer.to_string())
        .element("shared", artifact.shared)
        .element("size", artifact.size_bytes)
        .element("prettySizeDescription", pretty_size(artifact.size_bytes))
}

pub(super) fn comment(comment: &CommentView, ctx: &RenderContext) -> Object {
    Object::new()
        .attribute("id", comment.id)
        .element("author", comment.author.as_str())
        .element("content", comment.content.as_str())
        .element("creationDate", ctx.iso(comment.created_ms))
        .element("modificationDate", ctx.iso(comment.modified_ms))
}

pub(super) fn label(name: &str) -> Object {
    Object::new().attribute("name", name)
}

/// What only a tracker knows is empty, as clients read it without asking whether it is there.
pub(super) fn issue(issue: &IssueView) -> Object {
    let unknown = ["summary", "iconUrl", "issueType", "status", "assignee"];
    unknown.into_iter().fold(
        Object::new().attribute("key", issue.key.as_str()),
        |object, name| object.attribute(name, ""),
    )
}

pub(super) fn metadatum((key, value): &(String, String)) -> Object {
    Object::new().element("key", key).element("value", value)
}

/// `6 MB`, `812 bytes`: whole units, rounded down.
fn pretty_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KB", "MB", "GB", "TB"];
    let mut size = bytes;
    let mut unit = 0;
    while size >= 1_024 && unit + 1 < UNITS.len() {
        size /= 1_024;
        unit += 1;
    }
    format!("{size} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_whole_units() {
        let rows = [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1 KB"),
            (6_999_999, "6 MB"),
            (u64::MAX, "16777215 TB"),
        ];
        for (bytes, text) in rows {
            assert_eq!(pretty_size(bytes), text);
        }
    }
}
