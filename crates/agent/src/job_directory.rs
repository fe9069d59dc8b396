//! The files through which a server and the supervisor of a job talk.
//!
//! One directory, `<home>/jobs/<job id>-<attempt>/`, for each attempt at a job:
//!
//! | file | written by | meaning |
//! | - | - | - |
//! | `order.json` | server, before it starts anything | what to do; holds secrets, mode 0600 |
//! | `order.withdrawn.json` | server | the order was taken back before anything started |
//! | `lock` | supervisor | locked while the supervisor lives |
//! | `started.json` | supervisor, before the first task | from here on nobody else ever runs this order |
//! | `commanded` | supervisor, before the first script | the job has run commands of its own |
//! | `pushes` | supervisor, before each push | what the job pushes, a line for each ref |
//! | `stop` | server | a request to stop, and who asked |
//! | `tests.json` | supervisor, before the outcome | the results of the job's tests, when there are any |
//! | `artifacts.json`, `artifacts/` | supervisor, before the outcome | the artifacts that the job kept, and their files |
//! | `outcome.json` | supervisor, last | what came of it; the log is complete |
//! | `tmp/` | supervisor | scripts, and the job's temporary files |
//! | `container` | supervisor, before it makes a container | its engine and name; gone with the container |
//! | `private/` | supervisor | home and `/tmp` of a job that has its own |

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use madake_protocol::{
    AnnouncedPush, JobOrder, JobOutcome, JobStarted, KeptArtifacts, MOST_ARTIFACT_LIST_BYTES, MessageError,
    StopRequest, TestResults,
};

/// Why a file of a job directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobDirectoryError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is longer than what is read.
    #[error("{} is longer than {most_bytes} bytes, which is the most that is read of it", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        most_bytes: u64,
    },
    /// The file does not hold what it should.
    #[error("{}: {source}", path.display())]
    Message {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MessageError,
    },
}

/// The directory of one attempt at one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDirectory {
    path: PathBuf,
}

impl JobDirectory {
    /// The directory of an attempt below the folder of all jobs. Nothing is made or looked at.
    #[must_use]
    pub fn of(jobs_directory: &Path, job_id: i64, attempt: i64) -> Self {
        Self::at(jobs_directory.join(format!("{job_id}-{attempt}")))
    }

    /// The directory with this path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// All directories of attempts below the folder of all jobs, oldest job first.
    ///
    /// # Errors
    /// When the folder cannot be read. A missing folder is an empty one.
    pub fn list(jobs_directory: &Path) -> Result<Vec<Self>, JobDirectoryError> {
        let failed = |source| JobDirectoryError::Io {
            action: "list",
            path: jobs_directory.to_owned(),
            source,
        };
        let entries = match fs::read_dir(jobs_directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let directory = Self::at(entry.map_err(failed)?.path());
            if let Some(ids) = directory.ids() {
                found.push((ids, directory));
            }
        }
        found.sort_by_key(|(ids, _)| *ids);
        Ok(found.into_iter().map(|(_, directory)| directory).collect())
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Job id and attempt as the name says them; `None` for a directory of another name.
    #[must_use]
    pub fn ids(&self) -> Option<(i64, i64)> {
        let (job_id, attempt) = self.path.file_name()?.to_str()?.split_once('-')?;
        Some((job_id.parse().ok()?, attempt.parse().ok()?))
    }

    /// What the supervisor was asked to do; `None` when there is no order (any more).
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read_order(&self) -> Result<Option<JobOrder>, JobDirectoryError> {
        self.read(&self.order_path(), MOST_ORDER_BYTES, JobOrder::from_json)
    }

    /// That and when the job began; `None` when it did not.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read_started(&self) -> Result<Option<JobStarted>, JobDirectoryError> {
        self.read(&self.started_path(), MOST_MESSAGE_BYTES, JobStarted::from_json)
    }

    /// What came of the job; `None` when it did not end (yet).
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read_outcome(&self) -> Result<Option<JobOutcome>, JobDirectoryError> {
        self.read(&self.outcome_path(), MOST_MESSAGE_BYTES, JobOutcome::from_json)
    }

    /// The results of the job's tests, of at most so many bytes of JSON; `None` when no test report was read.
    ///
    /// # Errors
    /// When the file cannot be read or understood, or is longer.
    pub fn read_tests(&self, most_bytes: u64) -> Result<Option<TestResults>, JobDirectoryError> {
        self.read(&self.tests_path(), most_bytes, TestResults::from_json)
    }

