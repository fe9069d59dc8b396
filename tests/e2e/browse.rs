//! Pages of repositories: every link of a page followed, who may look, and repositories made to harm whoever looks.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use madake_testkit::{Server, WorkTree, git, wait_for};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::hostile_support::{last_refusal, refusals, settled, user};

const JOE: &str = "a password for joe";

/// A page as the administrator sees it.
pub(crate) async fn page(server: &Server, path: &str) -> (StatusCode, String) {
    let answer = server.request(Method::GET, path).send().await.expect("an answer");
    let status = answer.status();
    (status, answer.text().await.expect("a body"))
}

/// A page that is there; it has what all pages have.
pub(crate) async fn shown(server: &Server, path: &str) -> String {
    let answer = server.request(Method::GET, path).send().await.expect("an answer");
    let status = answer.status();
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
            .to_owned()
    };
    let (kind, policy, sniffing) = (
        header("content-type"),
        header("content-security-policy"),
        header("x-content-type-options"),
    );
    let text = answer.text().await.expect("a body");
    assert_eq!(status, 200, "{path}: {text}");
    assert_eq!(kind, "text/html; charset=utf-8", "{path}");
    assert_eq!(sniffing, "nosniff", "{path}");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'"),
        "{path}: {policy}"
    );
    assert!(
        !policy.contains("script") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        !text.contains("<script") && text.ends_with("</html>"),
        "{path}: {text}"
    );
    text
}

