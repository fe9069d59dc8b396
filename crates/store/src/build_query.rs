//! Questions about builds and jobs: lists, latest ones, the queue.

use crate::build::{Build, Change, Job, Revision, read_build, select};
use crate::{Millis, StoreError, Tx, params};

/// Bytes that no key of a build exceeds.
const LONGEST_KEY: usize = 1000;

/// Which builds a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Also those that have not finished.
    pub include_all_states: bool,
    /// Only those with this `state`: `Successful`, `Failed`, `Unknown`.
    pub state: Option<String>,
    /// Only those whose `lifeCycleState` is one of these.
    pub life_cycles: Vec<String>,
    /// Only those that can be continued.
    pub continuable: bool,
    /// Only those with one of these labels; empty: all.
    pub labels: Vec<String>,
    /// Only those whose key has this text in it, in whatever case; empty: all.
    pub key_part: String,
    /// Only those with a commit that names one of these issues (`PROJ-12`); empty: all.
    pub issues: Vec<String>,
}

impl Filter {
    /// Of the builds of the plan branch `$1`: which.
    fn condition(&self) -> String {
        // Few builds name an issue: they are looked up, where otherwise those of the plan branch are walked through (`+`
        // keeps the engine from its index).
        let mut condition = match self.issues.is_empty() {
            true => "plan_branch_id = $1".to_owned(),
            false => "+plan_branch_id = $1".to_owned(),
        };
        if !self.life_cycles.is_empty() {
            let words: Vec<String> = self
                .life_cycles
                .iter()
                .filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
                .map(|word| format!("'{word}'"))
                .collect();
            condition.push_str(&format!(" AND life_cycle IN ({})", words.join(",")));
        } else if !self.include_all_states {
            condition.push_str(" AND life_cycle = 'Finished'");
        }
        match self.state.as_deref() {
            Some("Successful") => condition.push_str(" AND state = 'Successful'"),
            Some("Failed") => condition.push_str(" AND state = 'Failed'"),
            Some("Unknown") => condition.push_str(" AND state = 'Unknown'"),
            _ => {}
        }
        if self.continuable {
            condition.push_str(" AND continuable = 1");
        }
        if !self.labels.is_empty() {
            condition.push_str(&format!(
                " AND build.id IN (SELECT build_id FROM result_label WHERE name IN ({}))",
                quoted(&self.labels)
            ));
        }
        if !self.key_part.is_empty() {
            condition.push_str(&key_condition(&self.key_part));
        }
        if !self.issues.is_empty() {
            condition.push_str(&format!(
                " AND build.id IN (SELECT build_id FROM build_issue WHERE plan_branch_id = $1 AND issue IN ({}))",
                quoted(&self.issues)
            ));
        }
        condition
    }
}

/// Keys are of capital letters, digits, `-` and `_`, so what has anything else in it is in none.
fn key_condition(part: &str) -> String {
    let is_of_keys = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match part.len() <= LONGEST_KEY && part.bytes().all(is_of_keys) {
        true => {
            let part = part.to_ascii_uppercase().replace('_', "!_");
            format!(" AND key LIKE '%{part}%' ESCAPE '!'")
        }
        false => " AND 1 = 0".to_owned(),
    }
}

/// Texts as SQL writes them, for a list.
fn quoted(texts: &[String]) -> String {
    let words: Vec<String> = texts
        .iter()
        .map(|text| format!("'{}'", text.replace('\'', "''").replace('\0', "")))
        .collect();
    words.join(",")
}

/// Builds of a plan branch, newest first, and how many there are in all.
///
/// # Errors
/// When the store cannot be read.
pub fn of_branch(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    filter: &Filter,
    start: i64,
    limit: i64,
) -> Result<(Vec<Build>, i64), StoreError> {
    let condition = filter.condition();
    let total = tx
        .first(
            &format!("SELECT COUNT(*) FROM build WHERE {condition}"),
            params![plan_branch_id],
            |row| row.get(0),
        )?
        .unwrap_or(0);
    let builds = tx.all(
        // Rows are wide: the page is cut before they are read.
        &select(&format!(
            "WHERE id IN (SELECT id FROM build WHERE {condition} ORDER BY number DESC LIMIT $2 OFFSET $3)
               ORDER BY number DESC"
        )),
        params![plan_branch_id, limit, start],
        read_build,
    )?;
    Ok((builds, total))
}

