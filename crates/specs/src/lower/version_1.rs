//! Documents of the first version of the format (bamboo-specs.md 2.4). Stages and jobs have no names there.

use madake_domain::key::{PlanKey, ProjectKey};
use madake_domain::plan::{
    Artifact, Job, PlanConfiguration, ScriptSource, ScriptTask, Stage, Task, TaskAction, TestParserTask,
};

use super::fields::Fields;
use super::{Context, docker, job, notification, plan, repository, scalar, script, task, trigger, variable};
use crate::language::version_1 as language;
use crate::report::{Finding, shown};
use crate::yaml::{Map, Node, Value};

/// What a document of version 1 says.
pub(super) fn plan(cx: &mut Context<'_>, map: &Map, root: &Node) -> Option<PlanConfiguration> {
    let mut fields = Fields::new(cx, map, &language::DOCUMENT, root.span);
    if let Some(node) = fields.take("version")
        && node.as_text().map(str::trim) != Some("1")
    {
        let text = node.as_text().unwrap_or_default();
        let message = format!("this is version 1 of the format, and not `{}`", shown(text));
        cx.add(
            Finding::error("version", node.span, message)
                .expected("`plan:`, `stages:` and the jobs at the root in version 2"),
        );
    }
    fields.entry("server-name");
    let header = fields.need(cx, "project").and_then(|node| project(cx, node));
    let docker = fields
        .take("dockerImage")
        .and_then(|node| docker::docker(cx, node));
    let (mut stages, mut jobs) = (Vec::new(), Vec::new());
    if let Some(node) = fields.need(cx, "stages") {
        for (number, item) in (1..).zip(items(cx, node, "`stages`")) {
            stages.extend(stage(cx, item, number, &mut jobs));
        }
    }
    let variables = fields
        .take("variables")
        .map(|node| variable::variables(cx, node))
        .unwrap_or_default();
    let repositories = fields
        .take("repositories")
        .and_then(|node| repository::repositories(cx, node));
    let triggers = fields
        .take("triggers")
        .and_then(|node| trigger::triggers(cx, node, repositories.as_deref()));
    let notifications = fields
        .take("notifications")
        .map(|node| notification::of_plan(cx, node))
        .unwrap_or_default();
    fields.finish(cx);
    let (key, name, description) = header?;
    Some(PlanConfiguration {
        description,
        stages,
        jobs,
        docker,
        variables,
        repositories,
        triggers,
        notifications,
        ..PlanConfiguration::new(key, name)
    })
}

fn project(cx: &mut Context<'_>, node: &Node) -> Option<(PlanKey, String, String)> {
    let mut fields = Fields::of(cx, node, &language::PROJECT)?;
    let key_node = fields.need(cx, "key");
    fields.entry("name");
    let plan_node = fields.need(cx, "plan");
    fields.finish(cx);
    let mut fields = Fields::of(cx, plan_node?, &language::PLAN)?;
    let short_node = fields.need(cx, "key");
    let name = fields.need_text(cx, "name");
    let description = fields.text_or_empty(cx, "description");
    fields.finish(cx);
    let (key_node, short_node) = (key_node?, short_node?);
    let text = scalar::non_empty_text(cx, key_node, "the project's key")?;
    let project: ProjectKey = plan::or_bad_key(cx, key_node, text.parse().ok(), "a project's key")?;
    scalar::non_empty_text(cx, short_node, "the plan's key")?;
    let key = plan::own_key(cx, short_node, Some(project))?;
    Some((key, name?, description))
}

fn items<'n>(cx: &mut Context<'_>, node: &'n Node, what: &str) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Broken => &[],
        _ => {
            scalar::wrong_type(cx, node, what, "a list");
            &[]
        }
    }
}

fn stage(cx: &mut Context<'_>, node: &Node, number: usize, jobs: &mut Vec<Job>) -> Option<Stage> {
    let mut fields = Fields::of(cx, node, &language::STAGE)?;
    let mut names = Vec::new();
    if let Some(node) = fields.need(cx, "jobs") {
        for item in items(cx, node, "`jobs`") {
            let number = jobs.len() + 1;
            if let Some(job) = one_job(cx, item, number) {
                names.push(job.name.clone());
                jobs.push(job);
            }
        }
    }
    let manual = fields.flag(cx, "manual").unwrap_or(false);
    fields.finish(cx);
    Some(Stage {
        name: format!("Stage {number}"),
        description: String::new(),
        manual,
        final_stage: false,
        jobs: names,
    })
}

fn one_job(cx: &mut Context<'_>, node: &Node, number: usize) -> Option<Job> {
    let mut fields = Fields::of(cx, node, &language::JOB)?;
    let mut job = Job::new(format!("Job {number}"), format!("JOB{number}"));
    let body = fields.need(cx, "scripts").and_then(|node| script::body(cx, node));
    let interpreter = match fields.take("interpreter") {
        Some(node) => {
            let text = scalar::text(cx, node, "the interpreter")?;
            let interpreter = script::interpreter_named(cx, node.span, &text);
            if let (Some(interpreter), Some(body)) = (interpreter, &body) {
                script::ignored_first_line(cx, node.span, interpreter, body);
            }
            interpreter
        }
        None => script::interpreter_named(cx, node.span, ""),
    };
    job.docker = fields
        .take("dockerImage")
        .and_then(|node| docker::docker(cx, node));
    if let Some(node) = fields.take("requirements") {
        job.requirements = job::requirements(cx, node);
    }
    if let Some(node) = fields.take("artifacts") {
        let items = scalar::one_or_more(cx, node, "`artifacts`");
        job.artifacts = items.iter().filter_map(|item| artifact(cx, item)).collect();
    }
    if let Some(node) = fields.take("testParsers") {
        let items = scalar::one_or_more(cx, node, "`testParsers`");
        job.final_tasks = items.iter().filter_map(|item| test_parser(cx, item)).collect();
    }
    fields.finish(cx);
    job.tasks.push(Task::from(TaskAction::Script(ScriptTask {
        interpreter: interpreter?,
        source: ScriptSource::Inline(body?),
        argument: String::new(),
        environment: String::new(),
        working_directory: String::new(),
    })));
    Some(job)
}

fn artifact(cx: &mut Context<'_>, node: &Node) -> Option<Artifact> {
    let mut fields = Fields::of(cx, node, &language::ARTIFACT)?;
    let name = fields.need_text(cx, "name");
    let pattern = fields.need_text(cx, "path");
    fields.finish(cx);
    Some(Artifact {
        name: name?,
        location: String::new(),
        pattern: pattern?,
        required: false,
        shared: true,
        http_compression: true,
    })
}

fn test_parser(cx: &mut Context<'_>, node: &Node) -> Option<Task> {
    let (format, patterns) = if let Value::Scalar(_) = &node.value {
        (task::test_format(cx, node), Vec::new())
    } else {
        let mut fields = Fields::of(cx, node, &language::TEST_PARSER)?;
        let format = fields
            .need(cx, "type")
            .and_then(|node| task::test_format(cx, node));
        let patterns = fields.texts(cx, "testResults");
        fields.finish(cx);
        (format, patterns)
    };
    Some(Task::from(TaskAction::TestParser(TestParserTask {
        format: format?,
        patterns,
        ignore_time: false,
    })))
}
