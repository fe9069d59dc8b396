//! Results of tests: which cases a plan has, how they ended in each build, and which of them are in quarantine
//! (bamboo-rest.md 5.6). What a result means is decided by [`madake_domain::test_history`], once, when it is stored.

use madake_domain::test_history::{CaseOutcome, CaseVerdict, PastRun, Quarantine, TestCounts, judge_case};
use serde::{Deserialize, Serialize};

use crate::{Millis, StoreError, Tx, params};

/// Where results come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPlace {
    /// The plan's id.
    pub plan_id: i64,
    /// The plan branch's id.
    pub plan_branch_id: i64,
    /// The number of the build.
    pub build_number: i64,
    /// The job's id.
    pub job_id: i64,
    /// The job's short key.
    pub job_key: String,
}

/// The result of a case that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// The case's class, suite or file; may be empty.
    pub class_name: String,
    /// The case's own name.
    pub name: String,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// Whether it was in quarantine.
    pub quarantined: bool,
    /// How long it took.
    pub duration_ms: Option<Millis>,
    /// In a few words why it failed or was skipped; else empty.
    pub message: String,
    /// The whole text of its failures; may be empty.
    pub details: String,
    /// What it wrote; may be empty.
    pub output: String,
}

/// A kind of results, as answers list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// All.
    All,
    /// Those that passed.
    Successful,
    /// Those that failed.
    Failed,
    /// Those that failed and did not before.
    NewFailed,
    /// Those that failed before as well.
    ExistingFailed,
    /// Those that failed before and passed.
    Fixed,
    /// Those in quarantine.
    Quarantined,
    /// Those that were not run.
    Skipped,
}

/// The result of a case in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// The case's id, the same in all builds.
    pub case_id: i64,
    /// The job.
    pub job_id: i64,
    /// The number of the build.
    pub build_number: i64,
    /// The case's class, suite or file; may be empty.
    pub class_name: String,
    /// The case's own name.
    pub name: String,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// What that meant.
    pub verdict: CaseVerdict,
    /// How long it took.
    pub duration_ms: Option<Millis>,
    /// In a few words why it failed or was skipped; else empty.
    pub message: String,
    /// The whole text of its failures; may be empty.
    pub details: String,
}

/// A case of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// The row's id.
    pub id: i64,
    /// The plan.
    pub plan_id: i64,
    /// The job's short key.
    pub job_key: String,
    /// The case's class, suite or file; may be empty.
    pub class_name: String,
    /// The case's own name.
    pub name: String,
    /// Whether it counts.
    pub quarantine: Quarantine,
}

/// Counts as the table has them.
#[derive(Serialize, Deserialize)]
struct StoredCounts {
    all: u64,
    successful: u64,
    failed: u64,
    new_failed: u64,
    existing_failed: u64,
    fixed: u64,
    quarantined: u64,
    skipped: u64,
    quarantined_failed: u64,
}

impl From<StoredCounts> for TestCounts {
    fn from(stored: StoredCounts) -> Self {
        Self {
            all: stored.all,
            successful: stored.successful,
            failed: stored.failed,
            new_failed: stored.new_failed,
            existing_failed: stored.existing_failed,
            fixed: stored.fixed,
            quarantined: stored.quarantined,
            skipped: stored.skipped,
            quarantined_failed: stored.quarantined_failed,
        }
    }
}

impl From<TestCounts> for StoredCounts {
    fn from(counts: TestCounts) -> Self {
        Self {
            all: counts.all,
            successful: counts.successful,
            failed: counts.failed,
            new_failed: counts.new_failed,
            existing_failed: counts.existing_failed,
            fixed: counts.fixed,
            quarantined: counts.quarantined,
            skipped: counts.skipped,
            quarantined_failed: counts.quarantined_failed,
        }
    }
}

fn outcome_word(outcome: CaseOutcome) -> &'static str {
    match outcome {
        CaseOutcome::Successful => "successful",
        CaseOutcome::Failed => "failed",
        CaseOutcome::Skipped => "skipped",
    }
}

