//! Hostile clients, committers and moments towards Git LFS, with the real binary: names of objects that are paths, sizes
//! that are not true, objects of others, all that each permission allows, and `kill -9` at any moment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_testkit::{PASSWORD, Server, WorkTree, git, try_git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::crash::{Chance, rounds};
use crate::hostile_support::{connect, raw, settled, status_of, user};
use crate::lfs::{
    MEDIA_TYPE, action, batch, clone, content, files_in, name_of, object_path, put, send, track,
};
use crate::plan_files::one_job;

const BASIC: &str = "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n";
const LFS: &str = "/scm/proj/app.git/info/lfs";

/// All files below a folder.
fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.append(&mut files_below(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}

/// The answer to a batch call whose body is whatever it is.
async fn ask(server: &Server, kind: &str, body: impl Into<String>) -> (u16, Value) {
    let answer = server
        .request(Method::POST, &format!("{LFS}/objects/batch"))
        .header("content-type", kind)
        .body(body.into())
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_of_objects_reach_no_file() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    track(&work);
    let bytes = content(21, 3_000);
    put(&work, "a.bin", &bytes);
    let _ = work.push("master", &[]);
    settled(&server).await;
    let repositories = server.home().join("repositories");
    let before = files_below(&repositories);
    let id = name_of(&bytes);
    let names = [
        "..".to_owned(),
        "../../../HEAD".into(),
        "..%2f..%2f..%2fHEAD".into(),
        "%2e%2e%2f%2e%2e%2f%2e%2e%2fconfig".into(),
        "%2fetc%2fpasswd".into(),
        "..%5c..%5cHEAD".into(),
        "HEAD".into(),
        "incoming".into(),
        format!("{}%2f..", &id[..2]),
        format!("{id}%00"),
        format!("{id}%0a"),
        format!("{id}.lock"),
        format!(" {id}").replace(' ', "%20"),
        id[..63].to_owned(),
        format!("{id}0"),
        id.to_uppercase(),
        "g".repeat(64),
        "%e2%91%a0".repeat(64),
    ];
    for name in &names {
        for (method, path) in [
            ("GET", format!("{LFS}/objects/{name}")),
            ("PUT", format!("{LFS}/objects/{name}")),
            ("POST", format!("{LFS}/objects/{name}/verify")),
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{BASIC}Content-Type: {MEDIA_TYPE}\r\n\
                 Content-Length: 4\r\n\r\nevil"
            );
            let answer = raw(&server, request.as_bytes()).await;
            let status = status_of(&answer);
            assert!(matches!(status, 404 | 405 | 422), "{method} {path}: {answer}");
            assert!(!answer.contains("refs/heads/"), "{method} {path}: {answer}");
        }
    }
    let objects: Vec<Value> = ["../../HEAD", "/etc/passwd", "", &id.to_uppercase(), &id[1..]]
        .iter()
        .map(|name| json!({ "oid": name, "size": 3000 }))
        .collect();
    for operation in ["download", "upload"] {
        let asked = json!({ "operation": operation, "objects": objects }).to_string();
        let (status, answer) = ask(&server, MEDIA_TYPE, asked).await;
        assert_eq!(status, 200, "{answer}");
        for one in answer["objects"].as_array().expect("a list") {
            assert_eq!(one["error"]["code"], 422, "{one}");
            assert_eq!(one["actions"], Value::Null, "{one}");
        }
    }
    assert_eq!(files_below(&repositories), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_sizes_and_bodies_are_refused_and_leave_nothing() {
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app");
    let bytes = content(22, 100_000);
    let id = name_of(&bytes);

    // What is no question of git-lfs.
    let one = |size: &str| {
        format!("{{\"operation\":\"upload\",\"objects\":[{{\"oid\":\"{id}\",\"size\":{size}}}]}}")
    };
    let many: Vec<Value> = vec![json!({ "oid": id, "size": 1 }); 1001];
    let deep = "[".repeat(100_000);
    for (body, expected) in [
        (one("-1"), 422),
        (one("1.5"), 422),
        (one("\"1\""), 422),
        (one("18446744073709551616"), 422),
        (one("null"), 422),
        (String::new(), 422),
        ("{}".into(), 422),
        ("[]".into(), 422),
        (deep.clone(), 422),
        (format!("{{\"operation\":\"upload\",\"objects\":{deep}"), 422),
        ("{\"operation\":\"delete\",\"objects\":[]}".into(), 422),
        (
            "{\"operation\":\"upload\",\"transfers\":[\"tus\"],\"objects\":[]}".into(),
            422,
        ),
        (
            "{\"operation\":\"upload\",\"hash_algo\":\"md5\",\"objects\":[]}".into(),
            409,
        ),
        (json!({ "operation": "upload", "objects": many }).to_string(), 413),
        ("x".repeat(12 * 1024 * 1024), 413),
    ] {
        let shown: String = body.chars().take(80).collect();
        let (status, answer) = ask(&server, MEDIA_TYPE, body).await;
        assert_eq!(status, expected, "{shown}: {answer}");
        assert!(
            answer["message"].is_string() || status == 413,
            "{shown}: {answer}"
        );
    }
    // A form of a foreign page.
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let (status, answer) = ask(&server, kind, one("1")).await;
        assert_eq!(status, 415, "{kind}: {answer}");
    }
    let (status, answer) = ask(&server, MEDIA_TYPE, one("18446744073709551615")).await;
    assert_eq!(
        (status, &answer["objects"][0]["error"]["code"]),
        (200, &json!(422))
    );

    // More than was announced: no more than that is read, whatever the length says, and without one.
    let asked = batch(&server, "proj/app", "upload", &[&bytes]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    for head in ["Content-Length: 1000000000000", "Transfer-Encoding: chunked"] {
        let chunked = head.starts_with("Transfer");
        let mut stream = connect(&server).await;
        let text = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {ticket}\r\n{head}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.expect("the head");
        let piece = content(23, 16 * 1024);
        let (mut reading, mut writing) = stream.split();
        let sending = async {
            loop {
                let mut part = Vec::new();
                if chunked {
                    part.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                }
                part.extend_from_slice(&piece);
                if chunked {
                    part.extend_from_slice(b"\r\n");
                }
                // The server goes away once it has read enough.
                if writing.write_all(&part).await.is_err() {
                    return std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = [0; 512];
        let read = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                () = sending => 0,
                read = reading.read(&mut answer) => read.unwrap_or(0),
            }
        });
        let read = read.await.expect("an answer before everything was sent");
        let said = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert_eq!(status_of(&said), 422, "{head}: {said}");
    }
    let lfs = server.home().join("repositories/proj/app.git/lfs");
    wait_for("nothing left", || async {
        (files_in(&lfs.join("incoming")) == 0).then_some(())
    })
    .await;
    assert!(!lfs.join("objects").exists());

    // Without a ticket the length is needed, and a coded body is not the object.
    let target = format!("{LFS}/objects/{id}");
    let request = format!(
        "PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{BASIC}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let answer = raw(&server, request.as_bytes()).await;
    assert_eq!(status_of(&answer), 411, "{answer}");
    let coded = server
        .request(Method::PUT, &target)
        .header("content-encoding", "gzip")
        .body(bytes.clone());
    assert_eq!(coded.send().await.expect("an answer").status().as_u16(), 415);
    assert!(!lfs.join("objects").exists());

    // The empty file is an object as any other.
    let asked = batch(&server, "proj/app", "upload", &[b""]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    assert_eq!(send(&server, &path, &ticket, Vec::new()).await.0, 200);
    let asked = batch(&server, "proj/app", "download", &[b""]).await;
    let (path, ticket) = action(&server, &asked, "download");
    let answer = server
        .anonymous(Method::GET, &path)
        .header("authorization", &ticket)
        .header("range", "bytes=0-")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_keeps_to_the_permissions_of_the_repository() {
    const SECRET: &str = "a-password-of-theirs";
    let server = Server::start().await;
    let _ = server.hosted("PROJ/app");
    let bytes = content(24, 2_000);
    let asked = batch(&server, "proj/app", "upload", &[&bytes]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    assert_eq!(send(&server, &path, &ticket, bytes.clone()).await.0, 200);
    let lock = json!({ "path": "held.bin" }).to_string();
    let held = server
        .request(Method::POST, &format!("{LFS}/locks"))
        .header("content-type", MEDIA_TYPE)
        .body(lock)
        .send()
        .await
        .expect("an answer");
    let held: Value = held.json().await.expect("JSON");
    let held = held["lock"]["id"].as_str().expect("an id").to_owned();
    for (name, granted) in [
        ("stranger", [].as_slice()),
        ("reader", &["READ"]),
        ("writer", &["READ", "WRITE"]),
        ("owner", &["READ", "WRITE", "ADMINISTRATION"]),
    ] {
        user(&server, name, SECRET);
        if !granted.is_empty() {
            let words = [
                &["permission", "grant", "repository", "PROJ/app"],
                granted,
                &["--user", name],
            ];
            server.madake(&words.concat());
        }
    }
    let call = async |who: &str, method: &Method, path: &str, body: Option<String>| {
        let mut request = server.anonymous(method.clone(), path);
        if who != "nobody" {
            request = request.basic_auth(who, Some(SECRET));
        }
        if let Some(body) = body {
            request = request.header("content-type", MEDIA_TYPE).body(body);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    let id = name_of(&bytes);
    let object = format!("{LFS}/objects/{id}");
    let wanted = json!([{ "oid": id, "size": bytes.len() }]);
    let asking = |operation: &str| json!({ "operation": operation, "objects": wanted }).to_string();
    let table = [
        (
            Method::POST,
            format!("{LFS}/objects/batch"),
            Some(asking("download")),
            [401, 403, 200, 200, 200],
        ),
        (
            Method::POST,
            format!("{LFS}/objects/batch"),
            Some(asking("upload")),
            [401, 403, 403, 200, 200],
        ),
        (Method::GET, object.clone(), None, [401, 403, 200, 200, 200]),
        (
            Method::POST,
            format!("{object}/verify"),
            Some(wanted[0].to_string()),
            [401, 403, 403, 200, 200],
        ),
        (
            Method::GET,
            format!("{LFS}/locks"),
            None,
            [401, 403, 200, 200, 200],
        ),
        (
            Method::POST,
            format!("{LFS}/locks/verify"),
            Some("{}".into()),
            [401, 403, 403, 200, 200],
        ),
        (
            Method::POST,
            format!("{LFS}/locks"),
            Some(json!({ "path": "held.bin" }).to_string()),
            [401, 403, 403, 409, 409],
        ),
        (
            Method::POST,
            format!("{LFS}/locks/{held}/unlock"),
            Some("{}".into()),
            [401, 403, 403, 403, 403],
        ),
        (
            Method::POST,
            format!("{LFS}/locks/{held}/unlock"),
            Some(json!({ "force": true }).to_string()),
            [401, 403, 403, 403, 200],
        ),
    ];
    for (method, path, body, expected) in table {
        for (who, expected) in ["nobody", "stranger", "reader", "writer", "owner"]
            .iter()
            .zip(expected)
        {
            let status = call(who, &method, &path, body.clone()).await;
            assert_eq!(status, expected, "{who}: {method} {path} {body:?}");
        }
    }
    // Objects themselves, which only who may write brings in.
    for (number, who, expected) in [
        (31, "nobody", 401),
        (32, "stranger", 403),
        (33, "reader", 403),
        (34, "writer", 200),
    ] {
        let fresh = content(number, 500);
        let request = server.anonymous(Method::PUT, &format!("{LFS}/objects/{}", name_of(&fresh)));
        let request = match who {
            "nobody" => request,
            _ => request.basic_auth(who, Some(SECRET)),
        };
        let status = request
            .body(fresh.clone())
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16();
        assert_eq!(status, expected, "{who}");
        assert_eq!(
            object_path(&server, "proj/app", &fresh).exists(),
            expected == 200,
            "{who}"
        );
    }
    // A repository that is hidden and one that is not there look alike from outside.
    let mut answers = Vec::new();
    for name in ["proj/app", "proj/none"] {
        let answer = server
            .anonymous(Method::POST, &format!("/scm/{name}.git/info/lfs/objects/batch"))
            .header("content-type", MEDIA_TYPE)
            .body(asking("download"))
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body").to_lowercase();
        answers.push((status, text.replace(name, "NAME")));
    }
    assert_eq!(answers[0], answers[1]);
    // What is not hosted here, or is no Git, takes no objects.
    let bare = server.scratch().join("attached.git");
    let work = WorkTree::with_bare(&bare);
    let _ = work.push("master", &[("x", "1")]);
    server.madake(&["repo", "attach", "ATT/app", bare.to_str().expect("text")]);
    server.madake(&["repo", "create", "HG/app", "--scm", "hg"]);
    for (name, allowed) in [("att/app", [403]), ("hg/app", [400])] {
        let answer = server
            .request(Method::POST, &format!("/scm/{name}.git/info/lfs/objects/batch"))
            .header("content-type", MEDIA_TYPE)
            .body(asking("upload"))
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        assert!(
            allowed.contains(&status),
            "{name}: {status} {}",
            answer.text().await.expect("a body")
        );
    }
    assert!(!bare.join("lfs").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_another_repository_are_not_had_by_naming_them() {
    let server = Server::start().await;
    let theirs = server.hosted("PROJ/theirs");
    track(&theirs);
    let secret = content(25, 4_000);
    put(&theirs, "secret.bin", &secret);
    let _ = theirs.push("master", &[]);

    // A committer of another repository knows the name and the size, and builds.
    let mine = server.hosted("PROJ/mine");
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
        name_of(&secret),
        secret.len()
    );
    let _ = mine.push(
        "master",
        &[
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            (
                ".lfsconfig",
                &format!("[lfs]\n\turl = {}/info/lfs\n", server.clone_url("PROJ/theirs")),
            ),
            ("a.bin", &pointer),
            (
                "bamboo-specs/bamboo.yml",
                &one_job("sha256sum < a.bin\nhead -c 60 a.bin", ""),
            ),
        ],
    );
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["state"], "Successful");
    let said = server.madake(&["build", "log", "PROJ-PLAN-1"]);
    assert!(
        said.contains("1 file stays a pointer, because the content is not in the repository: a.bin"),
        "{said}"
    );
    assert!(said.contains("version https://git-lfs"), "{said}");
    let asked = batch(&server, "proj/mine", "download", &[&secret]).await;
    assert_eq!(asked["objects"][0]["error"]["code"], 404, "{asked}");
    // Nor is it learned here that somebody else has it: it is to be sent, as anything is that is not here.
    let asked = batch(&server, "proj/mine", "upload", &[&secret]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    let mut guessed = secret.clone();
    guessed[0] ^= 1;
    assert_eq!(send(&server, &path, &ticket, guessed).await.0, 422);
    assert!(!object_path(&server, "proj/mine", &secret).exists());

    // A ticket ends with the repository that it is for, also when another one has the name.
    server.madake(&["repo", "create", "PROJ/gone"]);
    let asked = batch(&server, "proj/gone", "upload", &[&secret]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    let repository = server.home().join("repositories/proj/gone.git");
    let mut stream = connect(&server).await;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {ticket}\r\nContent-Length: {}\r\n\r\n",
        secret.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the head");
    stream.write_all(&secret[..1_000]).await.expect("a part");
    wait_for("a file that grows", || async {
        (files_in(&repository.join("lfs/incoming")) == 1).then_some(())
    })
    .await;
    server.madake(&["repo", "remove", "PROJ/gone"]);
    assert!(!repository.exists());
    stream.write_all(&secret[1_000..]).await.expect("the rest");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        !repository.exists(),
        "an upload brings no repository back: {answer}"
    );
    server.madake(&["repo", "create", "PROJ/gone"]);
    assert_eq!(send(&server, &path, &ticket, secret.clone()).await.0, 401);
    assert!(!repository.join("lfs").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_whole_whenever_the_server_is_killed() {
    let mut chance = Chance::from_environment();
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    track(&work);
    let _ = work.push("master", &[("x", "1")]);
    let objects = server.home().join("repositories/proj/app.git/lfs/objects");
    let mut all = Vec::new();
    for round in 0..rounds().div_ceil(2) {
        let mut names = Vec::new();
        for part in 0..3 {
            let bytes = content(1000 + round * 10 + part, 700_000);
            put(&work, &format!("{round}-{part}.bin"), &bytes);
            names.push(name_of(&bytes));
        }
        let _ = work.commit("large", &[]);
        let pusher = {
            let work = work.clone();
            tokio::task::spawn_blocking(move || {
                try_git(&work.path, &["push", "--quiet", "origin", "master"])
                    .status
                    .success()
            })
        };
        tokio::time::sleep(Duration::from_millis(chance.below(900))).await;
        server.kill();
        let succeeded = pusher.await.expect("the push ends");
        for file in files_below(&objects) {
            let bytes = std::fs::read(&file).expect("an object");
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            assert_eq!(
                name_of(&bytes),
                name,
                "MADAKE_SEED={}: half an object",
                chance.seed()
            );
        }
        let there = |name: &String| objects.join(&name[..2]).join(&name[2..4]).join(name).is_file();
        assert!(
            !succeeded || names.iter().all(there),
            "MADAKE_SEED={}: a push went well without its objects",
            chance.seed()
        );
        all.append(&mut names);
        server.launch().await;
        git(&work.path, &["push", "--quiet", "origin", "master"]);
        assert!(all.iter().all(there), "MADAKE_SEED={}", chance.seed());
    }
    let copy = clone(&server, &server.clone_url("PROJ/app"), "copy");
    assert_eq!(git(&copy, &["lfs", "fsck"]), "Git LFS fsck OK");
    assert_eq!(git(&copy, &["status", "--short"]), "");
    assert!(!server.log().contains(PASSWORD));
}
