//! Repositories of a plan and what counts as a change in them (bamboo-specs.md 6).

use madake_domain::plan::{
    ChangeDetection, FileFilter, PlanRepository, QuietPeriod, RepositoryAuthentication, RepositoryDefinition,
    RepositoryOptions, RepositoryScope, RepositorySource, SecretText, SharedCredentials,
};

use super::fields::{Fields, without_value};
use super::{Context, item, scalar};
use crate::language::repository as language;
use crate::mention::MentionKind;
use crate::report::{Finding, nearest, shown};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// The `repositories` section; `None` when it is there without a value, which is as if it were not there.
pub(super) fn repositories(cx: &mut Context<'_>, node: &Node) -> Option<Vec<PlanRepository>> {
    if let Value::Null | Value::Broken = node.value {
        return None;
    }
    let mut read: Vec<(Option<PlanRepository>, Span, Span)> = Vec::new();
    match &node.value {
        // Their names are keys that cannot be there twice: a map of them says the same as a list.
        Value::Map(map) if map.entries.len() > 1 && map.entries.iter().all(is_described) => {
            for entry in &map.entries {
                read.push((alone(cx, entry), entry.key.span, entry.key.span));
            }
        }
        _ => {
            for item in scalar::one_or_more(cx, node, "`repositories`") {
                let named_at = match &item.value {
                    Value::Map(map) => map.entries.first().map_or(item.span, |entry| entry.key.span),
                    _ => item.span,
                };
                read.push((repository(cx, item), item.span, named_at));
            }
        }
    }
    let mut repositories: Vec<PlanRepository> = Vec::new();
    for (repository, span, named_at) in read {
        let Some(repository) = repository else {
            continue;
        };
        if repositories.iter().any(|other| other.name == repository.name) {
            let message = format!("there are two repositories `{}`", shown(&repository.name));
            cx.add(Finding::error("duplicate-repository", span, message));
        }
        let named = MentionKind::Repository(repository.name.clone());
        cx.report.mention(named, named_at);
        repositories.push(repository);
    }
    Some(repositories)
}

fn repository(cx: &mut Context<'_>, node: &Node) -> Option<PlanRepository> {
    let map = match &node.value {
        Value::Scalar(_) => {
            return scalar::non_empty_text(cx, node, "the name of a repository").map(PlanRepository::named);
        }
        Value::Map(map) if !map.entries.is_empty() => map,
        Value::Broken => return None,
        _ => {
            scalar::wrong_type(cx, node, "a repository", "`- name` or `- name: {type: git, ...}`");
            return None;
        }
    };
    let entry = &map.entries[0];
    if let Some(sibling) = map.entries.get(1) {
        let mut repository = PlanRepository::named(entry.key.text.as_str());
        if !entry.value.is_null() {
            let message = "a repository is a list item of its own";
            cx.add(
                Finding::error("repository-shape", sibling.key.span, message)
                    .expected("`- name: {type: git, ...}`"),
            );
            return None;
        }
        item::indentation(cx, sibling.key.span, &entry.key.text);
        let fields = Fields::new(cx, map, &language::REPOSITORY, entry.key.span).beside(Some(entry));
        options(cx, fields, entry, &mut repository);
        return Some(repository);
    }
    alone(cx, entry)
}

/// Whether a repository of this name is described in a map below it.
fn is_described(entry: &Entry) -> bool {
    entry.value.as_map().is_some()
}

/// A repository whose name is the only key beside its options.
fn alone(cx: &mut Context<'_>, entry: &Entry) -> Option<PlanRepository> {
    let mut repository = PlanRepository::named(entry.key.text.as_str());
    if entry.value.is_null() {
        return Some(repository);
    }
    if entry.value.as_map().is_none() {
        if !matches!(entry.value.value, Value::Broken) {
            scalar::wrong_type(cx, &entry.value, "the options of a repository", "a map");
        }
        return None;
    }
    let fields = Fields::of(cx, &entry.value, &language::REPOSITORY)?;
    options(cx, fields, entry, &mut repository);
    Some(repository)
}

