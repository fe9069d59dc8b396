//! Connections: accepts them over TCP and on the local socket, with deadlines, until the server is told to stop.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::ConnectInfo;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

mod lingering;
mod per_address;

use self::lingering::{Lingering, Unread};
pub use self::per_address::PerAddress;
use crate::auth::LocalSocket;

/// How long a client may take to send its headers; also how long an idle connection is kept.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);
/// How long a client may pause within a body. A push pauses while git computes.
const BODY_PAUSE: Duration = Duration::from_secs(120);
/// How long a body may take altogether, unless it is Git's.
const BODY_DEADLINE: Duration = Duration::from_secs(60);
/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;
/// What a client hears that has too many connections open.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 46\r\n\r\n\
    too many connections are open from your place\n";
/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(20);
/// The largest head of a request, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// Serves until `stop` is cancelled, then lets requests that are going on end.
///
/// `socket` is the local one, from [`bind_socket`]; connections to it are not counted.
pub async fn serve(
    listener: TcpListener,
    socket: UnixListener,
    router: Router,
    per_address: PerAddress,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let (for_socket, socket_stop, tracker) = (router.clone(), stop.clone(), connections.clone());
    connections.spawn(async move {
        loop {
            tokio::select! {
                () = socket_stop.cancelled() => return,
                accepted = socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        let unread = Unread::default();
                        let service = service(for_socket.clone(), LocalSocket, unread.clone());
                        let stop = socket_stop.clone();
                        tracker.spawn(async move {
                            connection(Lingering::new(stream, unread), service, stop).await;
                        });
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
                    let Some(counted) = per_address.take(peer.ip(), Instant::now()) else {
                        // Whoever does not read it has lost nothing.
                        let _ = stream.try_write(TOO_MANY);
                        continue;
                    };
                    // Answers are small and wanted at once.
                    let _ = stream.set_nodelay(true);
                    let unread = Unread::default();
                    let service = service(router.clone(), ConnectInfo(peer), unread.clone());
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection(Lingering::new(stream, unread), service, stop).await;
                        drop((place, counted));
                    });
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

/// Answers the requests of one connection; `from` says in each of them where it comes from.
fn service<F: Clone + Send + Sync + 'static>(
    router: Router,
    from: F,
    unread: Unread,
) -> impl tower::Service<
    http::Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send,
> + Clone
+ Send {
    tower::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(from.clone());
        let (router, unread) = (router.clone(), unread.clone());
        async move {
            let response = router.oneshot(with_deadlines(request, &unread)).await?;
            Ok(unread.announce(response))
        }
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

/// The request with a body that ends in an error when the client takes too long (hostile-inputs.md W24).
fn with_deadlines(request: http::Request<Incoming>, unread: &Unread) -> http::Request<Body> {
    let end = (!request.uri().path().contains("/scm/")).then(|| Instant::now() + BODY_DEADLINE);
    request.map(|body| {
        if body.is_end_stream() {
            unread.end();
            Body::empty()
        } else {
            unread.begin();
            within(Body::new(body), BODY_PAUSE, end, unread.clone())
        }
    })
}

fn within(body: Body, pause: Duration, end: Option<Instant>, unread: Unread) -> Body {
    Body::from_stream(futures_util::stream::unfold(Some(body), move |body| {
        let unread = unread.clone();
        async move {
            let mut body = body?;
            let left = end.map_or(pause, |end| end.saturating_duration_since(Instant::now()));
            let frame = tokio::time::timeout(left.min(pause), body.frame()).await;
            if body.is_end_stream() {
                unread.end();
            }
            match frame {
                Ok(None) => {
                    // A body in chunks says only here that it is whole.
                    unread.end();
                    None
                }
                Ok(Some(Ok(frame))) => Some((Ok(frame.into_data().unwrap_or_default()), Some(body))),
                Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
                Err(_) => {
                    let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not arrive in time");
                    Some((Err(late), None))
                }
            }
        }
    }))
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Bytes;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn bodies_that_pause_or_dribble_end_in_an_error() {
        let dribble = |pause_ms: u64| {
            Body::from_stream(futures_util::stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                Some((Ok::<_, io::Error>(Bytes::from_static(b"a")), ()))
            }))
        };
        let long = Duration::from_secs(60);
        let paused = within(
            dribble(60_000),
            Duration::from_millis(20),
            None,
            Unread::default(),
        );
        assert!(paused.collect().await.is_err());
        let soon = Some(Instant::now() + Duration::from_millis(50));
        assert!(
            within(dribble(5), long, soon, Unread::default())
                .collect()
                .await
                .is_err()
        );
        let whole = within(
            Body::from("all of it"),
            long,
            soon.map(|soon| soon + long),
            Unread::default(),
        );
        assert_eq!(whole.collect().await.expect("a body").to_bytes(), "all of it");
    }

    /// An address where everything is refused, and nothing of what is sent is read.
    async fn that_refuses() -> SocketAddr {
        let router = Router::new().fallback(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (stream, peer) = listener.accept().await.expect("a client");
            let unread = Unread::default();
            let service = service(router, ConnectInfo(peer), unread.clone());
            connection(Lingering::new(stream, unread), service, CancellationToken::new()).await;
        });
        address
    }

    #[tokio::test]
    async fn a_client_that_is_refused_while_it_sends_hears_why_and_that_the_connection_ends() {
        let bytes = vec![0_u8; 32 * 1024 * 1024];
        let mut client = TcpStream::connect(that_refuses().await)
            .await
            .expect("a connection");
        let head = format!(
            "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        client
            .write_all(head.as_bytes())
            .await
            .expect("the head is taken");
        client.write_all(&bytes).await.expect("the body is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("too large"), "{answer}");
    }

    #[tokio::test]
    async fn a_refusal_of_a_request_without_a_body_leaves_the_connection_open() {
        let mut client = TcpStream::connect(that_refuses().await)
            .await
            .expect("a connection");
        for _ in 0..2 {
            let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
            client
                .write_all(request.as_bytes())
                .await
                .expect("the request is taken");
            let mut answer = String::new();
            while !answer.ends_with("too large") {
                let mut part = [0; 1024];
                let read = client.read(&mut part).await.expect("an answer");
                assert!(read > 0, "the connection ended: {answer}");
                answer.push_str(&String::from_utf8_lossy(&part[..read]));
            }
            assert!(!answer.contains("connection:"), "{answer}");
        }
    }
}
