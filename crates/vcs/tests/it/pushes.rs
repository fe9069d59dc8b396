//! Pushes: what the server learns, what the client hears, and in which order (W14, W17, G4, G11).

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use madake_vcs::git::smart_http::{
    PushReport, ReceiveLimits, ReceivePack, Received, ServeError, UpdateStatus,
};
use madake_vcs::name::ObjectId;
use madake_vcs::process::GitProgram;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::fixture::Sandbox;
use crate::http::{Behaviour, serve};

/// Runs a blocking git client beside the server's tasks.
pub(crate) async fn push(work_tree: &Path, sandbox: &Arc<Sandbox>, arguments: &[&str]) -> (bool, String) {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let (sandbox, work_tree) = (Arc::clone(sandbox), work_tree.to_owned());
    let output = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        sandbox.try_git(&work_tree, &arguments)
    })
    .await
    .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn names(report: &PushReport) -> Vec<&str> {
    report.moved().map(|update| update.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn push_is_recorded_and_its_lines_reach_the_user() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let behaviour = Behaviour {
        lines: vec!["building PROJ-PLAN-1".into()],
        ..Behaviour::default()
    };
    let url = serve(hosted.clone(), behaviour.clone()).await;
    let options = ["-o", "a=b;c", "-o", "x: y\tz=='\"$(id)"];
    let arguments = [&["push"], &options[..], &[&url, "master"]].concat();
    let (success, heard) = push(&work, &sandbox, &arguments).await;
    assert!(success, "{heard}");
    assert!(heard.contains("remote: building PROJ-PLAN-1"), "{heard}");
    let report = behaviour.only_report();
    let head = sandbox.revision(&work, "HEAD");
    let update = &report.updates[0];
    assert_eq!(
        (update.name.as_str(), update.old, update.new),
        ("refs/heads/master", ObjectId::ZERO, head)
    );
    assert_eq!(update.status, UpdateStatus::Ok);
    assert_eq!(report.push_options, ["a=b;c", "x: y\tz=='\"$(id)"]);
    assert!(!report.atomic && report.unpack_error.is_none());
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/master"), Some(head));

    let (success, _) = push(&work, &sandbox, &["clone", "--quiet", &url, "../copy"]).await;
    assert!(success);
    assert_eq!(sandbox.revision(&sandbox.path("copy"), "HEAD"), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_delete_and_backward_push_are_reported_as_they_are() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let first = sandbox.revision(&work, "HEAD");
    let second = sandbox.commit(&work, &[("a", "2")], "second");
    sandbox.git(&work, &["tag", "-a", "-m", "release", "v1"]);
    sandbox.git(&work, &["branch", "gone"]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    sandbox.git(&work, &["tag", "-a", "-m", "release", "v2"]);
    let tag = sandbox.revision(&work, "v2");
    let behaviour = Behaviour::default();
    let url = serve(hosted, behaviour.clone()).await;
    let back = format!("+{first}:refs/heads/master");
    let (success, heard) = push(&work, &sandbox, &["push", &url, ":gone", "v2", &back]).await;
    assert!(success, "{heard}");
    let report = behaviour.only_report();
    let moved: Vec<_> = report
        .moved()
        .map(|update| (update.name.short(), update.old, update.new))
        .collect();
    assert_eq!(moved.len(), 3);
    assert!(moved.contains(&("gone", second, ObjectId::ZERO)));
    assert!(moved.contains(&("v2", ObjectId::ZERO, tag)));
    assert!(moved.contains(&("master", second, first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_push_with_one_refused_ref_moves_nothing() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    sandbox.git(&hosted, &["config", "receive.denyNonFastForwards", "true"]);
    sandbox.git(
        &work,
        &["commit", "--quiet", "--amend", "--allow-empty", "-m", "rewritten"],
    );
    sandbox.git(&work, &["branch", "fresh"]);
    let behaviour = Behaviour::default();
    let url = serve(hosted.clone(), behaviour.clone()).await;
    let (success, _) = push(
        &work,
        &sandbox,
        &["push", "--atomic", "--force", &url, "master", "fresh"],
    )
    .await;
    assert!(!success);
    let report = behaviour.only_report();
    assert!(report.atomic);
    assert_eq!(names(&report), Vec::<&str>::new());
    assert_eq!(report.updates.len(), 2);
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/fresh"), None);

    let (success, heard) = push(&work, &sandbox, &["push", "--force", &url, "master", "fresh"]).await;
    assert!(!success && heard.contains("non-fast-forward"), "{heard}");
    let report = behaviour.reports().pop().unwrap();
    assert_eq!(names(&report), ["refs/heads/fresh"]);
    let refused = report
        .updates
        .iter()
        .find(|update| update.name.short() == "master")
        .unwrap();
    assert_eq!(refused.status, UpdateStatus::Rejected("non-fast-forward".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_refs_are_all_reported() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let head = sandbox.revision(&work, "HEAD").to_string();
    let packed: String = (0..2000)
        .map(|number| format!("{head} refs/heads/many/b{number:04}\n"))
        .collect();
    std::fs::write(
        work.join(".git/packed-refs"),
        format!("# pack-refs with: sorted \n{packed}"),
    )
    .unwrap();
    let hosted = sandbox.hosted("hosted.git").await;
    let behaviour = Behaviour::default();
    let url = serve(hosted, behaviour.clone()).await;
    let (success, heard) = push(&work, &sandbox, &["push", "--quiet", &url, "refs/heads/many/*"]).await;
    assert!(success, "{heard}");
    let report = behaviour.only_report();
    assert_eq!(report.moved().count(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_before_the_start_is_a_proper_git_error() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let refuse = Some("you may not push to master\nask ann for permission".to_owned());
    let behaviour = Behaviour {
        refuse,
        ..Behaviour::default()
    };
    let url = serve(hosted.clone(), behaviour.clone()).await;
    let (success, heard) = push(&work, &sandbox, &["push", &url, "master"]).await;
    assert!(!success);
    assert!(heard.contains("remote: ask ann for permission"), "{heard}");
    assert!(
        heard.contains("[remote rejected] master -> master (you may not push"),
        "{heard}"
    );
    assert_eq!(behaviour.reports(), []);
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/master"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_record_ends_the_client_with_its_sentence() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let behaviour = Behaviour {
        fail: Some("the ledger is full".into()),
        ..Behaviour::default()
    };
    let url = serve(hosted.clone(), behaviour.clone()).await;
    let (success, heard) = push(&work, &sandbox, &["push", &url, "master"]).await;
    assert!(!success && heard.contains("the ledger is full"), "{heard}");
    assert_eq!(names(&behaviour.only_report()), ["refs/heads/master"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_that_reaches_into_dot_git_is_not_accepted() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let hosted = sandbox.hosted("hosted.git").await;
    let blob = sandbox.revision(&work, "HEAD:a");
    let behaviour = Behaviour::default();
    let url = serve(hosted.clone(), behaviour.clone()).await;
    for (number, name) in [".git", ".GIT", "git~1", ".g\u{200c}it"].into_iter().enumerate() {
        let commit = hostile_commit(&sandbox, &work, &[(b"100644", name.as_bytes(), &blob)]);
        let (success, _) = push(
            &work,
            &sandbox,
            &["push", &url, &format!("{commit}:refs/heads/evil")],
        )
        .await;
        assert!(!success, "{name}");
        let report = behaviour.reports()[number].clone();
        assert!(
            report.unpack_error.is_some() && report.moved().next().is_none(),
            "{name}: {report:?}"
        );
    }
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/evil"), None);
}

/// A commit with a tree that git itself would not write.
pub(crate) fn hostile_commit(
    sandbox: &Sandbox,
    work: &Path,
    entries: &[(&[u8], &[u8], &ObjectId)],
) -> ObjectId {
    let mut tree = Vec::new();
    for (mode, name, id) in entries {
        tree.extend_from_slice(&[mode, &b" "[..], name, &b"\0"[..], id.as_raw()].concat());
    }
    std::fs::write(work.join("tree.raw"), tree).unwrap();
    let tree = sandbox.git(
        work,
        &["hash-object", "-t", "tree", "-w", "--literally", "tree.raw"],
    );
    std::fs::remove_file(work.join("tree.raw")).unwrap();
    ObjectId::parse(&sandbox.git(work, &["commit-tree", "-m", "evil", &tree])).unwrap()
}

/// A body that breaks off: bytes, then an error instead of the end.
struct Broken<'a>(&'a [u8]);

impl AsyncRead for Broken<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let length = self.0.len().min(into.remaining());
        into.put_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Poll::Ready(Ok(()))
    }
}

/// The request that a real client sends for a first push of `master`.
async fn captured_push(sandbox: &Arc<Sandbox>, work: &Path, arguments: &[&str]) -> Vec<u8> {
    let behaviour = Behaviour::default();
    let other = sandbox.path(&format!("captured-{}.git", arguments.len()));
    madake_vcs::git::host::create_repository(
        &GitProgram::default(),
        &other,
        &madake_vcs::name::BranchName::parse("master").unwrap(),
    )
    .await
    .unwrap();
    let url = serve(other, behaviour.clone()).await;
    let (success, heard) = push(work, sandbox, &[&["push", &url][..], arguments].concat()).await;
    assert!(success, "{heard}");
    behaviour.push_bodies.lock().unwrap().pop().unwrap()
}

type Reports = Arc<Mutex<Vec<PushReport>>>;

/// Serves one request to the end and returns what the client would read.
async fn serve_bytes(
    repository: &Path,
    body: impl AsyncRead + Unpin,
    reports: &Reports,
) -> (Result<Received, ServeError>, Vec<u8>) {
    let (git, tails) = (GitProgram::default(), TaskTracker::new());
    let service = ReceivePack {
        git: &git,
        git_directory: repository,
        git_protocol: None,
        limits: ReceiveLimits::default(),
        tails: &tails,
    };
    let mut answer = Vec::new();
    let seen = Arc::clone(reports);
    let record = move |report| async move {
        seen.lock().unwrap().push(report);
        Ok(Vec::new())
    };
    let outcome = service
        .serve(body, &mut answer, |_| async { Ok(()) }, record)
        .await;
    tails.close();
    tails.wait().await;
    (outcome, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_breaks_off_in_mid_body_moves_nothing() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1"), ("b", "2")]);
    let body = captured_push(&sandbox, &work, &["master"]).await;
    let hosted = sandbox.hosted("hosted.git").await;
    let reports = Reports::default();
    let list_end = body.windows(4).position(|window| window == b"0000").unwrap() + 4;
    // Even with every byte sent, a connection that fails instead of ending moves nothing.
    for length in [
        3,
        60,
        list_end - 1,
        list_end,
        list_end + 9,
        body.len() - 20,
        body.len() - 1,
        body.len(),
    ] {
        let (outcome, answer) = serve_bytes(&hosted, Broken(&body[..length]), &reports).await;
        assert!(
            matches!(outcome, Err(ServeError::Client(_))),
            "{length}: {outcome:?}"
        );
        assert_eq!(answer, b"", "{length}");
        assert_eq!(sandbox.ref_in(&hosted, "refs/heads/master"), None, "{length}");
    }
    // Git may have refused the pack before the connection failed; what is told then is that nothing moved.
    for told in std::mem::take(&mut *reports.lock().unwrap()) {
        assert!(
            told.updates
                .iter()
                .all(|one| matches!(one.status, UpdateStatus::Rejected(_))),
            "{told:?}"
        );
    }
    let (outcome, _) = serve_bytes(&hosted, &body[..], &reports).await;
    assert_eq!(outcome.unwrap(), Received::Answered);
    assert_eq!(reports.lock().unwrap().len(), 1);
    assert!(sandbox.ref_in(&hosted, "refs/heads/master").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_that_breaks_off_moves_nothing() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    sandbox.git(&work, &["branch", "other"]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let head = sandbox.revision(&work, "HEAD");
    let zero = ObjectId::ZERO;
    let body = request(
        &[&format!(
            "{head} {zero} refs/heads/other\0report-status side-band-64k"
        )],
        &[],
    );
    let reports = Reports::default();
    let (outcome, _) = serve_bytes(&hosted, Broken(&body), &reports).await;
    assert!(outcome.is_err());
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/other"), Some(head));
    let (outcome, _) = serve_bytes(&hosted, &body[..], &reports).await;
    assert_eq!(outcome.unwrap(), Received::Answered);
    assert_eq!(sandbox.ref_in(&hosted, "refs/heads/other"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_leaves_after_sending_all_does_not_lose_its_push() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let body = captured_push(&sandbox, &work, &["master"]).await;
    let hosted = sandbox.hosted("hosted.git").await;
    let tails = TaskTracker::new();
    let (entered, in_record) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let recorded = Arc::new(Mutex::new(None));
    let serving = {
        let (tails, hosted, recorded) = (tails.clone(), hosted.clone(), Arc::clone(&recorded));
        tokio::spawn(async move {
            let git = GitProgram::default();
            let service = ReceivePack {
                git: &git,
                git_directory: &hosted,
                git_protocol: None,
                limits: ReceiveLimits::default(),
                tails: &tails,
            };
            let record = move |report: PushReport| async move {
                entered.send(()).unwrap();
                released.await.unwrap();
                *recorded.lock().unwrap() = Some(report);
                Ok(Vec::new())
            };
            service
                .serve(&body[..], tokio::io::sink(), |_| async { Ok(()) }, record)
                .await
        })
    };
    in_record.await.unwrap();
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    tails.close();
    tails.wait().await;
    assert_eq!(
        names(recorded.lock().unwrap().as_ref().unwrap()),
        ["refs/heads/master"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn report_is_held_back_until_the_push_is_durable() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    let body = captured_push(&sandbox, &work, &["master"]).await;
    let hosted = sandbox.hosted("hosted.git").await;
    let (response, mut client) = tokio::io::duplex(1 << 20);
    let (entered, in_record) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let repository = hosted.clone();
    let serving = tokio::spawn(async move {
        let (git, tails) = (GitProgram::default(), TaskTracker::new());
        let service = ReceivePack {
            git: &git,
            git_directory: &repository,
            git_protocol: None,
            limits: ReceiveLimits::default(),
            tails: &tails,
        };
        let record = move |_| async move {
            entered.send(()).unwrap();
            released.await.unwrap();
            Ok(vec!["recorded".to_owned()])
        };
        service
            .serve(&body[..], response, |_| async { Ok(()) }, record)
            .await
    });
    in_record.await.unwrap();
    assert!(sandbox.ref_in(&hosted, "refs/heads/master").is_some());
    release.send(()).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // The line exists only once the push is recorded, so what comes after it does too.
    assert!(
        answer.find("\u{2}recorded").unwrap() < answer.find("ok refs/heads/master").unwrap(),
        "{answer:?}"
    );
    assert!(answer.ends_with("0000"));
    assert_eq!(serving.await.unwrap().unwrap(), Received::Answered);
}

/// A request as the protocol wants it: lines, a flush; options, a flush.
fn request(lines: &[&str], options: &[&str]) -> Vec<u8> {
    let section = |lines: &[&str]| {
        let packets: String = lines
            .iter()
            .map(|line| format!("{:04x}{line}", line.len() + 4))
            .collect();
        packets + "0000"
    };
    let mut body = section(lines);
    if !options.is_empty() {
        body += &section(options);
    }
    body.into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn push_options_with_line_feeds_are_data() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    sandbox.git(&work, &["branch", "other"]);
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let head = sandbox.revision(&work, "HEAD");
    let line = format!(
        "{head} {} refs/heads/other\0report-status side-band-64k push-options",
        ObjectId::ZERO
    );
    let body = request(&[&line], &["user=x\nadmin=true", ";=;", "a\u{1b}[2J"]);
    let reports = Reports::default();
    let (outcome, answer) = serve_bytes(&hosted, &body[..], &reports).await;
    assert_eq!(
        outcome.unwrap(),
        Received::Answered,
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let report = reports.lock().unwrap().pop().unwrap();
    assert_eq!(report.push_options, ["user=x\nadmin=true", ";=;", "a\u{1b}[2J"]);
    assert_eq!(names(&report), ["refs/heads/other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_side_band_or_report_are_served() {
    let sandbox = Arc::new(Sandbox::new());
    let work = sandbox.work_tree("work", &[("a", "1")]);
    for branch in ["one", "two", "three", "four"] {
        sandbox.git(&work, &["branch", branch]);
    }
    let hosted = sandbox.hosted_from("hosted.git", &work).await;
    let head = sandbox.revision(&work, "HEAD");
    let zero = ObjectId::ZERO;
    for (branch, capabilities, expected) in [
        (
            "one",
            "\0report-status",
            "000eunpack ok\n0016ok refs/heads/one\n0000",
        ),
        ("two", "\0 quiet", ""),
        ("three", "", ""),
        ("four", "\0side-band-64k", "0000"),
    ] {
        let body = request(
            &[&format!("{head} {zero} refs/heads/{branch}{capabilities}")],
            &[],
        );
        let reports = Reports::default();
        let (outcome, answer) = serve_bytes(&hosted, &body[..], &reports).await;
        assert_eq!(outcome.unwrap(), Received::Answered);
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{branch}");
        assert_eq!(reports.lock().unwrap()[0].moved().count(), 1, "{branch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_outside_the_rules_start_nothing() {
    let sandbox = Arc::new(Sandbox::new());
    let hosted = sandbox.hosted("hosted.git").await;
    let id = "1".repeat(40);
    let caps = "\0report-status side-band-64k";
    let zero = ObjectId::ZERO;
    let reports = Reports::default();
    for (line, expected) in [
        (
            format!("{zero} {id} refs/heads/--upload-pack=x{caps}"),
            "could be read as an option",
        ),
        (format!("{zero} {id} refs/heads/a..b{caps}"), "expression"),
        (format!("{zero} {id} refs/heads/a\nb{caps}"), "control character"),
        (format!("{zero} {id} HEAD{caps}"), "does not start with refs/"),
        (format!("push-cert{caps}"), "without --signed"),
    ] {
        let (outcome, answer) = serve_bytes(&hosted, &request(&[&line], &[])[..], &reports).await;
        assert!(
            matches!(&outcome, Ok(Received::Refused(reason)) if reason.contains(expected)),
            "{line}: {outcome:?}"
        );
        assert!(String::from_utf8_lossy(&answer).contains(expected), "{line}");
    }
    for body in [
        &b"zzzz"[..],
        b"0007abc0000",
        b"00",
        &request(&[&format!("{id} -n1 refs/heads/a{caps}")], &[]),
    ] {
        let (outcome, answer) = serve_bytes(&hosted, body, &reports).await;
        assert!(
            matches!(outcome, Err(ServeError::Malformed(_) | ServeError::Client(_))),
            "{outcome:?}"
        );
        assert_eq!(answer, b"");
    }
    let (outcome, answer) = serve_bytes(&hosted, &b"0000"[..], &reports).await;
    assert_eq!((outcome.unwrap(), answer), (Received::Probe, Vec::new()));
    let many: Vec<String> = (0..10_001)
        .map(|number| format!("{zero} {id} refs/heads/b{number}{caps}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (outcome, _) = serve_bytes(&hosted, &request(&many, &[])[..], &reports).await;
    assert!(matches!(&outcome, Ok(Received::Refused(reason)) if reason.contains("at most 10000 refs")));
    assert_eq!(*reports.lock().unwrap(), []);
}
