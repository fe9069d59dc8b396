//! Hostile addresses, remotes and credentials of mirrors (hostile-inputs.md G1, G2, G4, G6, G8, G9, G12), towards the
//! real binary.

use std::path::Path;
use std::process::Command;

use madake_testkit::{Server, ServerOptions, WorkTree, git, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::hostile_support::{calls, settled, user, watched};
use crate::mirrors::{API, at_rest, failed, mirrors, refs, same, text};

async fn create(server: &Server, direction: &str, repository: &str, url: &str) -> (u16, String) {
    let body = json!({ "repository": repository, "direction": direction, "url": url });
    let answer = server
        .request(Method::POST, API)
        .json(&body)
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_g1_and_g2_are_refused_for_mirrors() {
    let (server, seen, _git) = watched("[repositories]\nallow-local-paths = false\n").await;
    let _ = server.hosted("PROJ/app");
    let marker = server.scratch().join("executed");
    let touch = format!("touch {}", marker.display());
    let before = calls(&seen).lines().count();
    let addresses = [
        format!("-oProxyCommand={touch}"),
        format!("--receive-pack={touch}"),
        format!("ext::sh -c '{touch}'"),
        format!("ext::sh% -c% {touch}"),
        "fd::17".into(),
        "file:///etc".into(),
        "/etc".into(),
        "../relative".into(),
        format!("ssh://-oProxyCommand={touch}/x"),
        "ssh://-oX/".into(),
        "git@-host:x".into(),
        "git@host:-x".into(),
        "http://host/a\nb".into(),
        "http://".into(),
        "http://2130706433/x.git".into(),
        "http://0x7f.1/x.git".into(),
        "gopher://host/x".into(),
        String::new(),
    ];
    for address in addresses {
        for direction in ["to", "from"] {
            for repository in ["PROJ/app", "PROJ/new"] {
                let (status, said) = create(&server, direction, repository, &address).await;
                assert_eq!(status, 400, "{direction} {repository} {address:?}: {said}");
            }
        }
    }
    for direction in ["sideways", "", "TO"] {
        let (status, said) = create(&server, direction, "PROJ/app", "http://host/x.git").await;
        assert_eq!(status, 400, "{direction}: {said}");
    }
    assert_eq!(mirrors(&server).await, Vec::<Value>::new());
    assert_eq!(calls(&seen).lines().count(), before, "no process was started");
    assert!(!marker.exists());
    let listed = server.get("/rest/madake/1.0/repositories").await;
    assert_eq!(
        listed["repositories"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );

    // Addresses inside are closed where the configuration says so.
    let closed = Server::start_with(ServerOptions {
        configuration: "[repositories]\nallow-private-hosts = false\n".into(),
        ..ServerOptions::default()
    })
    .await;
    let _ = closed.hosted("PROJ/app");
    for host in [
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
    ] {
        for scheme in ["http", "https", "ssh", "git"] {
            let (status, said) = create(&closed, "to", "PROJ/app", &format!("{scheme}://{host}/x.git")).await;
            assert!(
                status == 400 && said.contains("cannot be used"),
                "{scheme}://{host}: {status} {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_the_configuration_closes_later_are_not_gone_to() {
    let mut server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&bare);
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("x", "1")]);
    server.madake(&["repo", "mirror-to", "PROJ/app", text(&bare)]);
    same(&server.clone_url("PROJ/app"), text(&bare)).await;
    at_rest(&server).await;
    server.stop();
    std::fs::write(
        server.home().join("madake.toml"),
        "[repositories]\nallow-local-paths = false\n",
    )
    .expect("a configuration");
    server.launch().await;
    let before = refs(text(&bare));
    let _ = work.push("master", &[("x", "2")]);
    let shown = failed(&server).await;
    assert!(shown["pendingPushes"] != 0, "{shown}");
    assert_eq!(refs(text(&bare)), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_credentials_g9_of_mirrors_are_sealed_and_shown_nowhere() {
    const CREDENTIAL: &str = "s3cret-of-the-mirror";
    let mut host = Server::start().await;
    host.madake(&["repo", "create", "COPY/app"]);
    user(&host, "pusher", CREDENTIAL);
    let words = [
        "permission",
        "grant",
        "repository",
        "COPY/app",
        "READ",
        "WRITE",
        "--user",
        "pusher",
    ];
    host.madake(&words);
    let (server, seen, _git) = watched("").await;
    let work = server.hosted("PROJ/app");
    git(&work.path, &["lfs", "install", "--local"]);
    git(&work.path, &["lfs", "track", "*.bin"]);
    let _ = work.push("master", &[("x", "1"), ("a.bin", "large")]);
    let address = host
        .url()
        .replace("http://", &format!("http://pusher:{CREDENTIAL}@"))
        + "/scm/copy/app.git";
    let (status, said) = create(&server, "to", "PROJ/app", &address).await;
    assert_eq!(status, 201, "{said}");
    let wrong = address.replace(CREDENTIAL, "wr0ng-one");
    let (status, refused) = create(&server, "to", "PROJ/app", &wrong).await;
    assert_eq!(status, 400, "{refused}");
    same(&server.clone_url("PROJ/app"), &host.clone_url("COPY/app")).await;
    at_rest(&server).await;
    // Refused from now on, and then not there at all.
    host.madake(&[
        "permission",
        "revoke",
        "repository",
        "COPY/app",
        "WRITE",
        "--user",
        "pusher",
    ]);
    let _ = work.push("master", &[("x", "2"), ("a.bin", "larger")]);
    let problem = failed(&server).await.to_string();
    host.kill();
    let id = mirrors(&server).await[0]["id"].to_string();
    server.madake(&["repo", "mirror-sync", &id]);
    let away = wait_for("another failure", || async {
        let shown = mirrors(&server).await[0].to_string();
        (shown != problem && shown.contains("problem\":\"")).then_some(shown)
    })
    .await;
    settled(&server).await;
    for (what, text) in [
        ("an answer", said),
        ("a refusal", refused),
        ("the problem", problem),
        ("the problem of one that is away", away),
        ("the list", server.madake(&["repo", "mirrors"])),
        ("the log", server.log()),
        (
            "the ledger",
            server.get("/rest/madake/1.0/events?limit=1000").await.to_string(),
        ),
        ("arguments of git", calls(&seen)),
    ] {
        for secret in [CREDENTIAL, "wr0ng-one"] {
            assert!(!text.contains(secret), "G9: {what}: {text}");
        }
    }
    let found = Command::new("grep")
        .args(["-rlaF", CREDENTIAL])
        .arg(server.home())
        .output()
        .expect("grep");
    let found = String::from_utf8_lossy(&found.stdout);
    assert!(found.is_empty(), "G9: it stands in {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_remotes_g8_that_say_nothing_keep_no_other_mirror_waiting() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for number in 0..6 {
        let work = server.hosted(&format!("PROJ/silent{number}"));
        let _ = work.push("master", &[("x", "1")]);
        let mut there = Server::start().await;
        there.madake(&["repo", "create", "COPY/app"]);
        let url = format!("{}/scm/copy/app.git", there.url());
        server.madake_with_input(
            &[
                "repo",
                "mirror-to",
                &format!("PROJ/silent{number}"),
                &url,
                "--username",
                "admin",
                "--password-stdin",
            ],
            madake_testkit::PASSWORD,
        );
        same(
            &server.clone_url(&format!("PROJ/silent{number}")),
            &there.clone_url("COPY/app"),
        )
        .await;
        there.kill();
        let address = there.url().replace("http://", "");
        silent.push((work, TcpListener::bind(address).await.expect("its port")));
    }
    // Each takes the request and never answers.
    let (asked, mut asking) = tokio::sync::mpsc::unbounded_channel();
    for (number, (work, listener)) in silent.into_iter().enumerate() {
        let asked = asked.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = connection.read(&mut request).await;
                let _ = asked.send(number);
                kept.push(connection);
            }
        });
        let _ = work.push("master", &[("x", "2")]);
    }
    let mut waiting = std::collections::BTreeSet::new();
    while waiting.len() < 6 {
        waiting.insert(asking.recv().await.expect("a request"));
    }
    let bare = server.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&bare);
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("x", "1")]);
    server.madake(&["repo", "mirror-to", "PROJ/app", text(&bare)]);
    same(&server.clone_url("PROJ/app"), text(&bare)).await;
    let _ = work.push("master", &[("x", "2")]);
    same(&server.clone_url("PROJ/app"), text(&bare)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trees_g4_of_a_remote_do_not_come_here() {
    let server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let remote = WorkTree::with_bare(&bare);
    let good = remote.push("master", &[("x", "1"), (".gitmodules", "")]);
    server.madake(&["repo", "mirror-from", "PROJ/copy", text(&bare)]);
    let url = server.clone_url("PROJ/copy");
    same(text(&bare), &url).await;
    at_rest(&server).await;
    let id = mirrors(&server).await[0]["id"].to_string();
    // A tree with `.GIT`, and a submodule whose address is an option.
    let blob = git(&bare, &["rev-parse", &format!("{good}:x")]);
    let modules = "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n";
    let file = server.scratch().join("modules");
    std::fs::write(&file, modules).expect("a file");
    let modules = git(&bare, &["hash-object", "-w", "--no-filters", text(&file)]);
    for (name, object, complaint) in [
        (".GIT", &blob, "hasDotgit"),
        (".gitmodules", &modules, "gitmodules"),
    ] {
        let index = server.scratch().join(format!("index{name}"));
        let made = Command::new("sh")
            .args([
                "-c",
                "printf '100644 blob %s\\t%s\\n' \"$1\" \"$2\" | git mktree",
                "sh",
                object,
                name,
            ])
            .current_dir(&bare)
            .env("GIT_INDEX_FILE", &index)
            .output()
            .expect("a tree");
        let tree = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let evil = git(&bare, &["commit-tree", "-m", "evil", "-p", &good, &tree]);
        git(&bare, &["update-ref", "refs/heads/evil", &evil]);
        server.madake(&["repo", "mirror-sync", &id]);
        let shown = failed(&server).await;
        assert!(
            shown["problem"].to_string().contains(complaint),
            "{name}: {shown}"
        );
        assert!(!refs(&url).contains("evil"), "{name}");
        git(&bare, &["update-ref", "-d", "refs/heads/evil"]);
        server.madake(&["repo", "mirror-sync", &id]);
        at_rest(&server).await;
        same(text(&bare), &url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_g6_and_g7_are_mirrored_as_they_are() {
    let server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let remote = WorkTree::with_bare(&bare);
    let commit = remote.push("master", &[("x", "1")]);
    for (number, name) in [
        "Feature",
        "feature",
        "caf\u{e9}",
        "cafe\u{301}",
        "$(id)",
        "a;b",
        "x'y\"z",
    ]
    .iter()
    .enumerate()
    {
        let tip = git(
            &bare,
            &[
                "commit-tree",
                "-m",
                &number.to_string(),
                "-p",
                &commit,
                &format!("{commit}^{{tree}}"),
            ],
        );
        git(&bare, &["update-ref", &format!("refs/heads/{name}"), &tip]);
    }
    server.madake(&["repo", "mirror-from", "PROJ/copy", text(&bare)]);
    let url = server.clone_url("PROJ/copy");
    same(text(&bare), &url).await;
    let onward = server.scratch().join("onward.git");
    let _ = WorkTree::with_bare(&onward);
    server.madake(&["repo", "mirror-to", "PROJ/copy", text(&onward)]);
    same(text(&bare), text(&onward)).await;
    // Names that could be taken for something else are not mirrored, and hold nothing else up.
    for name in ["refs/heads/-option", "refs/heads/HEAD", "refs/heads/refs/heads/x"] {
        git(&bare, &["update-ref", name, &commit]);
    }
    let _ = remote.push("master", &[("x", "2")]);
    for one in mirrors(&server).await {
        server.madake(&["repo", "mirror-sync", &one["id"].to_string()]);
    }
    let tip = git(&bare, &["rev-parse", "master"]);
    wait_for("what was pushed there", || async {
        (refs(&url).contains(&tip) && refs(text(&onward)).contains(&tip)).then_some(())
    })
    .await;
    settled(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_g12_of_a_remote_are_rendered_inert() {
    let server = Server::start().await;
    let bare = server.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&bare);
    let hook = bare.join("hooks/pre-receive");
    std::fs::create_dir_all(bare.join("hooks")).expect("a folder");
    std::fs::write(
        &hook,
        "#!/bin/sh\nprintf '\\033[2J\\033]52;c;eA==\\007 http://joe:pa55word@host/x forged\\r\\010\\n' >&2\nexit 1\n",
    )
    .expect("a hook");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("runnable");
    let work = server.hosted("PROJ/app");
    let _ = work.push("master", &[("x", "1")]);
    server.madake(&["repo", "mirror-to", "PROJ/app", text(&bare)]);
    let shown = failed(&server).await;
    let problem = shown["problem"].as_str().expect("a problem");
    assert!(problem.contains("refs/heads/master"), "{problem}");
    for said in [
        problem.to_owned(),
        server.madake(&["repo", "mirrors"]),
        server.log(),
    ] {
        let control = said
            .chars()
            .find(|one| one.is_control() && !matches!(one, '\n' | '\t'));
        assert_eq!(control, None, "{said:?}");
        assert!(!said.contains("pa55word"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosted_git_is_mirrored() {
    let server = Server::start().await;
    let bare = server.scratch().join("attached.git");
    let _ = WorkTree::with_bare(&bare).push("master", &[("x", "1")]);
    let remote = server.scratch().join("remote.git");
    let _ = WorkTree::with_bare(&remote).push("master", &[("x", "2")]);
    server.madake(&["repo", "attach", "ATT/app", text(&bare)]);
    server.madake(&["repo", "link", "LINK/app", text(&bare)]);
    server.madake(&["repo", "create", "HG/app", "--scm", "hg"]);
    let before = refs(text(&bare));
    for name in ["ATT/app", "LINK/app", "HG/app"] {
        for direction in ["to", "from"] {
            let (status, said) = create(&server, direction, name, text(&remote)).await;
            assert!(
                status == 400 && said.contains("not a Git repository that is hosted here"),
                "{direction} {name}: {status} {said}"
            );
        }
    }
    for name in ["PROJ/../x", "../x", "x", "PROJ/-x", ""] {
        let (status, said) = create(&server, "from", name, text(&remote)).await;
        assert!(matches!(status, 400 | 404), "{name}: {status} {said}");
    }
    assert_eq!(refs(text(&bare)), before);
    assert_eq!(mirrors(&server).await, Vec::<Value>::new());
    assert!(!Path::new(&server.home()).join("repositories/x.git").exists());
}
