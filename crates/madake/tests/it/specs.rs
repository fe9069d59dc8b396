//! Plan files are checked without a server.

use crate::place::Place;

const GOOD: &str = "---\nversion: 2\nplan: {project-key: PROJ, key: PLAN, name: Plan}\nstages:\n  - Build: [Job]\n\
                    Job:\n  tasks:\n    - script: echo hello\n";

#[test]
fn verdict_is_the_exit_code() {
    let place = Place::new();
    let folder = place.path("work/bamboo-specs");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("bamboo.yml");
    let file_name = file.to_str().expect("text");
    let work = place.path("work");
    let work = work.to_str().expect("text");

    std::fs::write(&file, GOOD).expect("a file");
    for path in [file_name, work] {
        let out = place.run(&["specs", "validate", path]).ok();
        assert!(out.contains("PROJ-PLAN: no findings"), "{out}");
    }
    let read = place.run_with(&["specs", "validate", "-", "--json"], GOOD).json();
    assert_eq!(
        (&read["plans"][0]["key"], &read["errors"]),
        (&"PROJ-PLAN".into(), &0.into())
    );

    let bad = format!("{GOOD}triggers:\n  - cron: 61 * * * *\n");
    std::fs::write(&file, bad).expect("a file");
    let done = place.run(&["specs", "validate", work]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("bamboo.yml:10:11") && done.out.contains("1 error"),
        "{done:?}"
    );
    assert!(!place.home().exists(), "checking needs no home");

    let error = place
        .run(&["specs", "validate", place.path("").to_str().expect("text")])
        .refused(2);
    assert!(error.contains("there is no bamboo-specs/bamboo.yml"), "{error}");
}

#[test]
fn includes_are_read_from_beside_the_plan_file() {
    let place = Place::new();
    let folder = place.path("bamboo-specs");
    std::fs::create_dir_all(folder.join("jobs")).expect("a folder");
    let text = GOOD.replace(
        "Job:\n  tasks:\n    - script: echo hello\n",
        "Job: !include 'jobs/job.yml'\n",
    );
    std::fs::write(folder.join("bamboo.yml"), &text).expect("a file");
    let error = place.run(&["specs", "validate"]);
    assert_eq!(error.code, Some(1), "{error:?}");
    std::fs::write(folder.join("jobs/job.yml"), "tasks:\n  - script: echo hello\n").expect("a file");
    let out = place.run(&["specs", "validate"]).ok();
    assert!(out.contains("no findings"), "{out}");
    place.run_with(&["specs", "validate", "-"], &text).ok();
}