fn outcome_of(word: &str) -> Result<CaseOutcome, StoreError> {
    match word {
        "successful" => Ok(CaseOutcome::Successful),
        "failed" => Ok(CaseOutcome::Failed),
        "skipped" => Ok(CaseOutcome::Skipped),
        other => Err(StoreError::Damaged(format!("`{other}` is no outcome of a test"))),
    }
}

fn verdict_word(verdict: CaseVerdict) -> &'static str {
    match verdict {
        CaseVerdict::Successful => "successful",
        CaseVerdict::Fixed { .. } => "fixed",
        CaseVerdict::NewFailure => "new-failure",
        CaseVerdict::ExistingFailure { .. } => "existing-failure",
        CaseVerdict::Skipped => "skipped",
        CaseVerdict::Quarantined { .. } => "quarantined",
    }
}

fn verdict_of(word: &str, outcome: CaseOutcome, since: Option<i64>) -> Result<CaseVerdict, StoreError> {
    let failing_since = since.unwrap_or(0);
    Ok(match word {
        "successful" => CaseVerdict::Successful,
        "fixed" => CaseVerdict::Fixed { failing_since },
        "new-failure" => CaseVerdict::NewFailure,
        "existing-failure" => CaseVerdict::ExistingFailure { failing_since },
        "skipped" => CaseVerdict::Skipped,
        "quarantined" => CaseVerdict::Quarantined { outcome },
        other => return Err(StoreError::Damaged(format!("`{other}` is no verdict on a test"))),
    })
}

/// Forgets the results of a job, as another attempt makes new ones.
///
/// # Errors
/// When the store cannot be written.
pub fn clear_job(tx: &Tx<'_>, job_id: i64) -> Result<(), StoreError> {
    for table in ["test_text", "test_run", "test_count"] {
        tx.execute(&format!("DELETE FROM {table} WHERE job_id = $1"), params![job_id])?;
    }
    Ok(())
}

/// Adds results of a job, the first of them at `position` of all, and says what they mean beside earlier builds.
///
/// # Errors
/// When the store cannot be written, or a case has a result of this job already.
pub fn add_runs(
    tx: &Tx<'_>,
    place: &RunPlace,
    position: i64,
    runs: &[NewRun],
) -> Result<TestCounts, StoreError> {
    let mut verdicts = Vec::with_capacity(runs.len());
    for (run, position) in runs.iter().zip(position..) {
        let case_id = case_id(tx, place, run)?;
        let past = last_run(tx, place, case_id)?;
        let plain = judge_case(place.build_number, run.outcome, &past, false);
        let failing_since = match plain {
            CaseVerdict::NewFailure => Some(place.build_number),
            CaseVerdict::ExistingFailure { failing_since } | CaseVerdict::Fixed { failing_since } => {
                Some(failing_since)
            }
            _ => None,
        };
        let verdict = if run.quarantined {
            judge_case(place.build_number, run.outcome, &past, true)
        } else {
            plain
        };
        tx.execute(
            "INSERT INTO test_run (job_id, case_id, plan_branch_id, build_number, position, outcome, verdict, failing_since,
               duration_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                place.job_id,
                case_id,
                place.plan_branch_id,
                place.build_number,
                position,
                outcome_word(run.outcome),
                verdict_word(verdict),
                failing_since,
                run.duration_ms
            ],
        )?;
        if !(run.message.is_empty() && run.details.is_empty() && run.output.is_empty()) {
            tx.execute(
                "INSERT INTO test_text (job_id, case_id, message, details, output) VALUES ($1, $2, $3, $4, $5)",
                params![place.job_id, case_id, run.message, run.details, run.output],
            )?;
        }
        verdicts.push(verdict);
    }
    Ok(TestCounts::of(verdicts))
}

