//! `madake run`: plans of work trees, without a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Done, Place};

const PLAN: &str = "version: 2
plan: {project-key: PROJ, key: PLAN, name: Here}
variables: {greeting: hello, db_password: BAMSCRT@0@0@abc}
stages:
  - Build: [Compile]
  - Check: [Lint, Spell]
  - Deploy: {manual: true, jobs: [Ship]}
  - Report: {final: true, jobs: [Tell]}
Compile:
  tasks:
    - script: |
        echo \"file=$(cat file) greeting=$bamboo_greeting password=$bamboo_db_password\"
        echo \"commits=$(git log --oneline | wc -l)\"
Lint:
  key: LNT
  tasks:
    - script: exit 3
  final-tasks:
    - script: echo cleaned
Spell:
  tasks: [script: echo spelled]
Ship:
  tasks: [script: echo shipped]
Tell:
  tasks: [script: echo told]
";

fn git(folder: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A work tree whose file `file` says `one` when committed, and `two` now.
fn work_tree(place: &Place, plan: &str) -> PathBuf {
    let work = place.path("work");
    std::fs::create_dir_all(work.join("bamboo-specs")).expect("a folder");
    std::fs::write(work.join("bamboo-specs/bamboo.yml"), plan).expect("a file");
    std::fs::write(work.join("file"), "one").expect("a file");
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "--message", "first"]);
    std::fs::write(work.join("file"), "two").expect("a file");
    work
}

fn run(place: &Place, work: &Path, arguments: &[&str]) -> Done {
    let path = work.to_str().expect("text");
    place.run(&[&["run", "--path", path], arguments].concat())
}

#[test]
fn job_runs_with_what_the_work_tree_has_now_and_with_stubs_for_secrets() {
    let place = Place::new();
    let work = work_tree(&place, PLAN);
    let out = run(&place, &work, &["--job", "Compile"]).ok();
    assert!(
        out.contains("file=two greeting=hello password=stub-of-a-secret"),
        "{out}"
    );
    assert!(
        out.contains("commits=2"),
        "the work tree's history, and one commit: {out}"
    );
    assert!(
        out.lines().all(|line| line.splitn(3, '\t').count() == 3),
        "the log has the form of the server's: {out}"
    );
    let out = run(
        &place,
        &work,
        &["--job", "Compile", "--committed", "--variable", "greeting=hi"],
    )
    .ok();
    assert!(out.contains("file=one greeting=hi"), "{out}");
    assert!(out.contains("commits=1"), "{out}");

    let secrets = place.path("secrets");
    std::fs::write(&secrets, "# of the test system\ndb_password=correct horse\n").expect("a file");
    let secrets = secrets.to_str().expect("text");
    let out = run(&place, &work, &["--job", "compile", "--secrets", secrets]).ok();
    assert!(
        out.contains("password=********") && !out.contains("correct horse"),
        "{out}"
    );
    assert!(!place.home().exists(), "a run needs no home");
}

