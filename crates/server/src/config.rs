//! The configuration of a server: `madake.toml` in the home, environment variables, flags; each wins over the one
//! before. Keys that are not known are refused with a suggestion, as a misspelt key that is passed over in silence
//! costs an afternoon.

mod agent;
mod builds;
mod mail;
mod outgoing;
mod results;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use madake_domain::address::AddressPattern;
use madake_engine::settings::Settings;
use serde::Deserialize;

pub use agent::AgentSection;
pub use builds::BuildsSection;
pub use mail::{BrokersSection, MailSection};
pub use outgoing::OutgoingSection;
pub use results::{ExpirySection, ResultsSection};

/// Why a configuration cannot be used: which key, from where, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

/// The configuration file. `docs/configuration.md` lists each key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Configuration {
    /// `[server]`
    pub server: ServerSection,
    /// `[ssh]`
    pub ssh: SshSection,
    /// `[builds]`
    pub builds: BuildsSection,
    /// `[agent]`
    pub agent: AgentSection,
    /// `[results]`
    pub results: ResultsSection,
    /// `[expiry]`
    pub expiry: ExpirySection,
    /// `[repositories]`
    pub repositories: RepositoriesSection,
    /// `[triggers]`
    pub triggers: TriggersSection,
    /// `[outgoing]`
    pub outgoing: OutgoingSection,
    /// `[mail]`
    pub mail: MailSection,
    /// `[brokers]`
    pub brokers: BrokersSection,
    /// `[log]`
    pub log: LogSection,
}

/// How the server is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServerSection {
    /// Address and port to listen on.
    pub listen: String,
    /// The address that links start with; empty: the one that is listened on.
    pub base_url: String,
    /// The name that `server-name` in plan files is matched with.
    pub name: String,
    /// Addresses of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Connections that one address may have open at once; 0: any number.
    pub connections_per_address: usize,
    /// The time zone of logs, cron expressions and time windows; empty: the machine's.
    pub time_zone: String,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8085".into(),
            base_url: String::new(),
            name: "madake".into(),
            trusted_proxies: Vec::new(),
            connections_per_address: 256,
            time_zone: String::new(),
        }
    }
}

/// How git is served over SSH.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SshSection {
    /// Address and port to listen on; empty: SSH is not served.
    pub listen: String,
}

/// How repositories are looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct RepositoriesSection {
    /// Seconds between two comparisons of refs with the ledger.
    pub reconcile_seconds: u64,
    /// Seconds between two looks at a repository whose pushes nobody tells of.
    pub poll_seconds: u64,
    /// Whether a linked repository may be a folder of this machine.
    pub allow_local_paths: bool,
    /// Whether a linked repository may be at a loopback or private address.
    pub allow_private_hosts: bool,
    /// Refs of one push that are looked at for one plan, at most.
    pub refs_per_push: usize,
    /// The largest object of Git LFS that is taken, in MiB; 0: any size.
    pub lfs_object_mebibytes: u64,
    /// The `git` program.
    pub git: PathBuf,
    /// The `hg` program.
    pub hg: PathBuf,
}

impl Default for RepositoriesSection {
    fn default() -> Self {
        Self {
            reconcile_seconds: 60,
            poll_seconds: 180,
            allow_local_paths: true,
            allow_private_hosts: true,
            refs_per_push: 1000,
            lfs_object_mebibytes: 5 * 1024,
            git: "git".into(),
            hg: "hg".into(),
        }
    }
}

/// Who may use remote triggers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TriggersSection {
    /// Addresses that may trigger each plan with a remote trigger, besides those that the plan names.
    pub addresses: Vec<String>,
    /// Whether callers that are not logged in may trigger plans that they may read.
    pub allow_anonymous: bool,
}

impl Default for TriggersSection {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            allow_anonymous: true,
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LogSection {
    /// Which lines: `info`, `debug`, or a list such as `info,madake_engine=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: "text".into(),
        }
    }
}

