//! Messages between the server and an agent: versioned, plain data.
//!
//! An order goes to the agent as a [`JobOrder`], what came of it comes back as a [`JobOutcome`], and the log
//! in between has the line format of [`log`]. Nothing here does I/O or reads a clock.

mod container;
mod isolation;
pub mod log;
mod message;
mod order;
mod outcome;
mod purpose;
mod push;
mod results;

pub use container::{ContainerOrder, ContainerPolicy};
pub use isolation::{Bubblewrap, Isolation, IsolationChoice};
pub use message::{FORMAT, MessageError};
pub use order::{CredentialContent, JobCredential, JobOrder, JobRepository, JobVariable, PushRight, Secret};
pub use order::{DEFAULT_FINAL_TASKS_SECONDS, DEFAULT_STOP_GRACE_SECONDS};
pub use outcome::{JobOutcome, JobResult, JobStarted, StopRequest};
pub use purpose::Purpose;
pub use push::AnnouncedPush;
pub use results::{
    ArtifactDownload, ArtifactOrder, CaseName, DEFAULT_ARTIFACT_BYTES, DEFAULT_ARTIFACT_FILES,
    DEFAULT_REPORT_BYTES, DEFAULT_TEST_CASES, DEFAULT_TEST_TEXT_BYTES, KeptArtifact, KeptArtifacts, KeptFile,
    MOST_ARTIFACT_LIST_BYTES, PlacedArtifact, PlacedFile, SecretsInArtifacts, TestCaseOutcome,
    TestCaseResult, TestOrder, TestResults,
};