#[test]
fn failed_stage_ends_all_but_final_stages_and_the_exit_code_is_one() {
    let place = Place::new();
    let work = work_tree(
        &place,
        &PLAN.replace("  - Deploy: {manual: true, jobs: [Ship]}\n", ""),
    );
    let done = run(&place, &work, &["--json"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let read: serde_json::Value = serde_json::from_str(&done.out).expect("only JSON on standard output");
    let jobs: Vec<_> = read["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| {
            (
                job["key"].as_str().expect("a key"),
                job["result"].as_str().expect("a result"),
            )
        })
        .collect();
    assert_eq!(
        jobs,
        [
            ("COMPILE", "successful"),
            ("LNT", "failed"),
            ("SPELL", "successful"),
            ("TELL", "successful")
        ]
    );
    assert_eq!(read["jobs"][1]["exitCode"], 3);
    assert!(
        done.err.contains("\tcleaned"),
        "the log is on standard error: {}",
        done.err
    );
}

#[test]
fn manual_stage_waits_to_be_named() {
    let place = Place::new();
    let work = work_tree(&place, &PLAN.replace("exit 3", "exit 0"));
    let done = run(&place, &work, &[]);
    assert!(
        done.err.contains(
            "the stage Deploy is a manual one: run it with --stage 'Deploy'; as on a server, also final stages \
             behind it wait for it: Report"
        ),
        "{done:?}"
    );
    let out = done.ok();
    assert!(
        out.contains("\tspelled") && !out.contains("\tshipped") && !out.contains("\ttold"),
        "{out}"
    );
    let out = run(&place, &work, &["--stage", "Deploy"]).ok();
    assert!(out.contains("\tshipped") && !out.contains("\tspelled"), "{out}");
}

#[test]
fn what_cannot_run_ends_with_two_and_says_what_there_is() {
    let place = Place::new();
    let work = work_tree(&place, PLAN);
    for (arguments, wanted) in [
        (
            &["--job", "Nope"][..],
            "has no job `Nope`, only Compile, Lint, Spell",
        ),
        (&["--stage", "Nope"], "has no stage `Nope`, only Build, Check"),
        (&["PROJ-OTHER"], "has no plan PROJ-OTHER, only PROJ-PLAN"),
        (&["--variable", "x"], "write NAME=VALUE"),
        (
            &["--isolation", "magic"],
            "is not `auto`, `bubblewrap` or `process`",
        ),
    ] {
        let error = run(&place, &work, arguments).refused(2);
        assert!(error.contains(wanted), "{error}");
    }
    std::fs::write(work.join("bamboo-specs/bamboo.yml"), "version: 2\nplan: [").expect("a file");
    let error = run(&place, &work, &[]).refused(2);
    assert!(error.contains("no plan that can be run"), "{error}");
    let error = run(&place, &place.path(""), &[]).refused(2);
    assert!(error.contains("is not in the work tree"), "{error}");
    assert_eq!(error.matches("not a git repository").count(), 1, "{error}");
}

#[test]
fn mercurial_work_trees_run_with_the_parent_of_the_working_directory() {
    let place = Place::new();
    let work = place.path("work");
    std::fs::create_dir_all(work.join("bamboo-specs")).expect("a folder");
    let plan = "version: 2
plan: {project-key: PROJ, key: PLAN, name: Here}
stages: [Build: [Compile]]
Compile:
  tasks:
    - script: 'echo \"file=$(cat file) branch=$bamboo_planRepository_branch $bamboo_planRepository_revision\"'
";
    std::fs::write(work.join("bamboo-specs/bamboo.yml"), plan).expect("a file");
    std::fs::write(work.join("file"), "one").expect("a file");
    let hg = |arguments: &[&str]| {
        let done = Command::new("hg")
            .args(arguments)
            .current_dir(&work)
            .env("HGRCPATH", "")
            .env("HGUSER", "Ann")
            .stdin(Stdio::null())
            .output()
            .expect("hg");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    };
    hg(&["init"]);
    let error = run(&place, &work, &[]).refused(2);
    assert!(error.contains("there is no commit yet"), "{error}");
    hg(&["branch", "stable"]);
    hg(&["add"]);
    hg(&["commit", "--message", "first"]);
    let first = hg(&["log", "--rev", ".", "--template", "{node}"]);
    std::fs::write(work.join("file"), "later").expect("a file");
    hg(&["commit", "--message", "second"]);
    hg(&["update", "--rev", &first]);
    let done = run(&place, &work, &[]);
    assert!(!done.err.contains("not committed"), "{}", done.err);
    let out = done.ok();
    assert!(out.contains(&format!("file=one branch=stable {first}")), "{out}");

    std::fs::write(work.join("file"), "changed").expect("a file");
    let done = run(&place, &work.join("bamboo-specs"), &[]);
    assert!(
        done.err
            .contains("that are not committed are not part of the run"),
        "{}",
        done.err
    );
    let out = done.ok();
    assert!(out.contains("file=one"), "{out}");
}

#[test]
fn what_only_a_server_has_is_named_before_anything_runs() {
    let plan = "version: 2
plan: {project-key: PROJ, key: PLAN, name: Here}
variables: {db_password: BAMSCRT@0@0@abc}
stages:
  - First: [Make]
  - Hand: {manual: true, jobs: [Use]}
Make:
  tasks:
    - script: echo number=1 > facts
    - inject-variables: {file: facts, scope: RESULT, namespace: ver}
  artifacts: [{name: lib, pattern: facts, shared: true}]
Use:
  tasks:
    - script: 'echo \"box=${bamboo.box.password} token=$bamboo_api_token_secret channel=$bamboo_channel.\"'
    - script: 'echo \"repository=$bamboo_planRepository_name ver=$bamboo_ver_number.\"'
    - vcs-tag: v-1
";
    let place = Place::new();
    let work = work_tree(&place, plan);
    git(
        &work,
        &["remote", "add", "origin", "http://localhost:1/scm/proj/app.git"],
    );
    let done = run(&place, &work, &["--stage", "Hand"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    for wanted in [
        "secrets with a stub for a value: api_token_secret, box.password, db_password; --secrets FILE",
        "variables that nothing sets here: channel; --variable NAME=VALUE",
        "the job Make of the stage First does not run: the artifact `lib` and the variable `ver_number` of it will be \
         missing",
        "what is tried out on this machine pushes nowhere",
    ] {
        assert!(done.err.contains(wanted), "{wanted}: {}", done.err);
    }
    for wanted in [
        "box=stub-of-a-secret token=stub-of-a-secret channel=.",
        "repository=PROJ/app ver=.",
    ] {
        assert!(done.out.contains(wanted), "{wanted}: {}", done.out);
    }
    let begins = done.err.find("── Hand").expect("the stage");
    assert!(
        done.err.find("channel").is_some_and(|at| at < begins),
        "{}",
        done.err
    );

    let secrets = place.path("secrets");
    let given = "box.password=correct horse\ndb_password=b\napi_token_secret=c\n";
    std::fs::write(&secrets, given).expect("a file");
    let secrets = secrets.to_str().expect("text");
    let arguments = [
        "--job",
        "Make",
        "--job",
        "Use",
        "--secrets",
        secrets,
        "--variable",
        "channel=beta",
    ];
    let done = run(&place, &work, &arguments);
    for unwanted in ["secrets with", "variables that", "will be missing"] {
        assert!(!done.err.contains(unwanted), "{unwanted}: {}", done.err);
    }
    assert!(done.out.contains("channel=beta."), "{}", done.out);
    assert!(done.out.contains("ver=1."), "{}", done.out);
}
