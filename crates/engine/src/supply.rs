//! What a job gets besides its sources: artifacts of earlier stages and of other plans, and the names of tests that are
//! in quarantine. Looked up when the order is made, so that the agent asks for nothing.

use madake_domain::artifact_path::ArtifactPath;
use madake_domain::key::PlanKey;
use madake_domain::permission::{Permission, Principal, UserPrincipal};
use madake_domain::plan::{ArtifactDownloadTask, ArtifactSubscription, Job as Definition, Task, TaskAction};
use madake_protocol::{ArtifactDownload, ArtifactOrder, CaseName, PlacedArtifact, PlacedFile, TestOrder};
use madake_store::artifact::{self, Artifact};
use madake_store::blob::{BlobHash, BlobStore};
use madake_store::build::{Build, Job};
use madake_store::build_query::{self, Filter};
use madake_store::plan::{self, PlanBranch};
use madake_store::{StoreError, Tx, test_result};

use crate::access::{Caller, Target, may};
use crate::listening::forks;
use crate::{Engine, EngineError, clock};

/// The artifacts that an order of a job has, and how its tests are read.
pub(crate) async fn of_job(
    engine: &Engine,
    job: &Job,
    build: &Build,
    definition: &Definition,
    plan_key: &PlanKey,
) -> Result<(ArtifactOrder, TestOrder), EngineError> {
    let limits = engine.settings().results.clone();
    let mut tests = limits.tests();
    let mut artifacts = ArtifactOrder {
        keep: definition.artifacts.clone(),
        most_files: limits.artifact_files,
        most_bytes: limits.artifact_bytes,
        secrets: limits.secrets_in_artifacts,
        ..ArtifactOrder::default()
    };
    let subscriptions = definition.artifact_subscriptions.clone();
    let downloads = downloads_of(definition.tasks.iter().chain(&definition.final_tasks));
    let (stage, job_key, build_id, plan_id) = (job.stage, job.key.clone(), build.id, build.plan_id);
    let (build_key, branch_id, plan_key) = (build.key.clone(), build.plan_branch_id, plan_key.clone());
    let blobs = engine.blobs().clone();
    let found = engine
        .store()
        .read(move |tx| {
            let look = Look {
                tx,
                blobs: &blobs,
                earlier: artifact::of_build(tx, build_id)?
                    .into_iter()
                    .filter(|artifact| artifact.shared && artifact.stage < stage)
                    .collect(),
            };
            let subscribed = look.subscribed(subscriptions.as_deref())?;
            let mut fetched = Vec::with_capacity(downloads.len());
            for task in downloads {
                let own = Own {
                    build_key: &build_key,
                    plan_key: &plan_key,
                    branch_id,
                };
                fetched.push(look.download(task, &own)?);
            }
            let now = clock::now_ms();
            let quarantined: Vec<CaseName> = test_result::quarantined(tx, plan_id)?
                .into_iter()
                .filter(|case| case.job_key == job_key && case.quarantine.is_in_force(now))
                .map(|case| CaseName {
                    class_name: case.class_name,
                    name: case.name,
                })
                .collect();
            Ok::<_, EngineError>((subscribed, fetched, quarantined))
        })
        .await?;
    (artifacts.subscribed, artifacts.downloads, tests.quarantined) = found;
    Ok((artifacts, tests))
}

/// The artifacts that an order of a deployment has: those of the build that was released are its own.
pub(crate) async fn of_deployment(
    engine: &Engine,
    build: &Build,
    plan_key: &PlanKey,
    tasks: impl Iterator<Item = &Task>,
) -> Result<ArtifactOrder, EngineError> {
    let downloads = downloads_of(tasks);
    let limits = &engine.settings().results;
    let mut artifacts = ArtifactOrder {
        most_files: limits.artifact_files,
        most_bytes: limits.artifact_bytes,
        secrets: limits.secrets_in_artifacts,
        ..ArtifactOrder::default()
    };
    if downloads.is_empty() {
        return Ok(artifacts);
    }
    let (build_id, branch_id) = (build.id, build.plan_branch_id);
    let (build_key, plan_key) = (build.key.clone(), plan_key.clone());
    let blobs = engine.blobs().clone();
    artifacts.downloads = engine
        .store()
        .read(move |tx| {
            let look = Look {
                tx,
                blobs: &blobs,
                earlier: artifact::of_build(tx, build_id)?
                    .into_iter()
                    .filter(|artifact| artifact.shared)
                    .collect(),
            };
            let own = Own {
                build_key: &build_key,
                plan_key: &plan_key,
                branch_id,
            };
            downloads
                .into_iter()
                .map(|task| look.download(task, &own))
                .collect::<Result<Vec<_>, EngineError>>()
        })
        .await?;
    Ok(artifacts)
}

fn downloads_of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Vec<ArtifactDownloadTask> {
    tasks
        .filter_map(|task| match &task.action {
            TaskAction::ArtifactDownload(download) => Some(download.clone()),
            _ => None,
        })
        .collect()
}

/// The build that a job belongs to.
struct Own<'a> {
    build_key: &'a str,
    plan_key: &'a PlanKey,
    branch_id: i64,
}

struct Look<'t, 'c, 'a> {
    tx: &'t Tx<'c>,
    blobs: &'a BlobStore,
    /// Shared artifacts of the earlier stages of the build.
    earlier: Vec<Artifact>,
}