    /// The artifacts that the job kept; `None` when it kept none.
    ///
    /// # Errors
    /// When the file cannot be read or understood, or is longer than [`MOST_ARTIFACT_LIST_BYTES`].
    pub fn read_artifacts(&self) -> Result<Option<KeptArtifacts>, JobDirectoryError> {
        self.read(
            &self.artifacts_path(),
            MOST_ARTIFACT_LIST_BYTES,
            KeptArtifacts::from_json,
        )
    }

    /// What the job has pushed, or is about to push.
    ///
    /// # Errors
    /// When the file cannot be read, or is longer than any job's.
    pub fn read_pushes(&self) -> Result<Vec<AnnouncedPush>, JobDirectoryError> {
        let lines = self.read(&self.pushes_path(), MOST_MESSAGE_BYTES, |text| {
            Ok(AnnouncedPush::from_lines(text))
        });
        Ok(lines?.unwrap_or_default())
    }

    /// The file with the bytes of a kept file, by its number.
    #[must_use]
    pub fn kept_file(&self, number: u64) -> PathBuf {
        self.kept_files_path().join(number.to_string())
    }

    /// Whether the job has begun a command of its own; checkouts do not count.
    #[must_use]
    pub fn ran_a_command(&self) -> bool {
        self.commanded_path().exists()
    }

    pub(crate) fn order_path(&self) -> PathBuf {
        self.path.join("order.json")
    }

