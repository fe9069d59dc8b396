//! What a receiver calls back for: repository, commits, changes, branches, tags and files, in both of Bitbucket's words.

use madake_testkit::{Server, git, hg};
use serde_json::json;

const REST: &str = "/rest/api/1.0/projects/PROJ/repos/app";
const CLOUD: &str = "/2.0/repositories/PROJ/app";

/// A repository with two branches, a merge, tags, a folder, a script and a binary; gives the ids of its commits.
async fn filled() -> (Server, Vec<String>) {
    let server = Server::start().await;
    let work = server.hosted("PROJ/app");
    let first = work.push(
        "main",
        &[("README.md", "one\ntwo\nthree\n"), ("src/package.json", "{}")],
    );
    let second = work.push("main", &[("src/a b.txt", "2")]);
    work.switch("feature/x");
    let third = work.push("feature/x", &[("src/c;d.txt", "3")]);
    git(&work.path, &["switch", "main"]);
    git(&work.path, &["mv", "README.md", "READ.md"]);
    std::fs::write(work.path.join("data.bin"), b"a\0b").expect("a file");
    git(&work.path, &["add", "."]);
    git(&work.path, &["commit", "-m", "renamed\n\nwith a body"]);
    git(&work.path, &["merge", "--no-ff", "-m", "merged", "feature/x"]);
    git(&work.path, &["tag", "light"]);
    git(&work.path, &["tag", "-a", "v1.0", "-m", "first"]);
    git(&work.path, &["push", "origin", "main", "--tags"]);
    let merge = git(&work.path, &["rev-parse", "HEAD"]).trim().to_owned();
    let renamed = git(&work.path, &["rev-parse", "HEAD^1"]).trim().to_owned();
    (server, vec![first, second, third, renamed, merge])
}