/// Each section and key, for suggestions and for the names of environment variables.
pub const KEYS: [(&str, &[&str]); 12] = [
    (
        "server",
        &[
            "listen",
            "base-url",
            "name",
            "trusted-proxies",
            "connections-per-address",
            "time-zone",
        ],
    ),
    ("ssh", &["listen"]),
    (
        "builds",
        &[
            "agents",
            "concurrent",
            "pushes-in-a-row",
            "job-timeout-minutes",
            "stop-grace-seconds",
            "hanging-multiplier",
            "hanging-silent-minutes",
            "queue-timeout-minutes",
            "when-hanging",
        ],
    ),
    ("agent", agent::AGENT_KEYS),
    ("results", results::RESULTS_KEYS),
    ("expiry", results::EXPIRY_KEYS),
    (
        "repositories",
        &[
            "reconcile-seconds",
            "poll-seconds",
            "allow-local-paths",
            "allow-private-hosts",
            "refs-per-push",
            "lfs-object-mebibytes",
            "git",
            "hg",
        ],
    ),
    ("triggers", &["addresses", "allow-anonymous"]),
    (
        "outgoing",
        &[
            "allow",
            "allow-ports",
            "proxy",
            "timeout-seconds",
            "connections-per-host",
        ],
    ),
    ("mail", mail::MAIL_KEYS),
    ("brokers", &["executables"]),
    ("log", &["level", "format"]),
];

impl Configuration {
    /// Reads the file at `path`, if it is there, and lays the environment over it. A variable is named
    /// `MADAKE__SECTION__KEY`, for example `MADAKE__BUILDS__CONCURRENT=2`; lists are separated by commas.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key, or the name of the variable.
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(ConfigError {
                    place,
                    problem: error.to_string(),
                });
            }
        };
        Self::from_parts(&place, &text, environment)
    }

    /// As [`Self::load`], with the text of the file.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn from_parts(
        place: &str,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError {
            place: at(place, text, error.span()),
            problem: error.message().to_owned(),
        })?;
        check_keys(place, text, &table)?;
        // The file alone is read first, so that a wrong value is shown with its line.
        toml::from_str::<Self>(text).map_err(|error| ConfigError {
            place: at(place, text, error.span()),
            problem: error.message().to_owned(),
        })?;
        for (name, value) in environment {
            lay_over(&mut table, &name, &value)?;
        }
        Self::deserialize(toml::Value::Table(table)).map_err(|error| ConfigError {
            place: "the environment".into(),
            problem: error.message().to_owned(),
        })
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// When it is not `ADDRESS:PORT`.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        self.server.listen.parse().map_err(|_| ConfigError {
            place: "server.listen".into(),
            problem: format!(
                "`{}` is not ADDRESS:PORT, such as 0.0.0.0:8085",
                self.server.listen
            ),
        })
    }

    /// The address to listen on for SSH; none where SSH is not served.
    ///
    /// # Errors
    /// When it is not `ADDRESS:PORT`.
    pub fn ssh_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = &self.ssh.listen;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| ConfigError {
            place: "ssh.listen".into(),
            problem: format!("`{text}` is not ADDRESS:PORT, such as 0.0.0.0:7999; empty turns SSH off"),
        })
    }

    /// Proxies whose forwarding header is believed.
    ///
    /// # Errors
    /// When an entry is not an address, a CIDR block or a wildcard.
    pub fn trusted_proxies(&self) -> Result<Vec<AddressPattern>, ConfigError> {
        patterns("server.trusted-proxies", &self.server.trusted_proxies)
    }

    /// The settings of the engine. `base_url` is what links start with, `program` this program.
    ///
    /// # Errors
    /// When a value does not mean what its key needs.
    pub fn settings(&self, base_url: &str, program: PathBuf) -> Result<Settings, ConfigError> {
        let zone = &self.server.time_zone;
        let time_zone = if zone.is_empty() {
            TimeZone::try_system().unwrap_or(TimeZone::UTC)
        } else {
            TimeZone::get(zone).map_err(|_| ConfigError {
                place: "server.time-zone".into(),
                problem: format!("`{zone}` is not the name of a time zone, such as Europe/Berlin"),
            })?
        };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Ok(Settings {
            base_url: base_url.trim_end_matches('/').to_owned(),
            server_name: self.server.name.clone(),
            time_zone,
            agents: if self.builds.agents == 0 {
                processors
            } else {
                self.builds.agents
            },
            concurrent_builds: (self.builds.concurrent > 0).then_some(self.builds.concurrent),
            pushes_in_a_row: self.builds.pushes_in_a_row,
            job_timeout_seconds: self.builds.job_timeout_minutes.max(1) * 60,
            stop_grace_seconds: self.builds.stop_grace_seconds,
            hanging: self.builds.hanging()?,
            when_hanging: self.builds.when_hanging()?,
            agent: self.agent.settings()?,
            results: self.results.settings(self.expiry.policy()?),
            reconcile_seconds: self.repositories.reconcile_seconds,
            poll_seconds: self.repositories.poll_seconds,
            trigger_addresses: patterns("triggers.addresses", &self.triggers.addresses)?,
            anonymous_triggers: self.triggers.allow_anonymous,
            local_repositories: self.repositories.allow_local_paths,
            private_repositories: self.repositories.allow_private_hosts,
            outgoing_policy: self.outgoing.policy()?,
            outgoing_client: self.outgoing.client(),
            mail: self.mail.settings()?,
            broker_programs: self.brokers.programs()?,
            lfs_object_limit: match self.repositories.lfs_object_mebibytes {
                0 => None,
                mebibytes => Some(mebibytes.saturating_mul(1024 * 1024)),
            },
            refs_per_push: self.repositories.refs_per_push.max(1),
            program,
            git: self.repositories.git.clone(),
            hg: self.repositories.hg.clone(),
        })
    }
}

