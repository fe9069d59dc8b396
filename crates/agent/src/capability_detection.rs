//! What this machine can do: programs along the `PATH`, and the Java versions that are installed
//! (bamboo-specs.md 3.5). The keys are Bamboo's, so that plans find what they name.
//!
//! Nothing is run but `node --version`, whose answer stands in no file and comes at once: an agent starts in
//! milliseconds, and a program that hangs does not hold it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use madake_domain::capability::Capabilities;
use madake_protocol::Isolation;

use crate::bubblewrap::seen_of_path;

/// How long a program may take to say its version.
const VERSION_TIME: Duration = Duration::from_secs(5);
/// The most that is read of a file or an answer, in bytes.
const MOST_READ: u64 = 16 * 1024;

/// Programs with a key of their own.
const EXECUTABLES: [(&str, &str); 4] = [
    ("git", "system.git.executable"),
    ("hg", "system.hg.executable"),
    ("svn", "system.svn.executable"),
    ("docker", "system.docker.executable"),
];

/// Programs that `command` tasks and scripts name; their label is their name.
const COMMANDS: [&str; 42] = [
    "ansible-playbook",
    "ant",
    "bash",
    "bower",
    "bundle",
    "bwrap",
    "cargo",
    "clang",
    "cmake",
    "composer",
    "docker",
    "dotnet",
    "gcc",
    "go",
    "gradle",
    "grunt",
    "gulp",
    "helm",
    "kubectl",
    "make",
    "mocha",
    "msbuild",
    "mvn",
    "ninja",
    "node",
    "npm",
    "npx",
    "nuget",
    "perl",
    "php",
    "phpunit",
    "pip3",
    "pnpm",
    "podman",
    "pwsh",
    "python",
    "python3",
    "ruby",
    "rustc",
    "terraform",
    "tox",
    "yarn",
];

/// Where distributions put Java.
const JAVA_FOLDERS: [&str; 3] = ["/usr/lib/jvm", "/usr/java", "/opt/java"];

/// What is installed here and seen by jobs, by this process's environment. What an administrator says is to be set over it.
#[must_use]
pub fn detect(isolation: &Isolation) -> Capabilities {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = seen_of_path(&path, isolation);
    let java_home = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    detect_in(&path, java_home.as_deref(), &JAVA_FOLDERS.map(Path::new))
}

/// The same for a given `PATH`, `JAVA_HOME` and folders of Java versions.
fn detect_in(path: &OsStr, java_home: Option<&Path>, java_folders: &[&Path]) -> Capabilities {
    let mut found = Capabilities::default();
    let folders = folders_of(path);
    let mut set = |key: String, value: &Path| found.set(key, value.to_string_lossy());
    for (name, key) in EXECUTABLES {
        if let Some(program) = find(&folders, name) {
            set(key.to_owned(), &program);
        }
    }
    for name in COMMANDS {
        if let Some(program) = find(&folders, name) {
            set(format!("system.builder.command.{name}"), &program);
        }
    }
    if let Some(program) = find(&folders, "mvn")
        && let Some(home) = home_of(&program)
        && let Some(major) = maven_major(&home)
    {
        set(format!("system.builder.mvn{major}.Maven {major}"), &home);
    }
    if let Some(program) = find(&folders, "ant")
        && let Some(home) = home_of(&program)
    {
        set("system.builder.ant.Ant".to_owned(), &home);
    }
    if let Some(program) = find(&folders, "node") {
        set("system.builder.node.Node.js".to_owned(), &program);
        let version = version_of(&program);
        let major = version.trim().trim_start_matches('v').split('.').next();
        if let Some(major) = major.filter(|major| is_number(major)) {
            set(format!("system.builder.node.Node.js {major}"), &program);
        }
    }
    let java = find(&folders, "java")
        .and_then(|program| home_of(&program))
        .map(java_home_of);
    let default_java = java_home.map(Path::to_owned).or(java.clone());
    let mut homes: BTreeSet<PathBuf> = default_java.iter().cloned().chain(java).collect();
    for folder in java_folders {
        homes.extend(sub_folders(folder));
    }
    // The default comes last, so that it stands for its version where there are several of it.
    for home in homes.iter().chain(&default_java) {
        let Some(version) = java_version(home) else {
            continue;
        };
        let kind = if is_program(&home.join("bin/javac")) {
            "JDK"
        } else {
            "JRE"
        };
        set(format!("system.jdk.{kind} {version}"), home);
        if version == "8" {
            set(format!("system.jdk.{kind} 1.8"), home);
        }
        if default_java.as_ref() == Some(home) {
            set(format!("system.jdk.{kind}"), home);
        }
    }
    found
}

