//! Pushes and pulls of real clients over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use madake_vcs::hg::name::LabelKind::{Bookmark, Branch, Tag};
use madake_vcs::hg::serve::{Access, ServeError};
use madake_vcs::name::ObjectId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::hg_fixture::{HgSandbox, Keeper, moves, serve_http, service};

const NONE: ObjectId = ObjectId::ZERO;

async fn writable(sandbox: &HgSandbox, hosted: &Path, keeper: &Arc<Keeper>) -> String {
    serve_http(
        service(&sandbox.hg),
        hosted.to_owned(),
        Access::Write,
        Arc::clone(keeper),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn push_is_recorded_and_its_lines_reach_the_user() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, ".");
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        lines: vec!["build DEMO-MAIN-1 is queued: http://x/ 竹".into()],
        ..Keeper::default()
    });
    let address = writable(&sandbox, &hosted, &keeper).await;
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(pushed, "{text}");
    assert!(
        text.contains("remote: build DEMO-MAIN-1 is queued: http://x/ 竹"),
        "{text}"
    );
    let report = keeper.take_only_report();
    assert_eq!(moves(&report), [(Branch, "default", NONE, second)]);
    assert_eq!(report.added, Some((first, second)));
    assert_eq!(report.pusher.as_deref(), Some("ann"));
    let (again, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(!again && text.contains("no changes found"), "{text}");
    assert_eq!(keeper.reports().len(), 0);

    let third = sandbox.commit(&work, &[("a", "3")], "third");
    assert!(sandbox.talk(&work, &["push", &address]).await.0);
    assert_eq!(
        moves(&keeper.take_only_report()),
        [(Branch, "default", second, third)]
    );
    let (cloned, text) = sandbox
        .talk(&sandbox.path(""), &["clone", "-q", &address, "clone"])
        .await;
    assert!(cloned, "{text}");
    assert_eq!(sandbox.revision(&sandbox.path("clone"), "."), third);
    let fourth = sandbox.commit(&work, &[("a", "4")], "fourth");
    assert!(sandbox.talk(&work, &["push", &address]).await.0);
    let (pulled, text) = sandbox.talk(&sandbox.path("clone"), &["pull", "-u"]).await;
    assert!(pulled, "{text}");
    assert_eq!(sandbox.revision(&sandbox.path("clone"), "."), fourth);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_bookmarks_tags_and_heads_are_told_apart() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let root = sandbox.revision(&work, ".");
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper::default());
    let address = writable(&sandbox, &hosted, &keeper).await;
    let address = address.as_str();
    let push = async |arguments: &[&str]| {
        let arguments = [&["push"], arguments, &[address]].concat();
        // The exit code says whether commits were pushed, not whether it went well.
        let (_, text) = sandbox.talk(&work, &arguments).await;
        assert!(!text.contains("abort"), "{arguments:?}: {text}");
        keeper.take_only_report()
    };
    assert_eq!(moves(&push(&[]).await), [(Branch, "default", NONE, root)]);

    // A new named branch, with a name that is an option elsewhere.
    sandbox.hg(&work, &["branch", "-q", "my --config=x"]);
    let named = sandbox.commit(&work, &[("b", "1")], "on a branch");
    let report = push(&["--new-branch"]).await;
    assert_eq!(moves(&report), [(Branch, "my --config=x", NONE, named)]);
    assert_eq!(report.moves[0].name.as_str(), "refs/heads/my%20--config=x");

    // Two heads of one branch, the second by force.
    sandbox.hg(&work, &["update", "-q", "default"]);
    let one = sandbox.commit(&work, &[("c", "1")], "one");
    sandbox.hg(&work, &["update", "-q", &root.to_string()]);
    let two = sandbox.commit(&work, &[("d", "1")], "two");
    let one_revision = one.to_string();
    assert_eq!(
        moves(&push(&["-r", &one_revision]).await),
        [(Branch, "default", root, one)]
    );
    let (refused, text) = sandbox.talk(&work, &["push", address]).await;
    assert!(
        !refused && text.contains("push creates new remote head"),
        "{text}"
    );
    let report = push(&["-f"]).await;
    assert_eq!(moves(&report), [(Branch, "default", one, two)]);
    assert_eq!(report.added, Some((two, two)));

    // A bookmark, which moves no commit; then one that moves with a commit; then it goes.
    sandbox.hg(&work, &["bookmark", "-r", &one_revision, "feature/[x]"]);
    let report = push(&["-B", "feature/[x]"]).await;
    assert_eq!(moves(&report), [(Bookmark, "feature/[x]", NONE, one)]);
    assert_eq!(report.added, None);
    assert_eq!(report.moves[0].name.as_str(), "refs/bookmarks/feature/%5Bx]");
    sandbox.hg(&work, &["update", "-q", "feature/[x]"]);
    let three = sandbox.commit(&work, &[("e", "1")], "three");
    let report = push(&["-B", "feature/[x]", "-r", "."]).await;
    assert_eq!(
        moves(&report),
        [
            (Bookmark, "feature/[x]", one, three),
            (Branch, "default", two, three)
        ]
    );
    sandbox.hg(&work, &["bookmark", "-d", "feature/[x]"]);
    let (_, text) = sandbox.talk(&work, &["push", "-B", "feature/[x]", address]).await;
    assert!(text.contains("deleting remote bookmark"), "{text}");
    let report = keeper.take_only_report();
    assert_eq!(moves(&report), [(Bookmark, "feature/[x]", three, NONE)]);

    // A tag is a commit.
    sandbox.hg(&work, &["tag", "-r", &root.to_string(), "v 1.0"]);
    let tagging = sandbox.revision(&work, ".");
    let report = push(&["-r", "."]).await;
    assert_eq!(
        moves(&report),
        [(Branch, "default", three, tagging), (Tag, "v 1.0", NONE, root)]
    );

    // A branch is closed, and opened again.
    sandbox.hg(&work, &["update", "-q", &named.to_string()]);
    sandbox.hg(&work, &["commit", "-q", "--close-branch", "-m", "close"]);
    let closing = sandbox.revision(&work, ".");
    let report = push(&["-r", "."]).await;
    assert_eq!(moves(&report), [(Branch, "my --config=x", named, NONE)]);
    assert_eq!(report.added, Some((closing, closing)));
    let reopened = sandbox.commit(&work, &[("b", "2")], "open");
    let report = push(&["-r", "."]).await;
    assert_eq!(moves(&report), [(Branch, "my --config=x", NONE, reopened)]);

    // What was reported is what is there.
    let refs = sandbox.reader().all_refs(&hosted).await.unwrap().refs;
    let refs: Vec<_> = refs.iter().map(|found| (found.name.as_str(), found.id)).collect();
    assert_eq!(
        refs,
        [
            ("refs/heads/default", tagging),
            ("refs/heads/my%20--config=x", reopened),
            ("refs/tags/v%201.0", root)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_push_leaves_nothing_behind() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        refuse: Some("default is protected: push to a branch 竹".into()),
        ..Keeper::default()
    });
    let address = writable(&sandbox, &hosted, &keeper).await;
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(
        !pushed && text.contains("default is protected: push to a branch 竹"),
        "{text}"
    );
    assert_eq!(keeper.permits.lock().unwrap()[0].moves[0].label, "default");
    assert!(keeper.reports().is_empty());
    assert!(sandbox.reader().heads(&hosted).await.unwrap().branches.is_empty());
    assert_eq!(sandbox.hg(&hosted, &["log", "-T", "{node}"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_cannot_be_recorded_is_no_success() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        fail: Some("the disk of the ledger is full".into()),
        ..Keeper::default()
    });
    let address = writable(&sandbox, &hosted, &keeper).await;
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(
        !pushed && text.contains("the disk of the ledger is full"),
        "{text}"
    );
    // It has happened: reconciliation is to find it.
    assert_eq!(sandbox.reader().heads(&hosted).await.unwrap().branches.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_is_held_back_until_the_push_is_durable() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        waits: true,
        ..Keeper::default()
    });
    let address = writable(&sandbox, &hosted, &keeper).await;
    let client = Arc::clone(&sandbox);
    let pushing = tokio::spawn(async move { client.talk(&work, &["push", &address]).await });
    keeper.wait_until_reached().await;
    // Others see it already, and may read; the pusher has not heard of it.
    assert_eq!(sandbox.reader().heads(&hosted).await.unwrap().branches.len(), 1);
    assert!(!pushing.is_finished());
    keeper.may_go_on.0.add_permits(1);
    let (pushed, text) = pushing.await.unwrap();
    assert!(pushed, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_cannot_push_even_if_the_caller_forgets_to_look() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let keeper = Arc::new(Keeper::default());
    let address = serve_http(
        service(&sandbox.hg),
        hosted.clone(),
        Access::Read,
        Arc::clone(&keeper),
    )
    .await;
    let before = sandbox.reader().all_refs(&hosted).await.unwrap();
    sandbox.commit(&work, &[("a", "2")], "second");
    for arguments in [&["push"][..], &["push", "-B", "mark"]] {
        sandbox.try_hg(&work, &["bookmark", "mark"]);
        let (pushed, text) = sandbox.talk(&work, &[arguments, &[&address]].concat()).await;
        assert!(!pushed, "{text}");
    }
    let (cloned, text) = sandbox
        .talk(&sandbox.path(""), &["clone", "-q", &address, "clone"])
        .await;
    assert!(cloned, "{text}");
    // The same over a socket: commands of a batch, pages, and paths below.
    let host = address.trim_start_matches("http://").split('/').next().unwrap();
    for (target, status) in [
        ("/?cmd=pushkey&namespace=bookmarks&key=x&old=&new=1", "403"),
        (
            "/?cmd=batch&cmds=pushkey%20namespace%3Dbookmarks%2Ckey%3Dx%2Cold%3D%2Cnew%3D1",
            "403",
        ),
        ("/?cmd=changelog", "400"),
        ("/rev/tip", "400"),
        ("/?cmd=capabilities", "200"),
        ("/?cmd=lookup&key=--config%3Dx", "200"),
    ] {
        let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{target}: {answer}"
        );
    }
    assert_eq!(sandbox.reader().all_refs(&hosted).await.unwrap(), before);
    assert!(keeper.permits.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_breaks_off_in_mid_body_moves_nothing() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper::default());
    let service = service(&sandbox.hg);
    let address = serve_http(
        service.clone(),
        hosted.clone(),
        Access::Write,
        Arc::clone(&keeper),
    )
    .await;
    let host = address
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let bundle = sandbox.path("bundle");
    sandbox.hg(
        &work,
        &["bundle", "--all", "--type", "none-v2", bundle.to_str().unwrap()],
    );
    let bundle = std::fs::read(bundle).unwrap();
    for part in [bundle.len() / 2, bundle.len() - 1] {
        let mut connection = tokio::net::TcpStream::connect(&host).await.unwrap();
        let length = bundle.len();
        let head = format!(
            "POST /?cmd=unbundle&heads=666f726365 HTTP/1.1\r\nContent-Type: application/mercurial-0.1\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&bundle[..part]).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 500"));
    }
    assert!(keeper.permits.lock().unwrap().is_empty());
    assert!(sandbox.reader().heads(&hosted).await.unwrap().branches.is_empty());
    // The next push finds nothing in its way.
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(pushed, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_leaves_after_sending_all_does_not_lose_its_push() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper {
        waits: true,
        ..Keeper::default()
    });
    let address = writable(&sandbox, &hosted, &keeper).await;
    let mut client = tokio::process::Command::from(sandbox.client(&work, &["push", &address]))
        .spawn()
        .unwrap();
    keeper.wait_until_reached().await;
    client.kill().await.unwrap();
    keeper.may_go_on.0.add_permits(1);
    let limit = Instant::now() + Duration::from_secs(30);
    while keeper.reports().is_empty() {
        assert!(Instant::now() < limit, "the push was lost");
        tokio::task::yield_now().await;
    }
    assert_eq!(keeper.take_only_report().moves.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_inside_a_transaction_is_repaired_by_the_next_push() {
    let sandbox = Arc::new(HgSandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted", &work).await;
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    // As a hg that is killed leaves it: the journal of its transaction, and its lock.
    let mut command = sandbox.client(
        &hosted,
        &[
            "--config",
            "hooks.pretxnclose=kill -9 $PPID",
            "pull",
            work.to_str().unwrap(),
        ],
    );
    assert!(!command.output().unwrap().status.success());
    assert!(hosted.join(".hg/store/journal").exists());
    let keeper = Arc::new(Keeper::default());
    let address = writable(&sandbox, &hosted, &keeper).await;
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(pushed, "{text}");
    assert_eq!(moves(&keeper.take_only_report())[0].3, second);
    sandbox.hg(&hosted, &["verify", "-q"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_push_and_many_branches_arrive() {
    let sandbox = Arc::new(HgSandbox::new());
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    })
    .take(20_000_000)
    .collect();
    let work = sandbox.work_tree("work", &[("a", "1")]);
    std::fs::write(work.join("large"), noise).unwrap();
    sandbox.commit(&work, &[], "large");
    let hosted = sandbox.hosted("hosted").await;
    let keeper = Arc::new(Keeper::default());
    let address = writable(&sandbox, &hosted, &keeper).await;
    let (pushed, text) = sandbox.talk(&work, &["push", &address]).await;
    assert!(pushed, "{text}");
    keeper.take_only_report();
    let root = sandbox.revision(&work, "0");
    let marks: String = (0..300).map(|number| format!("{root} mark{number}\n")).collect();
    std::fs::write(work.join(".hg/bookmarks"), marks).unwrap();
    let mut arguments = vec!["push"];
    let names: Vec<String> = (0..300).map(|number| format!("mark{number}")).collect();
    for name in &names {
        arguments.extend(["-B", name]);
    }
    arguments.push(&address);
    let (_, text) = sandbox.talk(&work, &arguments).await;
    let report = keeper.take_only_report();
    assert_eq!(report.moves.len(), 300, "{text}");
    let (cloned, text) = sandbox
        .talk(&sandbox.path(""), &["clone", "-q", &address, "clone"])
        .await;
    assert!(cloned, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_outside_the_protocol_start_nothing() {
    let sandbox = HgSandbox::new();
    let hosted = sandbox.hosted("hosted").await;
    let service = service(&sandbox.hg);
    for query in ["", "cmd=changelog", "cmd=capabilities&cmd=unbundle", "file=x"] {
        let request = madake_vcs::hg::serve::http::HttpRequest {
            method: "GET",
            query,
            headers: &[],
            address: None,
            secure: true,
        };
        let refused = service
            .serve(
                &hosted,
                &request,
                tokio::io::empty(),
                None,
                Arc::new(Keeper::default()),
            )
            .await;
        assert!(matches!(refused, Err(ServeError::Malformed(_))), "{query}");
    }
    assert_eq!(service.live_processes(), 0);
}
