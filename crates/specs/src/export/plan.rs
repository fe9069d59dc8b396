//! The plan document.

use madake_domain::plan::{
    BlockStrategy, BranchConfig, BranchCreation, BranchIntegration, BranchOverride, BranchPolicy,
    ConcurrencyStrategy, Dependencies, ExpiryPeriod, IntegrationStrategy, Notification, PlanConfiguration,
    PlanEvent, PlanOther, Recipient, Stage, TaskAction,
};

use super::yaml::{Entries, Out, item, named, texts_of};
use super::{job, repository, trigger};

/// What the language cannot say of a plan.
pub(super) fn lost(plan: &PlanConfiguration) -> Vec<String> {
    let mut lost = Vec::new();
    for job in &plan.jobs {
        if job.timeout_seconds.is_some() {
            lost.push(format!(
                "the time limit of the job {} cannot be written",
                job.name
            ));
        }
        for task in job.tasks.iter().chain(&job.final_tasks) {
            if let TaskAction::Unsupported { name } = &task.action {
                lost.push(format!(
                    "the task {name} of the job {} was stored without its settings, and is left out",
                    job.name
                ));
            }
        }
    }
    lost
}

/// The document of a plan.
pub(super) fn document(plan: &PlanConfiguration) -> Entries {
    let mut root = Entries::default();
    root.put("version", Out::Plain("2".to_owned()));
    root.put("plan", Out::Map(header(plan)));
    root.put("stages", stages(&plan.stages));
    for job in &plan.jobs {
        root.put(&job.name, Out::Map(job::job(job)));
    }
    if !plan.variables.is_empty() {
        root.put("variables", job::variables(&plan.variables));
    }
    if let Some(repositories) = &plan.repositories {
        let items = repositories.iter().map(repository::repository).collect();
        root.put("repositories", Out::List(items));
    }
    if let Some(triggers) = &plan.triggers {
        root.put("triggers", trigger::triggers(triggers));
    }
    if plan.branches != BranchPolicy::default() {
        root.put("branches", Out::Map(branches(&plan.branches)));
    }
    if let Some(docker) = &plan.docker {
        root.put("docker", job::docker(docker));
    }
    if let Some(labels) = &plan.labels {
        root.put("labels", texts_of(labels));
    }
    if plan.dependencies != Dependencies::default() {
        root.put("dependencies", Out::Map(dependencies(&plan.dependencies)));
    }
    root.list(
        "notifications",
        plan.notifications.iter().map(notification).collect(),
    );
    root.map("branch-config", branch_config(&plan.branch_config));
    root.map("other", other(plan.concurrent_builds, &plan.other));
    root.list(
        "branch-overrides",
        plan.branch_overrides.iter().map(branch_override).collect(),
    );
    root
}

fn header(plan: &PlanConfiguration) -> Entries {
    let mut header = Entries::default();
    header.text("project-key", plan.project_key.as_str());
    header.text("key", plan.key.short());
    header.text("name", plan.name.as_str());
    header.some_text("description", &plan.description);
    header.flag_unless("enabled", plan.enabled, true);
    header.flag_unless("rerunnable", plan.rerunnable, true);
    if let Some(master) = &plan.master_branch {
        let mut branch = Entries::default();
        branch.text("name", master.name.as_str());
        branch.maybe_text("display-name", master.display_name.as_deref());
        header.map("master-branch", branch);
    }
    header
}

fn stages(stages: &[Stage]) -> Out {
    let items = stages.iter().map(|stage| {
        let jobs = texts_of(&stage.jobs);
        if !stage.manual && !stage.final_stage && stage.description.is_empty() {
            return named(&stage.name, jobs);
        }
        let mut options = Entries::default();
        options.some_text("description", &stage.description);
        options.flag_unless("manual", stage.manual, false);
        options.flag_unless("final", stage.final_stage, false);
        options.put("jobs", jobs);
        named(&stage.name, Out::Map(options))
    });
    Out::List(items.collect())
}