/// The first program of this name along a `PATH`.
pub(crate) fn find_program(path: &OsStr, name: &str) -> Option<PathBuf> {
    find(&folders_of(path), name)
}

fn folders_of(path: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(path)
        // What a relative entry means depends on where one stands.
        .filter(|folder| folder.is_absolute())
        .collect()
}

fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|program| is_program(program))
}

pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
}

/// `HOME` for a program `HOME/bin/x`, links followed.
fn home_of(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let bin = real.parent()?;
    (bin.file_name()? == "bin").then(|| bin.parent().map(Path::to_owned))?
}

/// The home of Java for one that was found; JDKs up to version 8 have their runtime in a folder of its own.
fn java_home_of(home: PathBuf) -> PathBuf {
    match home.parent() {
        Some(jdk) if home.ends_with("jre") && is_program(&jdk.join("bin/java")) => jdk.to_owned(),
        _ => home,
    }
}

/// The version of Maven by the name of its core library, `lib/maven-core-3.9.9.jar`.
fn maven_major(home: &Path) -> Option<String> {
    let names = fs::read_dir(home.join("lib")).ok()?;
    names.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("maven-core-")?;
        let major = version.split('.').next()?;
        // Debian names it `maven-core-3.x.jar`: the first number is all there is.
        is_number(major).then(|| major.to_owned())
    })
}

/// The version of Java by its `release` file: `21`, or `8` for `1.8`.
fn java_version(home: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(home.join("release")).ok()?;
    file.take(MOST_READ).read_to_string(&mut text).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("JAVA_VERSION="))?;
    let version = line.trim_matches('"');
    let version = version.strip_prefix("1.").unwrap_or(version);
    let major = version.split(['.', '_', '+', '-']).next()?;
    is_number(major).then(|| major.to_owned())
}

fn sub_folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all: Vec<PathBuf> = entries
        .flatten()
        // Links are other names of the same.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    all.sort();
    all
}

