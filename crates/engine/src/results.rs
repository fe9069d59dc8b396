//! What a job left besides its outcome goes into the store: its artifacts as blobs, its tests case by case.
//!
//! All of it is done before the outcome is accepted, and may be done again from the start: the outcome is what makes it
//! count. The tests of a large suite are stored in pieces, since all changes of the store wait for one another.

use std::collections::HashSet;

use madake_agent::job_directory::JobDirectory;
use madake_domain::artifact_path::{ArtifactPath, check_artifact_name};
use madake_domain::schedule::JobOutcome;
use madake_domain::test_history::TestCounts;
use madake_protocol::{KeptArtifact, KeptArtifacts, TestCaseResult, TestOrder, TestResults};
use madake_store::artifact::{self, ArtifactFile, NewArtifact};
use madake_store::blob::{Blob, BlobStore, Received};
use madake_store::build::{self, Job};
use madake_store::test_result::{self, NewRun, RunPlace};
use madake_store::{Millis, Tx, build_query};

use crate::settings::ResultSettings;
use crate::{Engine, EngineError};

/// Cases that are stored in one transaction.
const PIECE: usize = 400;

/// What a job left, stored but not yet counting.
#[derive(Debug, Default)]
pub(crate) struct Results {
    artifacts: Vec<NewArtifact>,
    counts: Option<TestCounts>,
    /// Keep the blobs until the tables name them.
    _received: Vec<Received>,
    /// What could not be stored, as a sentence: the job fails for it.
    problem: Option<String>,
}

impl Results {
    /// Makes the results count, in the transaction that accepts the outcome.
    pub(crate) fn record(&self, tx: &Tx<'_>, job: &Job, now: Millis) -> Result<(), EngineError> {
        // A first attempt has nothing to replace.
        let is_again = job.attempt > 1;
        if is_again || !self.artifacts.is_empty() {
            artifact::replace_of_job(tx, job.build_id, job.id, &self.artifacts, now)?;
        }
        match self.counts {
            Some(counts) => test_result::set_counts(tx, job.build_id, job.id, counts)?,
            None if is_again => test_result::clear_job(tx, job.id)?,
            None => {}
        }
        Ok(())
    }

    /// The outcome of a job that left these results.
    pub(crate) fn bear_on(&self, outcome: JobOutcome) -> JobOutcome {
        match (&self.problem, outcome) {
            (Some(problem), JobOutcome::Successful) => JobOutcome::Error {
                reason: problem.clone(),
            },
            (_, outcome) => outcome,
        }
    }
}

/// Stores what a job left in its directory.
///
/// # Errors
/// When it cannot be stored now; it is to be tried again.
pub(crate) async fn store(engine: &Engine, job: &Job) -> Result<Results, EngineError> {
    let directory = engine.agent().job_directory(job.id, job.attempt);
    let (blobs, limits) = (engine.blobs().clone(), engine.settings().results.clone());
    let read = tokio::task::spawn_blocking(move || read(&directory, &blobs, &limits))
        .await
        .map_err(|error| EngineError::Internal(error.to_string()))?;
    let Read { mut results, tests } = read?;
    if let Some(tests) = tests {
        results.counts = store_tests(engine, job, tests).await?;
    }
    Ok(results)
}

struct Read {
    results: Results,
    tests: Option<TestResults>,
}

fn read(directory: &JobDirectory, blobs: &BlobStore, limits: &ResultSettings) -> Result<Read, EngineError> {
    let mut results = Results::default();
    let tests = match read_tests(directory, &limits.tests()) {
        Ok(tests) => tests,
        Err(reason) => {
            results.problem = Some(format!("the test results of the job are lost: {reason}"));
            None
        }
    };
    let kept = match directory.read_artifacts() {
        Ok(kept) => kept,
        Err(error) => {
            results.problem = Some(format!("the artifacts of the job are lost: {error}"));
            None
        }
    };
    for artifact in kept
        .into_iter()
        .flat_map(|KeptArtifacts { artifacts, .. }| artifacts)
    {
        match receive(
            &artifact,
            directory,
            blobs,
            limits.artifact_bytes,
            &mut results._received,
        ) {
            Ok(new) => results.artifacts.push(new),
            Err(Failure::Lost(reason)) => {
                results.problem = Some(format!("the artifact '{}' is lost: {reason}", artifact.name));
            }
            Err(Failure::Disk(reason)) => return Err(EngineError::Unavailable(reason)),
        }
    }
    Ok(Read { results, tests })
}