fn branches(policy: &BranchPolicy) -> Entries {
    let mut branches = Entries::default();
    let create = match &policy.create {
        BranchCreation::Manually => Out::Text("manually".to_owned()),
        BranchCreation::ForNewBranch { pattern: None } => Out::Text("for-new-branch".to_owned()),
        BranchCreation::ForNewBranch {
            pattern: Some(pattern),
        } => named("for-new-branch", Out::Text(pattern.clone())),
        BranchCreation::ForPullRequest { accept_fork } => {
            let mut options = Entries::default();
            options.flag_unless("accept-fork", *accept_fork, false);
            item("for-pull-request", options)
        }
    };
    branches.put("create", create);
    let delete = match (
        policy.delete_after_deleted_days,
        policy.delete_after_inactive_days,
    ) {
        (None, None) => Out::Text("never".to_owned()),
        (deleted, inactive) => {
            let days = |days: Option<u32>| match days {
                Some(days) => Out::Plain(days.to_string()),
                None => Out::Text("never".to_owned()),
            };
            let mut delete = Entries::default();
            delete.put("after-deleted-days", days(deleted));
            delete.put("after-inactive-days", days(inactive));
            Out::Map(delete)
        }
    };
    branches.put("delete", delete);
    if let Some(policy) = &policy.integration {
        branches.map("integration", integration(policy));
    }
    branches.maybe_flag("link-to-jira", policy.link_to_jira);
    branches
}

fn integration(integration: &BranchIntegration) -> Entries {
    let mut entries = Entries::default();
    match &integration.strategy {
        IntegrationStrategy::MergeFrom(branch) => entries.text("merge-from", branch.as_str()),
        IntegrationStrategy::MergeTo(branch) => entries.text("merge-to", branch.as_str()),
    }
    entries.flag_unless("push-on-success", integration.push_on_success, false);
    entries
}

fn branch_config(config: &BranchConfig) -> Entries {
    let mut entries = Entries::default();
    if let Some(policy) = &config.integration {
        entries.map("integration", integration(policy));
    }
    entries.maybe_flag("disable-expiry", config.disable_expiry);
    entries
}

fn dependencies(dependencies: &Dependencies) -> Entries {
    let mut entries = Entries::default();
    entries.flag_unless(
        "require-all-stages-passing",
        dependencies.require_all_stages_passing,
        false,
    );
    entries.flag_unless("enabled-for-branches", dependencies.enabled_for_branches, true);
    match dependencies.block_strategy {
        BlockStrategy::None => {}
        BlockStrategy::ParentInProgress => entries.text("block-strategy", "block_if_parent_in_progress"),
        BlockStrategy::UnbuiltChanges => entries.text("block-strategy", "block_if_parent_has_changes"),
    }
    let plans: Vec<String> = dependencies.plans.iter().map(ToString::to_string).collect();
    entries.texts("plans", &plans);
    entries
}

fn notification(notification: &Notification) -> Out {
    let mut entries = Entries::default();
    entries.put(
        "recipients",
        Out::List(notification.recipients.iter().map(recipient).collect()),
    );
    entries.put(
        "events",
        Out::List(notification.events.iter().map(plan_event).collect()),
    );
    Out::Map(entries)
}

fn recipient(recipient: &Recipient) -> Out {
    let one = |key: &str, name: &String| named(key, texts_of(std::slice::from_ref(name)));
    match recipient {
        Recipient::Responsible => Out::Text("responsible".to_owned()),
        Recipient::Watchers => Out::Text("watchers".to_owned()),
        Recipient::Committers => Out::Text("committers".to_owned()),
        Recipient::User { name } => one("users", name),
        Recipient::Group { name } => one("groups", name),
        Recipient::Email { address } => one("emails", address),
        Recipient::Webhook { name, url } => {
            let mut entries = Entries::default();
            entries.some_text("name", name);
            entries.text("url", url.as_str());
            named("webhook", Out::Map(entries))
        }
    }
}

