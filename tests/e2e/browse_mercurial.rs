//! The pages of Mercurial repositories, whatever is in them.

use madake_testkit::{Server, hg};
use reqwest::Method;

use crate::browse::{links, page, shown};
use crate::hostile_support::settled;

#[tokio::test(flavor = "multi_thread")]
async fn mercurial_repositories_are_shown_whatever_is_in_them() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/lib");
    let root = "/projects/PROJ/repos/lib";
    let empty = shown(&server, &format!("{root}/browse")).await;
    assert!(
        empty.contains("Nothing has been pushed yet") && empty.contains("/hg/proj/lib"),
        "{empty}"
    );
    let script = "<script>alert(1)</script>\n";
    let first = clone.push(
        "first\n\n<script>alert('m')</script>\u{202e}",
        &[
            ("README", "Read me first\n"),
            ("src/deep/er.rs", "fn main() {}\n"),
            ("a;b\\c", script),
            ("-rf", script),
            ("set:all()", script),
            ("\"><script>alert(1)<b>", script),
            ("turned\u{202e}txt", script),
            ("index.html", script),
            ("*", script),
        ],
    );
    for number in 0..55 {
        let _ = clone.commit(&format!("commit {number}"), &[("counter", &number.to_string())]);
    }
    hg(&clone.path, &["mv", "--quiet", "src/deep/er.rs", "src/moved.rs"]);
    let moved = clone.commit("move it", &[]);
    hg(&clone.path, &["bookmark", "default<b>"]);
    hg(&clone.path, &["tag", "v\"1"]);
    hg(&clone.path, &["branch", "--quiet", "my <i>branch"]);
    let named = clone.commit("named", &[("b", "1")]);
    hg(
        &clone.path,
        &["push", "--quiet", "--new-branch", "--bookmark", "default<b>"],
    );
    settled(&server).await;

    let files = shown(&server, &format!("{root}/browse")).await;
    for text in [
        "Read me first",
        "a;b",
        "/hg/proj/lib",
        "&lt;script&gt;alert(1)&lt;b&gt;",
    ] {
        assert!(files.contains(text), "{text} is not in {files}");
    }
    let branches = shown(&server, &format!("{root}/branches")).await;
    for text in ["my &lt;i&gt;branch", "default&lt;b&gt;", ">default<"] {
        assert!(branches.contains(text), "{text} is not in {branches}");
    }
    assert!(shown(&server, &format!("{root}/tags")).await.contains("v&quot;1"));
    let commit = shown(&server, &format!("{root}/commits/{moved}")).await;
    assert!(commit.contains("moved from src/deep/er.rs"), "{commit}");
    let short = shown(&server, &format!("/PROJ/lib/commits/{}", &moved[..12])).await;
    assert!(short.contains(&moved));
    let old = shown(&server, &format!("{root}/browse/src/deep/er.rs?at={first}")).await;
    assert!(old.contains("fn main() {}"), "{old}");
    let history = shown(&server, &format!("{root}/commits?path=README")).await;
    assert!(
        history.contains(&first[..12]) && !history.contains("commit 3"),
        "{history}"
    );
    let compared = shown(&server, &format!("/PROJ/lib/compare/{moved}...{named}")).await;
    assert!(compared.contains("named"), "{compared}");

    // Everything that can be reached without leaving the repository, once; nothing of it runs.
    let (mut waiting, mut seen) = (vec!["/".to_owned()], std::collections::BTreeSet::new());
    while let Some(path) = waiting.pop() {
        let path = path.split('#').next().unwrap_or_default().to_owned();
        if path.is_empty()
            || ["/rest/", "/raw/", "/raw?", "/assets/"]
                .iter()
                .any(|part| path.contains(part))
        {
            continue;
        }
        let is_commit = path.contains("/commits/")
            && ![&first, &moved, &named]
                .iter()
                .any(|id| path.contains(id.as_str()));
        let is_at_commit = path.contains("?at=") && path.len() > 80;
        if is_commit || is_at_commit || !seen.insert(path.clone()) {
            continue;
        }
        let text = shown(&server, &path).await;
        assert!(!text.contains('\u{202e}'), "{path}: {text}");
        waiting.extend(links(&text));
    }
    for expected in [
        "/commits?start=50",
        "/browse/src",
        "/browse?path=a%3Bb%5Cc",
        "/tags",
    ] {
        assert!(
            seen.iter().any(|path| path.ends_with(expected)),
            "{expected} is not among {seen:#?}"
        );
    }

    // A branch that was closed can still be looked at.
    hg(&clone.path, &["commit", "--close-branch", "-m", "closed"]);
    hg(&clone.path, &["push", "--quiet"]);
    let closed = shown(&server, "/PROJ/lib/branch/my%20%3Ci%3Ebranch").await;
    assert!(closed.contains(&named[..12]), "{closed}");
    let branches = shown(&server, &format!("{root}/branches")).await;
    assert!(!branches.contains("my &lt;i&gt;branch"), "{branches}");

    let raw = server
        .request(Method::GET, &format!("{root}/raw/index.html"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(raw.headers()["content-type"], "text/plain; charset=utf-8");
    for gone in [
        "/browse/nothing",
        "/browse?at=nothing",
        "/commits/deadbeef",
        "/commits/-x",
        "/commits/ffffffffffffffffffffffffffffffffffffffff",
        "/commits/0000000000000000000000000000000000000000",
        "/raw/src",
        "/browse?at=all()",
        "/browse?at=max(0)",
        "/browse/..%2f..%2Fhgrc",
        "/browse?path=../00changelog.i",
        "/browse?path=.hg",
        "/browse?path=a%0Ab",
        "/commits?until=--config%3Dx",
    ] {
        let (status, text) = page(&server, &format!("{root}{gone}")).await;
        assert_eq!(status, 404, "{gone}: {text}");
    }
}