/// The latest build of a plan branch that passes the filter.
///
/// # Errors
/// When the store cannot be read.
pub fn latest(tx: &Tx<'_>, plan_branch_id: i64, filter: &Filter) -> Result<Option<Build>, StoreError> {
    tx.first(
        &select(&format!(
            "WHERE id IN (SELECT id FROM build WHERE {} ORDER BY number DESC LIMIT 1)",
            filter.condition()
        )),
        params![plan_branch_id],
        read_build,
    )
}

/// The last build of a plan branch before the number that ran to its end.
///
/// # Errors
/// When the store cannot be read.
pub fn ended_before(tx: &Tx<'_>, plan_branch_id: i64, number: i64) -> Result<Option<Build>, StoreError> {
    tx.first(
        &select(
            "WHERE plan_branch_id = $1 AND number < $2 AND life_cycle = 'Finished' AND state <> 'Unknown'
               ORDER BY number DESC LIMIT 1",
        ),
        params![plan_branch_id, number],
        read_build,
    )
}

/// Other builds of the same plan branch that had a verdict by then, the one that ended last first.
///
/// # Errors
/// When the store cannot be read.
pub fn ended_earlier(tx: &Tx<'_>, one: &Build, by_ms: Millis, limit: i64) -> Result<Vec<Build>, StoreError> {
    tx.all(
        &select(
            "WHERE plan_branch_id = $1 AND id <> $2 AND finished_ms <= $3 AND life_cycle = 'Finished'
               AND state <> 'Unknown' ORDER BY finished_ms DESC, id DESC LIMIT $4",
        ),
        params![one.plan_branch_id, one.id, by_ms, limit],
        read_build,
    )
}

/// Builds that contain a commit, or were made of it.
///
/// # Errors
/// When the store cannot be read.
pub fn by_changeset(tx: &Tx<'_>, changeset: &str, checked_out_only: bool) -> Result<Vec<Build>, StoreError> {
    let condition = if checked_out_only {
        "WHERE revision = $1"
    } else {
        "WHERE revision = $1 OR id IN (SELECT build_id FROM build_change WHERE changeset = $1)"
    };
    tx.all(
        &select(&format!("{condition} ORDER BY id DESC LIMIT 1000")),
        params![changeset],
        read_build,
    )
}

/// Whether a commit of a build names one of these issues.
///
/// # Errors
/// When the store cannot be read.
pub fn names_issue(tx: &Tx<'_>, build_id: i64, issues: &[String]) -> Result<bool, StoreError> {
    let found = tx.first(
        &format!(
            "SELECT issue FROM build_issue WHERE build_id = $1 AND issue IN ({}) LIMIT 1",
            quoted(issues)
        ),
        params![build_id],
        |row| row.get::<String>(0),
    )?;
    Ok(found.is_some())
}

/// Sorted by `+id`, since SQLite would else walk over all builds in the order of their ids.
const ACTIVE: &str = "WHERE active = 1 ORDER BY +id";

/// Builds that have not ended, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn active(tx: &Tx<'_>) -> Result<Vec<Build>, StoreError> {
    tx.all(&select(ACTIVE), &[], read_build)
}

/// Builds of a plan branch that have not ended.
///
/// # Errors
/// When the store cannot be read.
pub fn active_of_branch(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Vec<Build>, StoreError> {
    tx.all(
        &select("WHERE active = 1 AND plan_branch_id = $1 ORDER BY +id"),
        params![plan_branch_id],
        read_build,
    )
}

/// The mean length of the last finished builds of a plan branch, in milliseconds.
///
/// # Errors
/// When the store cannot be read.
pub fn average_duration_ms(tx: &Tx<'_>, plan_branch_id: i64) -> Result<Option<Millis>, StoreError> {
    let found = tx.first(
        "SELECT CAST(AVG(took) AS BIGINT) FROM (SELECT finished_ms - started_ms AS took FROM build
           WHERE plan_branch_id = $1 AND life_cycle = 'Finished' AND started_ms IS NOT NULL AND finished_ms IS NOT NULL
           ORDER BY number DESC LIMIT 10) recent",
        params![plan_branch_id],
        |row| row.get::<Option<i64>>(0),
    )?;
    Ok(found.flatten())
}