fn patterns(place: &str, entries: &[String]) -> Result<Vec<AddressPattern>, ConfigError> {
    entries
        .iter()
        .map(|text| {
            AddressPattern::parse(text).map_err(|error| ConfigError {
                place: place.to_owned(),
                problem: error.to_string(),
            })
        })
        .collect()
}

fn at(place: &str, text: &str, span: Option<std::ops::Range<usize>>) -> String {
    match span.and_then(|span| text.get(..span.start)) {
        Some(before) => format!("{place}:{}", before.matches('\n').count() + 1),
        None => place.to_owned(),
    }
}

/// Refuses sections and keys that are not known, with the nearest one that is.
fn check_keys(place: &str, text: &str, table: &toml::Table) -> Result<(), ConfigError> {
    let line = |key: &str| {
        let found = text
            .lines()
            .position(|line| line.trim_start().trim_start_matches('[').starts_with(key));
        found.map_or_else(|| place.to_owned(), |index| format!("{place}:{}", index + 1))
    };
    for (section, value) in table {
        let Some((_, keys)) = KEYS.iter().find(|(known, _)| known == section) else {
            let known = KEYS.iter().map(|(known, _)| *known);
            return Err(ConfigError {
                place: line(section),
                problem: unknown("section", section, known),
            });
        };
        let toml::Value::Table(inner) = value else {
            return Err(ConfigError {
                place: line(section),
                problem: format!("`{section}` is a section: write [{section}]"),
            });
        };
        if let Some(key) = inner.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(ConfigError {
                place: line(key),
                problem: unknown("key", key, keys.iter().copied()),
            });
        }
    }
    Ok(())
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(nearness, _)| *nearness > 0.7);
    match nearest {
        Some((_, nearest)) => format!("there is no {what} `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no {what} `{name}`; docs/configuration.md lists all"),
    }
}