fn is_number(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a program says to `--version`, in time; else nothing.
fn version_of(program: &Path) -> String {
    let started = Command::new(program)
        .arg("--version")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        return String::new();
    };
    if !ends_in_time(&mut child) {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
        return String::new();
    }
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        // Half an answer is no answer, and then none is found in it.
        let _ = output.take(MOST_READ).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn ends_in_time(child: &mut Child) -> bool {
    let until = Instant::now() + VERSION_TIME;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Ok(Some(status)) => return status.success(),
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn program(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn programs_and_versions_are_found_without_running_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let bin = root.join("bin");
        let fails = "#!/bin/sh\ntouch \"$0.was-run\"\n";
        for name in ["git", "hg", "docker", "python3", "make"] {
            program(&bin.join(name), fails);
        }
        fs::write(bin.join("npm"), "not a program").unwrap();
        program(&root.join("later/git"), fails);
        program(&bin.join("node"), "#!/bin/sh\necho v18.20.4\n");
        program(&root.join("maven/bin/mvn"), fails);
        fs::create_dir_all(root.join("maven/lib")).unwrap();
        fs::write(root.join("maven/lib/maven-core-3.9.9.jar"), "").unwrap();
        symlink(root.join("maven/bin/mvn"), bin.join("mvn")).unwrap();
        for (home, version) in [
            ("jvm/a17", "17.0.9"),
            ("jvm/b8", "1.8.0_392"),
            ("jvm/c21", "21-ea"),
        ] {
            program(&root.join(home).join("bin/java"), fails);
            fs::write(
                root.join(home).join("release"),
                format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n"),
            )
            .unwrap();
        }
        program(&root.join("jvm/a17/bin/javac"), fails);
        symlink(root.join("jvm/a17/bin/java"), bin.join("java")).unwrap();
        symlink(root.join("jvm/a17"), root.join("jvm/default")).unwrap();
        fs::create_dir_all(root.join("jvm/empty")).unwrap();

        let path = std::env::join_paths([Path::new("relative"), &bin, &root.join("later")]).unwrap();
        let found = detect_in(&path, None, &[&root.join("jvm"), Path::new("/nowhere")]);
        let shown: Vec<(String, String)> = found
            .iter()
            .map(|(key, value)| (key.to_owned(), value.replace(root.to_str().unwrap(), "")))
            .collect();
        let expected = [
            ("system.builder.command.docker", "/bin/docker"),
            ("system.builder.command.make", "/bin/make"),
            ("system.builder.command.mvn", "/bin/mvn"),
            ("system.builder.command.node", "/bin/node"),
            ("system.builder.command.python3", "/bin/python3"),
            ("system.builder.mvn3.Maven 3", "/maven"),
            ("system.builder.node.Node.js", "/bin/node"),
            ("system.builder.node.Node.js 18", "/bin/node"),
            ("system.docker.executable", "/bin/docker"),
            ("system.git.executable", "/bin/git"),
            ("system.hg.executable", "/bin/hg"),
            ("system.jdk.JDK", "/jvm/a17"),
            ("system.jdk.JDK 17", "/jvm/a17"),
            ("system.jdk.JRE 1.8", "/jvm/b8"),
            ("system.jdk.JRE 21", "/jvm/c21"),
            ("system.jdk.JRE 8", "/jvm/b8"),
        ];
        assert_eq!(
            shown,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(found.value("Maven 3"), found.value("system.builder.mvn3.Maven 3"));
        for name in ["git", "python3", "mvn", "java"] {
            assert!(!bin.join(format!("{name}.was-run")).exists(), "{name}");
        }
    }

    #[test]
    fn java_home_wins_over_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for home in ["one", "two"] {
            program(&root.join(home).join("bin/java"), "");
            program(&root.join(home).join("bin/javac"), "");
            fs::write(root.join(home).join("release"), "JAVA_VERSION=\"21.0.1\"\n").unwrap();
        }
        let path = root.join("two/bin").into_os_string();
        let found = detect_in(&path, Some(&root.join("one")), &[]);
        let one = root.join("one");
        assert_eq!(found.value("JDK 21"), one.to_str());
        assert_eq!(found.value("system.jdk.JDK"), one.to_str());
    }

    #[test]
    fn runtime_of_an_old_jdk_leads_to_the_jdk() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["java", "javac", "../jre/bin/java"] {
            program(&root.join("jdk8/bin").join(name), "");
        }
        fs::write(root.join("jdk8/release"), "JAVA_VERSION=\"1.8.0_392\"\n").unwrap();
        fs::create_dir(root.join("bin")).unwrap();
        symlink(root.join("jdk8/jre/bin/java"), root.join("bin/java")).unwrap();
        let found = detect_in(root.join("bin").as_os_str(), None, &[]);
        for label in ["JDK", "JDK 8", "JDK 1.8"] {
            assert_eq!(found.value(label), root.join("jdk8").to_str(), "{label}");
        }
    }

    #[test]
    fn a_program_that_fails_has_no_version_and_this_machine_can_be_asked() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("node");
        program(&node, "#!/bin/sh\necho v18; exit 1\n");
        assert_eq!(version_of(&node), "");
        assert_eq!(version_of(Path::new("/nowhere/node")), "");
        assert_eq!(
            detect(&Isolation::default())
                .value("system.git.executable")
                .is_some(),
            find(
                &std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>(),
                "git"
            )
            .is_some()
        );
    }
}
