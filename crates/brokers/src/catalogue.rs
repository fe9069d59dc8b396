//! The table of broker types: what REST, pages and documentation show, and what settings are checked against.

use crate::services;
use crate::settings::{Allowed, Reader};

/// A type of broker.
#[derive(Debug)]
pub struct BrokerType {
    /// Names it in storage and REST, in lower case: `jenkins`.
    pub key: &'static str,
    /// The name for people, where there was one that of Bitbucket's service: `Read the Docs`.
    pub title: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// What it does, one sentence.
    pub description: &'static str,
    /// Its settings, in the order of a form; [`COMMON`] come behind them.
    pub fields: &'static [Field],
    /// What it may be told.
    pub takes: Takes,
    /// Whether tags are in when the setting `refs` is empty.
    pub(crate) tags_too: bool,
    /// Reads checked settings.
    pub(crate) read: fn(&mut Reader<'_>, &Allowed) -> Box<dyn services::Service>,
}

/// What a broker may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Pushes only.
    Pushes,
    /// Pushes, and builds if the setting `events` says so.
    PushesAndBuilds,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name. Case, blanks, `-` and `_` do not matter when it is given: `Plan Key` is `plan_key`.
    pub name: &'static str,
    /// Bitbucket's name of old, or another that is understood.
    pub aliases: &'static [&'static str],
    /// What kind of value.
    pub kind: FieldKind,
    /// Whether it must be given.
    pub required: bool,
    /// The value when none is given.
    pub default: &'static str,
    /// What to write, one or two sentences.
    pub help: &'static str,
}

/// The kind of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// One line that is never shown again.
    Secret,
    /// An address with `http` or `https`.
    Url,
    /// An address that is itself a password, as those of chat hooks: never shown again.
    SecretUrl,
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Entries, one a line or separated by commas.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A template of one line.
    TemplateLine,
    /// A template of several lines.
    Template,
    /// `NAME=template`, one a line.
    NamedTemplates,
}

impl FieldKind {
    /// Whether the value must never be shown again.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretUrl)
    }
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: FieldKind, help: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            required: false,
            default: "",
            help,
        }
    }

    /// The name for forms and for REST, as Bitbucket wrote its own: `Project name`.
    #[must_use]
    pub fn title(&self) -> String {
        let words = self.name.replace('_', " ");
        let mut chars = words.chars();
        chars
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
            .unwrap_or_default()
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = value;
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// The settings that every type has.
pub const COMMON: &[Field] = &[
    Field::new(
        "refs",
        FieldKind::List,
        "Only these branches and tags: `main`, `release/*`, `tags/v*`, `refs/**`; `!wip/**` takes out. Empty means all.",
    )
    .alias(&["branches", "branch_filter"]),
    Field::new(
        "events",
        FieldKind::List,
        "What it is told: `push`, `build` (each build that ends), `failure` (builds that fail), `change` (builds that end \
         otherwise than the one before).",
    )
    .default("push"),
];

/// Every type, in the order in which people see them.
pub static CATALOGUE: &[&BrokerType] = &[
    &services::bamboo::TYPE,
    &services::jenkins::TYPE,
    &services::jenkins_git::TYPE,
    &services::buildbot::TYPE,
    &services::teamcity::TYPE,
    &services::gitlab::TYPE,
    &services::github::TYPE,
    &services::slack::TYPE,
    &services::mattermost::TYPE,
    &services::teams::TYPE,
    &services::discord::TYPE,
    &services::matrix::TYPE,
    &services::email::TYPE,
    &services::email::DIFF_TYPE,
    &services::jira::TYPE,
    &services::bugzilla::TYPE,
    &services::read_the_docs::TYPE,
    &services::generic::TYPE,
    &services::executable::TYPE,
    &services::build_status::TYPE,
];

/// No such type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no broker type `{given}`; {}", self.remedy())]
pub struct UnknownType {
    /// What was asked for.
    pub given: String,
    /// The key of the type whose name is nearest, if one is near.
    pub near: Option<&'static str>,
}

impl UnknownType {
    fn remedy(&self) -> String {
        match self.near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let keys: Vec<_> = CATALOGUE.iter().map(|of| of.key).collect();
                format!("there are {}", keys.join(", "))
            }
        }
    }
}

/// The type of this name; case, blanks, `-` and `_` do not matter, and Bitbucket's names are understood.
///
/// # Errors
/// [`UnknownType`], with the nearest name.
pub fn find(name: &str) -> Result<&'static BrokerType, UnknownType> {
    let given = plain(name);
    let names = |of: &BrokerType| {
        [of.key, of.title]
            .into_iter()
            .chain(of.aliases.iter().copied())
            .collect::<Vec<_>>()
    };
    if let Some(found) = CATALOGUE
        .iter()
        .find(|of| names(of).iter().any(|known| plain(known) == given))
    {
        return Ok(found);
    }
    let near = nearest(
        &given,
        CATALOGUE
            .iter()
            .flat_map(|of| names(of).into_iter().map(|known| (known, of.key))),
    );
    Err(UnknownType {
        given: madake_formats::text::line(name, 100),
        near,
    })
}

impl BrokerType {
    /// Its own settings and [`COMMON`].
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().chain(COMMON)
    }

    /// The setting of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        let given = plain(name);
        self.all_fields().find(|field| {
            plain(field.name) == given || field.aliases.iter().any(|alias| plain(alias) == given)
        })
    }

    /// The name of the setting whose name is nearest, if one is near.
    pub(crate) fn near_field(&self, name: &str) -> Option<&'static str> {
        let names = self.all_fields().flat_map(|field| {
            [field.name]
                .into_iter()
                .chain(field.aliases.iter().copied())
                .map(|known| (known, field.name))
        });
        nearest(&plain(name), names)
    }
}

/// A name as it is compared: letters and digits in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .take(100)
        .flat_map(char::to_lowercase)
        .collect()
}

fn nearest<'a>(given: &str, names: impl Iterator<Item = (&'a str, &'static str)>) -> Option<&'static str> {
    names
        .map(|(known, key)| (strsim::jaro_winkler(given, &plain(known)), key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}