    pub(crate) fn withdrawn_order_path(&self) -> PathBuf {
        self.path.join("order.withdrawn.json")
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn started_path(&self) -> PathBuf {
        self.path.join("started.json")
    }

    fn pushes_path(&self) -> PathBuf {
        self.path.join("pushes")
    }

    pub(crate) fn commanded_path(&self) -> PathBuf {
        self.path.join("commanded")
    }

    pub(crate) fn stop_path(&self) -> PathBuf {
        self.path.join("stop")
    }

    pub(crate) fn outcome_path(&self) -> PathBuf {
        self.path.join("outcome.json")
    }

    fn tests_path(&self) -> PathBuf {
        self.path.join("tests.json")
    }

    fn artifacts_path(&self) -> PathBuf {
        self.path.join("artifacts.json")
    }

    pub(crate) fn kept_files_path(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    pub(crate) fn tmp_path(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(crate) fn container_path(&self) -> PathBuf {
        self.path.join("container")
    }

    pub(crate) fn private_path(&self) -> PathBuf {
        self.path.join("private")
    }

    pub(crate) fn create(&self) -> Result<(), JobDirectoryError> {
        self.io("create", &self.path, make_private_directory(&self.path))
    }

    pub(crate) fn write_order(&self, order: &JobOrder) -> Result<(), JobDirectoryError> {
        self.write(&self.order_path(), order.to_json())
    }

    pub(crate) fn write_started(&self, started: &JobStarted) -> Result<(), JobDirectoryError> {
        self.write(&self.started_path(), started.to_json())
    }

    pub(crate) fn write_stop(&self, request: &StopRequest) -> Result<(), JobDirectoryError> {
        self.write(&self.stop_path(), request.to_json())
    }

    pub(crate) fn write_tests(&self, tests: &TestResults) -> Result<(), JobDirectoryError> {
        self.write(&self.tests_path(), tests.to_json())
    }

    pub(crate) fn write_artifacts(&self, artifacts: &KeptArtifacts) -> Result<(), JobDirectoryError> {
        self.write(&self.artifacts_path(), artifacts.to_json())
    }

    /// Notes durably what the job is about to push.
    pub(crate) fn announce_push(&self, push: &AnnouncedPush) -> io::Result<()> {
        let line = push.to_line().map_err(io::Error::other)?;
        let mut options = File::options();
        let mut file = options
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.pushes_path())?;
        file.write_all(&line)?;
        file.sync_data()?;
        self.sync()
    }

    /// Who asked to stop the job; `None` when nobody did. An unreadable request is still one.
    pub(crate) fn who_asked_to_stop(&self) -> Option<String> {
        let path = self.stop_path();
        if !path.exists() {
            return None;
        }
        match self.read(&path, MOST_MESSAGE_BYTES, StopRequest::from_json) {
            Ok(Some(request)) => Some(request.who),
            Ok(None) => None,
            Err(_) => Some("somebody whose name could not be read".to_owned()),
        }
    }

    /// Takes the space of the outcome now, so that a disk that fills up meanwhile cannot swallow it.
    pub(crate) fn reserve_outcome(&self) -> io::Result<File> {
        let mut file = private_file().open(self.reserved_outcome_path())?;
        file.write_all(&[b' '; RESERVED_FOR_OUTCOME])?;
        Ok(file)
    }

    /// Writes the outcome into its reserved space and gives it its name, durably.
    pub(crate) fn write_outcome(&self, reserved: &mut File, outcome: &JobOutcome) -> io::Result<()> {
        use std::io::Seek;
        let mut json = outcome.to_json().map_err(io::Error::other)?;
        if json.len() < RESERVED_FOR_OUTCOME {
            json.resize(RESERVED_FOR_OUTCOME, b' ');
        }
        reserved.rewind()?;
        reserved.write_all(&json)?;
        reserved.sync_data()?;
        fs::rename(self.reserved_outcome_path(), self.outcome_path())?;
        self.sync()
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn reserved_outcome_path(&self) -> PathBuf {
        self.path.join(".outcome.json.tmp")
    }

    fn read<T>(
        &self,
        path: &Path,
        most_bytes: u64,
        parse: impl FnOnce(&[u8]) -> Result<T, MessageError>,
    ) -> Result<Option<T>, JobDirectoryError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => self.io("read", path, file)?,
        };
        let mut json = Vec::new();
        // One byte more, so that a longer file is noticed: whatever wrote it is not trusted with the reader's memory.
        let read = file.take(most_bytes.saturating_add(1)).read_to_end(&mut json);
        self.io("read", path, read)?;
        if json.len() as u64 > most_bytes {
            return Err(JobDirectoryError::TooLong {
                path: path.to_owned(),
                most_bytes,
            });
        }
        parse(&json)
            .map(Some)
            .map_err(|source| JobDirectoryError::Message {
                path: path.to_owned(),
                source,
            })
    }

    fn write(&self, path: &Path, json: Result<Vec<u8>, MessageError>) -> Result<(), JobDirectoryError> {
        let json = json.map_err(|source| JobDirectoryError::Message {
            path: path.to_owned(),
            source,
        })?;
        self.io("write", path, write_atomically(path, &json))
    }

    fn io<T>(
        &self,
        action: &'static str,
        path: &Path,
        result: io::Result<T>,
    ) -> Result<T, JobDirectoryError> {
        result.map_err(|source| JobDirectoryError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// The longest order, in bytes: it lists the files of artifacts that a job gets.
const MOST_ORDER_BYTES: u64 = 1 << 30;
/// The longest of the other messages, in bytes. Outcomes have the variables that a job hands on.
const MOST_MESSAGE_BYTES: u64 = 64 << 20;

/// One block of a file system: more than any outcome of ordinary length takes.
const RESERVED_FOR_OUTCOME: usize = 4096;

fn private_file() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

/// Makes a directory that nobody else may look into, with what is missing above it; one that exists is fine.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A reader sees the whole text or no file, never a part.
fn write_atomically(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    private_file().open(&temporary)?.write_all(text)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_longer_than_what_a_server_reads_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let directory = JobDirectory::of(home.path(), 1, 1);
        directory.create().unwrap();
        let tests = TestResults {
            format: madake_protocol::FORMAT,
            cases: Vec::new(),
        };
        directory.write_tests(&tests).unwrap();
        let length = fs::metadata(directory.tests_path()).unwrap().len();
        assert_eq!(directory.read_tests(length).unwrap(), Some(tests));
        let error = directory.read_tests(length - 1).unwrap_err();
        assert!(matches!(error, JobDirectoryError::TooLong { most_bytes, .. } if most_bytes == length - 1));
        // A file with no bytes on disk, as long as no memory is.
        let huge = File::create(directory.outcome_path()).unwrap();
        huge.set_len(1 << 40).unwrap();
        let error = directory.read_outcome().unwrap_err();
        assert!(matches!(error, JobDirectoryError::TooLong { .. }), "{error}");
    }

    #[test]
    fn directories_are_listed_by_job_and_other_names_are_left_alone() {
        let home = tempfile::tempdir().unwrap();
        for name in ["12-1", "9-2", "9-1", "lost+found", "x-1"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let listed = JobDirectory::list(home.path()).unwrap();
        let ids: Vec<_> = listed.iter().filter_map(JobDirectory::ids).collect();
        assert_eq!(ids, [(9, 1), (9, 2), (12, 1)]);
        assert!(
            JobDirectory::list(&home.path().join("missing"))
                .unwrap()
                .is_empty()
        );
    }
}
