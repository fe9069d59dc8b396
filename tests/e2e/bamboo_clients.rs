//! The library that scripts for Bamboo are written with drives the server unchanged.

use std::process::{Command, Stdio};

use madake_testkit::{PASSWORD, Server, wait_for};
use serde_json::{Value, json};

use crate::real_receivers::python_tool;

/// What the library is made to do.
const SCRIPT: &str = include_str!("bamboo_clients.py");

const PLAN: &str = "version: 2\nplan: {project-key: PROJ, key: PLAN, name: A plan}\nstages:\n  - Build: [Compile]\n\
                    Compile:\n  key: JOB1\n  tasks:\n    - script: [echo compiled]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_library_for_bamboo_keeps_deployment_projects() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", PLAN)]);
    let result = "/rest/api/latest/result/PROJ-PLAN-1.json";
    wait_for("the first result", || async {
        let answer = server.request(reqwest::Method::GET, result).send().await.ok()?;
        let body: Value = answer.json().await.ok()?;
        (body["state"] == "Successful").then_some(())
    })
    .await;
    let output = Command::new(python_tool("python"))
        .args(["-c", SCRIPT])
        .env("MADAKE_URL", server.url())
        .env("MADAKE_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .expect("python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (what, expected) in [
        ("project", json!("kept by a script")),
        ("environments", json!(["Staging", "Production"])),
        ("projects", json!(["By script"])),
        ("of_plan", json!(["By script"])),
        ("unused", json!("release-1")),
        ("versions", json!(["release-1", "1.0"])),
        ("version", json!("1.0")),
        ("result", json!([true, "SUCCESS"])),
        ("dashboard", json!(["By script"])),
        ("page", json!(["By script"])),
        ("status", json!([[true, "SUCCESS"]])),
        ("left", json!(["Staging"])),
        ("at_the_end", json!([])),
    ] {
        assert_eq!(seen[what], expected, "{what} in {seen:#}");
    }
}