/// Addresses behind `href`.
pub(crate) fn links(page: &str) -> Vec<String> {
    let found = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    found.map(|link| link.replace("&amp;", "&")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_from_one_to_the_other_and_none_is_dead() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let root = "/projects/PROJ/repos/app";
    let empty = shown(&server, &format!("{root}/browse")).await;
    assert!(empty.contains("Nothing has been pushed yet"), "{empty}");
    let text = shown(&server, &format!("{root}/commits")).await;
    assert!(text.contains("No commits"), "{text}");
    let first = work.push(
        "main",
        &[
            ("README", "Read me first\n"),
            ("src/deep/er.rs", "fn main() {}\n"),
            ("a;b", "odd\n"),
        ],
    );
    for number in 0..60 {
        let _ = work.commit(&format!("commit {number}"), &[("counter", &number.to_string())]);
    }
    git(&work.path, &["mv", "src/deep/er.rs", "src/moved.rs"]);
    let last = work.commit("move it", &[]);
    git(&work.path, &["tag", "v1"]);
    git(
        &work.path,
        &["push", "--quiet", "origin", "main", "v1", "main:feature/x"],
    );
    settled(&server).await;
    server.madake(&["repo", "edit", "PROJ/app", "--description", "An <i>app</i>"]);
    server.madake(&["repo", "protect", "PROJ/app", "main", "--no-force"]);

    let files = shown(&server, &format!("{root}/browse")).await;
    for text in [
        "An &lt;i&gt;app",
        "Read me first",
        "move it",
        "a;b",
        "/scm/proj/app.git",
    ] {
        assert!(files.contains(text), "{text} is not in {files}");
    }
    let branches = shown(&server, &format!("{root}/branches")).await;
    for text in ["feature/x", "fast-forward-only", ">default<"] {
        assert!(branches.contains(text), "{text} is not in {branches}");
    }
    let commit = shown(&server, &format!("{root}/commits/{last}")).await;
    assert!(commit.contains("moved from src/deep/er.rs"), "{commit}");
    let short = shown(&server, &format!("/PROJ/app/commits/{}", &last[..12])).await;
    assert!(short.contains(&last));
    let old = shown(&server, &format!("{root}/browse/src/deep/er.rs?at={first}")).await;
    assert!(old.contains("fn main() {}"), "{old}");
    let history = shown(&server, &format!("{root}/commits?path=README")).await;
    assert!(
        history.contains("a change") && !history.contains("commit 3"),
        "{history}"
    );

    // Everything that can be reached without leaving the repository, once.
    let (mut waiting, mut seen) = (vec!["/".to_owned()], std::collections::BTreeSet::new());
    while let Some(path) = waiting.pop() {
        let path = path.split('#').next().unwrap_or_default().to_owned();
        if path.is_empty()
            || path.contains("/rest/")
            || path.contains("/raw/")
            || path.contains("/raw?")
            || path.starts_with("/assets/")
        {
            continue;
        }
        // Two pages of single commits say as much as sixty.
        let is_commit =
            path.contains("/commits/") && ![&first, &last].iter().any(|id| path.contains(id.as_str()));
        let is_at_commit = path.contains("?at=") && path.len() > 80;
        if is_commit || is_at_commit || !seen.insert(path.clone()) {
            continue;
        }
        waiting.extend(links(&shown(&server, &path).await));
    }
    for expected in [
        "/commits?start=50",
        "/browse/src?at=feature%2Fx",
        "/browse?at=v1",
        "/browse?path=a%3Bb",
        "/tags",
    ] {
        assert!(
            seen.iter().any(|path| path.ends_with(expected)),
            "{expected} is not among {seen:#?}"
        );
    }
    for gone in [
        "/browse/nothing",
        "/browse?at=nothing",
        "/commits/deadbeef",
        "/commits/-x",
        "/raw/src",
        "/commits?until=a..b",
    ] {
        let (status, text) = page(&server, &format!("{root}{gone}")).await;
        assert_eq!(status, 404, "{gone}: {text}");
        assert!(text.contains("<h1>"), "{gone}: {text}");
    }
    let (status, _) = page(&server, "/rest/nothing").await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_shown_to_readers_and_tell_others_nothing() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/secret");
    let commit = work.push("main", &[("a", "1")]);
    let open = server.hosted("OPEN/app");
    let _ = open.push("main", &[("a", "1")]);
    settled(&server).await;
    server.madake(&[
        "permission",
        "grant",
        "repository",
        "OPEN/app",
        "READ",
        "--anonymous",
    ]);
    user(&server, "joe", JOE);
    let pages = |key: &str, slug: &str| {
        vec![
            format!("/projects/{key}"),
            format!("/projects/{key}/repos/{slug}"),
            format!("/projects/{key}/repos/{slug}/browse"),
            format!("/projects/{key}/repos/{slug}/browse/a?at=main"),
            format!("/projects/{key}/repos/{slug}/raw/a"),
            format!("/projects/{key}/repos/{slug}/commits"),
            format!("/projects/{key}/repos/{slug}/commits/{commit}"),
            format!("/projects/{key}/repos/{slug}/branches"),
            format!("/projects/{key}/repos/{slug}/tags"),
            format!("/users/{key}/repos/{slug}/browse"),
            format!("/{key}/{slug}"),
            format!("/{key}/{slug}/"),
            format!("/{key}/{slug}/commits/{commit}"),
            format!("/{key}/{slug}/compare/{commit}...main"),
            format!("/{key}/{slug}/branch/main"),
        ]
    };
    let before = refusals(&server).await;
    for (hidden, missing) in pages("PROJ", "secret").iter().zip(pages("NONE", "nothing")) {
        let ask = async |path: &str, joe: bool| {
            let mut request = server.anonymous(Method::GET, path);
            if joe {
                request = request.basic_auth("joe", Some(JOE));
            }
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            let text = answer.text().await.expect("a body");
            (status, text.replace(path.trim_end_matches('/'), "PATH"))
        };
        for (joe, expected) in [(false, 401), (true, 404)] {
            let (status, text) = ask(hidden, joe).await;
            assert_eq!(status, expected, "{hidden}: {text}");
            assert_eq!(
                (status, text),
                ask(&missing, joe).await,
                "{hidden} differs from {missing}"
            );
        }
    }
    // What joe may not see is there for an administrator to find; strangers were only asked to log in.
    assert!(refusals(&server).await > before);
    assert_eq!(last_refusal(&server).await["principal"], "joe");
    let front = server
        .anonymous(Method::GET, "/")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    assert!(front.contains("OPEN/app") && !front.contains("secret"), "{front}");
    let answer = server
        .anonymous(Method::GET, "/projects/OPEN/repos/app/browse")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// As a query carries it.
fn encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_by_a_form_and_come_back_to_the_page() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let _ = work.push("main", &[("a", "1")]);
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let target = "/projects/PROJ/repos/app/browse?at=main";
    let address = format!("{}{target}", server.url());
    let asked = browser.get(&address).send().await.expect("an answer");
    assert_eq!(asked.status(), 401);
    let text = asked.text().await.expect("a body");
    assert!(
        text.contains("name=\"next\" value=\"/projects/PROJ/repos/app/browse?at=main\""),
        "{text}"
    );
    let send = async |password: &str, next: &str, origin: &str| {
        let fields = [("name", "admin"), ("password", password), ("next", next)];
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let request = browser
            .post(format!("{}/login", server.url()))
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(fields.join("&")).send().await.expect("an answer")
    };
    let (right, ours) = (madake_testkit::PASSWORD, server.url());
    let before = refusals(&server).await;
    let wrong = send("a guess", target, &ours).await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers().get("set-cookie").is_none());
    assert_eq!(refusals(&server).await, before + 1);
    let foreign = send(right, target, "https://evil.example").await;
    assert_eq!(foreign.status(), 403);
    assert!(foreign.headers().get("set-cookie").is_none());
    let away = send(right, "//evil.example/", &ours).await;
    assert_eq!(
        (
            away.status().as_u16(),
            away.headers()["location"].to_str().expect("text")
        ),
        (303, "/")
    );
    let welcome = send(right, target, &ours).await;
    assert_eq!(
        (
            welcome.status().as_u16(),
            welcome.headers()["location"].to_str().expect("text")
        ),
        (303, target)
    );
    let cookie = welcome.headers()["set-cookie"].to_str().expect("text");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let look = async || {
        let answer = browser
            .get(&address)
            .header("cookie", &cookie)
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (status, text) = look().await;
    assert!(
        status == 200 && text.contains("Log out") && text.contains("admin"),
        "{text}"
    );
    let out = browser
        .post(format!("{}/logout", server.url()))
        .header("cookie", &cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(out.status(), 303);
    assert_eq!(look().await.0, 401);
}

/// Commits a tree with names that no work tree could hold, and pushes it.
fn push_hostile(work: &WorkTree, names: &[&[u8]], message: &str) -> String {
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(&work.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git is there");
        std::io::Write::write_all(&mut child.stdin.take().expect("its input"), input).expect("input");
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let blob = run(
        &["hash-object", "-w", "--stdin"],
        b"<script>alert(1)</script>\n\xff\xfe \xe2\x80\xae turned\n",
    );
    let mut listing = Vec::new();
    for name in names {
        listing.extend_from_slice(format!("100644 blob {blob}\t").as_bytes());
        listing.extend_from_slice(name);
        listing.push(0);
    }
    let tree = run(&["mktree", "-z"], &listing);
    let commit = git(
        &work.path,
        &[
            "-c",
            "i18n.commitEncoding=utf-8",
            "commit-tree",
            "-m",
            message,
            &tree,
        ],
    );
    git(
        &work.path,
        &["push", "--quiet", "origin", &format!("{commit}:refs/heads/main")],
    );
    commit
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_repositories_do_no_harm_to_who_looks() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let root = "/projects/PROJ/repos/app";
    let names: [&[u8]; 7] = [
        b"\"><script>alert(1)<b>",
        b"\xff\xfe.txt",
        b"line\nfeed",
        b"-rf",
        b"a;b\\c",
        "turned\u{202e}txt".as_bytes(),
        b"index.html",
    ];
    assert!(std::ffi::OsStr::from_bytes(names[1]).to_str().is_none());
    let commit = push_hostile(
        &work,
        &names,
        "<script>alert('m')</script>\n\n<img src=x onerror=alert(1)>\u{202e}",
    );
    settled(&server).await;
    for path in [
        format!("{root}/browse"),
        format!("{root}/commits"),
        format!("{root}/commits/{commit}"),
        format!("{root}/branches"),
    ] {
        let text = shown(&server, &path).await;
        assert!(
            !text.contains("<img") && !text.contains('\u{202e}'),
            "{path}: {text}"
        );
    }
    let files = shown(&server, &format!("{root}/browse")).await;
    let inside: Vec<String> = links(&files)
        .into_iter()
        .filter(|link| link.contains("/browse"))
        .collect();
    // Five of the names can be asked for, beside the links to the folder itself.
    let names: Vec<&String> = inside.iter().filter(|link| !link.ends_with("/browse")).collect();
    assert_eq!(names.len(), 5, "{inside:?}");
    for link in names {
        let text = shown(&server, link).await;
        assert!(
            text.contains("&lt;script&gt;alert(1)") && text.contains("not UTF-8"),
            "{link}: {text}"
        );
    }
    let raw = server
        .request(Method::GET, &format!("{root}/raw/index.html"))
        .send()
        .await
        .expect("an answer");
    let header = |name: &str| raw.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    for attack in [
        "/browse/..%2f..%2fHEAD",
        "/browse/%2e%2e/%2e%2e/config",
        "/raw/../HEAD",
        "/browse?path=../HEAD",
        "/raw?path=../../config",
        "/browse?at=--upload-pack%3Dx",
        "/browse?at=HEAD%5E%7B%2Fx%7D",
        "/commits?path=:(exclude)x%00",
        "/browse?path=a%0Ab",
    ] {
        let (status, text) = page(&server, &format!("{root}{attack}")).await;
        assert!(matches!(status.as_u16(), 200 | 404), "{attack}: {status} {text}");
        assert!(
            !text.contains("repositoryformatversion") && !text.contains("ref: refs/"),
            "{attack}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_content_is_cut_and_binary_content_is_not_shown() {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let root = "/projects/PROJ/repos/app";
    let long = "0123456789\n".repeat(12_000);
    let huge = "x".repeat(3 * 1024 * 1024);
    let _ = work.push(
        "main",
        &[
            ("long", &long),
            ("huge", &huge),
            ("binary", "a\0b"),
            ("small", "s\n"),
        ],
    );
    let names: Vec<String> = (0..1200).map(|number| format!("many/file{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x\n")).collect();
    let many = work.push("main", &files);
    settled(&server).await;
    let text = shown(&server, &format!("{root}/browse/long")).await;
    assert!(
        text.contains("first 10000 lines") && text.contains("id=\"10000\"") && !text.contains("id=\"10001\"")
    );
    let text = shown(&server, &format!("{root}/browse/huge")).await;
    assert!(text.contains("up to 1.0 MiB") && text.len() < 20_000);
    let text = shown(&server, &format!("{root}/browse/binary")).await;
    assert!(text.contains("Binary content is not shown"), "{text}");
    let raw = server
        .request(Method::GET, &format!("{root}/raw/binary"))
        .send()
        .await
        .expect("an answer");
    assert!(
        raw.headers()["content-disposition"]
            .to_str()
            .expect("text")
            .starts_with("attachment")
    );
    let parent = git(&work.path, &["rev-parse", &format!("{many}^")]);
    let text = shown(&server, &format!("{root}/commits/{parent}")).await;
    assert!(
        text.contains("more than a page can show") && text.len() < 3_000_000,
        "{}",
        text.len()
    );
    assert!(
        text.contains("Binary, or too large"),
        "the binary file stands first"
    );
    let text = shown(&server, &format!("{root}/commits/{many}")).await;
    assert!(text.contains("more than a page can show"));
    assert_eq!(text.matches("<section class=\"file\"").count(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_repositories_have_pages_too() {
    let server = Server::start().await;
    let bare = server.scratch().join("attached.git");
    let _ = WorkTree::with_bare(&bare).push("master", &[("a", "inside\n")]);
    server.madake(&["repo", "attach", "TOOLS/tools", bare.to_str().expect("text")]);
    let text = wait_for("the page", || async {
        let (status, text) = page(&server, "/projects/TOOLS/repos/tools/browse/a").await;
        (status == 200).then_some(text)
    })
    .await;
    assert!(text.contains("inside"), "{text}");
    let shown = server
        .get("/rest/madake/1.0/repositories/attributes?name=TOOLS/tools")
        .await;
    assert_eq!(shown["kind"], json!("attached"));
    assert!(Path::new(shown["path"].as_str().expect("a path")).exists());
}