fn options(cx: &mut Context<'_>, mut fields: Fields<'_>, named_at: &Entry, repository: &mut PlanRepository) {
    if let Some(node) = fields.take_settled("scope") {
        repository.scope = scope(cx, node);
        if repository.scope == Some(RepositoryScope::Project) {
            cx.not_run(node.span, "`scope: project`", language::BY_NAME);
        }
    }
    if let Some(node) = fields.take("branch") {
        repository.branch = scalar::non_empty_text(cx, node, "the branch");
    }
    if let Some(node) = fields.take("change-detection") {
        repository.change_detection = change_detection(cx, node);
    }
    let kind = fields.take("type");
    let described = Described::of(cx, &mut fields);
    if let Some(node) = kind
        && let Some((address, definition)) = described.definition(cx, node, named_at)
    {
        let message = format!("the server has to know the repository at `{}`", shown(&address));
        cx.add(
            Finding::info("server-has-to-know", node.span, message)
                .note("an administrator links it: `madake repo link`; what stands here only names it"),
        );
        repository.source = RepositorySource::Url(address);
        repository.definition = Some(definition);
    }
    let mut settings = Vec::new();
    for key in ["server-config", "branch-config", "branch-detection-config"] {
        if let Some(node) = fields.take(key) {
            let inner = scalar::free(cx, node).into_iter();
            settings.extend(inner.map(|(name, value)| (format!("{key}.{name}"), value)));
        }
    }
    if let Some(plugin_key) = fields.text(cx, "plugin-key") {
        repository.definition = Some(RepositoryDefinition::App { plugin_key, settings });
    }
    repository.options = RepositoryOptions {
        command_timeout_minutes: fields.number(cx, "command-timeout-minutes", 1),
        lfs: fields.flag(cx, "lfs"),
        verbose_logs: fields.flag(cx, "verbose-logs"),
        use_shallow_clones: fields.flag(cx, "use-shallow-clones"),
        cache_on_agents: fields.flag(cx, "cache-on-agents"),
        submodules: fields.flag(cx, "submodules"),
        submodules_use_shallow_clones: fields.flag(cx, "submodules-use-shallow-clones"),
        ssh_key_applies_to_submodules: fields.flag(cx, "ssh-key-applies-to-submodules"),
        fetch_all: fields.flag(cx, "fetch-all"),
        viewer: fields
            .take("viewer")
            .map(|node| scalar::free(cx, node))
            .unwrap_or_default(),
    };
    fields.finish(cx);
}

fn scope(cx: &mut Context<'_>, node: &Node) -> Option<RepositoryScope> {
    let text = scalar::text(cx, node, "`scope`")?;
    match text.trim().to_ascii_lowercase().as_str() {
        "global" => Some(RepositoryScope::Global),
        "project" => Some(RepositoryScope::Project),
        _ => {
            scalar::unknown_word(cx, node, "scope", &text, &["global", "project"]);
            None
        }
    }
}

/// What a repository that is described has, whatever its type.
struct Described<'n> {
    url: Option<&'n Node>,
    repository: Option<&'n Node>,
    slug: Option<&'n Node>,
    clone_url: Option<&'n Node>,
    base_url: Option<&'n Node>,
    server: String,
    project: String,
    public_key: Option<String>,
    private_key: Option<SecretText>,
    webhook_enabled: Option<bool>,
    authentication: RepositoryAuthentication,
}

