//! Removing the containers of jobs that are dead.

use std::fs;
use std::path::{Path, PathBuf};

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lock::is_held_elsewhere;

use super::request::{JOB_LABEL, JOBS_LABEL};
use super::{ContainerEngine, ContainerError};

/// What a job's directory says of its container, from before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerNote {
    /// The engine's socket.
    pub(crate) socket: PathBuf,
    /// The container's name.
    pub(crate) name: String,
}

impl ContainerNote {
    /// Writes the note down.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        fs::write(path, text)
    }
}

/// Removes a container with what runs in it; one that is gone is fine.
pub(crate) async fn remove(engine: &ContainerEngine, name: &str) -> Result<(), ContainerError> {
    let path = format!("/containers/{name}?force=true&v=true");
    match engine
        .ask("remove the container", Method::DELETE, &path, None)
        .await
    {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// Removes the container that a dead job's note names. Blocks; what the engine refuses is left to the next start.
pub(crate) fn remove_left_by(note_path: &Path) {
    let Some(note) = fs::read(note_path)
        .ok()
        .and_then(|text| serde_json::from_slice::<ContainerNote>(&text).ok())
    else {
        return;
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    // The sweep of the next start sees it by its labels.
    let _ = runtime.block_on(remove(&ContainerEngine::at(note.socket), &note.name));
}

/// Removes the containers of this server's jobs whose supervisors are gone. Returns their names.
pub(crate) async fn remove_of_dead_jobs(
    engine: &ContainerEngine,
    jobs_directory: &Path,
) -> Result<Vec<String>, ContainerError> {
    let filters = json!({ "label": [format!("{JOBS_LABEL}={}", jobs_directory.display())] });
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("all", "true")
        .append_pair("filters", &filters.to_string())
        .finish();
    let path = format!("/containers/json?{query}");
    let listed = engine.ask("list containers", Method::GET, &path, None).await?;
    let mut removed = Vec::new();
    for container in listed.as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let job = text(&container["Labels"][JOB_LABEL]);
        let is_name = job.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if job.is_empty() || !is_name {
            continue;
        }
        let lock = jobs_directory.join(&job).join("lock");
        if is_held_elsewhere(&lock).unwrap_or(true) {
            continue;
        }
        remove(engine, &text(&container["Id"])).await?;
        removed.push(text(&container["Names"][0]).trim_start_matches('/').to_owned());
    }
    Ok(removed)
}
