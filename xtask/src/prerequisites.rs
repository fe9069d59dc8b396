//! Programs that tests and measurements need: looked for, and installed on Debian when one is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::process::{answers, cargo, output_of};

/// A Debian package and how to tell that it is there already, wherever it came from.
pub(crate) struct Prerequisite {
    /// The package's name.
    pub(crate) package: &'static str,
    /// Whether what the package brings is there.
    pub(crate) is_there: fn() -> bool,
}

/// What the tests need.
pub(crate) const FOR_TESTS: [Prerequisite; 11] = [
    Prerequisite {
        package: "git",
        is_there: || answers("git", "--version"),
    },
    Prerequisite {
        package: "git-lfs",
        is_there: || answers("git-lfs", "--version"),
    },
    Prerequisite {
        package: "python3",
        is_there: || answers("python3", "--version"),
    },
    Prerequisite {
        package: "openssh-client",
        is_there: || answers("ssh", "-V"),
    },
    Prerequisite {
        package: "mercurial",
        is_there: || answers("hg", "--version"),
    },
    Prerequisite {
        package: "webhook",
        is_there: || answers("webhook", "-version"),
    },
    Prerequisite {
        package: "bubblewrap",
        is_there: || answers("bwrap", "--version"),
    },
    Prerequisite {
        package: "docker.io",
        is_there: || answers("dockerd", "--version"),
    },
    Prerequisite {
        package: "busybox-static",
        is_there: || Path::new("/bin/busybox").exists(),
    },
    Prerequisite {
        package: "openssl",
        is_there: || answers("openssl", "version"),
    },
    Prerequisite {
        package: "ca-certificates",
        is_there: || Path::new("/etc/ssl/certs/ca-certificates.crt").exists(),
    },
];

/// The oldest git whose `cat-file --batch-command` the reader of repositories uses.
const OLDEST_GIT: (u32, u32) = (2, 36);

/// Installs what is missing of `wanted` and says so; silent when everything is there.
///
/// # Errors
/// When something is missing and this is not Debian, or neither root nor a `sudo` that asks nothing is at hand.
pub(crate) fn install_missing(wanted: &[Prerequisite]) -> anyhow::Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|one| !(one.is_there)())
        .map(|one| one.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(", ");
    if !answers("apt-get", "--version") {
        bail!("{list} is missing, and there is no apt-get to install it with: install it by hand");
    }
    let root = output_of(Command::new("id").arg("-u"))?.trim() == "0";
    if !root && output_of(Command::new("sudo").args(["-n", "true"])).is_err() {
        bail!(
            "{list} is missing: run `sudo apt-get install {}`",
            missing.join(" ")
        );
    }
    println!("installing with apt-get, as it is missing here: {list}");
    // Run level 1: what is installed is used by hand and not started as a service.
    let settings = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"];
    let prefix: Vec<&str> = if root {
        settings.to_vec()
    } else {
        ["sudo", "-n"].into_iter().chain(settings).collect()
    };
    for step in [
        vec!["apt-get", "update", "-qq"],
        [
            &["apt-get", "install", "-y", "-qq", "--no-install-recommends"],
            missing.as_slice(),
        ]
        .concat(),
    ] {
        let words: Vec<&str> = prefix.iter().copied().chain(step).collect();
        output_of(Command::new(words[0]).args(&words[1..]))
            .with_context(|| format!("cannot install {list}"))?;
    }
    match wanted
        .iter()
        .find(|one| missing.contains(&one.package) && !(one.is_there)())
    {
        Some(one) => bail!(
            "{} was installed, and still what it brings is not found",
            one.package
        ),
        None => Ok(()),
    }
}

/// Packages from the Python index whose programs read what we send, or call us as they call Bitbucket.
const RECEIVERS: [&str; 7] = [
    "atlassian-python-api",
    "stashy",
    "buildbot",
    "buildbot-worker",
    "buildbot-www",
    "setuptools",
    "standardwebhooks",
];

/// Installs receivers that others wrote into `receivers` below the target folder, where the tests look for them.
///
/// # Errors
/// When there is no way to install them.
pub(crate) fn install_receivers() -> anyhow::Result<()> {
    let metadata = output_of(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?;
    let environment = Path::new(target).join("receivers");
    let complete = environment.join("complete");
    let wanted = RECEIVERS.join(" ");
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing with pip into {}: {wanted}", environment.display());
    output_of(Command::new("python3").args(["-m", "venv"]).arg(&environment))
        .context("cannot make a virtual environment (on Debian: apt-get install python3-venv)")?;
    output_of(
        Command::new(environment.join("bin/pip"))
            .args(["install", "-q"])
            .args(RECEIVERS),
    )?;
    Ok(std::fs::write(complete, wanted)?)
}

/// Checks that git is new enough and returns its version for people.
///
/// # Errors
/// When git is missing, older, or does not say its version.
pub(crate) fn check_git() -> anyhow::Result<String> {
    let text = output_of(Command::new("git").arg("--version"))?;
    let text = text.trim().to_owned();
    let Some(version) = git_version(&text) else {
        bail!("`git --version` says `{text}`, which is no version");
    };
    if version < OLDEST_GIT {
        bail!(
            "{text} is too old: {}.{} or newer is needed",
            OLDEST_GIT.0,
            OLDEST_GIT.1
        );
    }
    Ok(text)
}

fn git_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("git version ")?.split(['.', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_versions_are_read_with_and_without_a_vendor() {
        assert_eq!(git_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(git_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(git_version("git version x"), None);
        assert_eq!(git_version("jj 0.20"), None);
    }
}