/// How long a job of a plan took in its last successful builds, whatever the branch, in milliseconds.
///
/// # Errors
/// When the store cannot be read.
pub fn lengths_of_job(tx: &Tx<'_>, plan_id: i64, key: &str, limit: i64) -> Result<Vec<Millis>, StoreError> {
    tx.all(
        "SELECT job.finished_ms - job.started_ms FROM build JOIN job ON job.build_id = build.id
           WHERE build.plan_id = $1 AND build.state = 'Successful' AND job.key = $2 AND job.state = 'done'
             AND job.started_ms IS NOT NULL AND job.finished_ms IS NOT NULL
           ORDER BY build.id DESC LIMIT $3",
        params![plan_id, key, limit],
        |row| row.get::<i64>(0),
    )
}

/// The revisions of a build, the default repository first.
///
/// # Errors
/// When the store cannot be read.
pub fn revisions(tx: &Tx<'_>, build_id: i64) -> Result<Vec<Revision>, StoreError> {
    tx.all(
        "SELECT repository_id, name, revision, previous, branch FROM build_revision WHERE build_id = $1 ORDER BY position",
        params![build_id],
        |row| {
            Ok(Revision {
                repository_id: row.get(0)?,
                name: row.get(1)?,
                revision: row.get(2)?,
                previous: row.get(3)?,
                branch: row.get(4)?,
            })
        },
    )
}

/// The revision of a repository that a plan branch built last.
///
/// # Errors
/// When the store cannot be read.
pub fn last_revision_of(
    tx: &Tx<'_>,
    plan_branch_id: i64,
    repository_id: i64,
) -> Result<Option<String>, StoreError> {
    tx.first(
        "SELECT r.revision FROM build_revision r JOIN build b ON b.id = r.build_id
         WHERE b.plan_branch_id = $1 AND r.repository_id = $2 ORDER BY b.id DESC LIMIT 1",
        params![plan_branch_id, repository_id],
        |row| row.get(0),
    )
}

/// The commits that are new in a build, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn changes(tx: &Tx<'_>, build_id: i64) -> Result<Vec<Change>, StoreError> {
    tx.all(
        "SELECT changeset, author, email, message, at_ms, files FROM build_change WHERE build_id = $1 ORDER BY position",
        params![build_id],
        |row| {
            Ok(Change {
                changeset: row.get(0)?,
                author: row.get(1)?,
                email: row.get(2)?,
                message: row.get(3)?,
                at_ms: row.get(4)?,
                files: row.json(5)?,
            })
        },
    )
}

/// The branch of the repository that a build was made of; `None`: of none, or the build was removed.
///
/// # Errors
/// When the store cannot be read.
pub fn vcs_branch(tx: &Tx<'_>, build_id: i64) -> Result<Option<String>, StoreError> {
    let found = tx.first(
        "SELECT vcs_branch FROM build WHERE id = $1",
        params![build_id],
        |row| row.get::<Option<String>>(0),
    )?;
    Ok(found.flatten())
}

/// Builds whose commits have not been looked up.
///
/// # Errors
/// When the store cannot be read.
pub fn without_changes(tx: &Tx<'_>, after: i64) -> Result<Vec<Build>, StoreError> {
    tx.all(
        &select(
            "WHERE id > $1 AND revision IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM build_change c WHERE c.build_id = build.id) ORDER BY id LIMIT 100",
        ),
        params![after],
        read_build,
    )
}

const JOB: &str =
    "SELECT id, build_id, stage, name, key, state, attempt, holder, queued_ms, started_ms, finished_ms,
  outcome FROM job";

fn read_job(row: &crate::Row<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: row.get(0)?,
        build_id: row.get(1)?,
        stage: row.get(2)?,
        name: row.get(3)?,
        key: row.get(4)?,
        state: row.get(5)?,
        attempt: row.get(6)?,
        holder: row.get(7)?,
        queued_ms: row.get(8)?,
        started_ms: row.get(9)?,
        finished_ms: row.get(10)?,
        outcome: row.get(11)?,
    })
}

/// The jobs of a build in the order of the plan.
///
/// # Errors
/// When the store cannot be read.
pub fn jobs(tx: &Tx<'_>, build_id: i64) -> Result<Vec<Job>, StoreError> {
    tx.all(
        &format!("{JOB} WHERE build_id = $1 ORDER BY stage, position"),
        params![build_id],
        read_job,
    )
}

