//! Artifacts of a job: those of others are put into its working directory, its own are kept for the server
//! (bamboo-specs.md 3.6, 3.7, 4.4).

use std::fs::{self, File};
use std::io;

use madake_domain::ant_pattern::AntPatterns;
use madake_domain::artifact_path::{ArtifactPath, check_artifact_name};
use madake_domain::plan::{Artifact, ArtifactDownloadTask};
use madake_protocol::log::LogKind;
use madake_protocol::{FORMAT, JobOrder, KeptArtifact, KeptArtifacts, KeptFile, PlacedArtifact};

use crate::artifact::{CollectError, CollectLimits, Destination, LeftOut, collect};
use crate::job_directory::{JobDirectory, make_private_directory};
use crate::log::Log;

use super::script_environment::ScriptEnvironment;

/// Puts artifacts into the working directory.
///
/// # Errors
/// The reason why one cannot be placed, as a sentence.
pub(super) fn place(
    artifacts: &[PlacedArtifact],
    order: &JobOrder,
    environment: &ScriptEnvironment,
    log: &Log,
) -> Result<(), String> {
    for artifact in artifacts {
        let name = &artifact.name;
        if artifact.files.is_empty() {
            log.say(
                LogKind::Build,
                &format!("Artifact '{name}' is not there: no job of an earlier stage kept and shared it"),
            );
            continue;
        }
        let place = environment.substituted(&artifact.destination);
        let failed = |reason: String| format!("the artifact '{name}' cannot be placed: {reason}");
        let destination =
            Destination::open(&order.working_directory, &place).map_err(|error| failed(error.to_string()))?;
        let mut bytes = 0;
        for file in &artifact.files {
            let path = ArtifactPath::parse(&file.path).map_err(|error| failed(error.to_string()))?;
            let mut source = File::open(&file.source).map_err(|error| {
                failed(match error.kind() {
                    io::ErrorKind::NotFound => {
                        format!("its file `{path}` is not kept any more; build what makes it again")
                    }
                    _ => format!("its file `{path}` cannot be read: {error}"),
                })
            })?;
            let written = destination
                .write(&path, file.executable, &mut source)
                .map_err(|error| failed(error.to_string()))?;
            if written != file.size {
                return Err(failed(format!(
                    "its file `{path}` has {written} bytes where {} were stored",
                    file.size
                )));
            }
            bytes += written;
        }
        let shown = if place.trim_matches(['/', '.']).is_empty() {
            "the working directory".to_owned()
        } else {
            format!("`{place}`")
        };
        log.say(
            LogKind::Build,
            &format!(
                "Artifact '{name}' is placed in {shown}: {}",
                amount(artifact.files.len() as u64, bytes)
            ),
        );
    }
    Ok(())
}

/// Fetches what an `artifact-download` task asks for.
///
/// # Errors
/// The reason why the task fails, as a sentence.
pub(super) fn download(
    task: &ArtifactDownloadTask,
    order: &JobOrder,
    environment: &ScriptEnvironment,
    log: &Log,
) -> Result<(), String> {
    let found = order
        .artifacts
        .downloads
        .iter()
        .find(|download| download.task == *task);
    let Some(found) = found else {
        return Err("the server looked up no artifacts for this task".to_owned());
    };
    if let Some(problem) = &found.problem {
        return Err(problem.clone());
    }
    log.say(LogKind::Build, &format!("Fetching artifacts of {}", found.from));
    if found.artifacts.is_empty() {
        log.say(
            LogKind::Build,
            &format!("{} has no artifacts to fetch", found.from),
        );
    }
    place(&found.artifacts, order, environment, log)
}