fn case_id(tx: &Tx<'_>, place: &RunPlace, run: &NewRun) -> Result<i64, StoreError> {
    let known = tx.first(
        "SELECT id FROM test_case WHERE plan_id = $1 AND job_key = $2 AND class_name = $3 AND name = $4",
        params![place.plan_id, place.job_key, run.class_name, run.name],
        |row| row.get(0),
    )?;
    match known {
        Some(id) => Ok(id),
        None => tx.insert(
            "INSERT INTO test_case (plan_id, job_key, class_name, name) VALUES ($1, $2, $3, $4) RETURNING id",
            params![place.plan_id, place.job_key, run.class_name, run.name],
        ),
    }
}

/// What the judgement needs of the runs before: the last one that was not skipped, and the first of its failures.
fn last_run(tx: &Tx<'_>, place: &RunPlace, case_id: i64) -> Result<Vec<PastRun>, StoreError> {
    let found = tx.first(
        "SELECT build_number, outcome, failing_since FROM test_run
         WHERE case_id = $1 AND plan_branch_id = $2 AND build_number < $3 AND outcome <> 'skipped'
         ORDER BY build_number DESC LIMIT 1",
        params![case_id, place.plan_branch_id, place.build_number],
        |row| {
            Ok((
                row.get::<i64>(0)?,
                row.get::<String>(1)?,
                row.get::<Option<i64>>(2)?,
            ))
        },
    )?;
    let Some((build_number, outcome, since)) = found else {
        return Ok(Vec::new());
    };
    let outcome = outcome_of(&outcome)?;
    let mut past = vec![PastRun {
        build_number,
        outcome,
    }];
    if outcome == CaseOutcome::Failed
        && let Some(since) = since.filter(|since| *since < build_number)
    {
        past.push(PastRun {
            build_number: since,
            outcome,
        });
    }
    Ok(past)
}

/// Stores how many tests of a job ended how.
///
/// # Errors
/// When the store cannot be written.
pub fn set_counts(tx: &Tx<'_>, build_id: i64, job_id: i64, counts: TestCounts) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO test_count (job_id, build_id, counts) VALUES ($1, $2, $3)
         ON CONFLICT (job_id) DO UPDATE SET counts = excluded.counts",
        params![
            job_id,
            build_id,
            serde_json::to_string(&StoredCounts::from(counts))?
        ],
    )?;
    Ok(())
}

/// How many tests of a job ended how.
///
/// # Errors
/// When the store cannot be read.
pub fn counts_of_job(tx: &Tx<'_>, job_id: i64) -> Result<TestCounts, StoreError> {
    let found = tx.first(
        "SELECT counts FROM test_count WHERE job_id = $1",
        params![job_id],
        |row| row.json::<StoredCounts>(0),
    )?;
    Ok(found.map(TestCounts::from).unwrap_or_default())
}

/// How many tests of all jobs of a build ended how.
///
/// # Errors
/// When the store cannot be read.
pub fn counts_of_build(tx: &Tx<'_>, build_id: i64) -> Result<TestCounts, StoreError> {
    let all = tx.all(
        "SELECT counts FROM test_count WHERE build_id = $1",
        params![build_id],
        |row| row.json::<StoredCounts>(0),
    )?;
    Ok(all
        .into_iter()
        .map(TestCounts::from)
        .fold(TestCounts::default(), TestCounts::plus))
}

impl RunKind {
    fn condition(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Successful => " AND r.verdict IN ('successful', 'fixed')",
            Self::Failed => " AND r.verdict IN ('new-failure', 'existing-failure')",
            Self::NewFailed => " AND r.verdict = 'new-failure'",
            Self::ExistingFailed => " AND r.verdict = 'existing-failure'",
            Self::Fixed => " AND r.verdict = 'fixed'",
            Self::Quarantined => " AND r.verdict = 'quarantined'",
            Self::Skipped => " AND r.verdict = 'skipped'",
        }
    }
}

