//! Pushes over a plain stream: clients that keep their side open, go away early, or send nonsense.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madake_vcs::git::smart_http::{PushReport, ReceiveLimits, ReceivePack, Received, ServeError};
use madake_vcs::process::GitProgram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::fixture::House;

const ZERO: &str = "0000000000000000000000000000000000000000";

type Reports = Arc<Mutex<Vec<PushReport>>>;

struct Connection {
    to_server: DuplexStream,
    from_server: DuplexStream,
    serving: JoinHandle<Result<Received, ServeError>>,
    reports: Reports,
    tails: TaskTracker,
    release: Option<oneshot::Sender<()>>,
}

/// A push whose recording waits for `release` if `held`.
fn connect(repository: &Path, held: bool) -> Connection {
    let (to_server, from_client) = tokio::io::duplex(64 * 1024);
    let (to_client, from_server) = tokio::io::duplex(64 * 1024);
    let (reports, tails) = (Reports::default(), TaskTracker::new());
    let (release, released) = oneshot::channel();
    let serving = {
        let (path, reports, tails) = (repository.to_owned(), Arc::clone(&reports), tails.clone());
        tokio::spawn(async move {
            let service = ReceivePack {
                git: &GitProgram::default(),
                git_directory: &path,
                git_protocol: None,
                limits: ReceiveLimits::default(),
                tails: &tails,
            };
            let record = move |report| async move {
                if held {
                    released.await.unwrap();
                }
                reports.lock().unwrap().push(report);
                Ok(vec!["recorded".to_owned()])
            };
            let permit = |_| async { Ok(()) };
            service
                .serve_connected(from_client, to_client, permit, record)
                .await
        })
    };
    Connection {
        to_server,
        from_server,
        serving,
        reports,
        tails,
        release: Some(release),
    }
}

fn packet(line: &str) -> Vec<u8> {
    format!("{:04x}{line}", line.len() + 4).into_bytes()
}

fn commands(lines: &[String]) -> Vec<u8> {
    let mut bytes: Vec<u8> = lines.iter().flat_map(|line| packet(line)).collect();
    bytes.extend_from_slice(b"0000");
    bytes
}

/// Reads one packet; its payload, or none at a flush.
async fn read_packet(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let mut digits = [0; 4];
    let reading = stream.read_exact(&mut digits);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap()
        .unwrap();
    let length = usize::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap();
    let mut payload = vec![0; length.checked_sub(4)?];
    stream.read_exact(&mut payload).await.unwrap();
    Some(payload)
}

/// Reads the list of refs, as clients do before they send anything.
async fn read_refs(stream: &mut DuplexStream) -> String {
    let mut refs = Vec::new();
    while let Some(line) = read_packet(stream).await {
        refs.extend_from_slice(&line);
    }
    String::from_utf8(refs).unwrap()
}

