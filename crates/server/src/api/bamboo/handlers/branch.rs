//! Plan branches, and the branches of a plan's repository (bamboo-rest.md 4).

use axum::extract::{Path, State};
use axum::response::Response;
use madake_domain::key::PlanKey;
use madake_engine::ops::create_branch::CreateBranch;
use madake_engine::reading::branches;
use madake_store::{plan, repository};

use super::super::render;
use super::asked::Asked;
use super::{load, no_such_plan};
use crate::App;
use crate::auth::Visitor;
use crate::refusal::Failure;

/// `GET /plan/{key}/branch`: the plan branches without the plan itself.
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let (master, views, window, total, asked) = load::read(&app, &visitor, move |loader| {
        let (row, _) = loader.plan_for(&key)?;
        let mut rows = loader.branch_rows(row.id)?;
        if asked.parameters.flag("enabledOnly") {
            rows.retain(|row| row.enabled);
        }
        if asked.parameters.flag("cloverEnabled") {
            rows.clear();
        }
        if asked.parameters.flag("favourite") {
            let mut kept = Vec::new();
            for row in rows {
                if loader.is_favourite(row.id)? {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        let total = rows.len();
        let window = asked.window("branches", "branch", total);
        let below = asked.expand.below("branches");
        let full = below.contains("branch").then(|| below.below("branch"));
        let mut views = Vec::new();
        for row in window.cut(rows) {
            views.push(loader.branch_view(&row, full)?);
        }
        Ok((row.key.clone(), views, window, total, asked))
    })
    .await?;
    Ok(asked.ok(render::branch_list(&master, &window.page, &views, total, &ctx)))
}

/// `GET /plan/{key}/branch/{name}`: by display name or by the name in the repository, slashes and all.
pub(super) async fn single(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let expand = asked.expand.clone();
    let view = load::read(&app, &visitor, move |loader| {
        let (row, _) = loader.plan_for(&key)?;
        let branch = loader.branch_named_or_suffixed(&row.key, row.id, &name)?;
        loader.branch_view(&branch, Some(&expand))
    })
    .await?;
    Ok(asked.ok(render::branch_single(&view, &ctx)))
}

/// `PUT /plan/{key}/branch/{name}?vcsBranch=&enabled=&cleanupEnabled=`: makes a plan branch, enabled unless
/// said otherwise, which stays until somebody removes it.
pub(super) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Path((key, name)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let new = CreateBranch {
        name,
        vcs_branch: asked.parameters.text("vcsBranch").map(str::to_owned),
        enabled: asked.parameters.boolean("enabled").unwrap_or(true),
        cleanup_enabled: asked.parameters.boolean("cleanupEnabled").unwrap_or(false),
    };
    let made = app.engine().create_branch(&visitor.caller, &key, new).await?;
    let view = load::read(&app, &visitor, move |loader| loader.branch_view(&made, None)).await?;
    Ok(asked.ok(render::branch_created(&view, &ctx)))
}

/// `GET /plan/{key}/vcsBranches`: the branches of the plan's first repository, as the server knows them.
pub(super) async fn vcs_branches(
    State(app): State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let ctx = asked.context(&app);
    let key: PlanKey = key.parse().map_err(|_| no_such_plan(&key))?;
    let asked_key = key.clone();
    let mut names: Vec<String> = load::read(&app, &visitor, move |loader| {
        let (row, _) = loader.plan_for(&asked_key)?;
        let first = plan::repositories(loader.tx, row.id)?.into_iter().next();
        let found = match first.and_then(|first| first.repository_id) {
            Some(id) => repository::by_id(loader.tx, id)?,
            None => None,
        };
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let refs = repository::refs(loader.tx, found.id)?;
        Ok(branches(found.scm, &refs).into_keys().collect())
    })
    .await?;
    if let Some(term) = asked.parameters.text("searchTerm") {
        let term = term.to_lowercase();
        names.retain(|name| name.to_lowercase().contains(&term));
    }
    let total = names.len();
    let window = asked.window("branches", "branch", total);
    let names = window.cut(names);
    Ok(asked.ok(render::vcs_branch_list(&key, &window.page, &names, total, &ctx)))
}
