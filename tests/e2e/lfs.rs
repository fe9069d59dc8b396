//! Git LFS with the real git-lfs: what is pushed comes back, and nothing else gets in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use madake_testkit::{Server, ServerOptions, WorkTree, git, try_git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::hostile_support::{refusals, settled, user};
use crate::plan_files::one_job;
use crate::ssh::{key, register, ssh};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// Bytes that do not repeat, the same for the same seed.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

pub(crate) fn name_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Lets git-lfs take care of `*.bin` in a work tree.
pub(crate) fn track(work: &WorkTree) {
    git(&work.path, &["lfs", "install", "--local"]);
    git(&work.path, &["lfs", "track", "*.bin"]);
}

pub(crate) fn put(work: &WorkTree, file: &str, bytes: &[u8]) {
    std::fs::write(work.path.join(file), bytes).expect("a file");
}

/// A clone whose large files are there.
pub(crate) fn clone(server: &Server, url: &str, name: &str) -> PathBuf {
    let into = server.scratch().join(name);
    let text = into.to_str().expect("text");
    git(
        &server.scratch(),
        &["clone", "--quiet", "--no-checkout", url, text],
    );
    git(&into, &["lfs", "install", "--local"]);
    git(&into, &["checkout", "--quiet", "master"]);
    into
}

pub(crate) fn object_path(server: &Server, repository: &str, bytes: &[u8]) -> PathBuf {
    let id = name_of(bytes);
    let objects = server
        .home()
        .join(format!("repositories/{repository}.git/lfs/objects"));
    objects.join(&id[..2]).join(&id[2..4]).join(id)
}

pub(crate) fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

