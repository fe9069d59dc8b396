//! `/variables`: what is set for the server, for a project (`?project=PROJ`) and for a plan (`?plan=PROJ-PLAN`), for those
//! who administrate it. Of a plan it says where each comes from and which wins. Values of secrets are never shown.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use madake_domain::key::PlanKey;
use madake_engine::EngineError;
use madake_engine::clock;
use madake_engine::ops::explain_variables::{ExplainedVariable, VariableSource};
use madake_engine::ops::keep_variable::NewVariable;
use madake_store::variable::{StoredValue, StoredVariable, VariableScope};
use serde::Serialize;

use super::address::Site;
use super::asked::{Asked, Page, Refused};
use super::form::Form;
use super::hearing::{Moment, moment};
use super::login::{log_in_page, see_other};
use super::shown;
use super::template::render;
use crate::App;
use crate::auth::Visitor;

/// Characters of a value that a row shows.
const VALUE: usize = 200;

#[derive(Debug, Serialize)]
struct VariablesPage {
    heading: String,
    about: &'static str,
    action: String,
    form_token: String,
    project: String,
    plan: String,
    problem: String,
    /// What was set there.
    rows: Vec<Row>,
    /// Where those of a plan's builds come from.
    explained: Vec<Explained>,
    /// Some name has more than one value, or none.
    has_rivals: bool,
    others: Vec<Other>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    value: String,
    is_secret: bool,
    by: String,
    at: Moment,
}

#[derive(Debug, Serialize)]
struct Explained {
    name: String,
    value: String,
    is_hidden: bool,
    is_foreign: bool,
    source: &'static str,
    /// Which value of this name builds get; empty where there is one alone.
    counts: &'static str,
    is_beaten: bool,
}

#[derive(Debug, Serialize)]
struct Other {
    title: String,
    url: String,
}

/// What the page is about.
#[derive(Debug, Clone)]
enum About {
    Server,
    Project(String),
    Plan(PlanKey),
}

impl About {
    fn of(project: Option<&str>, plan: Option<&str>) -> Option<Self> {
        match (project, plan) {
            (None, None) => Some(Self::Server),
            (Some(key), None) => Some(Self::Project(key.to_uppercase())),
            (None, Some(key)) => key.to_uppercase().parse().ok().map(Self::Plan),
            (Some(_), Some(_)) => None,
        }
    }

    fn scope(&self) -> VariableScope {
        match self {
            Self::Server => VariableScope::Global,
            Self::Project(key) => VariableScope::Project(key.clone()),
            Self::Plan(key) => VariableScope::Plan(key.to_string()),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Server => "/variables".to_owned(),
            Self::Project(key) => format!("/variables?project={key}"),
            Self::Plan(key) => format!("/variables?plan={key}"),
        }
    }
}

/// The page.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let about = About::of(asked.query.text("project"), asked.query.text("plan"));
    let about = about.ok_or_else(|| missing(&app, &visitor, &asked))?;
    show(&app, &visitor, &asked, &about, StatusCode::OK, String::new()).await
}

/// `POST /variables`: sets one or removes one, and leads back.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    asked: Asked,
    headers: HeaderMap,
    form: Form,
) -> Page {
    let given = |name: &str| Some(form.text(name)).filter(|text| !text.is_empty());
    let about = About::of(given("project"), given("plan"));
    let about = about.ok_or_else(|| missing(&app, &visitor, &asked))?;
    if !form.is_ours(&headers, &app) {
        let problem = "The form came from another site. Send it from here.".to_owned();
        return show(&app, &visitor, &asked, &about, StatusCode::FORBIDDEN, problem).await;
    }
    let (engine, caller, scope) = (app.engine(), &visitor.caller, about.scope());
    let name = form.text("name");
    let done = if form.text("do") == "remove" {
        engine.remove_variable(caller, scope, name).await
    } else {
        let new = NewVariable {
            for_coming_plan: false,
            name: name.to_owned(),
            // A browser ends the lines of a form with both.
            value: form.text("value").replace("\r\n", "\n"),
            secret: (form.text("secret") == "yes").then_some(true),
        };
        engine.set_variable(caller, scope, new).await.map(|_| ())
    };
    match done {
        Ok(()) => Ok(see_other(&Site::of(&app).at(&about.path()))),
        Err(EngineError::Invalid(problem) | EngineError::NotFound(problem)) => {
            show(&app, &visitor, &asked, &about, StatusCode::BAD_REQUEST, problem).await
        }
        Err(refusal) => Err(refused(&app, &visitor, &asked, refusal)),
    }
}