/// Lays `MADAKE__SECTION__KEY=value` over the file.
fn lay_over(table: &mut toml::Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let Some(rest) = name.strip_prefix("MADAKE__") else {
        return Ok(());
    };
    let wrong = |problem: String| ConfigError {
        place: format!("the environment variable {name}"),
        problem,
    };
    let Some((section, key)) = rest.split_once("__") else {
        return Err(wrong("expected MADAKE__SECTION__KEY".into()));
    };
    let (section, key) = (section.to_lowercase(), key.to_lowercase().replace('_', "-"));
    let Some((_, keys)) = KEYS.iter().find(|(known, _)| *known == section) else {
        return Err(wrong(unknown(
            "section",
            &section,
            KEYS.iter().map(|(known, _)| *known),
        )));
    };
    if !keys.contains(&key.as_str()) {
        return Err(wrong(unknown("key", &key, keys.iter().copied())));
    }
    let list = matches!(
        key.as_str(),
        "trusted-proxies"
            | "addresses"
            | "allow"
            | "allow-ports"
            | "executables"
            | "readable"
            | "writable"
            | "container-volumes"
            | "remove"
            | "keep-labels"
    );
    let number = matches!(
        key.as_str(),
        "agents"
            | "concurrent"
            | "job-timeout-minutes"
            | "stop-grace-seconds"
            | "reconcile-seconds"
            | "poll-seconds"
            | "refs-per-push"
            | "lfs-object-mebibytes"
            | "connections-per-address"
            | "timeout-seconds"
            | "connections-per-host"
            | "port"
            | "pushes-in-a-row"
            | "hanging-silent-minutes"
            | "queue-timeout-minutes"
            | "container-memory-megabytes"
            | "container-processors"
            | "container-processes"
            | "artifact-mebibytes"
            | "artifact-files"
            | "test-cases"
            | "test-report-mebibytes"
            | "test-text-mebibytes"
            | "days"
            | "keep-builds"
            | "most-builds"
    );
    let read = if list {
        let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        toml::Value::Array(
            entries
                .map(|entry| match entry.parse() {
                    Ok(port) if key == "allow-ports" => toml::Value::Integer(port),
                    _ => toml::Value::String(entry.to_owned()),
                })
                .collect(),
        )
    } else if number {
        toml::Value::Integer(
            value
                .trim()
                .parse()
                .map_err(|_| wrong(format!("`{value}` is not a number")))?,
        )
    } else if key == "hanging-multiplier" {
        let number = value.trim().parse();
        toml::Value::Float(number.map_err(|_| wrong(format!("`{value}` is not a number")))?)
    } else if key.starts_with("allow-") {
        match value.trim() {
            "true" => toml::Value::Boolean(true),
            "false" => toml::Value::Boolean(false),
            other => return Err(wrong(format!("`{other}` is neither true nor false"))),
        }
    } else {
        toml::Value::String(value.to_owned())
    };
    let inner = table
        .entry(section)
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(inner) = inner {
        inner.insert(key, read);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Configuration, ConfigError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Configuration::from_parts("madake.toml", text, variables)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let read = load(
            "[builds]\nconcurrent = 3\nagents = 2\n",
            &[
                ("MADAKE__BUILDS__CONCURRENT", "7"),
                ("PATH", "/bin"),
                ("MADAKE_HOME", "/x"),
                ("MADAKE__TRIGGERS__ADDRESSES", "10.0.0.0/8, 192.168.5.*"),
            ],
        )
        .expect("a configuration");
        assert_eq!(
            (
                read.builds.concurrent,
                read.builds.agents,
                read.server.listen.as_str()
            ),
            (7, 2, "127.0.0.1:8085")
        );
        assert_eq!(read.triggers.addresses, ["10.0.0.0/8", "192.168.5.*"]);
        read.settings("http://x/", "madake".into()).expect("settings");
    }

    #[test]
    fn mistakes_name_the_place_and_the_nearest_key() {
        let rows = [
            (
                "[bulids]\n",
                "madake.toml:1: there is no section `bulids`; did you mean `builds`?",
            ),
            (
                "[server]\nname = 'x'\nlisen = 'y'\n",
                "madake.toml:3: there is no key `lisen`; did you mean `listen`?",
            ),
            ("[builds]\nconcurrent = 'many'\n", "madake.toml:2: "),
            ("builds = 3\n", "`builds` is a section"),
            ("[builds\n", "madake.toml:1: "),
        ];
        for (text, expected) in rows {
            let error = load(text, &[]).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = load("", &[("MADAKE__BUILDS__AGENT", "1")])
            .expect_err("a wrong variable")
            .to_string();
        assert!(
            error.contains("MADAKE__BUILDS__AGENT") && error.contains("did you mean `agents`?"),
            "{error}"
        );
        let error = load("", &[("MADAKE__BUILDS__AGENTS", "x")])
            .expect_err("no number")
            .to_string();
        assert!(error.contains("not a number"), "{error}");
    }

    #[test]
    fn every_key_is_known_to_the_sections() {
        for (section, keys) in KEYS {
            for key in keys {
                let name = format!(
                    "MADAKE__{}__{}",
                    section.to_uppercase(),
                    key.to_uppercase().replace('-', "_")
                );
                let value = match key {
                    &"allow-ports" => "25",
                    &"secrets-in-artifacts" => "warn",
                    key if key.starts_with("allow-") => "true",
                    _ => "1",
                };
                load("", &[(&name, value)]).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}