impl Look<'_, '_, '_> {
    fn subscribed(
        &self,
        wanted: Option<&[ArtifactSubscription]>,
    ) -> Result<Vec<PlacedArtifact>, EngineError> {
        let Some(wanted) = wanted else {
            return self.earlier.iter().map(|one| self.placed(one, "")).collect();
        };
        let mut placed = Vec::new();
        for one in wanted {
            let mut found = self
                .earlier
                .iter()
                .filter(|artifact| artifact.name == one.artifact)
                .peekable();
            if found.peek().is_none() {
                // Without files: the log says that it is not there. Where it is needed, its job says `required`.
                placed.push(PlacedArtifact {
                    name: one.artifact.clone(),
                    destination: one.destination.clone(),
                    files: Vec::new(),
                });
            }
            for artifact in found {
                placed.push(self.placed(artifact, &one.destination)?);
            }
        }
        Ok(placed)
    }

    fn download(&self, task: ArtifactDownloadTask, own: &Own<'_>) -> Result<ArtifactDownload, EngineError> {
        let mut answer = ArtifactDownload {
            task,
            from: String::new(),
            artifacts: Vec::new(),
            problem: None,
        };
        let source = answer
            .task
            .source_plan
            .as_ref()
            .filter(|key| *key != own.plan_key);
        let found = match source {
            None => Ok((own.build_key.to_owned(), self.earlier.clone())),
            Some(key) => self.of_plan(key, answer.task.custom_branch.as_deref(), own)?,
        };
        let (from, artifacts) = match found {
            Ok(found) => found,
            Err(problem) => {
                answer.problem = Some(problem);
                return Ok(answer);
            }
        };
        for item in &answer.task.items {
            let mut any = false;
            for artifact in &artifacts {
                if item.name.as_ref().is_none_or(|name| *name == artifact.name) {
                    any = true;
                    answer.artifacts.push(self.placed(artifact, &item.destination)?);
                }
            }
            if let Some(name) = item.name.as_ref().filter(|_| !any) {
                let names: Vec<&str> = artifacts.iter().map(|one| one.name.as_str()).collect();
                let there = match names.as_slice() {
                    [] => "it has none".to_owned(),
                    names => format!("it has {}", names.join(", ")),
                };
                answer.problem = Some(format!("{from} has no shared artifact '{name}'; {there}"));
            }
        }
        answer.from = from;
        Ok(answer)
    }

    /// The shared artifacts of the latest successful build of another plan; or why they are not handed out.
    fn of_plan(
        &self,
        key: &PlanKey,
        custom_branch: Option<&str>,
        own: &Own<'_>,
    ) -> Result<Result<(String, Vec<Artifact>), String>, EngineError> {
        let own_branch = plan::branch_by_id(self.tx, own.branch_id)?;
        if forks::is_of_fork(self.tx, &own_branch)? {
            return Ok(Err(
                "what a fork proposes gets no artifacts of other plans".to_owned()
            ));
        }
        let Some(source) = plan::branch_by_key(self.tx, key)? else {
            return Ok(Err(format!("there is no plan {key} to fetch artifacts of")));
        };
        let row = plan::by_id(self.tx, source.plan_id)?;
        if row.key.project() != own.plan_key.project() && !self.everybody_reads(&row.key)? {
            return Ok(Err(format!(
                "artifacts of {key} are not handed to another project: grant READ on the plan to all who are logged in"
            )));
        }
        let branch = match custom_branch {
            None => source,
            Some(name) => match self.branch_named(source.plan_id, name)? {
                Some(branch) => branch,
                None => return Ok(Err(format!("{key} has no plan branch `{name}`"))),
            },
        };
        if forks::is_of_fork(self.tx, &branch)? {
            return Ok(Err(format!(
                "{} builds what a fork proposes; its artifacts are not handed on",
                branch.key
            )));
        }
        let successful = Filter {
            state: Some("Successful".into()),
            ..Filter::default()
        };
        let Some(build) = build_query::latest(self.tx, branch.id, &successful)? else {
            return Ok(Err(format!("{} has no successful build yet", branch.key)));
        };
        let artifacts = artifact::of_build(self.tx, build.id)?
            .into_iter()
            .filter(|artifact| artifact.shared)
            .collect();
        Ok(Ok((build.key, artifacts)))
    }

    fn branch_named(&self, plan_id: i64, name: &str) -> Result<Option<PlanBranch>, EngineError> {
        if let Some(branch) = plan::branch_by_vcs(self.tx, plan_id, name)? {
            return Ok(Some(branch));
        }
        let all = plan::branches(self.tx, plan_id)?;
        Ok(all.into_iter().find(|branch| branch.display_name == name))
    }

    /// Whether a plan is open to whoever has an account: a plan file speaks for nobody in particular.
    fn everybody_reads(&self, key: &PlanKey) -> Result<bool, EngineError> {
        let somebody = Caller {
            principal: Principal::User(UserPrincipal {
                id: 0,
                name: String::new(),
                groups: Vec::new(),
                administrator: false,
                token_limit: None,
            }),
            address: String::new(),
        };
        may(self.tx, &somebody, Permission::Read, Target::Plan(key))
    }

    fn placed(&self, artifact: &Artifact, destination: &str) -> Result<PlacedArtifact, EngineError> {
        let mut files = Vec::new();
        for file in artifact::files(self.tx, artifact.id)? {
            let damaged = |what: &str| StoreError::Damaged(format!("{what} of the artifact {}", artifact.id));
            let hash: BlobHash = file.hash.parse().map_err(|_| damaged("a hash"))?;
            ArtifactPath::parse(&file.path).map_err(|_| damaged("a path"))?;
            files.push(PlacedFile {
                source: self.blobs.path(hash),
                size: u64::try_from(file.size).unwrap_or(0),
                executable: file.executable,
                path: file.path,
            });
        }
        Ok(PlacedArtifact {
            name: artifact.name.clone(),
            destination: destination.to_owned(),
            files,
        })
    }
}