async fn status(server: &Server, path: &str) -> u16 {
    let answer = server
        .request(reqwest::Method::GET, path)
        .send()
        .await
        .expect("an answer");
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_listed_as_bitbucket_server_does() {
    let (server, ids) = filled().await;
    let [first, second, third, renamed, merge] = &ids[..] else {
        panic!("five commits")
    };
    let page = server.get(&format!("{REST}/commits?limit=2")).await;
    assert_eq!(
        (&page["isLastPage"], &page["nextPageStart"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(page["values"][0]["id"], merge.as_str());
    assert_eq!(page["values"][0]["displayId"], &merge[..11]);
    assert_eq!(page["values"][0]["parents"][0]["id"], renamed.as_str());
    let all = server
        .get(&format!("{REST}/commits?until=refs/heads/main&limit=1000"))
        .await;
    assert_eq!(
        (&all["size"], &all["isLastPage"], &all["limit"]),
        (&json!(5), &json!(true), &json!(100))
    );
    for (query, expected) in [
        (format!("until=feature/x&since={first}"), vec![third, second]),
        ("until=main&merges=only".to_owned(), vec![merge]),
        ("until=v1.0&path=src/package.json".to_owned(), vec![first]),
        ("path=READ.md&followRenames=true".to_owned(), vec![renamed, first]),
        ("path=READ.md".to_owned(), vec![renamed]),
        (
            "since=0000000000000000000000000000000000000001&ignoreMissing=true&limit=1".to_owned(),
            vec![merge],
        ),
    ] {
        let page = server.get(&format!("{REST}/commits?{query}")).await;
        let found: Vec<&str> = page["values"]
            .as_array()
            .expect("commits")
            .iter()
            .filter_map(|one| one["id"].as_str())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    let compared = server
        .get(&format!("{REST}/compare/commits?from=main&to=feature/x"))
        .await;
    assert_eq!(compared["size"], 2);
    let one = server.get(&format!("{REST}/commits/{}", &renamed[..7])).await;
    assert_eq!(
        (&one["id"], &one["message"]),
        (&json!(renamed), &json!("renamed\n\nwith a body"))
    );
    assert_eq!(
        one["parents"][0]["message"].as_str().map(str::is_empty),
        Some(false)
    );
    for wrong in ["nope", "--all", "0000000000", "refs/heads/nope", "-1"] {
        assert_eq!(
            status(&server, &format!("{REST}/commits/{wrong}")).await,
            404,
            "{wrong}"
        );
        assert_eq!(
            status(&server, &format!("{REST}/commits?until={wrong}")).await,
            404,
            "{wrong}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_tell_renames_and_follow_the_first_parent() {
    let (server, ids) = filled().await;
    let page = server.get(&format!("{REST}/commits/{}/changes", ids[3])).await;
    assert_eq!(
        (&page["fromHash"], &page["toHash"]),
        (&json!(ids[1]), &json!(ids[3]))
    );
    let moved = page["values"]
        .as_array()
        .expect("changes")
        .iter()
        .find(|one| one["type"] == "MOVE")
        .expect("a move");
    assert_eq!(
        (&moved["srcPath"]["toString"], &moved["path"]["name"]),
        (&json!("README.md"), &json!("READ.md"))
    );
    assert_eq!(
        (&moved["percentUnchanged"], &moved["properties"]["gitChangeType"]),
        (&json!(100), &json!("RENAME"))
    );
    assert_eq!(
        moved["links"]["self"][0]["href"],
        format!(
            "{}/projects/PROJ/repos/app/commits/{}#READ.md",
            server.url(),
            ids[3]
        )
    );
    let merge = server.get(&format!("{REST}/changes?until={}", ids[4])).await;
    assert_eq!(
        (&merge["size"], &merge["values"][0]["path"]["toString"]),
        (&json!(1), &json!("src/c;d.txt"))
    );
    let range = server
        .get(&format!(
            "{REST}/changes?since={}&until=feature/x&limit=1",
            ids[0]
        ))
        .await;
    assert_eq!((&range["size"], &range["isLastPage"]), (&json!(1), &json!(false)));
    let root = server.get(&format!("{REST}/commits/{}/changes", ids[0])).await;
    assert_eq!((&root["fromHash"], &root["size"]), (&json!(null), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_tags_and_repositories_are_listed() {
    let (server, ids) = filled().await;
    let branches = server
        .get(&format!("{REST}/branches?filterText=MAIN&details=true"))
        .await;
    assert_eq!(branches["values"][0]["latestCommit"], ids[4].as_str());
    assert_eq!(
        (&branches["values"][0]["isDefault"], &branches["size"]),
        (&json!(true), &json!(1))
    );
    let newest = server.get(&format!("{REST}/branches?orderBy=MODIFICATION")).await;
    assert_eq!(newest["size"], 2);
    for path in ["branches/default", "default-branch"] {
        assert_eq!(server.get(&format!("{REST}/{path}")).await["displayId"], "main");
    }
    let tags = server.get(&format!("{REST}/tags")).await;
    assert_eq!(
        (&tags["values"][0]["displayId"], &tags["values"][0]["hash"]),
        (&json!("light"), &json!(null))
    );
    let tag = server.get(&format!("{REST}/tags/v1.0")).await;
    assert_eq!(tag["latestCommit"], ids[4].as_str());
    assert!(tag["hash"].as_str().is_some_and(|hash| hash != ids[4]));
    assert_eq!(status(&server, &format!("{REST}/tags/v2")).await, 404);
    let repository = server.get(REST).await;
    assert_eq!(
        (&repository["slug"], &repository["project"]["key"]),
        (&json!("app"), &json!("PROJ"))
    );
    assert_eq!(
        repository["links"]["clone"][0]["href"],
        format!("{}/scm/proj/app.git", server.url())
    );
    assert_eq!(
        server.get("/rest/api/1.0/projects").await["values"][0]["key"],
        "PROJ"
    );
    assert_eq!(
        server.get("/rest/api/latest/projects/proj/repos").await["values"][0]["slug"],
        "app"
    );
    assert_eq!(
        server.get("/rest/api/1.0/repos?name=APP&projectkey=proj").await["size"],
        1
    );
    assert_eq!(server.get("/rest/api/1.0/repos?name=other").await["size"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_files_are_read_whatever_they_are_called() {
    let (server, _) = filled().await;
    let root = server.get(&format!("{REST}/browse?at=refs/heads/main")).await;
    let names: Vec<&str> = root["children"]["values"]
        .as_array()
        .expect("children")
        .iter()
        .filter_map(|one| one["path"]["toString"].as_str())
        .collect();
    assert_eq!(names, ["READ.md", "data.bin", "src"]);
    assert_eq!(
        (&root["revision"], &root["children"]["values"][0]["size"]),
        (&json!("refs/heads/main"), &json!(14))
    );
    // A suffix of a file is not that of a format, as it is in Bamboo's interface.
    let file = server.get(&format!("{REST}/browse/src/package.json")).await;
    assert_eq!(
        (&file["lines"][0]["text"], &file["isLastPage"]),
        (&json!("{}"), &json!(true))
    );
    let lines = server
        .get(&format!("{REST}/browse/READ.md?start=1&limit=1"))
        .await;
    assert_eq!(
        (&lines["lines"][0]["text"], &lines["nextPageStart"]),
        (&json!("two"), &json!(2))
    );
    assert_eq!(
        server.get(&format!("{REST}/browse/src?type=true")).await,
        json!({ "type": "DIRECTORY" })
    );
    assert_eq!(
        server.get(&format!("{REST}/browse/data.bin")).await["binary"],
        true
    );
    assert_eq!(
        server.get(&format!("{REST}/browse/data.bin?size=true")).await["size"],
        3
    );
    let files = server.get(&format!("{REST}/files/src?at=main")).await;
    assert_eq!(files["values"], json!(["a b.txt", "c;d.txt", "package.json"]));
    assert_eq!(server.get(&format!("{REST}/files")).await["size"], 5);

    let raw = server
        .request(reqwest::Method::GET, &format!("{REST}/raw/src/a%20b.txt?at=main"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(raw.headers()["content-type"], "text/plain;charset=UTF-8");
    assert!(
        raw.headers()["content-security-policy"]
            .to_str()
            .is_ok_and(|policy| policy.contains("sandbox"))
    );
    assert_eq!(raw.text().await.expect("a body"), "2");
    let binary = server
        .request(reqwest::Method::GET, &format!("{REST}/raw/data.bin"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(binary.headers()["content-disposition"], "attachment");
    for wrong in [
        "raw/src",
        "raw/nope",
        "browse/nope",
        "files/READ.md",
        "raw/READ.md?at=nope",
    ] {
        assert_eq!(status(&server, &format!("{REST}/{wrong}")).await, 404, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cloud_interface_reads_the_same() {
    let (server, ids) = filled().await;
    let repository = server.get(CLOUD).await;
    assert_eq!(
        (&repository["full_name"], &repository["mainbranch"]["name"]),
        (&json!("PROJ/app"), &json!("main"))
    );
    assert_eq!(
        server.get("/2.0/repositories/proj").await["values"][0]["uuid"],
        repository["uuid"]
    );
    let page = server.get(&format!("{CLOUD}/commits?pagelen=2")).await;
    assert_eq!(page["values"][0]["hash"], ids[4].as_str());
    let next = page["next"]
        .as_str()
        .expect("a next page")
        .replace(&server.url(), "");
    assert_eq!(server.get(&next).await["page"], 2);
    let branch = server
        .get(&format!("{CLOUD}/commits/feature/x?exclude={}", ids[0]))
        .await;
    let found: Vec<&str> = branch["values"]
        .as_array()
        .expect("commits")
        .iter()
        .filter_map(|one| one["hash"].as_str())
        .collect();
    assert_eq!(found, [&ids[2], &ids[1]]);
    let commit = server.get(&format!("{CLOUD}/commit/{}", &ids[3][..12])).await;
    assert_eq!(
        (&commit["parents"][0]["hash"], &commit["repository"]["type"]),
        (&json!(ids[1]), &json!("repository"))
    );
    let branches = server.get(&format!("{CLOUD}/refs/branches")).await;
    assert_eq!(
        (&branches["size"], &branches["values"][0]["name"]),
        (&json!(2), &json!("feature/x"))
    );
    assert_eq!(
        server.get(&format!("{CLOUD}/refs/branches/feature/x")).await["target"]["hash"],
        ids[2].as_str()
    );
    assert_eq!(
        server.get(&format!("{CLOUD}/refs/tags/light")).await["type"],
        "tag"
    );
    assert_eq!(server.get(&format!("{CLOUD}/refs")).await["size"], 4);
    let root = server.get(&format!("{CLOUD}/src")).await;
    assert_eq!(
        (&root["values"][2]["type"], &root["values"][2]["path"]),
        (&json!("commit_directory"), &json!("src"))
    );
    let meta = server
        .get(&format!("{CLOUD}/src/main/src/package.json?format=meta"))
        .await;
    assert_eq!((&meta["type"], &meta["size"]), (&json!("commit_file"), &json!(2)));
    for raw in [
        format!("{CLOUD}/src/main/src/package.json"),
        "/api/1.0/repositories/PROJ/app/raw/main/src/package.json".to_owned(),
    ] {
        let answer = server
            .request(reqwest::Method::GET, &raw)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "{}", "{raw}");
    }
    for wrong in [
        "commit/nope",
        "refs/branches/nope",
        "src/main/nope",
        "src/nope/READ.md",
    ] {
        assert_eq!(status(&server, &format!("{CLOUD}/{wrong}")).await, 404, "{wrong}");
    }
}

/// The strings of a member of each value of a page.
fn each<'a>(page: &'a serde_json::Value, pointer: &str) -> Vec<&'a str> {
    let values = page["values"].as_array().expect("values");
    values
        .iter()
        .filter_map(|one| one.pointer(pointer).and_then(|text| text.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mercurial_repositories_are_read_in_both_words() {
    let server = Server::start().await;
    let clone = server.hosted_hg("PROJ/app");
    let nothing = server.get(&format!("{REST}/branches")).await;
    assert_eq!(nothing["size"], 0);
    assert_eq!(server.get(&format!("{CLOUD}/commits")).await["values"], json!([]));
    let first = clone.push("first", &[("README.md", "one\ntwo\n"), ("src/a b.txt", "1")]);
    hg(&clone.path, &["branch", "--quiet", "my stable"]);
    let second = clone.push(
        "second",
        &[
            ("README.md", "three\n"),
            ("src/c;d.txt", "22"),
            ("src/e f", "333"),
        ],
    );
    hg(&clone.path, &["update", "--quiet", "default"]);
    let side = clone.push("side", &[("side", "1")]);
    hg(&clone.path, &["merge", "--quiet", "my stable"]);
    hg(&clone.path, &["mv", "--quiet", "README.md", "READ.md"]);
    std::fs::write(clone.path.join("data.bin"), b"a\0b").expect("a file");
    hg(&clone.path, &["bookmark", "mark"]);
    let merge = clone.commit("merged", &[]);
    hg(&clone.path, &["tag", "-r", &first, "v1"]);
    let tagged = clone.tip();
    hg(&clone.path, &["push", "--quiet", "--bookmark", "mark"]);

    let repository = server.get(REST).await;
    assert_eq!(repository["scmId"], "hg");
    let all = [&tagged, &merge, &side, &second, &first].map(String::as_str);
    for (query, expected) in [
        ("", &all[..]),
        ("?until=default&limit=2&start=1", &all[1..3]),
        ("?until=my%20stable", &all[3..]),
        (&format!("?until=mark&since={second}"), &all[..3]),
        (&format!("?since={first}&merges=only"), &all[1..2]),
        ("?merges=exclude&limit=2", &[all[0], all[2]]),
        ("?path=src", &[all[3], all[4]]),
        ("?path=READ.md&followRenames=true", &[all[1], all[3], all[4]]),
        ("?path=READ.md", &all[1..2]),
    ] {
        let page = server.get(&format!("{REST}/commits{query}")).await;
        assert_eq!(each(&page, "/id"), expected, "{query}");
    }
    let short = server.get(&format!("{REST}/commits/{}", &second[..12])).await;
    assert_eq!(
        (&short["id"], &short["parents"][0]["id"]),
        (&json!(second), &json!(first))
    );
    let changes = server.get(&format!("{REST}/commits/{second}/changes")).await;
    assert_eq!(
        each(&changes, "/path/toString"),
        ["README.md", "src/c;d.txt", "src/e f"]
    );
    assert_eq!(each(&changes, "/type"), ["MODIFY", "ADD", "ADD"]);

    let branches = server.get(&format!("{REST}/branches")).await;
    assert_eq!(each(&branches, "/displayId"), ["mark", "default", "my stable"]);
    assert_eq!(
        each(&branches, "/id"),
        [
            "refs/bookmarks/mark",
            "refs/heads/default",
            "refs/heads/my%20stable"
        ]
    );
    let newest = server.get(&format!("{REST}/branches?orderBy=MODIFICATION")).await;
    assert_eq!(each(&newest, "/displayId").last(), Some(&"my stable"));
    assert_eq!(
        server.get(&format!("{REST}/default-branch")).await["latestCommit"],
        tagged.as_str()
    );
    let tag = server.get(&format!("{REST}/tags/v1")).await;
    assert_eq!(tag["latestCommit"], first.as_str());

    let root = server.get(&format!("{REST}/browse?at=mark")).await;
    let children = &root["children"];
    assert_eq!(
        each(children, "/path/toString"),
        [".hgtags", "READ.md", "data.bin", "side", "src"]
    );
    assert_eq!(children["values"][1]["size"], 6);
    assert_eq!(
        server.get(&format!("{REST}/browse/src?type=true")).await,
        json!({ "type": "DIRECTORY" })
    );
    let file = server.get(&format!("{REST}/browse/README.md?at={first}")).await;
    assert_eq!(file["lines"], json!([{ "text": "one" }, { "text": "two" }]));
    assert_eq!(
        server.get(&format!("{REST}/browse/data.bin")).await["binary"],
        true
    );
    let files = server.get(&format!("{REST}/files/src")).await;
    assert_eq!(files["values"], json!(["a b.txt", "c;d.txt", "e f"]));
    assert_eq!(server.get(&format!("{REST}/files?at=v1")).await["size"], 2);
    for raw in [
        format!("{REST}/raw/src/e%20f?at=my%20stable"),
        format!("{CLOUD}/src/{second}/src/e%20f"),
        format!("/api/1.0/repositories/PROJ/app/raw/{second}/src/e%20f"),
    ] {
        let answer = server
            .request(reqwest::Method::GET, &raw)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{raw}");
        assert_eq!(answer.text().await.expect("a body"), "333", "{raw}");
    }
    for wrong in [
        "raw/src",
        "raw/nope",
        "browse/nope",
        "browse/.hg",
        "files/READ.md",
        "raw/READ.md?at=tip",
        "commits/all()",
        "commits/ffffffffffffffffffffffffffffffffffffffff",
        "commits?until=0000000000000000000000000000000000000000",
        "commits?until=-1",
    ] {
        assert_eq!(status(&server, &format!("{REST}/{wrong}")).await, 404, "{wrong}");
    }

    let page = server.get(&format!("{CLOUD}/commits?pagelen=2")).await;
    assert_eq!(each(&page, "/hash"), all[..2]);
    let refs = server.get(&format!("{CLOUD}/refs")).await;
    assert_eq!(
        each(&refs, "/type"),
        ["bookmark", "named_branch", "named_branch", "tag"]
    );
    let named = server.get(&format!("{CLOUD}/refs/branches/my%20stable")).await;
    assert_eq!(
        (&named["type"], &named["target"]["hash"]),
        (&json!("named_branch"), &json!(second))
    );
    let source = server.get(&format!("{CLOUD}/src")).await;
    assert_eq!(
        each(&source, "/path"),
        [".hgtags", "READ.md", "data.bin", "side", "src"]
    );
    let meta = server
        .get(&format!("{CLOUD}/src/{second}/src/e%20f?format=meta"))
        .await;
    assert_eq!((&meta["type"], &meta["size"]), (&json!("commit_file"), &json!(3)));
}
