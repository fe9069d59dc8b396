//! Says what the built-in agents can do besides what they find out, takes it back, and lists all of it.

use madake_domain::permission::Permission;
use madake_store::capability;

use crate::access::{Caller, Target, require};
use crate::capabilities::look_again;
use crate::{Engine, EngineError, clock};

/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 4096;

/// A capability of the built-in agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityRow {
    /// The key.
    pub key: String,
    /// The value: often the path of a program.
    pub value: String,
    /// Whether an administrator said so; otherwise the agents found it out.
    pub configured: bool,
}

impl Engine {
    /// All capabilities of the built-in agents, sorted by key.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn list_capabilities(&self, caller: &Caller) -> Result<Vec<CapabilityRow>, EngineError> {
        let caller = caller.clone();
        let said = self
            .store()
            .read(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok::<_, EngineError>(capability::all(tx)?)
            })
            .await?;
        let all = self.capabilities().await?;
        Ok(all
            .iter()
            .map(|(key, value)| CapabilityRow {
                key: key.to_owned(),
                value: value.to_owned(),
                configured: said.iter().any(|(known, _)| known == key),
            })
            .collect())
    }

    /// Says that the built-in agents have a capability.
    ///
    /// # Errors
    /// When the caller may not, or key or value cannot be one.
    pub async fn set_capability(&self, caller: &Caller, key: &str, value: &str) -> Result<(), EngineError> {
        let (key, value) = (key.trim().to_owned(), value.to_owned());
        let is_text = |text: &str, longest| text.len() <= longest && !text.chars().any(char::is_control);
        if key.is_empty() || !is_text(&key, LONGEST_KEY) || key.contains(['$', '{', '}']) {
            return Err(EngineError::Invalid(format!(
                "the key of a capability has 1 to {LONGEST_KEY} printable characters without `$`, `{{` and `}}`"
            )));
        }
        if !is_text(&value, LONGEST_VALUE) {
            return Err(EngineError::Invalid(format!(
                "the value of a capability has at most {LONGEST_VALUE} printable characters"
            )));
        }
        let caller = caller.clone();
        self.store()
            .write(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                Ok::<_, EngineError>(capability::set(tx, &key, &value, clock::now_ms())?)
            })
            .await?;
        look_again(self);
        Ok(())
    }

    /// Takes back what was said of a capability; what the agents find out by themselves stays.
    ///
    /// # Errors
    /// When the caller may not, or nothing was said of it.
    pub async fn remove_capability(&self, caller: &Caller, key: &str) -> Result<(), EngineError> {
        let (caller, key) = (caller.clone(), key.to_owned());
        self.store()
            .write(move |tx| {
                require(tx, &caller, Permission::Administration, Target::Global)?;
                if capability::remove(tx, &key)? {
                    Ok(())
                } else {
                    Err(EngineError::NotFound(format!(
                        "nobody has set a capability `{key}`"
                    )))
                }
            })
            .await?;
        look_again(self);
        Ok(())
    }
}
