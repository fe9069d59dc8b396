//! Jobs, artifacts, requirements, images and variables.

use madake_domain::plan::{Artifact, Docker, Job, JobOther, Requirement, Variable};

use super::task;
use super::yaml::{Entries, Out, named};

/// A job.
pub(super) fn job(job: &Job) -> Entries {
    let mut entries = Entries::default();
    entries.text("key", job.key.as_str());
    entries.some_text("description", &job.description);
    entries.flag_unless("enabled", job.enabled, true);
    if let Some(image) = &job.docker {
        entries.put("docker", docker(image));
    }
    entries.list("requirements", job.requirements.iter().map(requirement).collect());
    entries.list("tasks", task::tasks(&job.tasks));
    entries.list("final-tasks", task::tasks(&job.final_tasks));
    entries.list("artifacts", job.artifacts.iter().map(artifact).collect());
    if let Some(subscriptions) = &job.artifact_subscriptions {
        let items = subscriptions.iter().map(|one| {
            let mut entries = Entries::default();
            entries.text("artifact", one.artifact.as_str());
            entries.some_text("destination", &one.destination);
            Out::Map(entries)
        });
        entries.put("artifact-subscriptions", Out::List(items.collect()));
    }
    entries.map("other", other(job.clean_working_directory, &job.other));
    entries
}

/// An image.
pub(super) fn docker(docker: &Docker) -> Out {
    if docker.volumes.is_empty() && docker.run_arguments.is_empty() && docker.use_default_volumes {
        return Out::Text(docker.image.clone());
    }
    let mut entries = Entries::default();
    entries.text("image", docker.image.as_str());
    let mut volumes = Entries::default();
    for (outside, inside) in &docker.volumes {
        volumes.text(outside, inside.as_str());
    }
    entries.map("volumes", volumes);
    entries.texts("docker-run-arguments", &docker.run_arguments);
    entries.flag_unless("use-default-volumes", docker.use_default_volumes, true);
    Out::Map(entries)
}

fn requirement(requirement: &Requirement) -> Out {
    match &requirement.matches {
        Some(pattern) => named(&requirement.key, Out::Text(pattern.clone())),
        None => Out::Text(requirement.key.clone()),
    }
}

fn artifact(artifact: &Artifact) -> Out {
    let mut entries = Entries::default();
    entries.text("name", artifact.name.as_str());
    entries.some_text("location", &artifact.location);
    entries.text("pattern", artifact.pattern.as_str());
    entries.flag_unless("required", artifact.required, false);
    entries.flag_unless("shared", artifact.shared, true);
    entries.flag_unless("httpCompressionOn", artifact.http_compression, true);
    Out::Map(entries)
}

fn other(clean_working_directory: bool, other: &JobOther) -> Entries {
    let mut entries = Entries::default();
    entries.flag_unless("clean-working-dir", clean_working_directory, false);
    let mut custom = Entries::default();
    if let Some(hanging) = &other.hanging {
        custom.maybe_flag("buildHangingConfig.enabled", hanging.enabled);
        custom.maybe_number(
            "buildHangingConfig.minutesBetweenLogs",
            hanging.minutes_between_logs,
        );
        custom.maybe_number(
            "buildHangingConfig.minutesQueueTimeout",
            hanging.minutes_queue_timeout,
        );
        custom.maybe_number("buildHangingConfig.multiplier", hanging.multiplier);
    }
    if let Some(label) = &other.pattern_label {
        custom.text("auto.regex", label.regex.as_str());
        custom.some_text("auto.label", &label.label);
    }
    settings_into(&mut custom, &other.custom);
    if !custom.is_empty() {
        entries.put("all-other-apps", named("custom", Out::Map(custom)));
    }
    entries
}

/// Settings by dotted name.
pub(super) fn settings_into(entries: &mut Entries, settings: &[(String, String)]) {
    for (name, value) in settings {
        entries.text(name, value.as_str());
    }
}

/// Settings by dotted name; one without a name is the whole value.
pub(super) fn settings(settings: &[(String, String)]) -> Out {
    if let [(name, value)] = settings
        && name.is_empty()
    {
        return Out::Text(value.clone());
    }
    let mut entries = Entries::default();
    settings_into(&mut entries, settings);
    Out::Map(entries)
}

/// Variables by name.
pub(super) fn variables(variables: &[Variable]) -> Out {
    let mut entries = Entries::default();
    for variable in variables {
        entries.text(&variable.name, variable.value.as_str());
    }
    Out::Map(entries)
}
