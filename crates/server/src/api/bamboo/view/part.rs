//! What results and plans are made of: tests, log lines, commits, files, comments, variables.

use madake_domain::key::JobResultKey;

use super::Slice;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// Tests that passed.
    pub successful: u32,
    /// Tests that failed, without those in quarantine.
    pub failed: u32,
    /// Failed tests in quarantine.
    pub quarantined: u32,
    /// Tests that were left out.
    pub skipped: u32,
}

/// Tests of a job, by kind (bamboo-rest.md 5.6).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestResults {
    /// All tests.
    pub all: Slice<TestView>,
    /// Those that passed.
    pub successful: Slice<TestView>,
    /// Those that failed.
    pub failed: Slice<TestView>,
    /// Those that failed now and not before.
    pub new_failed: Slice<TestView>,
    /// Those that failed before as well.
    pub existing_failed: Slice<TestView>,
    /// Those that failed before and passed now.
    pub fixed: Slice<TestView>,
    /// Those in quarantine.
    pub quarantined: Slice<TestView>,
    /// Those that were left out.
    pub skipped: Slice<TestView>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestView {
    /// Number of the test, the same in all builds.
    pub id: i64,
    /// Class or suite.
    pub class_name: String,
    /// Method or case.
    pub method_name: String,
    /// `successful`, `failed`, `skipped` or `quarantined`.
    pub status: String,
    /// Duration in milliseconds.
    pub duration_ms: i64,
    /// Messages of its failures.
    pub errors: Slice<String>,
}

/// A line of a build log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The line without its end.
    pub text: String,
    /// When it was written.
    pub time_ms: i64,
    /// Whether it came from standard error.
    pub is_error: bool,
}

/// A commit that is new in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// Revision.
    pub changeset_id: String,
    /// Author as the commit names them.
    pub author: String,
    /// Login name, when the author is known.
    pub user_name: Option<String>,
    /// Full name; the author's text when they are not known.
    pub full_name: String,
    /// Message.
    pub comment: String,
    /// When it was made.
    pub date_ms: i64,
    /// Page of the commit, when its host has one.
    pub commit_url: Option<String>,
    /// Files that it touched.
    pub files: Slice<ChangedFile>,
}

/// A file that a commit touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Path in the repository.
    pub name: String,
    /// Revision.
    pub revision: String,
}

/// The revision of one repository of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionView {
    /// Number of the repository.
    pub repository_id: i64,
    /// Name of the repository.
    pub repository_name: String,
    /// Revision.
    pub revision: String,
}

/// A file or folder that a build kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactView {
    /// Name of the artifact.
    pub name: String,
    /// The job that made it.
    pub producer: JobResultKey,
    /// Whether other jobs and plans may use it; decides about its address.
    pub shared: bool,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Path inside the artifact that its link leads to; empty for its listing.
    pub path: String,
}

/// A comment on a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentView {
    /// Number of the comment.
    pub id: i64,
    /// Login name of its author.
    pub author: String,
    /// Text.
    pub content: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was changed last.
    pub modified_ms: i64,
}

/// An issue that commits name. Of its tracker nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueView {
    /// Key, `WEB-12`.
    pub key: String,
}

/// A variable of a plan or of a build. The value of a password never leaves the renderer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableView {
    /// Name.
    pub name: String,
    /// Value; may be empty for a password.
    pub value: String,
    /// Where it was defined: `PLAN`, `GLOBAL`, `MANUAL`, ...
    pub kind: &'static str,
    /// Whether the value is secret.
    pub is_password: bool,
}
