//! `docker-run-arguments` of a plan: the options of `docker run` that mean something to a job's container.
//!
//! They are written by whoever may push a plan file. What would give the container more of the machine than other
//! jobs have is marked, and refused unless an administrator allows it.

use std::path::PathBuf;

/// What the options ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunArguments {
    pub(crate) user: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) volumes: Vec<(String, String, bool)>,
    pub(crate) tmpfs: Vec<(String, String)>,
    pub(crate) extra_hosts: Vec<String>,
    pub(crate) name_servers: Vec<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) shared_memory_bytes: Option<i64>,
    pub(crate) nano_processors: Option<i64>,
    pub(crate) processes: Option<i64>,
    pub(crate) init: bool,
    pub(crate) read_only: bool,
    pub(crate) privileged: bool,
    pub(crate) added_capabilities: Vec<String>,
    pub(crate) dropped_capabilities: Vec<String>,
    pub(crate) devices: Vec<String>,
    pub(crate) security_options: Vec<String>,
}

/// Why an option is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArgumentError {
    /// Nobody knows it, or it cannot mean anything here.
    #[error(
        "`docker-run-arguments` has `{0}`, which this version does not take; it takes --user, --env, --volume, --tmpfs, \
         --network, --hostname, --add-host, --dns, --label, --memory, --shm-size, --cpus, --pids-limit, --init, \
         --read-only, --cap-drop, and, where agent.container-privileges allows it, --privileged, --cap-add, --device, \
         --security-opt and --user with another user than the agent's"
    )]
    Unknown(String),
    /// It has no value, or one that it does not take.
    #[error("`docker-run-arguments` has `{option}` with the value `{value}`, which is not {expected}")]
    Value {
        /// The option.
        option: String,
        /// What is there.
        value: String,
        /// What may be there.
        expected: &'static str,
    },
}

impl RunArguments {
    /// Reads the options; one item may hold an option, an option with its value, or a value.
    pub(crate) fn parse(items: &[String]) -> Result<Self, ArgumentError> {
        let mut words = Vec::new();
        for item in items
            .iter()
            .map(|item| item.trim())
            .filter(|item| !item.is_empty())
        {
            match item.split_once(char::is_whitespace) {
                Some((option, value)) if option.starts_with('-') && !option.contains('=') => {
                    words.extend([option.to_owned(), value.trim().to_owned()]);
                }
                _ => words.push(item.to_owned()),
            }
        }
        let mut read = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => {
                    (option.to_owned(), Some(value.to_owned()))
                }
                _ => (word, None),
            };
            if read.flag(&option, value.as_deref())? {
                continue;
            }
            let Some(value) = value.or_else(|| words.next()) else {
                return Err(if is_known(&option) {
                    wrong(&option, "", "there at all")
                } else {
                    ArgumentError::Unknown(option)
                });
            };
            read.option(&option, value)?;
        }
        Ok(read)
    }

    /// The options that give the container more of the machine than other jobs have.
    pub(crate) fn privileges(&self) -> Vec<&'static str> {
        [
            ("--privileged", self.privileged),
            ("--cap-add", !self.added_capabilities.is_empty()),
            ("--device", !self.devices.is_empty()),
            ("--security-opt", !self.security_options.is_empty()),
            // The network of another job's container, with what listens there for that job alone.
            (
                "--network=container:",
                self.network
                    .as_deref()
                    .is_some_and(|network| network.starts_with("container:")),
            ),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
    }

    fn flag(&mut self, option: &str, value: Option<&str>) -> Result<bool, ArgumentError> {
        let target = match option {
            "--init" => &mut self.init,
            "--read-only" => &mut self.read_only,
            "--privileged" => &mut self.privileged,
            // A job's container goes when the job ends, and nobody sits in front of it.
            "--rm" | "-i" | "-t" | "-it" | "--interactive" | "--tty" => return Ok(true),
            _ => return Ok(false),
        };
        *target = match value {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => return Err(wrong(option, other, "`true` or `false`")),
        };
        Ok(true)
    }

    fn option(&mut self, option: &str, value: String) -> Result<(), ArgumentError> {
        match option {
            "-u" | "--user" => self.user = Some(value),
            "-h" | "--hostname" => self.hostname = Some(value),
            "--net" | "--network" => self.network = Some(value),
            "-e" | "--env" => {
                if !value.contains('=') {
                    return Err(wrong(option, &value, "NAME=value"));
                }
                self.environment.push(value);
            }
            "-v" | "--volume" => self.volumes.push(volume(option, &value)?),
            "--tmpfs" => {
                let (path, options) = value.split_once(':').unwrap_or((&value, ""));
                self.tmpfs.push((path.to_owned(), options.to_owned()));
            }
            "--add-host" => self.extra_hosts.push(value),
            "--dns" => self.name_servers.push(value),
            "-l" | "--label" => {
                let (name, text) = value.split_once('=').unwrap_or((&value, ""));
                self.labels.push((name.to_owned(), text.to_owned()));
            }
            "-m" | "--memory" => self.memory_bytes = Some(bytes(option, &value)?),
            "--shm-size" => self.shared_memory_bytes = Some(bytes(option, &value)?),
            "--cpus" => {
                let processors = value.parse::<f64>().ok().filter(|it| *it > 0.0 && *it <= 4096.0);
                let processors = processors.ok_or_else(|| wrong(option, &value, "a number of processors"))?;
                #[expect(clippy::cast_possible_truncation, reason = "at most 4096 thousand million")]
                let nano = (processors * 1e9) as i64;
                self.nano_processors = Some(nano);
            }
            "--pids-limit" => {
                let number = value.parse().ok();
                self.processes = Some(number.ok_or_else(|| wrong(option, &value, "a number"))?);
            }
            "--cap-add" => self.added_capabilities.push(value),
            "--cap-drop" => self.dropped_capabilities.push(value),
            "--device" => self.devices.push(value),
            "--security-opt" => self.security_options.push(value),
            _ => return Err(ArgumentError::Unknown(option.to_owned())),
        }
        Ok(())
    }
}

