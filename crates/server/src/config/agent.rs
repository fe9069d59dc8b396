//! `[agent]`: how the built-in agents keep jobs apart from the machine.

use std::path::PathBuf;

use madake_engine::settings::AgentSettings;
use madake_protocol::{Bubblewrap, IsolationChoice};
use serde::Deserialize;

use super::ConfigError;

/// How jobs are kept apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AgentSection {
    /// `auto`, `bubblewrap` or `process`.
    pub isolation: String,
    /// `shared` or `none`: what isolated jobs have of the machine's network.
    pub network: String,
    /// Absolute paths that isolated jobs read besides the system.
    pub readable: Vec<PathBuf>,
    /// Absolute paths that isolated jobs write besides their workspace.
    pub writable: Vec<PathBuf>,
    /// The `bwrap` program.
    pub bubblewrap: PathBuf,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self {
            isolation: "auto".into(),
            network: "shared".into(),
            readable: Vec::new(),
            writable: Vec::new(),
            bubblewrap: "bwrap".into(),
        }
    }
}

/// The keys of `[agent]`.
pub(super) const AGENT_KEYS: &[&str] = &["isolation", "network", "readable", "writable", "bubblewrap"];

impl AgentSection {
    /// What the engine needs to know.
    ///
    /// # Errors
    /// When a value is none of those that the key takes.
    pub(super) fn settings(&self) -> Result<AgentSettings, ConfigError> {
        let wrong = |key: &str, problem: String| ConfigError {
            place: format!("agent.{key}"),
            problem,
        };
        let isolation = IsolationChoice::of_name(&self.isolation).ok_or_else(|| {
            let problem = format!("`{}` is not `auto`, `bubblewrap` or `process`", self.isolation);
            wrong("isolation", problem)
        })?;
        let network = match self.network.as_str() {
            "shared" => true,
            "none" => false,
            other => {
                return Err(wrong(
                    "network",
                    format!("`{other}` is neither `shared` nor `none`"),
                ));
            }
        };
        for (key, paths) in [("readable", &self.readable), ("writable", &self.writable)] {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                return Err(wrong(
                    key,
                    format!("`{}` is not an absolute path", path.display()),
                ));
            }
        }
        Ok(AgentSettings {
            isolation,
            sandbox: Bubblewrap {
                program: self.bubblewrap.clone(),
                hidden: Vec::new(),
                readable: self.readable.clone(),
                writable: self.writable.clone(),
                network,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_nothing_are_refused_with_those_that_do() {
        type Change = fn(&mut AgentSection);
        let section = |change: Change| {
            let mut section = AgentSection::default();
            change(&mut section);
            section.settings()
        };
        assert!(section(|_| {}).is_ok());
        let rows: [(Change, &str); 3] = [
            (
                |it| it.isolation = "docker".into(),
                "agent.isolation: `docker` is not `auto`, `bubblewrap` or `process`",
            ),
            (
                |it| it.network = "off".into(),
                "agent.network: `off` is neither `shared` nor `none`",
            ),
            (
                |it| it.writable = vec!["/a".into(), "b".into()],
                "agent.writable: `b` is not an absolute path",
            ),
        ];
        for (change, expected) in rows {
            assert_eq!(section(change).expect_err(expected).to_string(), expected);
        }
    }
}