/// The results of a job's tests. Whoever wrote them is not trusted: they get the room that an order gives, and name
/// each case once.
fn read_tests(directory: &JobDirectory, order: &TestOrder) -> Result<Option<TestResults>, String> {
    let read = directory.read_tests(order.most_message_bytes());
    let Some(tests) = read.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if tests.cases.len() > order.most_cases {
        return Err(format!(
            "they have {} cases, and the most of a job are {}",
            tests.cases.len(),
            order.most_cases
        ));
    }
    let mut names = HashSet::new();
    if let Some(twice) = tests.cases.iter().find(|case| !names.insert(&case.case)) {
        return Err(format!(
            "they name the case '{}' of '{}' twice",
            twice.case.name, twice.case.class_name
        ));
    }
    Ok(Some(tests))
}

enum Failure {
    /// It will not be better later.
    Lost(String),
    /// It may be.
    Disk(String),
}

fn receive(
    artifact: &KeptArtifact,
    directory: &JobDirectory,
    blobs: &BlobStore,
    limit: u64,
    received: &mut Vec<Received>,
) -> Result<NewArtifact, Failure> {
    let lost = |error: &dyn std::fmt::Display| Failure::Lost(error.to_string());
    check_artifact_name(&artifact.name).map_err(|error| lost(&error))?;
    let mut files = Vec::with_capacity(artifact.files.len());
    for file in &artifact.files {
        let path = ArtifactPath::parse(&file.path).map_err(|error| lost(&error))?;
        let mut source =
            std::fs::File::open(directory.kept_file(file.number)).map_err(|error| lost(&error))?;
        let stored = blobs
            .receive(&mut source, limit, None)
            .map_err(|error| match error {
                madake_store::blob::BlobError::Disk(error) => {
                    Failure::Disk(format!("`{path}` cannot be stored: {error}"))
                }
                other => lost(&other),
            })?;
        let Blob { hash, size } = stored.blob();
        if size != file.size {
            return Err(Failure::Lost(format!(
                "its file `{path}` had {} bytes when the job ended and has {size} now",
                file.size
            )));
        }
        received.push(stored);
        files.push(ArtifactFile {
            path: path.to_string(),
            hash: hash.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            executable: file.executable,
        });
    }
    Ok(NewArtifact {
        name: artifact.name.clone(),
        shared: artifact.shared,
        files,
    })
}

/// Stores the cases of a job in place of those of an earlier attempt. `None`: the job is not this attempt's any more.
async fn store_tests(
    engine: &Engine,
    job: &Job,
    tests: TestResults,
) -> Result<Option<TestCounts>, EngineError> {
    let mut counts = TestCounts::default();
    let mut runs: Vec<NewRun> = tests.cases.into_iter().map(run_of).collect();
    let mut position = 0_i64;
    loop {
        let rest = runs.split_off(runs.len().min(PIECE));
        let piece = std::mem::replace(&mut runs, rest);
        let is_first = position == 0;
        let (job_id, attempt) = (job.id, job.attempt);
        let length = i64::try_from(piece.len()).unwrap_or(i64::MAX);
        let added = engine
            .store()
            .write(move |tx| {
                let now = build_query::job(tx, job_id)?;
                if now.attempt != attempt || now.finished_ms.is_some() {
                    return Ok::<_, EngineError>(None);
                }
                if is_first {
                    test_result::clear_job(tx, job_id)?;
                }
                let build = build::by_id(tx, now.build_id)?;
                let place = RunPlace {
                    plan_id: build.plan_id,
                    plan_branch_id: build.plan_branch_id,
                    build_number: build.number,
                    job_id,
                    job_key: now.key,
                };
                Ok(Some(test_result::add_runs(tx, &place, position, &piece)?))
            })
            .await?;
        let Some(added) = added else { return Ok(None) };
        counts = counts.plus(added);
        position += length;
        if runs.is_empty() {
            return Ok(Some(counts));
        }
    }
}

