//! Repositories.

use madake_domain::plan::{
    ChangeDetection, FileFilter, PlanRepository, RepositoryAuthentication, RepositoryDefinition,
    RepositoryOptions, RepositoryScope, RepositorySource, SecretText, SharedCredentials,
};

use super::job;
use super::yaml::{Entries, Out, item};

/// A repository: its name, or its name with options.
pub(super) fn repository(repository: &PlanRepository) -> Out {
    let mut entries = Entries::default();
    entries.maybe_text("scope", repository.scope.map(scope));
    match (&repository.definition, &repository.source) {
        (Some(described), _) => definition(&mut entries, described),
        (None, RepositorySource::Url(url)) => {
            entries.text("type", "git");
            entries.text("url", url.as_str());
        }
        (None, RepositorySource::Named) => {}
    }
    entries.maybe_text("branch", repository.branch.as_deref());
    entries.map("change-detection", change_detection(&repository.change_detection));
    options(&mut entries, &repository.options);
    item(&repository.name, entries)
}

fn scope(scope: RepositoryScope) -> &'static str {
    match scope {
        RepositoryScope::Global => "global",
        RepositoryScope::Project => "project",
    }
}

fn definition(entries: &mut Entries, definition: &RepositoryDefinition) {
    match definition {
        RepositoryDefinition::Git { url, authentication } => {
            entries.text("type", "git");
            entries.text("url", url.as_str());
            login(entries, authentication);
        }
        RepositoryDefinition::BitbucketCloud { slug, authentication } => {
            entries.text("type", "bitbucket");
            entries.text("slug", slug.as_str());
            login(entries, authentication);
        }
        RepositoryDefinition::BitbucketServer {
            server,
            project,
            slug,
            clone_url,
            public_key,
            private_key,
        } => {
            entries.text("type", "bitbucket-server");
            entries.some_text("server", server);
            entries.some_text("project", project);
            entries.some_text("slug", slug);
            entries.text("clone-url", clone_url.as_str());
            entries.maybe_text("public-key", public_key.as_deref());
            entries.maybe_text("private-key", private_key.as_ref().map(SecretText::reveal));
        }
        RepositoryDefinition::GitHub {
            repository,
            base_url,
            authentication,
            webhook_enabled,
        } => {
            entries.text("type", "github");
            entries.text("repository", repository.as_str());
            entries.maybe_text("base-url", base_url.as_deref());
            login(entries, authentication);
            entries.maybe_flag("webhook-enabled", *webhook_enabled);
        }
        RepositoryDefinition::App { plugin_key, settings } => {
            entries.text("plugin-key", plugin_key.as_str());
            for section in ["server-config", "branch-config", "branch-detection-config"] {
                let own: Vec<(String, String)> = settings
                    .iter()
                    .filter_map(|(name, value)| {
                        let name = name.strip_prefix(section)?.strip_prefix('.')?;
                        Some((name.to_owned(), value.clone()))
                    })
                    .collect();
                if !own.is_empty() {
                    entries.put(section, job::settings(&own));
                }
            }
        }
    }
}

fn login(entries: &mut Entries, authentication: &RepositoryAuthentication) {
    match authentication {
        RepositoryAuthentication::None => {}
        RepositoryAuthentication::Password { username, password } => {
            entries.text("username", username.as_str());
            entries.some_text("password", password.reveal());
        }
        RepositoryAuthentication::Key { key, passphrase } => {
            entries.text("ssh-key", key.reveal());
            entries.maybe_text("ssh-key-passphrase", passphrase.as_ref().map(SecretText::reveal));
        }
        RepositoryAuthentication::GitHubApp { app_id, key } => {
            entries.text("app-id", app_id.as_str());
            entries.some_text("ssh-key", key.reveal());
        }
        RepositoryAuthentication::Shared(SharedCredentials { name, scope: None }) => {
            entries.text("shared-credentials", name.as_str());
        }
        RepositoryAuthentication::Shared(SharedCredentials {
            name,
            scope: Some(whose),
        }) => {
            let mut shared = Entries::default();
            shared.text("name", name.as_str());
            shared.text("scope", scope(*whose));
            entries.map("shared-credentials", shared);
        }
    }
}

fn change_detection(detection: &ChangeDetection) -> Entries {
    let mut entries = Entries::default();
    match &detection.file_filter {
        None => {}
        Some(FileFilter::IncludeOnly(pattern)) => {
            entries.text("file-filter-type", "include_only");
            entries.text("file-filter-pattern", pattern.as_str());
        }
        Some(FileFilter::ExcludeAll(pattern)) => {
            entries.text("file-filter-type", "exclude_all");
            entries.text("file-filter-pattern", pattern.as_str());
        }
    }
    entries.maybe_text(
        "exclude-changeset-pattern",
        detection.exclude_changeset_pattern.as_deref(),
    );
    if let Some(quiet) = &detection.quiet_period {
        let mut period = Entries::default();
        period.put("quiet-period-seconds", Out::Plain(quiet.seconds.to_string()));
        period.put("max-retries", Out::Plain(quiet.max_retries.to_string()));
        entries.map("quiet-period", period);
    }
    entries.maybe_flag("commit-isolation", detection.commit_isolation);
    entries
}

fn options(entries: &mut Entries, options: &RepositoryOptions) {
    entries.maybe_number("command-timeout-minutes", options.command_timeout_minutes);
    entries.maybe_flag("lfs", options.lfs);
    entries.maybe_flag("verbose-logs", options.verbose_logs);
    entries.maybe_flag("use-shallow-clones", options.use_shallow_clones);
    entries.maybe_flag("cache-on-agents", options.cache_on_agents);
    entries.maybe_flag("submodules", options.submodules);
    entries.maybe_flag(
        "submodules-use-shallow-clones",
        options.submodules_use_shallow_clones,
    );
    entries.maybe_flag(
        "ssh-key-applies-to-submodules",
        options.ssh_key_applies_to_submodules,
    );
    entries.maybe_flag("fetch-all", options.fetch_all);
    if !options.viewer.is_empty() {
        entries.put("viewer", job::settings(&options.viewer));
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::named;
    use super::*;

    #[test]
    fn a_name_alone_stays_a_name() {
        assert_eq!(repository(&PlanRepository::named("app")), Out::Text("app".into()));
        let mut scoped = PlanRepository::named("app");
        scoped.scope = Some(RepositoryScope::Global);
        let options = Entries::one("scope", Out::Text("global".into()));
        assert_eq!(repository(&scoped), named("app", Out::Map(options)));
    }
}
