//! Artifacts of a job: those of others are put into its working directory, its own are kept for the server
//! (bamboo-specs.md 3.6, 3.7, 4.4).

use std::fs::{self, File};
use std::io;

use madake_domain::ant_pattern::AntPatterns;
use madake_domain::artifact_path::{ArtifactPath, check_artifact_name};
use madake_domain::mask::Masks;
use madake_domain::plan::{Artifact, ArtifactDownloadTask};
use madake_protocol::log::LogKind;
use madake_protocol::{
    FORMAT, JobOrder, KeptArtifact, KeptArtifacts, KeptFile, PlacedArtifact, SecretsInArtifacts,
};

use crate::artifact::{CollectError, CollectLimits, Destination, LeftOut, collect};
use crate::job_directory::{JobDirectory, make_private_directory};
use crate::log::Log;
use crate::secret_watch::copy_watched;

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
        masks: match order.artifacts.secrets {
            SecretsInArtifacts::Keep => Masks::default(),
            SecretsInArtifacts::Warn | SecretsInArtifacts::Refuse => log.whole_masks(),
        },
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
    /// What must not stand in a file.
    masks: Masks,
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
        let (order, masks) = (self.order, &self.masks);
        let mut files = Vec::new();
        let mut holding = Holding::default();
        let collected = collect(
            &self.order.working_directory,
            &location,
            &patterns,
            &limits,
            &mut |mut file| {
                let mut copy = File::create_new(directory.kept_file(next))?;
                let size = if masks.is_empty() {
                    io::copy(&mut file.file, &mut copy)?
                } else {
                    let copied = copy_watched(&mut file.file, &mut copy, masks)?;
                    if let Some(secret) = copied.secret {
                        holding.add(&file.path, &secret, order);
                    }
                    copied.size
                };
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
                remove(directory, first..next);
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
        if let Some(found) = holding.sentence() {
            if self.order.artifacts.secrets == SecretsInArtifacts::Refuse {
                remove(directory, first..next);
                return Err(failed(&format!(
                    "{found}; leave it out, or, where secrets belong into artifacts, set `secrets-in-artifacts` in \
                     [results] of the server's configuration to \"warn\""
                )));
            }
            self.log
                .say(LogKind::Error, &format!("Artifact '{name}': {found}"));
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

/// The files of an artifact in which secrets stand.
#[derive(Default)]
struct Holding {
    /// The first of them, and what it holds.
    first: Option<(String, String)>,
    more: u64,
}

impl Holding {
    fn add(&mut self, path: &ArtifactPath, secret: &[u8], order: &JobOrder) {
        if self.first.is_some() {
            self.more += 1;
            return;
        }
        let variable = order
            .variables
            .iter()
            .filter(|variable| variable.secret)
            .find(|variable| {
                Masks::of_whole_secrets([variable.value.as_str()])
                    .first(secret)
                    .is_some()
            });
        let what = match variable {
            Some(variable) => format!("the value of the variable `bamboo.{}`", variable.name),
            None => "a secret of this job".to_owned(),
        };
        self.first = Some((path.to_string(), what));
    }

    fn sentence(&self) -> Option<String> {
        let (path, what) = self.first.as_ref()?;
        let more = match self.more {
            0 => String::new(),
            1 => ", and another file holds one too".to_owned(),
            more => format!(", and {more} other files hold one too"),
        };
        Some(format!("`{path}` holds {what}{more}"))
    }
}

/// Makes room: the whole folder goes with the job's directory, but not yet.
fn remove(directory: &JobDirectory, numbers: std::ops::Range<u64>) {
    for number in numbers {
        // What stays is not looked at.
        let _ = fs::remove_file(directory.kept_file(number));
    }
}

/// `3 files, 1024 bytes`
fn amount(files: u64, bytes: u64) -> String {
    let word = if files == 1 { "file" } else { "files" };
    format!("{files} {word}, {bytes} bytes")
}
