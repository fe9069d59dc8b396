//! Connections: accepts them over TCP and on the local socket, with deadlines, until the server is told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::auth::LocalSocket;

/// How long a client may take to send its headers; also how long an idle connection is kept.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);
/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;
/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(20);
/// The largest head of a request, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// Serves until `stop` is cancelled, then lets requests that are going on end.
///
/// `socket` is the local one, from [`bind_socket`].
pub async fn serve(listener: TcpListener, socket: UnixListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let (for_socket, socket_stop, tracker) = (router.clone(), stop.clone(), connections.clone());
    connections.spawn(async move {
        loop {
            tokio::select! {
                () = socket_stop.cancelled() => return,
                accepted = socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        let router = for_socket.clone();
                        let service = tower::service_fn(move |mut request: http::Request<Incoming>| {
                            request.extensions_mut().insert(LocalSocket);
                            router.clone().oneshot(request.map(axum::body::Body::new))
                        });
                        let stop = socket_stop.clone();
                        tracker.spawn(async move { connection(stream, service, stop).await });
                    }
                    Err(error) => pause_after(&error).await,
                },
            }
        }
    });
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = std::sync::Arc::clone(&room).acquire_owned().await else {
            break;
        };
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Answers are small and wanted at once.
                    let _ = stream.set_nodelay(true);
                    let service = for_peer(router.clone(), peer);
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection(stream, service, stop).await;
                        drop(place);
                    });
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

fn for_peer(
    router: Router,
    peer: SocketAddr,
) -> impl tower::Service<
    http::Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send,
> + Clone
+ Send {
    tower::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(axum::body::Body::new))
    })
}

async fn connection<I, S, F>(stream: I, service: S, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<
            http::Request<Incoming>,
            Response = axum::response::Response,
            Error = std::convert::Infallible,
            Future = F,
        > + Clone
        + Send
        + 'static,
    F: Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send + 'static,
{
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(HEAD_LIMIT)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => {
            if let Err(error) = served {
                tracing::debug!("a connection ended early: {error}");
            }
        }
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// Out of file descriptors, say: trying again at once would spin.
async fn pause_after(error: &std::io::Error) {
    tracing::error!("a connection could not be accepted: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Makes the local socket anew, for its owner alone. The home is locked, so one that is there is a dead server's.
///
/// # Errors
/// When the socket cannot be made, for example because the path is longer than the system allows (107 bytes).
pub fn bind_socket(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