/// Copies the files of the job's artifacts out of its working directory, for the server to store.
///
/// Gives why the job fails for it, one sentence for each artifact that is missing or could not be kept.
pub(super) fn keep(
    order: &JobOrder,
    directory: &JobDirectory,
    environment: &ScriptEnvironment,
    log: &Log,
) -> Vec<String> {
    let mut keeper = Keeper {
        order,
        directory,
        environment,
        log,
        next: 0,
    };
    let mut problems = Vec::new();
    let mut artifacts = Vec::new();
    for artifact in &order.artifacts.keep {
        match keeper.keep(artifact) {
            Ok(Some(kept)) => artifacts.push(kept),
            Ok(None) => {}
            Err(problem) => {
                log.say(LogKind::Error, &problem);
                problems.push(problem);
            }
        }
    }
    if !artifacts.is_empty() {
        let kept = KeptArtifacts {
            format: FORMAT,
            artifacts,
        };
        if let Err(error) = directory.write_artifacts(&kept) {
            let problem = format!("the artifacts cannot be kept: {error}");
            log.say(LogKind::Error, &problem);
            problems.push(problem);
        }
    }
    problems
}

struct Keeper<'a> {
    order: &'a JobOrder,
    directory: &'a JobDirectory,
    environment: &'a ScriptEnvironment,
    log: &'a Log,
    next: u64,
}

impl Keeper<'_> {
    fn keep(&mut self, artifact: &Artifact) -> Result<Option<KeptArtifact>, String> {
        let name = &artifact.name;
        let failed =
            |reason: &dyn std::fmt::Display| format!("the artifact '{name}' cannot be kept: {reason}");
        check_artifact_name(name).map_err(|reason| failed(&format!("its name is refused, {reason}")))?;
        let location = self.environment.substituted(&artifact.location);
        let pattern = self.environment.substituted(&artifact.pattern);
        let patterns = AntPatterns::parse(&pattern).map_err(|error| failed(&error))?;
        let folder = self.directory.kept_files_path();
        make_private_directory(&folder).map_err(|error| failed(&error))?;
        let limits = CollectLimits {
            files: self.order.artifacts.most_files,
            bytes: self.order.artifacts.most_bytes,
            ..CollectLimits::default()
        };
        let (directory, mut next, first) = (self.directory, self.next, self.next);
        let mut files = Vec::new();
        let collected = collect(
            &self.order.working_directory,
            &location,
            &patterns,
            &limits,
            &mut |mut file| {
                let mut copy = File::create_new(directory.kept_file(next))?;
                let size = io::copy(&mut file.file, &mut copy)?;
                files.push(KeptFile {
                    path: file.path.to_string(),
                    size,
                    executable: file.is_executable,
                    number: next,
                });
                next += 1;
                Ok(())
            },
        );
        self.next = next;
        let collection = match collected {
            Ok(collection) => collection,
            Err(error) => {
                for number in first..next {
                    // The whole folder goes with the job's directory, but its room may be needed before.
                    let _ = fs::remove_file(directory.kept_file(number));
                }
                return match error {
                    CollectError::NoLocation(_) => self.nothing(artifact, &location, &pattern),
                    other => Err(failed(&other)),
                };
            }
        };
        for LeftOut { path, reason } in &collection.left_out {
            self.log.say(
                LogKind::Error,
                &format!("Artifact '{name}': `{path}` is left out: {reason}"),
            );
        }
        if files.is_empty() {
            return self.nothing(artifact, &location, &pattern);
        }
        let bytes = files.iter().map(|file| file.size).sum();
        self.log.say(
            LogKind::Build,
            &format!("Artifact '{name}' is kept: {}", amount(files.len() as u64, bytes)),
        );
        Ok(Some(KeptArtifact {
            name: name.clone(),
            shared: artifact.shared,
            files,
        }))
    }

    fn nothing(
        &self,
        artifact: &Artifact,
        location: &str,
        pattern: &str,
    ) -> Result<Option<KeptArtifact>, String> {
        let name = &artifact.name;
        let place = if location.trim_matches(['/', '.', ' ']).is_empty() {
            "in the working directory".to_owned()
        } else {
            format!("below `{location}`")
        };
        if artifact.required {
            return Err(format!(
                "the artifact '{name}' is required, and nothing {place} matches `{pattern}`"
            ));
        }
        self.log.say(
            LogKind::Build,
            &format!("Artifact '{name}' is left out: nothing {place} matches `{pattern}`"),
        );
        Ok(None)
    }
}

/// `3 files, 1024 bytes`
fn amount(files: u64, bytes: u64) -> String {
    let word = if files == 1 { "file" } else { "files" };
    format!("{files} {word}, {bytes} bytes")
}
