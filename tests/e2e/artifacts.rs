//! Artifacts over HTTP and in the home: ranges and headers, who may read them, when they go, and that a dead server
//! loses none (hostile-inputs.md T3, T4, T6, T7).

use madake_testkit::{Server, ServerOptions, wait_for};
use reqwest::{Method, StatusCode};

use crate::plan_files::one_job;

const ARTIFACT: &str =
    "  artifacts:\n    - {name: kept, pattern: '*.txt'}\n    - {name: pages, pattern: '*.html'}\n";

fn blobs(server: &Server) -> usize {
    let folders = std::fs::read_dir(server.home().join("artifacts/blobs")).expect("blobs");
    folders
        .flatten()
        .map(|folder| std::fs::read_dir(folder.path()).expect("a folder").count())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_t6_artifacts_are_sent_in_parts_and_nothing_of_them_is_run() {
    let server = Server::start().await;
    let script = "printf 0123456789 > a.txt; echo '<script>alert(1)</script>' > index.html";
    let _ = server.hosted("PROJ/app").push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job(script, ARTIFACT))],
    );
    server.ended("PROJ-PLAN", 1).await;
    let file = "/browse/PROJ-PLAN-1/artifact/shared/kept/a.txt";
    let whole = server.request(Method::GET, file).send().await.expect("an answer");
    assert_eq!(whole.status(), StatusCode::OK);
    let tag = whole.headers()["etag"].to_str().expect("a tag").to_owned();
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.headers()["content-length"], "10");
    assert_eq!(whole.text().await.expect("a body"), "0123456789");

    let many: Vec<String> = (0..100).map(|_| "0-9".to_owned()).collect();
    let many = format!("bytes={}", many.join(","));
    for (range, if_range, status, content_range, body) in [
        ("bytes=2-4", None, 206, Some("bytes 2-4/10"), "234"),
        ("bytes=-3", None, 206, Some("bytes 7-9/10"), "789"),
        ("bytes=8-", Some(tag.as_str()), 206, Some("bytes 8-9/10"), "89"),
        ("bytes=8-", Some("\"another\""), 200, None, "0123456789"),
        ("bytes=0-3,2-6", None, 206, Some("bytes 0-6/10"), "0123456"),
        (many.as_str(), None, 200, None, "0123456789"),
        ("bytes=10-", None, 416, Some("bytes */10"), ""),
    ] {
        let mut request = server.request(Method::GET, file).header("range", range);
        if let Some(known) = if_range {
            request = request.header("if-range", known);
        }
        let part = request.send().await.expect("an answer");
        assert_eq!(part.status().as_u16(), status, "{range}");
        let told = part
            .headers()
            .get("content-range")
            .map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(told.as_deref(), content_range, "{range}");
        assert_eq!(part.text().await.expect("a body"), body, "{range}");
    }
    let same = server
        .request(Method::GET, file)
        .header("if-none-match", &tag)
        .send()
        .await
        .expect("an answer");
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);

    let page = server
        .request(
            Method::GET,
            "/browse/PROJ-PLAN-1/artifact/shared/pages/index.html",
        )
        .send()
        .await
        .expect("an answer");
    let disposition = page.headers()["content-disposition"].to_str().expect("text");
    assert!(disposition.starts_with("attachment"), "{disposition}");
    let policy = page.headers()["content-security-policy"].to_str().expect("text");
    assert!(
        policy.contains("sandbox") && !policy.contains("script-src") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn artifact_of_several_files_is_had_as_one_zip_file() {
    let server = Server::start().await;
    let script = "mkdir -p sub/deep; printf 'one é' > a.txt; seq 1 200000 > sub/deep/many.txt; : > sub/empty.txt; \
                  printf '#!/bin/sh' > sub/tool.txt; chmod +x sub/tool.txt";
    let kept = "  artifacts:\n    - {name: 'my \"files\"', pattern: '**/*.txt', shared: true}\n";
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &one_job(script, kept))]);
    server.ended("PROJ-PLAN", 1).await;
    let build = server.get("/rest/madake/1.0/builds/PROJ-PLAN-1").await;
    let artifact = &build["artifacts"][0];
    assert_eq!(artifact["files"], 4, "{artifact}");
    let zip = artifact["zip"].as_str().expect("an address");
    let zip = &zip[zip.find("/browse").expect("a path")..];
    let page = server
        .request(Method::GET, "/browse/PROJ-PLAN-1")
        .send()
        .await
        .expect("an answer");
    assert!(page.text().await.expect("a page").contains("?download=zip"));

    let python = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  for i in z.infolist(): print(i.filename, i.file_size, oct(i.external_attr >> 16))";
    let all = [
        "a.txt 6 0o100644",
        "sub/deep/many.txt 1288895 0o100644",
        "sub/empty.txt 0 0o100644",
        "sub/tool.txt 9 0o100755",
    ];
    let folder = zip.replace("?download", "/sub?download");
    for (path, name, listed) in [
        (zip, "my%20%22files%22%2Ezip", all.to_vec()),
        (
            folder.as_str(),
            "sub%2Ezip",
            vec![
                "deep/many.txt 1288895 0o100644",
                "empty.txt 0 0o100644",
                "tool.txt 9 0o100755",
            ],
        ),
    ] {
        let answer = server.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/zip");
        assert_eq!(
            answer.headers()["content-disposition"],
            format!("attachment; filename*=UTF-8''{name}")
        );
        let file = server.home().join("got.zip");
        std::fs::write(&file, answer.bytes().await.expect("a body")).expect("a file");
        let read = std::process::Command::new("python3")
            .args(["-c", python])
            .arg(&file)
            .output()
            .expect("python3");
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(
            String::from_utf8_lossy(&read.stdout).lines().collect::<Vec<_>>(),
            listed,
            "{path}"
        );
    }
    let stranger = server
        .anonymous(Method::GET, zip)
        .send()
        .await
        .expect("an answer");
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_who_may_not_read_the_plan_does_not_learn_of_its_artifacts() {
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app").push(
        "master",
        &[("bamboo-specs/bamboo.yml", &one_job("echo x > a.txt", ARTIFACT))],
    );
    server.ended("PROJ-PLAN", 1).await;
    server.madake_with_input(&["user", "add", "carol", "--password-stdin"], "carols-password");
    let mut answers = Vec::new();
    for path in [
        "/browse/PROJ-PLAN-1/artifact/shared/kept/a.txt",
        "/browse/PROJ-PLAN-1/artifact/shared/none/a.txt",
        "/browse/NONE-SUCH-1/artifact/shared/kept/a.txt",
        "/browse/PROJ-PLAN/latestSuccessful/artifact/shared/kept",
    ] {
        let stranger = server
            .anonymous(Method::GET, path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(stranger.status(), StatusCode::NOT_FOUND, "{path}");
        let carol = server
            .anonymous(Method::GET, path)
            .basic_auth("carol", Some("carols-password"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(carol.status(), StatusCode::NOT_FOUND, "{path}");
        answers.push(carol.text().await.expect("a body").len());
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    let form = server
        .anonymous(Method::GET, "/browse/PROJ-PLAN-1")
        .send()
        .await
        .expect("an answer");
    assert_eq!(form.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_artifacts_go_with_their_bytes_and_labelled_and_newest_ones_stay() {
    let mut server = Server::start_with(ServerOptions {
        configuration: "[expiry]\nremove = [\"artifacts\", \"logs\"]\nmost-builds = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let work = server.hosted("PROJ/app");
    for number in 1..=3 {
        let script = format!("echo {number} > a.txt; echo same > b.txt");
        let plan = one_job(&script, ARTIFACT);
        // A file that says nothing of labels would leave them as they are.
        let labels = if number == 1 {
            "labels: [released]\n"
        } else {
            "labels: []\n"
        };
        let _ = work.push(
            "master",
            &[("bamboo-specs/bamboo.yml", &format!("{plan}{labels}"))],
        );
        server.ended("PROJ-PLAN", number).await;
    }
    // `echo same` is there once.
    assert_eq!(blobs(&server), 4);
    let count = |key: &str| format!("/rest/api/latest/result/{key}?expand=artifacts");
    assert_eq!(server.get(&count("PROJ-PLAN-2")).await["artifacts"]["size"], 1);
    server.stop();
    let configuration = server.home().join("madake.toml");
    let text = std::fs::read_to_string(&configuration).expect("a configuration");
    std::fs::write(&configuration, format!("{text}keep-labels = [\"released\"]\n")).expect("a configuration");
    server.launch().await;
    wait_for("the second build's artifacts to go", || async {
        (blobs(&server) == 3).then_some(())
    })
    .await;
    for (key, left) in [("PROJ-PLAN-1", 1), ("PROJ-PLAN-2", 0), ("PROJ-PLAN-3", 1)] {
        assert_eq!(server.get(&count(key)).await["artifacts"]["size"], left, "{key}");
    }
    let gone = server
        .request(Method::GET, "/browse/PROJ-PLAN-2/artifact/shared/kept/a.txt")
        .send()
        .await
        .expect("an answer");
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let page = server
        .request(Method::GET, "/browse/PROJ-PLAN-2")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a page");
    assert!(page.contains("Artifacts and logs had their time"), "{page}");
    let log = server
        .request(
            Method::GET,
            "/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-2.log",
        )
        .send()
        .await
        .expect("an answer");
    assert_eq!(log.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_results_go_where_the_plan_says_so() {
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let other = "other:\n  all-other-apps:\n    custom:\n      buildExpiryConfig.enabled: 'true'\n      \
                 buildExpiryConfig.expiryTypeResult: 'true'\n      buildExpiryConfig.maximumBuildsToKeep: '1'\n";
    for number in 1..=2 {
        let script = format!("echo {number} > a.txt");
        let plan = one_job(&script, ARTIFACT);
        let _ = work.push(
            "master",
            &[("bamboo-specs/bamboo.yml", &format!("{plan}{other}"))],
        );
        server.ended("PROJ-PLAN", number).await;
    }
    server.stop();
    server.launch().await;
    wait_for("the first result to go", || async {
        let gone = server
            .request(Method::GET, "/rest/api/latest/result/PROJ-PLAN-1")
            .send()
            .await
            .ok()?;
        (gone.status() == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    let results = server.results("PROJ-PLAN").await;
    assert_eq!(results.len(), 1, "{results:?}");
    // What the ledger has of it stays readable.
    let why = server.madake(&["why", "PROJ-PLAN"]);
    assert!(why.contains("PROJ-PLAN-2"), "{why}");
    wait_for("its bytes to go", || async {
        (blobs(&server) == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_a_server_that_dies_while_a_job_ends_has_its_artifacts_and_tests_once() {
    let mut server = Server::start().await;
    let gate = server.scratch().join("gate");
    let script = format!(
        "echo waits; while [ ! -e {} ]; do sleep 0.05; done; seq 1 500 | while read n; do echo $n > $n.txt; done; \
         printf '<testsuite><testcase name=\"a\"/></testsuite>' > r.xml",
        gate.display()
    );
    let parser = "  final-tasks:\n    - test-parser: {type: junit, test-results: r.xml}\n";
    let plan = one_job(&script, &format!("{parser}{ARTIFACT}"));
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", &plan)]);
    wait_for("the job to begin", || async {
        let request = server.request(Method::GET, "/rest/madake/1.0/builds/PROJ-PLAN-1");
        let status: serde_json::Value = request.send().await.ok()?.json().await.ok()?;
        (status["lifeCycleState"] == "InProgress").then_some(())
    })
    .await;
    server.kill();
    std::fs::write(&gate, "").expect("a file");
    for _ in 0..3 {
        server.launch().await;
        server.kill();
    }
    server.launch().await;
    server.ended("PROJ-PLAN", 1).await;
    let result = server
        .get("/rest/api/latest/result/PROJ-PLAN-1?expand=artifacts.artifact")
        .await;
    assert_eq!(result["artifacts"]["size"], 1, "{result:#}");
    assert_eq!(result["successfulTestCount"], 1, "{result:#}");
    assert_eq!(blobs(&server), 500);
    let last = server
        .request(Method::GET, "/browse/PROJ-PLAN-1/artifact/shared/kept/500.txt")
        .send()
        .await
        .expect("an answer");
    assert_eq!(last.text().await.expect("a body"), "500\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_go_to_another_project_only_where_everybody_may_read_the_plan() {
    let server = Server::start().await;
    let _ = server.hosted("LIB/lib").push(
        "master",
        &[(
            "bamboo-specs/bamboo.yml",
            &one_job("echo library > a.txt", ARTIFACT).replace("PROJ", "LIB"),
        )],
    );
    server.ended("LIB-PLAN", 1).await;
    let taker = "version: 2\nplan: {project-key: PROJ, key: PLAN, name: Takes}\nstages:\n  - Build: [Link]\nLink:\n  key: JOB1\n  \
                 tasks:\n    - artifact-download: {source-plan: LIB-PLAN, artifacts: [{name: kept}]}\n    - script: cat a.txt\n";
    let _ = server
        .hosted("PROJ/app")
        .push("master", &[("bamboo-specs/bamboo.yml", taker)]);
    let log = |number: i32| format!("/download/PROJ-PLAN-JOB1/build_logs/PROJ-PLAN-JOB1-{number}.log");
    let text = |path: String| {
        let request = server.request(Method::GET, &path);
        async move {
            request
                .send()
                .await
                .expect("an answer")
                .text()
                .await
                .expect("a log")
        }
    };
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["buildState"], "Failed");
    let refused = text(log(1)).await;
    assert!(
        refused.contains("artifacts of LIB-PLAN are not handed to another project"),
        "{refused}"
    );
    server.madake(&["permission", "grant", "plan", "LIB-PLAN", "READ", "--logged-in"]);
    server.madake(&["build", "queue", "PROJ-PLAN"]);
    let results = server.ended("PROJ-PLAN", 2).await;
    let taken = text(log(2)).await;
    assert!(
        results.iter().any(|one| one["buildState"] == "Successful"),
        "{taken}"
    );
    assert!(
        taken.contains("Fetching artifacts of LIB-PLAN-1") && taken.contains("library"),
        "{taken}"
    );
}
