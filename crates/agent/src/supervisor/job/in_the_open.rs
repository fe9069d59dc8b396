//! Texts that leave the job for everybody to read: messages of commits, names of tags and branches
//! (hostile-inputs.md S6).

use super::{Job, TaskEnd};

impl Job<'_> {
    /// Refuses a text that holds a secret: what is pushed cannot be taken back. `what`: "the message of the commit".
    pub(super) fn keeps_no_secret(&self, what: &str, text: &str) -> Result<(), TaskEnd> {
        if self.log.masked(text) == text {
            return Ok(());
        }
        Err(TaskEnd::failed(format!(
            "{what} holds a secret, and whoever sees the repository could read it; use a variable that is none"
        )))
    }
}