impl<'n> Described<'n> {
    fn of(cx: &mut Context<'_>, fields: &mut Fields<'n>) -> Self {
        let private_key = secret(cx, fields, "private-key");
        let user = fields.text(cx, "user");
        let username = fields.text(cx, "username").or(user);
        let password = secret(cx, fields, "password");
        let key = secret(cx, fields, "ssh-key");
        let passphrase = secret(cx, fields, "ssh-key-passphrase");
        let app_id = fields.text(cx, "app-id");
        let shared = fields
            .take("shared-credentials")
            .and_then(|node| shared_credentials(cx, node));
        let authentication = match (shared, app_id, key, username) {
            (Some(shared), ..) => RepositoryAuthentication::Shared(shared),
            (None, Some(app_id), key, _) => RepositoryAuthentication::GitHubApp {
                app_id,
                key: key.unwrap_or_default(),
            },
            (None, None, Some(key), _) => RepositoryAuthentication::Key { key, passphrase },
            (None, None, None, Some(username)) => RepositoryAuthentication::Password {
                username,
                password: password.unwrap_or_default(),
            },
            (None, None, None, None) => RepositoryAuthentication::None,
        };
        Self {
            url: fields.take("url"),
            repository: fields.take("repository"),
            slug: fields.take("slug"),
            clone_url: fields.take("clone-url"),
            base_url: fields.take("base-url"),
            server: fields.text_or_empty(cx, "server"),
            project: fields.text_or_empty(cx, "project"),
            public_key: fields.text(cx, "public-key"),
            private_key,
            webhook_enabled: fields.flag(cx, "webhook-enabled"),
            authentication,
        }
    }

    /// The address that a repository of this type comes to, and how it is described.
    fn definition(
        self,
        cx: &mut Context<'_>,
        kind: &Node,
        named_at: &Entry,
    ) -> Option<(String, RepositoryDefinition)> {
        let name = scalar::text(cx, kind, "the type of a repository")?;
        let authentication = self.authentication;
        match name.as_str() {
            "git" => {
                let url = address(cx, self.url, "url", named_at)?;
                Some((url.clone(), RepositoryDefinition::Git { url, authentication }))
            }
            "github" => {
                let repository = address(cx, self.repository, "repository", named_at)?;
                let base_url = self
                    .base_url
                    .and_then(|node| address(cx, Some(node), "base-url", named_at));
                let base = base_url.as_deref().unwrap_or("https://github.com");
                Some((
                    format!("{}/{repository}.git", base.trim_end_matches('/')),
                    RepositoryDefinition::GitHub {
                        repository,
                        authentication,
                        webhook_enabled: self.webhook_enabled,
                        base_url,
                    },
                ))
            }
            "bitbucket" => {
                let slug = address(cx, self.slug, "slug", named_at)?;
                Some((
                    format!("https://bitbucket.org/{slug}.git"),
                    RepositoryDefinition::BitbucketCloud { slug, authentication },
                ))
            }
            "bitbucket-server" => {
                let clone_url = address(cx, self.clone_url, "clone-url", named_at)?;
                let slug = match self.slug {
                    Some(node) => scalar::text(cx, node, "`slug`")?,
                    None => String::new(),
                };
                Some((
                    clone_url.clone(),
                    RepositoryDefinition::BitbucketServer {
                        server: self.server,
                        project: self.project,
                        slug,
                        clone_url,
                        public_key: self.public_key,
                        private_key: self.private_key,
                    },
                ))
            }
            _ => {
                let message = format!("there is no repository type `{}`", shown(&name));
                cx.add(
                    Finding::error("unknown-value", kind.span, message)
                        .expected(super::fields::any_of(&language::TYPES))
                        .suggestion(nearest(&name, language::TYPES)),
                );
                None
            }
        }
    }
}

fn secret(cx: &mut Context<'_>, fields: &mut Fields<'_>, key: &'static str) -> Option<SecretText> {
    let node = fields.take(key)?;
    scalar::secret(cx, node, key)
}

fn shared_credentials(cx: &mut Context<'_>, node: &Node) -> Option<SharedCredentials> {
    if node.as_map().is_none() {
        let name = scalar::non_empty_text(cx, node, "`shared-credentials`")?;
        cx.credential(node.span, &name);
        return Some(SharedCredentials { name, scope: None });
    }
    let mut fields = Fields::of(cx, node, &language::SHARED_CREDENTIALS)?;
    let place = fields.need(cx, "name");
    let scope = fields.take("scope").and_then(|node| scope(cx, node));
    fields.finish(cx);
    let place = place?;
    let name = scalar::non_empty_text(cx, place, "`name` of `shared-credentials`")?;
    cx.credential(place.span, &name);
    Some(SharedCredentials { name, scope })
}

