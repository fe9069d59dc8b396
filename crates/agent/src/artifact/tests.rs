//! Real folders, with everything in them that could lead astray.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::*;

struct Workspace {
    _outer: tempfile::TempDir,
    outside: PathBuf,
    root: PathBuf,
}

fn workspace(files: &[&str]) -> Workspace {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("work");
    let outside = outer.path().join("outside");
    for folder in [&root, &outside] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(outside.join("secret.txt"), "hunter22").unwrap();
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    Workspace {
        outside,
        root,
        _outer: outer,
    }
}

fn collected(
    root: &Path,
    location: &str,
    patterns: &str,
    limits: &CollectLimits,
) -> Result<(Vec<String>, Collection), CollectError> {
    let patterns = AntPatterns::parse(patterns).unwrap();
    let mut found = Vec::new();
    let collection = collect(root, location, &patterns, limits, &mut |mut file| {
        let mut text = String::new();
        file.file.read_to_string(&mut text)?;
        assert_eq!(text.len() as u64, file.size);
        assert!(!text.contains("hunter22"), "{}", file.path);
        found.push(file.path.to_string());
        Ok(())
    })?;
    assert_eq!(found.len() as u64, collection.files);
    Ok((found, collection))
}

fn found(root: &Path, location: &str, patterns: &str) -> Vec<String> {
    collected(root, location, patterns, &CollectLimits::default())
        .unwrap()
        .0
}

#[test]
fn files_are_found_by_location_and_pattern() {
    let work = workspace(&[
        "a.jar",
        "target/b.jar",
        "target/b.txt",
        "target/deep/c.jar",
        "src/d.jar",
    ]);
    for (location, patterns, expected) in [
        ("", "*.jar", &["a.jar"][..]),
        (
            ".",
            "**/*.jar",
            &["a.jar", "src/d.jar", "target/b.jar", "target/deep/c.jar"],
        ),
        ("target", "**/*.jar", &["b.jar", "deep/c.jar"]),
        ("./target/", "*", &["b.jar", "b.txt"]),
        ("target/deep", "c.jar", &["c.jar"]),
        (
            "",
            "/**",
            &[
                "a.jar",
                "src/d.jar",
                "target/b.jar",
                "target/b.txt",
                "target/deep/c.jar",
            ],
        ),
        ("", "target/,!**/*.txt", &["target/b.jar", "target/deep/c.jar"]),
        ("", "none", &[]),
    ] {
        assert_eq!(
            found(&work.root, location, patterns),
            expected,
            "{location} {patterns}"
        );
    }
}

#[test]
fn t2_links_that_lead_out_are_left_out_and_told() {
    let work = workspace(&["kept.txt"]);
    symlink(&work.outside, work.root.join("folder")).unwrap();
    symlink(work.outside.join("secret.txt"), work.root.join("absolute.txt")).unwrap();
    symlink("../outside/secret.txt", work.root.join("relative.txt")).unwrap();
    symlink("nowhere", work.root.join("dangling.txt")).unwrap();
    symlink("/proc/self/environ", work.root.join("magic.txt")).unwrap();
    let (files, collection) = collected(&work.root, "", "**", &CollectLimits::default()).unwrap();
    assert_eq!(files, ["kept.txt"]);
    let left_out: Vec<&str> = collection.left_out.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        left_out,
        [
            "absolute.txt",
            "dangling.txt",
            "folder",
            "magic.txt",
            "relative.txt"
        ]
    );
}

#[test]
fn links_that_stay_inside_are_followed_where_the_kernel_can_promise_that() {
    let work = workspace(&["versions/1.2/lib.jar"]);
    symlink("1.2", work.root.join("versions/latest")).unwrap();
    symlink("../versions/1.2/lib.jar", work.root.join("versions/link.jar")).unwrap();
    let root = openat(CWD, &work.root, FOLDER, Mode::empty()).unwrap();
    let flags = ResolveFlags::BENEATH;
    let can_promise = openat2(&root, ".", FOLDER, Mode::empty(), flags).is_ok();
    let expected: &[&str] = if can_promise {
        &["1.2/lib.jar", "latest/lib.jar", "link.jar"]
    } else {
        &["1.2/lib.jar"]
    };
    assert_eq!(found(&work.root, "versions", "**/*.jar"), expected);
}

#[test]
fn j5_circles_of_links_end() {
    let work = workspace(&["a/b/file.txt"]);
    symlink("..", work.root.join("a/up")).unwrap();
    symlink("../..", work.root.join("a/b/top")).unwrap();
    symlink("self", work.root.join("self")).unwrap();
    assert_eq!(found(&work.root, "", "**/*"), ["a/b/file.txt"]);
}

#[test]
fn j5_locations_outside_are_refused() {
    let work = workspace(&["a/file"]);
    symlink(&work.outside, work.root.join("out")).unwrap();
    for location in ["..", "a/../..", "/etc"] {
        let error = collected(&work.root, location, "**", &CollectLimits::default()).unwrap_err();
        assert!(matches!(error, CollectError::NotBelow(_)), "{location}: {error}");
    }
    for location in ["nothing", "a/file"] {
        let error = collected(&work.root, location, "**", &CollectLimits::default()).unwrap_err();
        assert!(
            matches!(error, CollectError::NoLocation(_)),
            "{location}: {error}"
        );
    }
    assert!(collected(&work.root, "out", "**", &CollectLimits::default()).is_err());
}

#[test]
fn t2_pipes_sockets_and_odd_names_are_left_out() {
    let work = workspace(&["kept", "back\\slash", "line\nfeed"]);
    rustix::fs::mknodat(CWD, work.root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(work.root.join("socket")).unwrap();
    symlink("pipe", work.root.join("to-pipe")).unwrap();
    let (files, collection) = collected(&work.root, "", "*", &CollectLimits::default()).unwrap();
    assert_eq!(files, ["kept"]);
    assert_eq!(collection.left_out.len(), 5, "{:?}", collection.left_out);
}

#[test]
fn t2_too_much_is_refused_with_a_sentence() {
    let work = workspace(&["a", "b", "c", "deep/er/d"]);
    for limits in [
        CollectLimits {
            files: 3,
            ..CollectLimits::default()
        },
        CollectLimits {
            bytes: 3,
            ..CollectLimits::default()
        },
        CollectLimits {
            entries: 3,
            ..CollectLimits::default()
        },
    ] {
        let error = collected(&work.root, "", "**", &limits).unwrap_err();
        assert!(matches!(error, CollectError::TooMuch(_)), "{error}");
    }
    let shallow = CollectLimits {
        depth: 2,
        ..CollectLimits::default()
    };
    let (files, collection) = collected(&work.root, "", "**", &shallow).unwrap();
    assert_eq!(files, ["a", "b", "c"]);
    assert_eq!(collection.left_out[0].path, "deep/er");
}

#[test]
fn who_takes_the_files_may_refuse() {
    let work = workspace(&["a", "b"]);
    fs::set_permissions(work.root.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    let patterns = AntPatterns::parse("**").unwrap();
    let mut seen = Vec::new();
    let error = collect(
        &work.root,
        "",
        &patterns,
        &CollectLimits::default(),
        &mut |file| {
            seen.push((file.path.to_string(), file.is_executable));
            Err(io::Error::other("disk full"))
        },
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "`a`: disk full");
    assert_eq!(seen, [("a".to_owned(), true)]);
}
