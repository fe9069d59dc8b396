//! Releases: results of plans under a name, and what people said of them.

use madake_domain::deployment::ReleaseStatus;

use crate::{Millis, StoreError, Tx, params};

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The row's id, by which the REST API knows it.
    pub id: i64,
    /// The deployment project's id.
    pub deployment_id: i64,
    /// The name, unique in the project.
    pub name: String,
    /// The build that it is made of.
    pub build_id: i64,
    /// `PROJ-PLAN-7`
    pub build_key: String,
    /// The plan branch of the build; `None`: the plan itself.
    pub branch_name: Option<String>,
    /// Who made it; `None`: a trigger.
    pub creator: Option<String>,
    /// Variables of the result at that time, name to value, without secrets.
    pub variables: Vec<(String, String)>,
    /// What people said of it last.
    pub status: ReleaseStatus,
    /// Who said so.
    pub status_by: Option<String>,
    /// When.
    pub status_ms: Option<Millis>,
    /// When it was made.
    pub created_ms: Millis,
}

/// What a new release is made of.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The deployment project's id.
    pub deployment_id: i64,
    /// The name.
    pub name: String,
    /// The build.
    pub build_id: i64,
    /// Its key.
    pub build_key: String,
    /// The plan branch; `None`: the plan itself.
    pub branch_name: Option<String>,
    /// Who makes it; `None`: a trigger.
    pub creator: Option<String>,
    /// Variables of the result.
    pub variables: Vec<(String, String)>,
}

const RELEASE: &str =
    "SELECT id, deployment_id, name, build_id, build_key, branch_name, creator, variables, status,
  status_by, status_ms, created_ms FROM deployment_release";

fn read_release(row: &crate::Row<'_>) -> Result<Release, StoreError> {
    Ok(Release {
        id: row.get(0)?,
        deployment_id: row.get(1)?,
        name: row.get(2)?,
        build_id: row.get(3)?,
        build_key: row.get(4)?,
        branch_name: row.get(5)?,
        creator: row.get(6)?,
        variables: row.json(7)?,
        status: {
            let word: String = row.get(8)?;
            ReleaseStatus::named(&word)
                .ok_or_else(|| StoreError::Damaged(format!("`{word}` is not a status of releases")))?
        },
        status_by: row.get(9)?,
        status_ms: row.get(10)?,
        created_ms: row.get(11)?,
    })
}

/// Adds a release.
///
/// # Errors
/// [`StoreError::Duplicate`] when the name is taken.
pub fn insert(tx: &Tx<'_>, new: &NewRelease, now: Millis) -> Result<i64, StoreError> {
    tx.insert(
        "INSERT INTO deployment_release (deployment_id, name, build_id, build_key, branch_name, creator, variables,
           status, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        params![
            new.deployment_id,
            new.name,
            new.build_id,
            new.build_key,
            new.branch_name,
            new.creator,
            serde_json::to_string(&new.variables)?,
            ReleaseStatus::Unknown.as_str(),
            now
        ],
    )
}

/// The release with this id.
///
/// # Errors
/// When the store cannot be read.
pub fn by_id(tx: &Tx<'_>, id: i64) -> Result<Option<Release>, StoreError> {
    tx.first(&format!("{RELEASE} WHERE id = $1"), params![id], read_release)
}

/// The release of a project with this name.
///
/// # Errors
/// When the store cannot be read.
pub fn by_name(tx: &Tx<'_>, deployment_id: i64, name: &str) -> Result<Option<Release>, StoreError> {
    tx.first(
        &format!("{RELEASE} WHERE deployment_id = $1 AND name = $2"),
        params![deployment_id, name],
        read_release,
    )
}

/// The newest release of a project that is made of this build.
///
/// # Errors
/// When the store cannot be read.
pub fn of_build(tx: &Tx<'_>, deployment_id: i64, build_id: i64) -> Result<Option<Release>, StoreError> {
    tx.first(
        &format!("{RELEASE} WHERE build_id = $1 AND deployment_id = $2 ORDER BY id DESC LIMIT 1"),
        params![build_id, deployment_id],
        read_release,
    )
}