/// The address below a key that the type needs.
fn address(cx: &mut Context<'_>, node: Option<&Node>, key: &str, named_at: &Entry) -> Option<String> {
    let Some(node) = node else {
        let message = format!("the repository `{}` has no `{key}`", shown(&named_at.key.text));
        cx.add(Finding::error("missing-key", named_at.key.span, message));
        return None;
    };
    let text = scalar::non_empty_text(cx, node, &format!("`{key}`"))?;
    if is_address(&text) {
        return Some(text);
    }
    let message = format!("`{}` is not the address of a repository", shown(&text));
    cx.add(Finding::error("bad-address", node.span, message));
    None
}

/// Refuses what a version control program would take for an option or for a command to run.
fn is_address(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains("::")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn change_detection(cx: &mut Context<'_>, node: &Node) -> ChangeDetection {
    let mut detection = ChangeDetection::default();
    let Some(mut fields) = Fields::of(cx, node, &language::CHANGE_DETECTION) else {
        return detection;
    };
    if let Some(node) = fields.take("exclude-changeset-pattern") {
        detection.exclude_changeset_pattern = scalar::pattern(cx, node, "`exclude-changeset-pattern`");
    }
    let kind = fields.take("file-filter-type");
    let pattern = fields.entry("file-filter-pattern");
    match (kind, pattern) {
        (None, None) => {}
        (Some(_), Some(entry)) if entry.value.is_null() => cx.add(without_value(entry)),
        (Some(kind), Some(entry)) => detection.file_filter = file_filter(cx, kind, &entry.value),
        (Some(kind), None) => {
            if kind.as_text() != Some("none") {
                let message = "`file-filter-type` has no `file-filter-pattern` beside it";
                cx.add(Finding::error("missing-key", kind.span, message));
            }
        }
        (None, Some(entry)) => {
            let message = "`file-filter-pattern` has no `file-filter-type` beside it";
            cx.add(
                Finding::error("missing-key", entry.key.span, message)
                    .expected("`include_only` or `exclude_all`"),
            );
        }
    }
    detection.quiet_period = fields
        .take("quiet-period")
        .and_then(|node| quiet_period(cx, node));
    detection.commit_isolation = fields.flag(cx, "commit-isolation");
    fields.finish(cx);
    detection
}

fn quiet_period(cx: &mut Context<'_>, node: &Node) -> Option<QuietPeriod> {
    let mut fields = Fields::of(cx, node, &language::QUIET_PERIOD)?;
    let seconds = fields.number(cx, "quiet-period-seconds", 0).unwrap_or(10);
    let max_retries = fields.number(cx, "max-retries", 0).unwrap_or(5);
    fields.finish(cx);
    Some(QuietPeriod { seconds, max_retries })
}

fn file_filter(cx: &mut Context<'_>, kind: &Node, pattern: &Node) -> Option<FileFilter> {
    let pattern = scalar::pattern(cx, pattern, "`file-filter-pattern`");
    let name = scalar::text(cx, kind, "`file-filter-type`")?;
    let folded = name.trim().to_ascii_lowercase().replace('-', "_");
    let make: fn(String) -> FileFilter = match folded.as_str() {
        "include_only" => FileFilter::IncludeOnly,
        "exclude_all" | "exclude" => FileFilter::ExcludeAll,
        "none" => return None,
        _ => {
            let message = format!("there is no file filter `{}`", shown(&name));
            cx.add(
                Finding::error("unknown-value", kind.span, message)
                    .expected("`include_only` or `exclude_all`")
                    .suggestion(nearest(&name, ["include_only", "exclude_all"])),
            );
            return None;
        }
    };
    pattern.map(make)
}