fn plan_event(event: &PlanEvent) -> Out {
    let bare = |name: &str| Out::Text(name.to_owned());
    match event {
        PlanEvent::PlanFailed { failures: 1 } => bare("plan-failed"),
        PlanEvent::PlanFailed { failures } => named("plan-failed", Out::Plain(failures.to_string())),
        PlanEvent::PlanCompleted => bare("plan-completed"),
        PlanEvent::PlanStatusChanged => bare("plan-status-changed"),
        PlanEvent::PlanCommentAdded => bare("plan-comment-added"),
        PlanEvent::PlanResponsibilityChanged => bare("plan-responsibility-changed"),
        PlanEvent::JobCompleted => bare("job-completed"),
        PlanEvent::JobStatusChanged => bare("job-status-changed"),
        PlanEvent::JobFailed => bare("job-failed"),
        PlanEvent::JobError { first_only } => {
            let mut options = Entries::default();
            options.flag_unless("first-only", *first_only, false);
            item("job-error", options)
        }
        PlanEvent::JobFirstFailed => bare("job-first-failed"),
        PlanEvent::JobHung => bare("job-hung"),
        PlanEvent::JobQueueTimeout => bare("job-queue-timeout"),
        PlanEvent::JobQueuedWithoutCapableAgents => bare("job-queued-without-capable-agents"),
    }
}

fn other(concurrent_builds: Option<u32>, other: &PlanOther) -> Entries {
    let mut entries = Entries::default();
    match (concurrent_builds, other.concurrency_strategy) {
        (None, None) => {}
        (Some(builds), None) => entries.put("concurrent-build-plugin", Out::Plain(builds.to_string())),
        (builds, Some(strategy)) => {
            let mut plugin = Entries::default();
            plugin.maybe_number("number-of-concurrent-builds", builds);
            plugin.text(
                "execution-strategy",
                match strategy {
                    ConcurrencyStrategy::BlockTriggering => "block-triggering",
                    ConcurrencyStrategy::StopOldestBuilds => "stop-oldest-builds",
                },
            );
            entries.map("concurrent-build-plugin", plugin);
        }
    }
    entries.maybe_flag("force-stop-build", other.force_stop_build);
    let mut custom = Entries::default();
    if let Some(expiry) = &other.build_expiry {
        let name = |name: &str| format!("buildExpiryConfig.{name}");
        custom.flag(&name("enabled"), expiry.enabled);
        custom.maybe_number(&name("duration"), expiry.duration);
        match expiry.period {
            ExpiryPeriod::Days => {}
            period => custom.text(&name("period"), period.as_str()),
        }
        custom.flag_unless(&name("expiryTypeResult"), expiry.results, false);
        custom.flag_unless(&name("expiryTypeArtifact"), expiry.artifacts, false);
        custom.flag_unless(&name("expiryTypeBuildLog"), expiry.logs, false);
        custom.maybe_number(&name("buildsToKeep"), expiry.builds_to_keep);
        custom.maybe_number(&name("maximumBuildsToKeep"), expiry.maximum_builds_to_keep);
        custom.some_text(&name("labelsToKeep"), &expiry.labels_to_keep.join(","));
    }
    job::settings_into(&mut custom, &other.custom);
    if !custom.is_empty() {
        entries.put("all-other-apps", named("custom", Out::Map(custom)));
    }
    entries
}

fn branch_override(one: &BranchOverride) -> Out {
    let mut entries = Entries::default();
    if let Some(own) = &one.stages {
        entries.put("stages", stages(own));
    }
    if let Some(variables) = &one.variables {
        entries.put("variables", job::variables(variables));
    }
    if let Some(triggers) = &one.triggers {
        entries.put("triggers", trigger::triggers(triggers));
    }
    if let Some(policy) = &one.branches {
        entries.put("branches", Out::Map(branches(policy)));
    }
    if let Some(docker) = &one.docker {
        entries.put("docker", job::docker(docker));
    }
    if let Some(labels) = &one.labels {
        entries.put("labels", texts_of(labels));
    }
    if let Some(notifications) = &one.notifications {
        let items = notifications.iter().map(notification).collect();
        entries.put("notifications", Out::List(items));
    }
    if let Some(config) = &one.branch_config {
        entries.put("branch-config", Out::Map(branch_config(config)));
    }
    if let Some((builds, settings)) = &one.other {
        entries.put("other", Out::Map(other(*builds, settings)));
    }
    for job in &one.jobs {
        entries.put(&job.name, Out::Map(job::job(job)));
    }
    named(&one.pattern, Out::Map(entries))
}