/// Releases of a project, newest first, and how many there are in all; of one plan branch by name, or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn of_project(
    tx: &Tx<'_>,
    deployment_id: i64,
    branch_key: Option<&str>,
    start: i64,
    limit: i64,
) -> Result<(Vec<Release>, i64), StoreError> {
    let condition = "WHERE deployment_id = $1 AND ($2 = '' OR build_id IN
        (SELECT b.id FROM build b JOIN plan_branch p ON p.id = b.plan_branch_id WHERE p.key = $2))";
    let branch_key = branch_key.unwrap_or("");
    let total = tx
        .first(
            &format!("SELECT COUNT(*) FROM deployment_release {condition}"),
            params![deployment_id, branch_key],
            |row| row.get(0),
        )?
        .unwrap_or(0);
    let found = tx.all(
        &format!("{RELEASE} {condition} ORDER BY id DESC LIMIT $3 OFFSET $4"),
        params![deployment_id, branch_key, limit, start],
        read_release,
    )?;
    Ok((found, total))
}

/// Notes what somebody says of a release.
///
/// # Errors
/// When the store cannot be written.
pub fn set_status(
    tx: &Tx<'_>,
    id: i64,
    status: ReleaseStatus,
    by: &str,
    now: Millis,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deployment_release SET status = $1, status_by = $2, status_ms = $3 WHERE id = $4",
        params![status.as_str(), by, now, id],
    )?;
    Ok(())
}

/// Removes a release.
///
/// # Errors
/// When the store cannot be written, or a deployment has it.
pub fn remove(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM deployment_release WHERE id = $1", params![id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use madake_domain::plan::DeploymentConfiguration;

    use crate::{Store, deployment, expiry};

    fn fill(tx: &Tx<'_>) -> Result<(), StoreError> {
        for sql in [
            "INSERT INTO project (id, key, name, description, created_ms) VALUES (1, 'PROJ', 'P', '', 0)",
            "INSERT INTO plan (id, project_id, key, name, description, enabled, next_branch_number, created_ms)
             VALUES (1, 1, 'PROJ-PLAN', 'P', '', 1, 0, 0)",
            "INSERT INTO plan_version (id, plan_id, configuration, digest, source, created_ms) VALUES (1, 1, '', '', '', 0)",
            "INSERT INTO plan_branch (id, plan_id, key, is_master, display_name, description, enabled, cleanup_enabled,
               automatic, next_build_number, last_change_ms, created_ms) VALUES (1, 1, 'PROJ-PLAN', 1, '', '', 1, 1, 0, 9, 0, 0)",
            "INSERT INTO build (id, plan_id, plan_branch_id, version_id, key, number, reason, triggered_by, variables,
               once_off, schedule, life_cycle, state, continuable, restartable, active, created_ms)
             VALUES (1, 1, 1, 1, 'PROJ-PLAN-1', 1, '', '', '', 0, '', '', '', 0, 0, 0, 0),
                    (2, 1, 1, 1, 'PROJ-PLAN-2', 2, '', '', '', 0, '', '', '', 0, 0, 0, 0)",
        ] {
            tx.execute(sql, &[])?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn released_results_are_known_and_names_are_given_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store.db")).expect("a store");
        let outcome = store.write(|tx| {
            fill(tx)?;
            let configuration = DeploymentConfiguration {
                name: "Deploy it".into(),
                description: String::new(),
                source_plan: "PROJ-PLAN".parse().expect("a key"),
                release_naming: madake_domain::plan::ReleaseNaming::default(),
                environments: Vec::new(),
            };
            let deployment_id = deployment::insert(tx, &configuration, None, 0)?;
            let new = NewRelease {
                deployment_id,
                name: "r-1".into(),
                build_id: 2,
                build_key: "PROJ-PLAN-2".into(),
                branch_name: None,
                creator: None,
                variables: vec![("colour".into(), "red".into())],
            };
            let id = insert(tx, &new, 7)?;
            assert!(matches!(insert(tx, &new, 8), Err(StoreError::Duplicate(_))));
            let found = of_build(tx, deployment_id, 2)?.expect("the release");
            assert_eq!(
                (found.id, found.created_ms, found.variables),
                (id, 7, new.variables)
            );
            let aging = expiry::of_branch(tx, 1)?;
            let released: Vec<bool> = aging.iter().map(|one| one.is_released).collect();
            assert_eq!(released, [false, true]);
            set_status(tx, id, ReleaseStatus::Broken, "ann", 9)?;
            let judged = by_id(tx, id)?.expect("the release");
            assert_eq!(
                (judged.status, judged.status_by),
                (ReleaseStatus::Broken, Some("ann".into()))
            );
            Ok::<_, StoreError>(())
        });
        outcome.await.expect("stored");
    }
}
