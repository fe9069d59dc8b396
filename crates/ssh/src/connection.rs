//! One connection from its first byte to its end: deadlines, idleness, the server's stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::server::{Config, Handle, RunningSession};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Client, Progress};
use crate::cut::CutStream;
use crate::gate::Gate;
use crate::limits::Limits;

/// How long a client gets to take a goodbye before its connection is cut.
const GOODBYE: Duration = Duration::from_secs(2);

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) limits: Limits,
    pub(crate) protocol: Arc<Config>,
    pub(crate) stop: CancellationToken,
}

/// Serves one client until it leaves, or has to. Its commands have ended when this returns.
pub(crate) async fn serve(shared: &Shared, stream: TcpStream, peer: SocketAddr) {
    let (gone, cut) = (CancellationToken::new(), CancellationToken::new());
    // Also if this future is dropped, nothing of the connection stays.
    let _gone_at_the_end = gone.clone().drop_guard();
    let _cut_at_the_end = cut.clone().drop_guard();
    let (progress_sender, mut progress) = watch::channel(Progress::default());
    let tasks = TaskTracker::new();
    let client = Client {
        gate: Arc::clone(&shared.gate),
        limits: shared.limits.clone(),
        peer,
        progress: progress_sender,
        gone: gone.clone(),
        tasks: tasks.clone(),
        identity: None,
        channels: HashMap::new(),
    };
    let login_until = Instant::now() + shared.limits.login_time;
    let stream = CutStream::new(stream, cut.clone());
    let starting = russh::server::run_stream(Arc::clone(&shared.protocol), stream, client);
    let started = tokio::select! {
        started = timeout_at(login_until, starting) => started,
        () = shared.stop.cancelled() => return,
    };
    let mut running = match started {
        Ok(Ok(running)) => running,
        Ok(Err(error)) => {
            tracing::debug!(%peer, "SSH: {peer} did not begin to speak SSH: {error}");
            return;
        }
        Err(_) => {
            tracing::info!(%peer, "SSH: {peer} said nothing for too long");
            return;
        }
    };
    let handle = running.handle();
    if let Some(reason) = watch_over(shared, peer, &mut running, &mut progress, login_until).await {
        tracing::debug!(%peer, "SSH: {peer} is disconnected: {reason}");
        disconnect(&handle, &mut running, reason).await;
        cut.cancel();
    }
    // The programs of a client that has gone end, or get the time that they were promised.
    gone.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Waits for the end of the connection; returns a reason if it is the server that ends it.
async fn watch_over(
    shared: &Shared,
    peer: SocketAddr,
    running: &mut RunningSession<Client>,
    progress: &mut watch::Receiver<Progress>,
    login_until: Instant,
) -> Option<&'static str> {
    let limits = &shared.limits;
    let mut stop_until = None;
    loop {
        let now = *progress.borrow_and_update();
        let (until, reason) = match (now, stop_until) {
            (Progress { logged_in: false, .. }, None) => {
                (Some(login_until), "the time for logging in is over")
            }
            (Progress { running: 0, .. }, None) => {
                (Some(Instant::now() + limits.idle_connection), "nothing runs here")
            }
            (_, None) => (None, ""),
            (Progress { logged_in: false, .. }, Some(_)) => return Some("the server stops"),
            // A client whose command has just ended leaves by itself, and then it was no failure.
            (Progress { running: 0, .. }, Some(_)) => (Some(Instant::now() + GOODBYE), "the server stops"),
            (_, Some(until)) => (Some(until), "the server stops"),
        };
        tokio::select! {
            ended = &mut *running => {
                match ended {
                    Ok(()) => tracing::debug!(%peer, "SSH: {peer} has left"),
                    Err(error) => tracing::debug!(%peer, "SSH: the connection of {peer} ended: {error}"),
                }
                return None;
            }
            // Without a sender the connection is about to end.
            changed = progress.changed() => if changed.is_err() {
                let ended = timeout(GOODBYE, &mut *running).await;
                return ended.is_err().then_some("it has ended");
            },
            () = sleep_until(until) => return Some(reason),
            () = shared.stop.cancelled(), if stop_until.is_none() => {
                stop_until = Some(Instant::now() + limits.stop_time);
            }
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Tells the client, and waits a little for it to leave.
async fn disconnect(handle: &Handle, running: &mut RunningSession<Client>, reason: &'static str) {
    let farewell = async {
        // An error means that it has left.
        let _ = handle
            .disconnect(Disconnect::ByApplication, reason.to_owned(), String::new())
            .await;
        let _ = running.await;
    };
    // A client that takes no goodbye is cut off.
    let _ = timeout(GOODBYE, farewell).await;
}