/// A hosted repository, a commit that it does not have, and the pack for it.
async fn commit_and_pack(house: &House) -> (std::path::PathBuf, String, Vec<u8>) {
    let hosted = house.hosted("hosted.git").await;
    let work = house.work_tree("work").await;
    let head = house.git(&work, &["rev-parse", "HEAD"]).await;
    let mut packing = house.git_command(&work, &["pack-objects", "--all", "--stdout", "--quiet"]);
    packing.stdin(std::process::Stdio::null());
    let pack = crate::fixture::output(packing).await.stdout;
    assert!(pack.starts_with(b"PACK"));
    (hosted, head, pack)
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_never_ends_its_stream_is_answered() {
    let house = House::new().await;
    let (hosted, head, pack) = commit_and_pack(&house).await;
    let mut client = connect(&hosted, false);
    let refs = read_refs(&mut client.from_server).await;
    assert!(refs.contains("push-options") && refs.contains("atomic"), "{refs}");
    let create = format!("{ZERO} {head} refs/heads/master\0report-status");
    client.to_server.write_all(&commands(&[create])).await.unwrap();
    client.to_server.write_all(&pack).await.unwrap();
    let report = read_refs(&mut client.from_server).await;
    assert_eq!(report, "unpack ok\nok refs/heads/master\n");
    assert_eq!(client.serving.await.unwrap().unwrap(), Received::Answered);
    assert_eq!(client.reports.lock().unwrap().len(), 1);
    assert_eq!(house.ref_in(&hosted, "master").await, Some(head));
    drop(client.to_server);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_waits_for_its_push_to_be_recorded_is_kept_alive() {
    let house = House::new().await;
    let (hosted, head, pack) = commit_and_pack(&house).await;
    let mut client = connect(&hosted, true);
    read_refs(&mut client.from_server).await;
    let create = format!("{ZERO} {head} refs/heads/master\0report-status side-band-64k");
    client.to_server.write_all(&commands(&[create])).await.unwrap();
    client.to_server.write_all(&pack).await.unwrap();
    // Whatever comes while the recording waits is of the band of progress; an empty packet comes every five seconds.
    loop {
        let payload = read_packet(&mut client.from_server).await.unwrap();
        assert_eq!(payload[0], 2, "{payload:?}");
        if payload.len() == 1 {
            break;
        }
    }
    assert_eq!(client.reports.lock().unwrap().len(), 0);
    client.release.take().unwrap().send(()).unwrap();
    let mut said = Vec::new();
    while let Some(payload) = read_packet(&mut client.from_server).await {
        said.push(String::from_utf8(payload).unwrap());
    }
    assert_eq!(said[0], "\x02recorded\n");
    assert!(said[1].contains("ok refs/heads/master"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_breaks_off_anywhere_moves_nothing() {
    let house = House::new().await;
    let (hosted, head, pack) = commit_and_pack(&house).await;
    let create = format!("{ZERO} {head} refs/heads/master\0report-status side-band-64k");
    let head_bytes = commands(&[create]);
    let whole = [&head_bytes[..], &pack].concat();
    let lengths = [
        0,
        3,
        60,
        head_bytes.len(),
        head_bytes.len() + 9,
        whole.len() - 20,
        whole.len() - 1,
    ];
    for length in lengths {
        let mut client = connect(&hosted, false);
        read_refs(&mut client.from_server).await;
        client.to_server.write_all(&whole[..length]).await.unwrap();
        drop(client.to_server);
        drop(client.from_server);
        let _ended = client.serving.await.unwrap();
        client.tails.close();
        client.tails.wait().await;
        let reports = client.reports.lock().unwrap().clone();
        assert!(
            reports.iter().all(|report| report.moved().next().is_none()),
            "{length}: {reports:?}"
        );
        assert_eq!(house.ref_in(&hosted, "master").await, None, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_service_does_not_lose_a_push_that_git_has() {
    let house = House::new().await;
    let (hosted, head, pack) = commit_and_pack(&house).await;
    let mut client = connect(&hosted, true);
    read_refs(&mut client.from_server).await;
    let create = format!("{ZERO} {head} refs/heads/master\0report-status side-band-64k");
    client.to_server.write_all(&commands(&[create])).await.unwrap();
    client.to_server.write_all(&pack).await.unwrap();
    while house.ref_in(&hosted, "master").await.is_none() {
        tokio::task::yield_now().await;
    }
    client.serving.abort();
    assert!(client.serving.await.unwrap_err().is_cancelled());
    client.release.take().unwrap().send(()).unwrap();
    client.tails.close();
    client.tails.wait().await;
    assert_eq!(client.reports.lock().unwrap()[0].moved().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_and_hostile_names_are_refused_before_git_sees_them() {
    let house = House::new().await;
    let (hosted, head, _) = commit_and_pack(&house).await;
    for line in ["hello", "0 0 refs/heads/x"] {
        let mut client = connect(&hosted, false);
        read_refs(&mut client.from_server).await;
        client
            .to_server
            .write_all(&commands(&[line.to_owned()]))
            .await
            .unwrap();
        let ended = client.serving.await.unwrap();
        assert!(matches!(ended, Err(ServeError::Malformed(_))), "{ended:?}");
    }
    let mut client = connect(&hosted, false);
    read_refs(&mut client.from_server).await;
    let create = format!("{ZERO} {head} refs/heads/--upload-pack=id\0report-status side-band-64k");
    client.to_server.write_all(&commands(&[create])).await.unwrap();
    let refusal = read_packet(&mut client.from_server).await.unwrap();
    let text = String::from_utf8(refusal).unwrap();
    assert!(
        text.starts_with('\x03') && text.contains("not accepted"),
        "{text}"
    );
    drop(client.to_server);
    assert!(matches!(client.serving.await.unwrap(), Ok(Received::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn repository_that_is_none_is_an_error_with_gits_words() {
    let house = House::new().await;
    let client = connect(&house.path("repositories"), false);
    let error = client.serving.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("not appear to be a git repository"),
        "{error}"
    );
}