const RUN: &str =
    "SELECT r.case_id, r.job_id, r.build_number, c.class_name, c.name, r.outcome, r.verdict, r.failing_since,
  r.duration_ms, t.message, t.details
  FROM test_run r JOIN test_case c ON c.id = r.case_id
  LEFT JOIN test_text t ON t.job_id = r.job_id AND t.case_id = r.case_id";

fn read_run(row: &crate::Row<'_>) -> Result<TestRun, StoreError> {
    let outcome = outcome_of(&row.get::<String>(5)?)?;
    Ok(TestRun {
        case_id: row.get(0)?,
        job_id: row.get(1)?,
        build_number: row.get(2)?,
        class_name: row.get(3)?,
        name: row.get(4)?,
        outcome,
        verdict: verdict_of(&row.get::<String>(6)?, outcome, row.get(7)?)?,
        duration_ms: row.get(8)?,
        message: row.get::<Option<String>>(9)?.unwrap_or_default(),
        details: row.get::<Option<String>>(10)?.unwrap_or_default(),
    })
}

/// Results of a job of one kind, in the order of its reports, with their texts.
///
/// # Errors
/// When the store cannot be read.
pub fn runs_of_job(
    tx: &Tx<'_>,
    job_id: i64,
    kind: RunKind,
    start: i64,
    limit: i64,
) -> Result<Vec<TestRun>, StoreError> {
    tx.all(
        &format!(
            "{RUN} WHERE r.job_id = $1{} ORDER BY r.position LIMIT $2 OFFSET $3",
            kind.condition()
        ),
        params![job_id, limit, start],
        read_run,
    )
}

/// The results of a case on a plan branch, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn history(
    tx: &Tx<'_>,
    case_id: i64,
    plan_branch_id: i64,
    limit: i64,
) -> Result<Vec<TestRun>, StoreError> {
    tx.all(
        &format!(
            "{RUN} WHERE r.case_id = $1 AND r.plan_branch_id = $2 ORDER BY r.build_number DESC, r.job_id DESC LIMIT $3"
        ),
        params![case_id, plan_branch_id, limit],
        read_run,
    )
}

const CASE: &str =
    "SELECT id, plan_id, job_key, class_name, name, quarantined_by, quarantined_ms, quarantined_until_ms
  FROM test_case";

fn read_case(row: &crate::Row<'_>) -> Result<TestCase, StoreError> {
    let quarantine = match (row.get::<Option<String>>(5)?, row.get::<Option<Millis>>(6)?) {
        (Some(by), Some(since_ms)) => Quarantine::Quarantined {
            by,
            since_ms,
            until_ms: row.get(7)?,
        },
        _ => Quarantine::Free,
    };
    Ok(TestCase {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        job_key: row.get(2)?,
        class_name: row.get(3)?,
        name: row.get(4)?,
        quarantine,
    })
}

/// A case by its id.
///
/// # Errors
/// When the store cannot be read.
pub fn case_by_id(tx: &Tx<'_>, id: i64) -> Result<Option<TestCase>, StoreError> {
    tx.first(&format!("{CASE} WHERE id = $1"), params![id], read_case)
}

/// The cases of a plan that were put in quarantine and not released; some may have served their time.
///
/// # Errors
/// When the store cannot be read.
pub fn quarantined(tx: &Tx<'_>, plan_id: i64) -> Result<Vec<TestCase>, StoreError> {
    tx.all(
        &format!(
            "{CASE} WHERE plan_id = $1 AND quarantined_ms IS NOT NULL ORDER BY job_key, class_name, name"
        ),
        params![plan_id],
        read_case,
    )
}

/// The cases of a plan that are called `text`, in full or by the end of it after a point: `CartTest.adds` and `adds` both
/// find `shop.CartTest.adds`.
///
/// # Errors
/// When the store cannot be read.
pub fn cases_named(tx: &Tx<'_>, plan_id: i64, text: &str) -> Result<Vec<TestCase>, StoreError> {
    let mut found = tx.all(
        &format!(
            "{CASE} WHERE plan_id = $1
               AND (substr($2, length($2) - length(name) + 1) = name
                 OR substr(name, length(name) - length($2)) = '.' || $2)
             ORDER BY job_key, class_name, name"
        ),
        params![plan_id, text],
        read_case,
    )?;
    found.retain(|case| {
        let whole = format!("{}.{}", case.class_name, case.name);
        case.name == text || whole == text || whole.ends_with(&format!(".{text}"))
    });
    Ok(found)
}