/// One job.
///
/// # Errors
/// When the store cannot be read, or there is none.
pub fn job(tx: &Tx<'_>, id: i64) -> Result<Job, StoreError> {
    tx.first(&format!("{JOB} WHERE id = $1"), params![id], read_job)?
        .ok_or_else(|| StoreError::Missing(format!("the job with the id {id}")))
}

/// Jobs that wait for an agent, in the order in which they are to run.
///
/// # Errors
/// When the store cannot be read.
pub fn queued_jobs(tx: &Tx<'_>, limit: i64) -> Result<Vec<Job>, StoreError> {
    tx.all(
        &format!("{JOB} WHERE state = 'queued' ORDER BY queued_ms, id LIMIT $1"),
        params![limit],
        read_job,
    )
}

/// Jobs that an agent has.
///
/// # Errors
/// When the store cannot be read.
pub fn held_jobs(tx: &Tx<'_>, holder: &str) -> Result<Vec<Job>, StoreError> {
    tx.all(
        &format!("{JOB} WHERE holder = $1 ORDER BY id"),
        params![holder],
        read_job,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn builds_of_an_issue_are_looked_up_and_other_pages_are_counted_by_an_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = crate::Store::open(&folder.path().join("store.db")).expect("a store");
        let issues = Filter {
            issues: vec!["WEB-1".into(), "O'NO-2".into()],
            ..Filter::default()
        };
        for (filter, expected) in [
            (
                issues,
                [
                    "SEARCH build USING INTEGER PRIMARY KEY (rowid=?)",
                    "SEARCH build_issue USING COVERING INDEX",
                ],
            ),
            (
                Filter::default(),
                ["SEARCH build USING COVERING INDEX build_finished", "SEARCH"],
            ),
        ] {
            let question = format!(
                "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM build WHERE {}",
                filter.condition()
            );
            let steps: Result<Vec<String>, StoreError> = store
                .read(move |tx| tx.all(&question, params![1_i64], |row| row.get(3)))
                .await;
            let steps = steps.expect("a plan of the question").join("\n");
            for step in expected {
                assert!(steps.contains(step), "{steps}");
            }
            assert!(!steps.contains("SCAN"), "{steps}");
        }
    }

    #[tokio::test]
    async fn builds_under_way_are_found_without_a_walk_over_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = crate::Store::open(&folder.path().join("store.db")).expect("a store");
        for (question, parameters) in [
            (select(ACTIVE), Vec::new()),
            (crate::overview::UNDER_WAY.to_owned(), vec![None::<i64>]),
            (crate::overview::UNDER_WAY.to_owned(), vec![Some(1)]),
        ] {
            let explained = format!("EXPLAIN QUERY PLAN {question}");
            let steps: Result<Vec<String>, StoreError> = store
                .read(move |tx| match parameters.first() {
                    Some(plan_id) => tx.all(&explained, params![plan_id], |row| row.get(3)),
                    None => tx.all(&explained, &[], |row| row.get(3)),
                })
                .await;
            let steps = steps.expect("a plan of the question").join("\n");
            assert!(steps.contains("SCAN build USING INDEX build_active"), "{steps}");
        }
    }

    #[test]
    fn parts_of_keys_are_asked_for_in_sql_and_hold_nothing_else() {
        for (part, expected) in [
            ("", "plan_branch_id = $1 AND life_cycle = 'Finished'"),
            (
                "plan-1",
                "plan_branch_id = $1 AND life_cycle = 'Finished' AND key LIKE '%PLAN-1%' ESCAPE '!'",
            ),
            (
                "a_b",
                "plan_branch_id = $1 AND life_cycle = 'Finished' AND key LIKE '%A!_B%' ESCAPE '!'",
            ),
            ("%", "plan_branch_id = $1 AND life_cycle = \'Finished\' AND 1 = 0"),
            (
                "' OR '1' = '1",
                "plan_branch_id = $1 AND life_cycle = \'Finished\' AND 1 = 0",
            ),
            (
                "\u{df}",
                "plan_branch_id = $1 AND life_cycle = \'Finished\' AND 1 = 0",
            ),
        ] {
            let filter = Filter {
                key_part: part.to_owned(),
                ..Filter::default()
            };
            assert_eq!(filter.condition(), expected, "{part}");
        }
        assert_eq!(key_condition(&"A".repeat(LONGEST_KEY + 1)), " AND 1 = 0");
    }
}