fn is_known(option: &str) -> bool {
    RunArguments::default().option(option, "1=1".into()) != Err(ArgumentError::Unknown(option.to_owned()))
}

fn wrong(option: &str, value: &str, expected: &'static str) -> ArgumentError {
    ArgumentError::Value {
        option: option.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

/// `SOURCE:TARGET[:ro]`: source, target, and whether it is read-only.
fn volume(option: &str, value: &str) -> Result<(String, String, bool), ArgumentError> {
    let expected = "SOURCE:TARGET or SOURCE:TARGET:ro";
    let mut parts = value.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(source), Some(target), mode, None)
            if !source.is_empty() && PathBuf::from(target).is_absolute() =>
        {
            let read_only = mode.is_some_and(|mode| mode.split(',').any(|one| one == "ro"));
            Ok((source.to_owned(), target.to_owned(), read_only))
        }
        _ => Err(wrong(option, value, expected)),
    }
}

/// A size such as `512m` or `2g`, in bytes.
fn bytes(option: &str, value: &str) -> Result<i64, ArgumentError> {
    let lower = value.to_lowercase();
    let text = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, factor) = match text.chars().last() {
        Some('k') => (&text[..text.len() - 1], 1024),
        Some('m') => (&text[..text.len() - 1], 1024 * 1024),
        Some('g') => (&text[..text.len() - 1], 1024 * 1024 * 1024),
        _ => (text, 1),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|size| *size > 0)
        .ok_or_else(|| wrong(option, value, "a size such as 512m or 2g"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(items: &[&str]) -> Result<RunArguments, ArgumentError> {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        RunArguments::parse(&items)
    }

    #[test]
    fn options_are_read_in_every_spelling() {
        let read = parse(&[
            "--user=1000:1000",
            "-e",
            "A=1",
            "-e B=two words",
            "--memory",
            "512m",
            "--cpus=1.5",
            "-v /cache:/maven/cache:ro",
            "--privileged",
            "--device=/dev/net/tun",
            "--rm",
            "",
        ])
        .unwrap();
        assert_eq!(read.user.as_deref(), Some("1000:1000"));
        assert_eq!(read.environment, ["A=1", "B=two words"]);
        assert_eq!(read.memory_bytes, Some(512 * 1024 * 1024));
        assert_eq!(read.nano_processors, Some(1_500_000_000));
        assert_eq!(read.volumes, [("/cache".into(), "/maven/cache".into(), true)]);
        assert_eq!(read.privileges(), ["--privileged", "--device"]);
        assert_eq!(parse(&["--privileged=false"]).unwrap().privileges(), [""; 0]);
    }

    #[test]
    fn what_is_unknown_or_half_is_refused_by_name() {
        for (items, part) in [
            (&["--pid=host"][..], "`--pid`"),
            (&["--memory=lots"], "`lots`, which is not a size"),
            (&["--memory=0"], "not a size"),
            (&["--memory"], "`--memory`"),
            (&["--cpus=NaN"], "number of processors"),
            (&["-v", "/only"], "SOURCE:TARGET"),
            (&["-e", "NAME"], "NAME=value"),
            (&["ubuntu"], "`ubuntu`"),
            (&["--init=maybe"], "`true` or `false`"),
        ] {
            let error = parse(items).unwrap_err().to_string();
            assert!(error.contains(part), "{items:?}: {error}");
        }
    }
}
