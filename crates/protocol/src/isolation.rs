//! How the processes of a job are kept apart from the machine that they run on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::container::ContainerOrder;

/// What an administrator chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IsolationChoice {
    /// Bubblewrap where it is there and works, plain processes otherwise.
    #[default]
    Auto,
    /// Bubblewrap; where it does not work, jobs fail.
    Bubblewrap,
    /// Plain processes.
    Process,
}

impl IsolationChoice {
    /// The choice by its name in the configuration; `None` for a name that is not one.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "bubblewrap" => Some(Self::Bubblewrap),
            "process" => Some(Self::Process),
            _ => None,
        }
    }
}

/// The way in which the commands of a job run. The server has chosen it and knows that it works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// As plain processes, with the rights of the agent.
    Process {
        /// Why nothing better was chosen, as a sentence; empty when it was asked for.
        reason: String,
    },
    /// As processes with a system of their own, made by bubblewrap.
    Bubblewrap(Bubblewrap),
    /// In a container, because the plan says so.
    Container(ContainerOrder),
}

impl Default for Isolation {
    fn default() -> Self {
        Self::Process {
            reason: String::new(),
        }
    }
}

/// What a job that bubblewrap keeps apart has besides its working directory and a private home and `/tmp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bubblewrap {
    /// The program: a path, or a name on the `PATH`.
    pub program: PathBuf,
    /// Folders and files that the job does not see, whatever else it sees.
    #[serde(default)]
    pub hidden: Vec<PathBuf>,
    /// Folders and files that the job may read even inside of a home or a hidden folder.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
    /// Folders, files, sockets and devices that the job may also change.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// Whether the job has the machine's network; otherwise it has none but a loopback of its own.
    #[serde(default)]
    pub network: bool,
}
