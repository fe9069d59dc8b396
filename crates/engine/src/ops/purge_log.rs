//! Takes the text of a line out of the log of a job or a deployment, for good: something leaked that no mask could cover
//! (hostile-inputs.md S11).
//!
//! The bytes are written over where they are, so that neither the file nor what the disk keeps of it has them, and every
//! other line stays at its place. Who did it and when is kept beside.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use madake_domain::key::JobResultKey;
use madake_domain::permission::Permission;
use madake_store::build::Job;
use madake_store::log_purge::{self, Tombstone};
use madake_store::{StoreError, Tx, build, build_query};

use crate::access::{Caller, plan_for};
use crate::blocking::change_files;
use crate::deploying::{rights, show};
use crate::home::Home;
use crate::{Engine, EngineError, clock};

/// What stands in place of the text; as much of it as the text was long.
const REMOVED: &[u8] = b"[removed by an administrator]";

/// A log that a line can be taken out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogName {
    /// That of a job.
    Job {
        /// The job's result.
        key: JobResultKey,
        /// The attempt at the job, from 1; `None`: the last one.
        attempt: Option<i64>,
    },
    /// That of a deployment, by the number of its result.
    Deployment(i64),
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { key, attempt: None } => write!(f, "{key}"),
            Self::Job {
                key,
                attempt: Some(attempt),
            } => write!(f, "attempt {attempt} at {key}"),
            Self::Deployment(id) => write!(f, "the deployment {id}"),
        }
    }
}

/// A log as it was found.
#[derive(Debug, Clone, Copy)]
enum Found {
    Job {
        build_id: i64,
        job_id: i64,
        attempt: i64,
    },
    Deployment(i64),
}

impl Found {
    fn attempt(self) -> i64 {
        match self {
            Self::Job { attempt, .. } => attempt,
            Self::Deployment(_) => 1,
        }
    }

    fn path(self, home: &Home) -> PathBuf {
        match self {
            Self::Job {
                build_id,
                job_id,
                attempt,
            } => home.job_log(build_id, job_id, attempt),
            Self::Deployment(id) => home.deployment_log(id),
        }
    }

    fn note(self, tx: &Tx<'_>, tombstone: &Tombstone) -> Result<(), StoreError> {
        match self {
            Self::Job { job_id, .. } => log_purge::insert(tx, job_id, tombstone),
            Self::Deployment(id) => log_purge::insert_of_deployment(tx, id, tombstone),
        }
    }

    fn tombstones(self, tx: &Tx<'_>) -> Result<Vec<Tombstone>, StoreError> {
        match self {
            Self::Job { job_id, .. } => log_purge::of_job(tx, job_id),
            Self::Deployment(id) => log_purge::of_deployment(tx, id),
        }
    }
}

impl Engine {
    /// Takes the text of a line, counted from 1, out of the log of a job or a deployment, once nobody writes it any more.
    /// It can be said again, and does no harm then.
    ///
    /// # Errors
    /// When the caller does not administrate the plan or the deployment project, when there is no such log or line, or
    /// while the log is written.
    pub async fn purge_log_line(
        &self,
        caller: &Caller,
        name: &LogName,
        line: u64,
    ) -> Result<Tombstone, EngineError> {
        let (asking, wanted) = (caller.clone(), name.clone());
        let (found, is_written) = self
            .store()
            .read(move |tx| find(tx, &asking, &wanted, Permission::Administration))
            .await?;
        if is_written {
            return Err(EngineError::Conflict(format!(
                "the log of {name} is still written: stop what runs first, or wait for its end"
            )));
        }
        let tombstone = Tombstone {
            attempt: found.attempt(),
            line: i64::try_from(line).unwrap_or(i64::MAX),
            purged_by: caller.name().to_owned(),
            purged_ms: clock::now_ms(),
        };
        let path = found.path(self.home());
        let no_line = || EngineError::NotFound(format!("the log of {name} has no line {line}"));
        let looked_at = path.clone();
        let place = change_files("the log", move || place_of(&looked_at, line)).await?;
        let (from, to) = place.ok_or_else(no_line)?;
        // First who did it, then the deed: what is done without a trace would be worse than what can be done again.
        let kept = tombstone.clone();
        self.store()
            .write(move |tx| Ok::<_, EngineError>(found.note(tx, &kept)?))
            .await?;
        change_files("the log", move || write_over(&path, from, to)).await?;
        let by = caller.name();
        tracing::warn!(result = %name, principal = %by, "{by} took line {line} out of the log of {name}");
        Ok(tombstone)
    }

