//! `[agent]`: how the built-in agents keep jobs apart from the machine.

use std::path::PathBuf;

use madake_engine::settings::AgentSettings;
use madake_protocol::{Bubblewrap, ContainerPolicy, IsolationChoice};
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
    /// Absolute paths of folders that plans may mount into containers, with what is below them.
    pub container_volumes: Vec<PathBuf>,
    /// `true` or `false`: whether plans may ask for privileges, capabilities and devices.
    pub container_privileges: String,
    /// The most memory of a container, in megabytes; 0: no limit.
    pub container_memory_megabytes: u64,
    /// The most processors of a container; 0: no limit.
    pub container_processors: u32,
    /// The most processes of a container; 0: no limit.
    pub container_processes: u32,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self {
            isolation: "auto".into(),
            network: "shared".into(),
            readable: Vec::new(),
            writable: Vec::new(),
            bubblewrap: "bwrap".into(),
            container_volumes: Vec::new(),
            container_privileges: "false".into(),
            container_memory_megabytes: 0,
            container_processors: 0,
            container_processes: 4096,
        }
    }
}

/// The keys of `[agent]`.
pub(super) const AGENT_KEYS: &[&str] = &[
    "isolation",
    "network",
    "readable",
    "writable",
    "bubblewrap",
    "container-volumes",
    "container-privileges",
    "container-memory-megabytes",
    "container-processors",
    "container-processes",
];

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
        let privileges = match self.container_privileges.as_str() {
            "true" => true,
            "false" => false,
            other => {
                let problem = format!("`{other}` is neither `true` nor `false`");
                return Err(wrong("container-privileges", problem));
            }
        };
        for (key, paths) in [
            ("readable", &self.readable),
            ("writable", &self.writable),
            ("container-volumes", &self.container_volumes),
        ] {
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
            containers: ContainerPolicy {
                volumes: self.container_volumes.clone(),
                privileges,
                memory_megabytes: self.container_memory_megabytes,
                processors: self.container_processors,
                processes: self.container_processes,
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
        let rows: [(Change, &str); 4] = [
            (
                |it| it.isolation = "docker".into(),
                "agent.isolation: `docker` is not `auto`, `bubblewrap` or `process`",
            ),
            (
                |it| it.network = "off".into(),
                "agent.network: `off` is neither `shared` nor `none`",
            ),
            (
                |it| it.container_privileges = "yes".into(),
                "agent.container-privileges: `yes` is neither `true` nor `false`",
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