fn run_of(case: TestCaseResult) -> NewRun {
    NewRun {
        class_name: case.case.class_name,
        name: case.case.name,
        outcome: case.outcome.into(),
        quarantined: case.quarantined,
        duration_ms: case.duration_ms,
        message: case.message,
        details: case.details,
        output: case.output,
    }
}

#[cfg(test)]
mod tests {
    use madake_protocol::{CaseName, FORMAT, KeptFile, TestCaseOutcome};

    use super::*;

    fn named(name: &str) -> TestCaseResult {
        TestCaseResult {
            case: CaseName {
                class_name: "C".into(),
                name: name.into(),
            },
            outcome: TestCaseOutcome::Successful,
            duration_ms: None,
            message: String::new(),
            details: String::new(),
            output: String::new(),
            quarantined: false,
        }
    }

    #[test]
    fn t1_artifacts_whose_files_could_land_elsewhere_are_refused_whoever_names_them() {
        let home = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(&home.path().join("blobs")).expect("a store");
        let long = "x".repeat(300);
        for (name, path, size, reason) in [
            ("jars", "a.jar", 5, None),
            (
                "jars",
                "../../etc/cron.d/x",
                5,
                Some("must not have a name `.` or `..`"),
            ),
            ("jars", "/etc/cron.d/x", 5, Some("must be relative")),
            ("jars", "C:\\x", 5, Some("must be relative")),
            ("jars", "a\0b", 5, Some("control characters")),
            ("jars", long.as_str(), 5, Some("at most 255 bytes")),
            ("jars", "a. ", 5, Some("ends with a point or a blank")),
            ("../jars", "a.jar", 5, Some("is lost")),
            (
                "jars",
                "a.jar",
                6,
                Some("had 6 bytes when the job ended and has 5 now"),
            ),
        ] {
            let directory = JobDirectory::of(home.path(), 1, 1);
            std::fs::create_dir_all(directory.kept_file(0).parent().expect("a folder")).expect("a folder");
            std::fs::write(directory.kept_file(0), "bytes").expect("a file");
            let kept = KeptArtifacts {
                format: FORMAT,
                artifacts: vec![KeptArtifact {
                    name: name.into(),
                    shared: true,
                    files: vec![KeptFile {
                        path: path.into(),
                        size,
                        executable: false,
                        number: 0,
                    }],
                }],
            };
            let json = kept.to_json().expect("JSON");
            std::fs::write(directory.path().join("artifacts.json"), json).expect("a file");
            let read = read(&directory, &blobs, &ResultSettings::default());
            let results = read.unwrap_or_else(|error| panic!("{path}: {error}")).results;
            match (&results.problem, reason) {
                (None, None) => assert_eq!(results.artifacts.len(), 1),
                (Some(told), Some(reason)) => {
                    assert!(told.contains(reason), "{told}");
                    assert!(results.artifacts.is_empty(), "{path}");
                    let outcome = results.bear_on(JobOutcome::Successful);
                    assert!(matches!(outcome, JobOutcome::Error { .. }), "{path}");
                }
                (told, _) => panic!("{path}: {told:?}"),
            }
        }
    }

    #[test]
    fn test_results_keep_to_what_the_order_allows() {
        let home = tempfile::tempdir().expect("a folder");
        let directory = JobDirectory::of(home.path(), 1, 1);
        std::fs::create_dir_all(directory.path()).expect("its folder");
        let limits = ResultSettings {
            test_cases: 2,
            test_text_bytes: 10,
            ..ResultSettings::default()
        };
        let long = "x".repeat(200_000);
        for (names, problem) in [
            (vec!["a", "b"], None),
            (vec!["a", "b", "c"], Some("the most of a job are 2")),
            (vec!["a", "a"], Some("the case 'a' of 'C' twice")),
            (vec![long.as_str()], Some("which is the most that is read")),
        ] {
            let results = TestResults {
                format: FORMAT,
                cases: names.iter().map(|name| named(name)).collect(),
            };
            let json = results.to_json().expect("JSON");
            std::fs::write(directory.path().join("tests.json"), json).expect("a file");
            let read = read_tests(&directory, &limits.tests());
            match problem {
                None => assert_eq!(read, Ok(Some(results))),
                Some(problem) => {
                    let told = read.expect_err("a reason");
                    assert!(told.contains(problem), "{told}");
                }
            }
        }
    }
}