    /// Which lines were taken out of the log of a deployment or the logs of a job, by whom and when. The attempts at a job
    /// are all meant, unless one is named.
    ///
    /// # Errors
    /// When the caller may not see it, or there is no such log.
    pub async fn purged_log_lines(
        &self,
        caller: &Caller,
        name: &LogName,
    ) -> Result<Vec<Tombstone>, EngineError> {
        let (caller, name) = (caller.clone(), name.clone());
        self.store()
            .read(move |tx| {
                let (found, _) = find(tx, &caller, &name, Permission::Read)?;
                let mut all = found.tombstones(tx)?;
                if let LogName::Job {
                    attempt: Some(attempt),
                    ..
                } = name
                {
                    all.retain(|one| one.attempt == attempt);
                }
                Ok(all)
            })
            .await
    }
}

/// The log, and whether somebody may still write it.
fn find(
    tx: &Tx<'_>,
    caller: &Caller,
    name: &LogName,
    needed: Permission,
) -> Result<(Found, bool), EngineError> {
    match name {
        LogName::Job { key, attempt } => {
            let job = job_for(tx, caller, key, needed)?;
            let wanted = attempt.unwrap_or(job.attempt);
            if !(1..=job.attempt).contains(&wanted) {
                return Err(EngineError::NotFound(format!(
                    "{key} was not attempted {wanted} times, but {}",
                    job.attempt
                )));
            }
            let found = Found::Job {
                build_id: job.build_id,
                job_id: job.id,
                attempt: wanted,
            };
            Ok((found, wanted == job.attempt && job.finished_ms.is_none()))
        }
        LogName::Deployment(id) => {
            let result = show::result_for(tx, caller, *id)?;
            // Who may see the environment sees what became of its logs, whatever the project shows.
            if needed != Permission::Read {
                rights::deployment_for(tx, caller, result.deployment_id, needed)?;
            }
            Ok((Found::Deployment(result.id), result.state.finished_ms().is_none()))
        }
    }
}

fn job_for(tx: &Tx<'_>, caller: &Caller, key: &JobResultKey, needed: Permission) -> Result<Job, EngineError> {
    let (_, branch) = plan_for(tx, caller, &key.job.plan, needed)?;
    let missing = || EngineError::NotFound(format!("Result {key} not found."));
    let found = build::by_number(tx, branch.id, key.number)?.ok_or_else(missing)?;
    let jobs = build_query::jobs(tx, found.id)?;
    jobs.into_iter()
        .find(|job| key.job.to_string() == format!("{}-{}", branch.key, job.key))
        .filter(|job| job.attempt > 0)
        .ok_or_else(missing)
}

/// Where the text of a line begins and ends, behind its kind and its time and without the end of the line.
fn place_of(path: &Path, line: u64) -> io::Result<Option<(u64, u64)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let (mut offset, mut number, mut text) = (0_u64, 0_u64, Vec::new());
    loop {
        text.clear();
        let length = reader.read_until(b'\n', &mut text)? as u64;
        number += 1;
        if length == 0 || line == 0 {
            return Ok(None);
        }
        if number < line {
            offset += length;
            continue;
        }
        let is_whole = text.last() == Some(&b'\n');
        let mut tabs = text.iter().enumerate().filter(|(_, byte)| **byte == b'\t');
        let begins = tabs.nth(1).map_or(0, |(at, _)| at as u64 + 1);
        return Ok(Some((offset + begins, offset + length - u64::from(is_whole))));
    }
}

/// Writes over the bytes of a file, and waits until the disk has them.
fn write_over(path: &Path, from: u64, to: u64) -> io::Result<()> {
    let length = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
    let mut text = vec![b' '; length];
    if length < REMOVED.len() {
        text.fill(b'*');
    } else {
        text[..REMOVED.len()].copy_from_slice(REMOVED);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&text, from)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_text_of_a_line_is_written_over_and_nothing_else_moves() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let leak = "s w o r d f i s h and some more of it";
        let text = format!("build\t1\tone\nbuild\t2\t{leak}\nerror\t3\tx\tshort\nbuild\t4\tlast");
        std::fs::write(&path, &text).expect("a log");
        for (line, is_there) in [(0, false), (2, true), (3, true), (4, true), (5, false), (2, true)] {
            let place = place_of(&path, line).expect("readable");
            assert_eq!(place.is_some(), is_there, "{line}");
            if let Some((from, to)) = place {
                write_over(&path, from, to).expect("writable");
            }
        }
        let after = std::fs::read_to_string(&path).expect("a log");
        assert_eq!(after.len(), text.len());
        let lines: Vec<&str> = after.split('\n').collect();
        assert_eq!(lines[0], "build\t1\tone");
        assert_eq!(lines[1].trim_end(), "build\t2\t[removed by an administrator]");
        assert_eq!(lines[2], "error\t3\t*******");
        assert_eq!(lines[3], "build\t4\t****");
        assert!(!after.contains("s w o"));
    }
}
