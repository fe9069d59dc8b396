//! Artifacts of a run: what its jobs kept, for the jobs of later stages.

use madake_agent::job_directory::JobDirectory;
use madake_domain::plan::{ArtifactDownloadTask, Job, PlanConfiguration, TaskAction};
use madake_engine::settings::Settings;
use madake_protocol::{ArtifactDownload, ArtifactOrder, KeptFile, PlacedArtifact, PlacedFile};

/// The shared artifacts of the jobs that have run, each with its stage.
#[derive(Debug, Default)]
pub(super) struct Artifacts {
    kept: Vec<(String, PlacedArtifact)>,
}

impl Artifacts {
    /// Adds what a job left; a list that cannot be read is none.
    pub(super) fn add(&mut self, stage: &str, directory: &JobDirectory) {
        let Ok(Some(left)) = directory.read_artifacts() else {
            return;
        };
        for artifact in left.artifacts.into_iter().filter(|one| one.shared) {
            let file = |file: KeptFile| PlacedFile {
                source: directory.kept_file(file.number),
                path: file.path,
                size: file.size,
                executable: file.executable,
            };
            let placed = PlacedArtifact {
                name: artifact.name,
                destination: String::new(),
                files: artifact.files.into_iter().map(file).collect(),
            };
            self.kept.push((stage.to_owned(), placed));
        }
    }

    /// What a job of a stage gets and keeps.
    pub(super) fn order(
        &self,
        plan: &PlanConfiguration,
        stage: &str,
        job: &Job,
        settings: &Settings,
    ) -> ArtifactOrder {
        let earlier: Vec<&PlacedArtifact> = self
            .kept
            .iter()
            .filter(|(from, _)| from != stage)
            .map(|(_, artifact)| artifact)
            .collect();
        let placed = |artifact: &PlacedArtifact, destination: &str| PlacedArtifact {
            destination: destination.to_owned(),
            ..artifact.clone()
        };
        let subscribed = match &job.artifact_subscriptions {
            None => earlier.iter().map(|one| (*one).clone()).collect(),
            Some(wanted) => wanted
                .iter()
                .map(|one| {
                    let found = earlier.iter().find(|artifact| artifact.name == one.artifact);
                    let nothing = PlacedArtifact {
                        name: one.artifact.clone(),
                        destination: String::new(),
                        files: Vec::new(),
                    };
                    placed(found.map_or(&nothing, |found| found), &one.destination)
                })
                .collect(),
        };
        let downloads = job
            .tasks
            .iter()
            .chain(&job.final_tasks)
            .filter_map(|task| match &task.action {
                TaskAction::ArtifactDownload(task) => Some(task),
                _ => None,
            })
            .map(|task| download(plan, task, &earlier))
            .collect();
        ArtifactOrder {
            keep: job.artifacts.clone(),
            subscribed,
            downloads,
            most_files: settings.results.artifact_files,
            most_bytes: settings.results.artifact_bytes,
            secrets: settings.results.secrets_in_artifacts,
        }
    }
}

fn download(
    plan: &PlanConfiguration,
    task: &ArtifactDownloadTask,
    earlier: &[&PlacedArtifact],
) -> ArtifactDownload {
    let mut answer = ArtifactDownload {
        task: task.clone(),
        from: "this run".into(),
        artifacts: Vec::new(),
        problem: None,
    };
    if let Some(other) = task.source_plan.as_ref().filter(|key| **key != plan.key) {
        answer.problem = Some(format!(
            "artifacts of {other} are on a server, which is not asked here"
        ));
        return answer;
    }
    for item in &task.items {
        let mut found = earlier
            .iter()
            .filter(|artifact| item.name.as_ref().is_none_or(|name| *name == artifact.name))
            .peekable();
        if let (Some(name), None) = (&item.name, found.peek()) {
            answer.problem = Some(format!("no job of an earlier stage of this run kept '{name}'"));
        }
        answer.artifacts.extend(found.map(|artifact| PlacedArtifact {
            destination: item.destination.clone(),
            ..(*artifact).clone()
        }));
    }
    answer
}