pub(crate) async fn batch(server: &Server, repository: &str, operation: &str, objects: &[&[u8]]) -> Value {
    let objects: Vec<Value> = objects
        .iter()
        .map(|bytes| json!({ "oid": name_of(bytes), "size": bytes.len() }))
        .collect();
    let answer = server
        .request(
            Method::POST,
            &format!("/scm/{repository}.git/info/lfs/objects/batch"),
        )
        .header("content-type", MEDIA_TYPE)
        .header("accept", MEDIA_TYPE)
        .body(json!({ "operation": operation, "transfers": ["basic"], "objects": objects }).to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
    answer.json().await.expect("JSON")
}

/// Where the one object of a batch is to go or to come from, and the ticket for it.
pub(crate) fn action(server: &Server, batch: &Value, name: &str) -> (String, String) {
    let action = &batch["objects"][0]["actions"][name];
    let href = action["href"]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {batch}"));
    let path = href
        .strip_prefix(&server.url())
        .expect("an address of this server");
    let ticket = action["header"]["Authorization"].as_str().expect("a ticket");
    (path.to_owned(), ticket.to_owned())
}

pub(crate) async fn send(server: &Server, path: &str, ticket: &str, bytes: Vec<u8>) -> (u16, String) {
    let answer = server
        .anonymous(Method::PUT, path)
        .header("authorization", ticket)
        .body(bytes)
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_pushed_cloned_and_built() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    track(&work);
    let (first, second) = (content(1, 300_000), content(2, 70_000));
    put(&work, "a.bin", &first);
    std::fs::create_dir(work.path.join("sub")).expect("a folder");
    put(&work, "sub/b c.bin", &second);
    let script = "sha256sum < a.bin\nsha256sum < 'sub/b c.bin'\ngit status --short | sed 's/^/changed:/'";
    let _ = work.push("master", &[("bamboo-specs/bamboo.yml", &one_job(script, ""))]);
    for bytes in [&first, &second] {
        assert_eq!(
            std::fs::read(object_path(&server, "proj/app", bytes)).expect("an object"),
            *bytes
        );
    }
    assert_eq!(
        files_in(&server.home().join("repositories/proj/app.git/lfs/incoming")),
        0
    );

    let copy = clone(&server, &server.clone_url("PROJ/app"), "copy");
    assert_eq!(std::fs::read(copy.join("a.bin")).expect("a file"), first);
    assert_eq!(std::fs::read(copy.join("sub/b c.bin")).expect("a file"), second);

    // The job sees content and not pointers, git sees no change, and the next build takes what changed.
    let log = |number: usize| {
        let key = format!("PROJ-PLAN-{number}");
        server.madake(&["build", "log", &key])
    };
    let results = server.ended("PROJ-PLAN", 1).await;
    assert_eq!(results[0]["state"], "Successful", "{}", log(1));
    let said = log(1);
    for part in [
        &name_of(&first),
        &name_of(&second),
        "Git LFS: 2 files put in place",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("changed:"), "{said}");
    let third = content(3, 1_000);
    put(&work, "a.bin", &third);
    let _ = work.push("master", &[]);
    server.ended("PROJ-PLAN", 2).await;
    let said = log(2);
    for part in [&name_of(&third), &name_of(&second), "put in place"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Content that never came: the pointer stays, and the log says so.
    put(&work, "lost.bin", &content(4, 2_000));
    git(&work.path, &["add", "--all"]);
    git(&work.path, &["commit", "--quiet", "--message", "lost"]);
    git(
        &work.path,
        &["push", "--quiet", "--no-verify", "origin", "master"],
    );
    server.ended("PROJ-PLAN", 3).await;
    let said = log(3);
    assert!(
        said.contains("1 file stays a pointer, because the content is not in the repository: lost.bin"),
        "{said}"
    );

    // What goes away takes its objects along.
    let other = server.hosted("PROJ/other");
    track(&other);
    put(&other, "a.bin", &first);
    let _ = other.push("master", &[]);
    let place = object_path(&server, "proj/other", &first);
    assert!(place.is_file());
    settled(&server).await;
    server.madake(&["repo", "remove", "PROJ/other"]);
    assert!(!place.exists());
    server.madake(&["repo", "create", "PROJ/other"]);
    assert_eq!(git(&other.path, &["ls-remote", "origin"]), "");
    let asked = batch(&server, "proj/other", "download", &[&first]).await;
    assert_eq!(asked["objects"][0]["error"]["code"], 404, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_that_is_cut_leaves_nothing_and_goes_well_the_next_time() {
    let mut server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let bytes = content(5, 4_000_000);
    let asked = batch(&server, "proj/app", "upload", &[&bytes]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    let incoming = server.home().join("repositories/proj/app.git/lfs/incoming");
    // A client that goes away in the middle.
    let half = async |server: &Server| {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = crate::hostile_support::connect(server).await;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {ticket}\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes()).await.expect("the head");
        stream.write_all(&bytes[..2_000_000]).await.expect("half of it");
        stream.flush().await.expect("sent");
        wait_for("a file that grows", || async {
            (files_in(&incoming) == 1).then_some(())
        })
        .await;
        stream
    };
    drop(half(&server).await);
    wait_for("nothing left", || async {
        (files_in(&incoming) == 0).then_some(())
    })
    .await;
    // A server that is killed in the middle. A ticket outlives it.
    let stream = half(&server).await;
    server.kill();
    drop(stream);
    assert_eq!(files_in(&incoming), 1, "nobody could tidy up");
    assert!(!object_path(&server, "proj/app", &bytes).exists());
    server.launch().await;
    let answer = server
        .anonymous(Method::GET, &path)
        .header("authorization", &ticket)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.status().as_u16(),
        401,
        "a ticket for uploading downloads nothing"
    );

    // The real client, twice.
    track(&work);
    put(&work, "big.bin", &bytes);
    git(
        &work.path,
        &["remote", "set-url", "origin", &server.clone_url("PROJ/app")],
    );
    let _ = work.push("master", &[]);
    assert_eq!(
        std::fs::read(object_path(&server, "proj/app", &bytes)).expect("an object"),
        bytes
    );
    let _ = work.push("master", &[("small", "1")]);
    let copy = clone(&server, &server.clone_url("PROJ/app"), "copy");
    assert_eq!(std::fs::read(copy.join("big.bin")).expect("a file"), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_what_their_names_say_and_belong_to_one_repository() {
    let server = Server::start_with(ServerOptions {
        configuration: "[repositories]\nlfs-object-mebibytes = 1\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let _ = server.hosted("PROJ/app");
    let _ = server.hosted("PROJ/other");
    let bytes = content(6, 50_000);
    let asked = batch(&server, "proj/app", "upload", &[&bytes]).await;
    let (path, ticket) = action(&server, &asked, "upload");
    let (verify, _) = action(&server, &asked, "verify");
    let verified = async || {
        let answer = server
            .anonymous(Method::POST, &verify)
            .header("authorization", &ticket)
            .header("content-type", MEDIA_TYPE)
            .body(json!({ "oid": name_of(&bytes), "size": bytes.len() }).to_string())
            .send()
            .await
            .expect("an answer");
        answer.status().as_u16()
    };

    // Other bytes, too few, too many.
    let mut wrong = bytes.clone();
    wrong[7] ^= 1;
    let (status, text) = send(&server, &path, &ticket, wrong).await;
    assert!(status == 422 && text.contains("SHA-256"), "{status} {text}");
    let (status, _) = send(&server, &path, &ticket, bytes[1..].to_vec()).await;
    assert_eq!(status, 422);
    let (status, _) = send(&server, &path, &ticket, [&bytes[..], b"x"].concat()).await;
    assert_eq!(status, 422);
    let lfs = server.home().join("repositories/proj/app.git/lfs");
    assert!(!lfs.join("objects").exists());
    assert_eq!(files_in(&lfs.join("incoming")), 0);
    assert_eq!(verified().await, 404);
    assert_eq!(send(&server, &path, &ticket, bytes.clone()).await.0, 200);
    assert_eq!(verified().await, 200);

    // The ticket is for this object, here, to be uploaded.
    let other = content(7, 100);
    let elsewhere = path.replace("/app.git/", "/other.git/");
    let another = path.replace(&name_of(&bytes), &name_of(&other));
    for (path, what) in [(&elsewhere, "another repository"), (&another, "another object")] {
        assert_eq!(send(&server, path, &ticket, bytes.clone()).await.0, 401, "{what}");
    }
    let forged = format!("{}0", &ticket[..ticket.len() - 1]);
    let forged = if forged == ticket {
        format!("{}1", &ticket[..ticket.len() - 1])
    } else {
        forged
    };
    assert_eq!(send(&server, &path, &forged, bytes.clone()).await.0, 401);
    let refs = server
        .anonymous(Method::GET, "/scm/proj/app.git/info/refs?service=git-upload-pack")
        .header("authorization", &ticket)
        .send()
        .await
        .expect("an answer");
    assert_eq!(refs.status().as_u16(), 401, "a ticket opens no repository");
    for (method, path) in [
        (Method::GET, "/rest/madake/1.0/users"),
        (Method::GET, "/rest/madake/1.0/info/lfs/users"),
    ] {
        let answer = server.anonymous(method, path).header("authorization", &ticket);
        assert_eq!(
            answer.send().await.expect("an answer").status().as_u16(),
            401,
            "{path}"
        );
    }
    assert!(!server.log().contains(ticket.trim_start_matches("Bearer ")));

    // Downloads, whole and in part.
    let asked = batch(&server, "proj/app", "download", &[&bytes]).await;
    let (path, ticket) = action(&server, &asked, "download");
    let get = async |range: Option<&str>| {
        let mut request = server
            .anonymous(Method::GET, &path)
            .header("authorization", &ticket);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.bytes().await.expect("a body").to_vec())
    };
    assert_eq!(get(None).await, (200, bytes.clone()));
    assert_eq!(get(Some("bytes=100-199")).await, (206, bytes[100..200].to_vec()));
    assert_eq!(get(Some("bytes=49990-")).await, (206, bytes[49_990..].to_vec()));
    assert_eq!(get(Some("bytes=50000-")).await.0, 416);
    let asked = batch(&server, "proj/other", "download", &[&bytes]).await;
    assert_eq!(asked["objects"][0]["error"]["code"], 404, "{asked}");
    let asked = batch(&server, "proj/app", "upload", &[&bytes]).await;
    assert_eq!(
        asked["objects"][0]["actions"],
        Value::Null,
        "it is there already: {asked}"
    );

    // Too large.
    let large = content(8, 1024 * 1024 + 1);
    let asked = batch(&server, "proj/app", "upload", &[&large]).await;
    let error = &asked["objects"][0]["error"];
    assert!(
        error["code"] == 422 && error["message"].to_string().contains("1048576"),
        "{asked}"
    );
    let path = format!("/scm/proj/app.git/info/lfs/objects/{}", name_of(&large));
    let answer = server
        .request(Method::PUT, &path)
        .body(large)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_those_of_the_repository() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    track(&work);
    let bytes = content(9, 5_000);
    put(&work, "a.bin", &bytes);
    let _ = work.push("master", &[]);
    for name in ["reader", "stranger"] {
        user(&server, name, "a-password-of-theirs");
    }
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "--user",
        "reader",
    ]);
    let url = |name: &str| {
        server.clone_url("PROJ/app").replace(
            "admin:correct%20horse%20battery",
            &format!("{name}:a-password-of-theirs"),
        )
    };
    let copy = clone(&server, &url("reader"), "copy");
    assert_eq!(std::fs::read(copy.join("a.bin")).expect("a file"), bytes);

    let reading = WorkTree { path: copy };
    let more = content(10, 5_000);
    put(&reading, "more.bin", &more);
    let _ = reading.commit("more", &[]);
    let pushed = try_git(&reading.path, &["push", "origin", "master"]);
    assert!(!pushed.status.success());
    assert!(!object_path(&server, "proj/app", &more).exists());
    let upload = json!({ "operation": "upload", "objects": [{ "oid": name_of(&more), "size": 5_000 }] });
    let download = json!({ "operation": "download", "objects": [{ "oid": name_of(&bytes), "size": 5_000 }] });
    let ask = async |name: Option<&str>, body: &Value| {
        let path = "/scm/proj/app.git/info/lfs/objects/batch";
        let mut request = server
            .anonymous(Method::POST, path)
            .header("content-type", MEDIA_TYPE);
        if let Some(name) = name {
            request = request.basic_auth(name, Some("a-password-of-theirs"));
        }
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.headers().contains_key("www-authenticate"),
        )
    };
    let before = refusals(&server).await;
    assert_eq!(ask(None, &download).await, (401, true));
    assert_eq!(
        refusals(&server).await,
        before,
        "to be asked for credentials is no refusal"
    );
    assert_eq!(ask(Some("reader"), &download).await.0, 200);
    assert_eq!(ask(Some("reader"), &upload).await.0, 403);
    assert_eq!(ask(Some("stranger"), &download).await.0, 403);
    assert_eq!(refusals(&server).await, before + 2);
    let path = format!("/scm/proj/app.git/info/lfs/objects/{}", name_of(&bytes));
    let answer = server
        .anonymous(Method::GET, &path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 401);
    // Whoever may read needs no ticket.
    let answer = server
        .anonymous(Method::GET, &path)
        .basic_auth("reader", Some("a-password-of-theirs"));
    assert_eq!(
        answer
            .send()
            .await
            .expect("an answer")
            .bytes()
            .await
            .expect("a body"),
        bytes
    );
}

fn lfs_as(key: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", ssh(key))
        .output()
        .expect("git is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_by_ssh_is_given_a_pass() {
    let server = Server::start_with(ServerOptions {
        configuration: "[ssh]\nlisten = \"127.0.0.1:0\"\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let made = server.madake(&["repo", "create", "PROJ/app", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let url = made["sshUrl"].as_str().expect("an address for SSH");
    let (owner, reader) = (
        key(&server, "owner", "ed25519"),
        key(&server, "reader", "ed25519"),
    );
    let registered = register(&server, &owner, &["--user", "admin"]);
    register(&server, &reader, &["--repository", "PROJ/app"]);
    let before = refusals(&server).await;
    let work = WorkTree::new(server.scratch().join("work"), url);
    track(&work);
    let bytes = content(11, 400_000);
    put(&work, "a.bin", &bytes);
    let _ = work.commit("large", &[]);
    let pushed = lfs_as(&owner, &work.path, &["push", "--quiet", "origin", "master"]);
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(object_path(&server, "proj/app", &bytes).is_file());

    let copy = server.scratch().join("copy");
    let text = copy.to_str().expect("text");
    assert!(
        lfs_as(
            &reader,
            &server.scratch(),
            &["clone", "--quiet", "--no-checkout", url, text]
        )
        .status
        .success()
    );
    git(&copy, &["lfs", "install", "--local"]);
    let checked_out = lfs_as(&reader, &copy, &["checkout", "--quiet", "master"]);
    assert!(checked_out.status.success(), "{checked_out:?}");
    assert_eq!(std::fs::read(copy.join("a.bin")).expect("a file"), bytes);
    assert_eq!(refusals(&server).await, before, "nothing of it is a refusal");

    // A key that reads gets no pass to upload, and one that was removed none at all; the pass goes with it.
    let ask = |key: &Path, wish: &str| {
        let (host, path) = url.trim_start_matches("ssh://").split_once('/').expect("a path");
        let (host, port) = host.split_once(':').expect("a port");
        Command::new("sh")
            .args([
                "-c",
                &format!(
                    "{} -p {port} {host} \"git-lfs-authenticate '/{path}' {wish}\"",
                    ssh(key)
                ),
            ])
            .output()
            .expect("ssh is there")
    };
    assert!(!ask(&reader, "upload").status.success());
    let pass: Value = serde_json::from_slice(&ask(&owner, "upload").stdout).expect("JSON");
    let href = pass["href"].as_str().expect("an address");
    assert_eq!(href, format!("{}/scm/proj/app.git/info/lfs", server.url()));
    let pass = pass["header"]["Authorization"].as_str().expect("a pass");
    let locks = async |path: &str| {
        let request = server.anonymous(Method::GET, path).header("authorization", pass);
        request.send().await.expect("an answer").status().as_u16()
    };
    server.madake(&["repo", "create", "PROJ/other"]);
    assert_eq!(locks("/scm/proj/app.git/info/lfs/locks").await, 200);
    assert_eq!(
        locks("/scm/proj/other.git/info/lfs/locks").await,
        401,
        "for one repository"
    );
    server.madake(&["key", "remove", &registered["id"].to_string()]);
    assert_eq!(
        locks("/scm/proj/app.git/info/lfs/locks").await,
        401,
        "the key is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_files_are_pushed_by_nobody_else() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    track(&work);
    put(&work, "a.bin", &content(12, 100));
    put(&work, "b.bin", &content(13, 100));
    let _ = work.push("master", &[]);
    user(&server, "ann", "a-password-of-ann");
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "PROJ/app",
        "READ",
        "WRITE",
        "--user",
        "ann",
    ]);
    let url = server
        .clone_url("PROJ/app")
        .replace("admin:correct%20horse%20battery", "ann:a-password-of-ann");
    let anns = WorkTree {
        path: clone(&server, &url, "anns"),
    };
    git(&work.path, &["lfs", "lock", "a.bin"]);
    let listed = git(&anns.path, &["lfs", "locks"]);
    assert!(listed.contains("a.bin") && listed.contains("admin"), "{listed}");
    let taken = try_git(&anns.path, &["lfs", "lock", "a.bin"]);
    assert!(!taken.status.success());

    // git-lfs asks which locks are whose before it pushes.
    git(&anns.path, &["config", "lfs.locksverify", "true"]);
    put(&anns, "a.bin", &content(14, 100));
    let _ = anns.commit("a", &[]);
    let pushed = try_git(&anns.path, &["push", "origin", "master"]);
    let said = String::from_utf8_lossy(&pushed.stderr);
    assert!(!pushed.status.success() && said.contains("locked"), "{said}");
    for arguments in [
        ["lfs", "unlock", "a.bin"].as_slice(),
        &["lfs", "unlock", "--force", "a.bin"],
    ] {
        assert!(!try_git(&anns.path, arguments).status.success(), "it is not hers");
    }
    git(&work.path, &["lfs", "unlock", "a.bin"]);
    git(&anns.path, &["push", "--quiet", "origin", "master"]);

    // Who administrates the repository breaks locks.
    git(&anns.path, &["lfs", "lock", "b.bin"]);
    git(&work.path, &["lfs", "unlock", "--force", "b.bin"]);
    assert_eq!(git(&work.path, &["lfs", "locks"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_repositories_bring_their_large_files_along() {
    let (host, server) = (Server::start().await, Server::start().await);
    let work = host.hosted("LIB/lib");
    track(&work);
    let bytes = content(15, 200_000);
    put(&work, "a.bin", &bytes);
    // What a commit says about servers is not believed.
    let config = "[lfs]\n\turl = http://127.0.0.1:9/evil\n";
    let plan = one_job("sha256sum < a.bin", "");
    git(
        &work.path,
        &[
            "config",
            "lfs.url",
            &format!("{}/info/lfs", host.clone_url("LIB/lib")),
        ],
    );
    let _ = work.push(
        "master",
        &[("bamboo-specs/bamboo.yml", &plan), (".lfsconfig", config)],
    );
    let url = format!("{}/scm/lib/lib.git", host.url());
    server.madake_with_input(
        &[
            "repo",
            "link",
            "lib",
            &url,
            "--username",
            "admin",
            "--password-stdin",
        ],
        madake_testkit::PASSWORD,
    );
    let results = server.ended("PROJ-PLAN", 1).await;
    let said = server.madake(&["build", "log", "PROJ-PLAN-1"]);
    assert!(
        said.contains(&name_of(&bytes)),
        "{said}\n{results:?}\n{}",
        server.log()
    );
    let password = madake_testkit::PASSWORD;
    assert!(!said.contains(password) && !server.log().contains(password));
}