async fn show(
    app: &App,
    visitor: &Visitor,
    asked: &Asked,
    about: &About,
    status: StatusCode,
    problem: String,
) -> Result<Response, Refused> {
    let engine = app.engine();
    let set = engine.list_variables(&visitor.caller, about.scope()).await;
    let set = set.map_err(|error| refused(app, visitor, asked, error))?;
    let (site, now) = (Site::of(app), clock::now_ms());
    let mut others = Vec::new();
    let mut other = |title: String, path: &str| {
        others.push(Other {
            title,
            url: site.at(path),
        });
    };
    let mut explained = Vec::new();
    if let About::Plan(key) = about {
        let found = engine.explain_variables(&visitor.caller, key).await;
        let found = found.map_err(|error| refused(app, visitor, asked, error))?;
        explained = explain_all(&found.variables);
        other(format!("The plan {key}"), &format!("/browse/{key}/config"));
        if found.may_change_project {
            let project = key.project();
            other(
                format!("Variables of project {project}"),
                &format!("/variables?project={project}"),
            );
        }
        if found.may_change_server {
            other("Variables of the server".to_owned(), "/variables");
        }
    }
    let (heading, sentence, project, plan) = match about {
        About::Server => (
            "Variables of the server".to_owned(),
            "All builds get them. What a project or a plan says of the same name wins.",
            String::new(),
            String::new(),
        ),
        About::Project(key) => (
            format!("Variables of project {key}"),
            "Builds of its plans get them. They win over the server's, and a plan's win over them.",
            key.clone(),
            String::new(),
        ),
        About::Plan(key) => (
            format!("Variables of plan {key}"),
            "What is set here fills what the plan file leaves open: variables that are not in it, empty ones, and those \
             that another server encrypted.",
            String::new(),
            key.to_string(),
        ),
    };
    let page = VariablesPage {
        heading: shown::line(&heading),
        about: sentence,
        action: site.at("/variables"),
        form_token: visitor.ambient.clone().unwrap_or_default(),
        project: shown::line(&project),
        plan,
        problem: shown::line(&problem),
        rows: set.iter().map(|one| row(one, now)).collect(),
        has_rivals: explained.iter().any(|one| !one.counts.is_empty()),
        explained,
        others,
    };
    let frame = asked.frame(app, visitor, "Variables");
    Ok(render(status, "variables.html", &frame, &page))
}

fn row(one: &StoredVariable, now: i64) -> Row {
    Row {
        name: shown::line(&one.name),
        value: match &one.value {
            StoredValue::Plain(text) => cut(text),
            StoredValue::Sealed(_) => String::new(),
        },
        is_secret: one.is_secret(),
        by: shown::line(&one.changed_by),
        at: moment(one.changed_ms, now),
    }
}

fn explain_all(all: &[ExplainedVariable]) -> Vec<Explained> {
    let is_alone = |name: &str| all.iter().filter(|other| other.name == name).count() == 1;
    all.iter()
        .map(|one| Explained {
            name: shown::line(&one.name),
            value: one.value.as_deref().map(cut).unwrap_or_default(),
            is_hidden: one.value.is_none(),
            is_foreign: one.is_foreign,
            source: one.source.title(),
            counts: match one.beaten_by {
                Some(VariableSource::Plan) if one.is_foreign => {
                    "was entered anew: what is set for the plan counts"
                }
                Some(VariableSource::Plan) => "no: what is set for the plan counts",
                Some(VariableSource::File) => "no: the plan file counts",
                Some(VariableSource::Project) => "no: the project's counts",
                Some(VariableSource::Server) => "no: the server's counts",
                None if one.is_foreign => "builds do not have it: enter it below",
                None if is_alone(&one.name) => "",
                None => "yes",
            },
            is_beaten: one.beaten_by.is_some(),
        })
        .collect()
}

fn cut(value: &str) -> String {
    shown::line(&value.chars().take(VALUE).collect::<String>())
}

fn missing(app: &App, visitor: &Visitor, asked: &Asked) -> Refused {
    asked.missing(
        app,
        visitor,
        "There is nothing here",
        "It does not exist, or you may not change it.",
    )
}

/// Strangers are asked to log in; others get one and the same page for what is hidden and what is not there.
fn refused(app: &App, visitor: &Visitor, asked: &Asked, error: EngineError) -> Refused {
    match error {
        EngineError::Unauthenticated { .. } => Refused::Page(Box::new(log_in_page(
            app,
            visitor,
            &asked.address,
            "Log in to see this page.",
        ))),
        EngineError::NotFound(_) | EngineError::Forbidden { .. } => missing(app, visitor, asked),
        other => other.into(),
    }
}