/// Puts a case in quarantine, or releases it.
///
/// # Errors
/// When the store cannot be written.
pub fn set_quarantine(tx: &Tx<'_>, case_id: i64, quarantine: &Quarantine) -> Result<(), StoreError> {
    let (by, since_ms, until_ms) = match quarantine {
        Quarantine::Free => (None, None, None),
        Quarantine::Quarantined {
            by,
            since_ms,
            until_ms,
        } => (Some(by.as_str()), Some(*since_ms), *until_ms),
    };
    tx.execute(
        "UPDATE test_case SET quarantined_by = $1, quarantined_ms = $2, quarantined_until_ms = $3 WHERE id = $4",
        params![by, since_ms, until_ms, case_id],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    /// A plan with a branch, and a job for each of so many builds: the jobs' ids are the builds' numbers.
    fn fill(tx: &Tx<'_>, builds: i64) -> Result<(), StoreError> {
        for sql in [
            "INSERT INTO project (id, key, name, description, created_ms) VALUES (1, 'PROJ', 'P', '', 0)",
            "INSERT INTO plan (id, project_id, key, name, description, enabled, next_branch_number, created_ms)
             VALUES (1, 1, 'PROJ-PLAN', 'P', '', 1, 0, 0)",
            "INSERT INTO plan_version (id, plan_id, configuration, digest, source, created_ms) VALUES (1, 1, '', '', '', 0)",
            "INSERT INTO plan_branch (id, plan_id, key, is_master, display_name, description, enabled, cleanup_enabled,
               automatic, next_build_number, last_change_ms, created_ms) VALUES (1, 1, 'PROJ-PLAN', 1, '', '', 1, 1, 0, 9, 0, 0)",
        ] {
            tx.execute(sql, &[])?;
        }
        for number in 1..=builds {
            let key = format!("PROJ-PLAN-{number}");
            tx.execute(
                "INSERT INTO build (id, plan_id, plan_branch_id, version_id, key, number, reason, triggered_by, variables,
                   once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
                 VALUES ($1, 1, 1, 1, $2, $1, '', '', '', 0, '', '', '', 0, 0, 0, 0)",
                params![number, key],
            )?;
            tx.execute(
                "INSERT INTO job (id, build_id, stage, position, name, key, state, attempt)
                 VALUES ($1, $1, 0, 0, '', 'JOB1', 'done', 1)",
                params![number],
            )?;
        }
        Ok(())
    }

    fn run(name: &str, outcome: CaseOutcome, quarantined: bool) -> NewRun {
        NewRun {
            class_name: "C".into(),
            name: name.into(),
            outcome,
            quarantined,
            duration_ms: Some(5),
            message: if outcome == CaseOutcome::Failed {
                "why".into()
            } else {
                String::new()
            },
            details: String::new(),
            output: String::new(),
        }
    }

    fn add(tx: &Tx<'_>, number: i64, runs: &[NewRun]) -> Result<TestCounts, StoreError> {
        let place = RunPlace {
            plan_id: 1,
            plan_branch_id: 1,
            build_number: number,
            job_id: number,
            job_key: "JOB1".into(),
        };
        add_runs(tx, &place, 0, runs)
    }

    #[tokio::test]
    async fn results_are_judged_beside_the_builds_before_them_in_whatever_order_they_come() {
        use CaseOutcome::{Failed, Skipped, Successful};
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let outcome = store.write(|tx| {
            fill(tx, 6)?;
            add(tx, 1, &[run("a", Successful, false)])?;
            // Build 3 ends before build 2.
            assert_eq!(add(tx, 3, &[run("a", Failed, false)])?.new_failed, 1);
            assert_eq!(add(tx, 2, &[run("a", Failed, false)])?.new_failed, 1);
            add(tx, 4, &[run("a", Skipped, false)])?;
            assert_eq!(
                add(tx, 5, &[run("a", Failed, true), run("b", Failed, false)])?.quarantined,
                1
            );
            let fixed = add(tx, 6, &[run("a", Successful, false)])?;
            assert_eq!((fixed.fixed, fixed.successful), (1, 1));
            let past = history(tx, 1, 1, 10)?;
            let verdicts: Vec<_> = past.iter().map(|run| (run.build_number, run.verdict)).collect();
            assert_eq!(
                verdicts,
                [
                    (6, CaseVerdict::Fixed { failing_since: 3 }),
                    (5, CaseVerdict::Quarantined { outcome: Failed }),
                    (4, CaseVerdict::Skipped),
                    (3, CaseVerdict::NewFailure),
                    (2, CaseVerdict::NewFailure),
                    (1, CaseVerdict::Successful),
                ]
            );
            let failed = runs_of_job(tx, 5, RunKind::Failed, 0, 10)?;
            assert_eq!(
                failed.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(),
                ["b"]
            );
            assert_eq!(failed[0].message, "why");
            Ok::<_, StoreError>(())
        });
        outcome.await.expect("stored");
    }

    #[tokio::test]
    async fn another_attempt_takes_the_place_of_the_first_and_counts_add_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let outcome = store.write(|tx| {
            fill(tx, 1)?;
            for outcome in [CaseOutcome::Failed, CaseOutcome::Successful] {
                clear_job(tx, 1)?;
                let counts = add(tx, 1, &[run("a", outcome, false)])?;
                set_counts(tx, 1, 1, counts)?;
            }
            let counts = counts_of_build(tx, 1)?;
            assert_eq!((counts.all, counts.successful, counts.failed), (1, 1, 0));
            assert_eq!(counts_of_job(tx, 1)?, counts);
            assert_eq!(counts_of_job(tx, 2)?, TestCounts::default());
            let case = case_by_id(tx, 1)?.expect("the case");
            let quarantine = case.quarantine.begin("joe", 10, Some(20)).expect("free");
            set_quarantine(tx, 1, &quarantine)?;
            assert_eq!(quarantined(tx, 1)?[0].quarantine, quarantine);
            set_quarantine(tx, 1, &Quarantine::Free)?;
            assert!(quarantined(tx, 1)?.is_empty());
            tx.execute(
                "INSERT INTO deployment_project (id, name, description, plan_key, version_id, naming, created_ms)
                 VALUES (1, 'D', '', 'PROJ-PLAN', 1, '', 0)",
                &[],
            )?;
            tx.execute(
                "INSERT INTO deployment_release (id, deployment_id, name, build_id, build_key, variables, status, created_ms)
                 VALUES (1, 1, 'one', 1, 'PROJ-PLAN-1', '', '', 0)",
                &[],
            )?;
            assert!(crate::expiry::is_released(tx, 1)? && crate::expiry::of_branch(tx, 1)?[0].is_released);
            tx.execute("DELETE FROM deployment_release", &[])?;
            assert!(!crate::expiry::is_released(tx, 1)? && !crate::expiry::of_branch(tx, 1)?[0].is_released);
            for (active, continuable, rests) in [(0_i64, 0_i64, true), (1, 0, false), (0, 1, false)] {
                tx.execute(
                    "UPDATE build SET active = $1, continuable = $2 WHERE id = 1",
                    crate::params![active, continuable],
                )?;
                assert_eq!(crate::expiry::rests(tx, 1)?, rests);
            }
            crate::expiry::remove(tx, 1)?;
            assert!(history(tx, 1, 1, 10)?.is_empty());
            Ok::<_, StoreError>(())
        });
        outcome.await.expect("stored");
    }
}
