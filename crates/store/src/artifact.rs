//! Artifacts of jobs: their names, and which file has which bytes. The bytes are [blobs](crate::blob).

use crate::{Millis, StoreError, Tx, params};

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The row's id.
    pub id: i64,
    /// The build.
    pub build_id: i64,
    /// The job that made it.
    pub job_id: i64,
    /// The job's short key.
    pub job_key: String,
    /// The index of the job's stage.
    pub stage: i64,
    /// Its name.
    pub name: String,
    /// Whether later stages and other plans may have it.
    pub shared: bool,
    /// How many files it has.
    pub files: i64,
    /// How many bytes they have together.
    pub bytes: i64,
    /// When it was stored.
    pub created_ms: Millis,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// The path below the artifact's location.
    pub path: String,
    /// The blob's hash, 64 hexadecimal digits.
    pub hash: String,
    /// How many bytes it has.
    pub size: i64,
    /// Whether its owner may run it.
    pub executable: bool,
}

/// An artifact that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// Its name.
    pub name: String,
    /// Whether later stages and other plans may have it.
    pub shared: bool,
    /// Its files; each path once.
    pub files: Vec<ArtifactFile>,
}

const ARTIFACT: &str =
    "SELECT a.id, a.build_id, a.job_id, j.key, j.stage, a.name, a.shared, a.files, a.bytes, a.created_ms
  FROM artifact a JOIN job j ON j.id = a.job_id";

fn read_artifact(row: &crate::Row<'_>) -> Result<Artifact, StoreError> {
    Ok(Artifact {
        id: row.get(0)?,
        build_id: row.get(1)?,
        job_id: row.get(2)?,
        job_key: row.get(3)?,
        stage: row.get(4)?,
        name: row.get(5)?,
        shared: row.get(6)?,
        files: row.get(7)?,
        bytes: row.get(8)?,
        created_ms: row.get(9)?,
    })
}

fn read_file(row: &crate::Row<'_>) -> Result<ArtifactFile, StoreError> {
    Ok(ArtifactFile {
        path: row.get(0)?,
        hash: row.get(1)?,
        size: row.get(2)?,
        executable: row.get(3)?,
    })
}

/// Stores the artifacts of a job in place of those that an earlier attempt made.
///
/// # Errors
/// When the store cannot be written.
pub fn replace_of_job(
    tx: &Tx<'_>,
    build_id: i64,
    job_id: i64,
    artifacts: &[NewArtifact],
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM artifact_file WHERE artifact_id IN (SELECT id FROM artifact WHERE job_id = $1)",
        params![job_id],
    )?;
    tx.execute("DELETE FROM artifact WHERE job_id = $1", params![job_id])?;
    for artifact in artifacts {
        let files = i64::try_from(artifact.files.len()).unwrap_or(i64::MAX);
        let bytes = artifact
            .files
            .iter()
            .fold(0_i64, |sum, file| sum.saturating_add(file.size));
        let id = tx.insert(
            "INSERT INTO artifact (build_id, job_id, name, shared, files, bytes, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            params![
                build_id,
                job_id,
                artifact.name,
                artifact.shared,
                files,
                bytes,
                now
            ],
        )?;
        for file in &artifact.files {
            tx.execute(
                "INSERT INTO artifact_file (artifact_id, path, hash, size, executable) VALUES ($1, $2, $3, $4, $5)",
                params![id, file.path, file.hash, file.size, file.executable],
            )?;
        }
    }
    Ok(())
}

/// The artifacts of a build, in the order of its stages.
///
/// # Errors
/// When the store cannot be read.
pub fn of_build(tx: &Tx<'_>, build_id: i64) -> Result<Vec<Artifact>, StoreError> {
    tx.all(
        &format!("{ARTIFACT} WHERE a.build_id = $1 ORDER BY j.stage, j.position, a.id"),
        params![build_id],
        read_artifact,
    )
}

/// The files of an artifact, by path.
///
/// # Errors
/// When the store cannot be read.
pub fn files(tx: &Tx<'_>, artifact_id: i64) -> Result<Vec<ArtifactFile>, StoreError> {
    tx.all(
        "SELECT path, hash, size, executable FROM artifact_file WHERE artifact_id = $1 ORDER BY path",
        params![artifact_id],
        read_file,
    )
}

/// One file of an artifact.
///
/// # Errors
/// When the store cannot be read.
pub fn file(tx: &Tx<'_>, artifact_id: i64, path: &str) -> Result<Option<ArtifactFile>, StoreError> {
    tx.first(
        "SELECT path, hash, size, executable FROM artifact_file WHERE artifact_id = $1 AND path = $2",
        params![artifact_id, path],
        read_file,
    )
}

/// The first file of an artifact, by path.
///
/// # Errors
/// When the store cannot be read.
pub fn first_file(tx: &Tx<'_>, artifact_id: i64) -> Result<Option<ArtifactFile>, StoreError> {
    tx.first(
        "SELECT path, hash, size, executable FROM artifact_file WHERE artifact_id = $1 ORDER BY path LIMIT 1",
        params![artifact_id],
        read_file,
    )
}

/// Whether an artifact has a file with these bytes.
///
/// # Errors
/// When the store cannot be read.
pub fn is_named(tx: &Tx<'_>, hash: &str) -> Result<bool, StoreError> {
    let found = tx.first(
        "SELECT 1 FROM artifact_file WHERE hash = $1 LIMIT 1",
        params![hash],
        |row| row.get::<i64>(0),
    )?;
    Ok(found.is_some())
}

/// Forgets the artifacts of a build, and says how many there were. Their bytes go when nothing else names them.
///
/// # Errors
/// When the store cannot be written.
pub fn remove_of_build(tx: &Tx<'_>, build_id: i64) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM artifact_file WHERE artifact_id IN (SELECT id FROM artifact WHERE build_id = $1)",
        params![build_id],
    )?;
    tx.execute("DELETE FROM artifact WHERE build_id = $1", params![build_id])
}

/// The hashes of all files of artifacts, each once.
///
/// # Errors
/// When the store cannot be read.
pub fn all_hashes(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    tx.all("SELECT DISTINCT hash FROM artifact_file", &[], |row| row.get(0))
}
