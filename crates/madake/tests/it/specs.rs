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
fn the_last_line_names_each_document() {
    let place = Place::new();
    let permissions =
        "version: 2\nplan: {key: PROJ-PLAN}\nplan-permissions:\n  - {users: [joe], permissions: [view]}\n";
    let deployment = "version: 2\ndeployment: {name: Web}\ndeployment-permissions:\n  - {users: [joe], permissions: [view]}\n";
    let other = format!("server-name: elsewhere\n{permissions}");
    for (text, said) in [
        (permissions.to_owned(), "permissions of PROJ-PLAN: no findings"),
        (
            deployment.to_owned(),
            "permissions of deployment project Web: no findings",
        ),
        (format!("{GOOD}---\n{permissions}"), ": PROJ-PLAN: no findings"),
        (other, ": nothing for this server: "),
    ] {
        let out = place.run_with(&["specs", "validate", "-"], &text).ok();
        assert!(out.contains(said), "{out}");
    }
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

#[test]
fn file_out_of_its_repository_may_include_what_is_not_there() {
    let place = Place::new();
    let text = GOOD.replace(
        "  tasks:\n    - script: echo hello\n",
        "  !include 'jobs/build.yml'\n",
    );
    let folder = place.path("work/bamboo-specs");
    std::fs::create_dir_all(&folder).expect("a folder");
    let (inside, alone) = (folder.join("bamboo.yml"), place.path("work/alone.yml"));
    std::fs::write(&inside, &text).expect("a file");
    std::fs::write(&alone, &text).expect("a file");

    let done = place.run(&["specs", "validate", inside.to_str().expect("text")]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains("there is no such file"), "{done:?}");
    let out = place
        .run(&["specs", "validate", alone.to_str().expect("text")])
        .ok();
    assert!(
        out.contains("the file is not here, and what it holds is not checked") && out.contains("1 warning"),
        "{out}"
    );
}
