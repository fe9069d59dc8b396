//! Moves the bytes of one command between its client and what serves it, until one of them has enough.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::session::Session;

/// Read at a time of what a program writes, in bytes: one packet of SSH.
const CHUNK_BYTES: usize = 32 * 1024;

/// The number of standard error among the streams of a channel (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// How long a client gets to take the goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

/// How a command ended.
enum Ending {
    /// What served it is done, with this exit code.
    Done(u32),
    /// The client closed its channel or its connection.
    Gone,
    /// Nothing moved for too long.
    Idle,
}

/// Serves one command to its end. `gone` is cancelled when the client has gone.
pub(crate) async fn run(channel: Channel<Msg>, session: Session, idle: Duration, gone: &CancellationToken) {
    let (read, write) = channel.split();
    let Session {
        stdin,
        mut stdout,
        mut stderr,
        mut ending,
        grace,
    } = session;
    let moved = AtomicBool::new(true);
    let mut exit_code = None;
    let result = {
        let served = async {
            let ending = async {
                let code = (&mut ending).await;
                exit_code = Some(code);
                code
            };
            let (code, (), ()) = tokio::join!(
                ending,
                to_client(&mut stdout, &write, None, &moved),
                to_client(&mut stderr, &write, Some(STDERR), &moved),
            );
            code
        };
        tokio::select! {
            biased;
            code = served => Ending::Done(code),
            () = from_client(read, stdin, &moved) => Ending::Gone,
            () = gone.cancelled() => Ending::Gone,
            () = stillness(idle, &moved) => Ending::Idle,
        }
    };
    match result {
        Ending::Done(code) => say_goodbye(&write, code, gone).await,
        Ending::Idle => {
            let sentence = format!("nothing was sent or received for {} seconds\n", idle.as_secs());
            let told = write.extended_data_bytes(STDERR, sentence.into_bytes());
            // A client that takes nothing is the very reason for this.
            let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
            say_goodbye(&write, 1, gone).await;
        }
        Ending::Gone => {
            // The channel may be the only thing that has gone.
            let _ = write.close().await;
            if exit_code.is_none() && !grace.is_zero() {
                let finish = async {
                    let mut sinks = (tokio::io::sink(), tokio::io::sink());
                    tokio::join!(
                        &mut ending,
                        tokio::io::copy(&mut stdout, &mut sinks.0),
                        tokio::io::copy(&mut stderr, &mut sinks.1),
                    )
                };
                // What does not finish in time is ended by being dropped.
                let _ = tokio::time::timeout(grace, finish).await;
            }
        }
    }
}

/// Passes what the client sends on; ends when the client has gone. Dropping it ends the input.
async fn from_client(
    mut read: ChannelReadHalf,
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    moved: &AtomicBool,
) {
    let mut stdin = Some(stdin);
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                moved.store(true, Ordering::Relaxed);
                if let Some(pipe) = &mut stdin
                    && (pipe.write_all(&data).await.is_err() || pipe.flush().await.is_err())
                {
                    // What serves the command reads no more; what it says counts.
                    stdin = None;
                }
                moved.store(true, Ordering::Relaxed);
            }
            ChannelMsg::Eof => {
                if let Some(mut pipe) = stdin.take() {
                    // A pipe that cannot be closed is closed.
                    let _ = pipe.shutdown().await;
                }
            }
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Passes one stream on to its end, as fast as the client's window lets it.
async fn to_client(
    stream: &mut (impl AsyncRead + Unpin),
    write: &ChannelWriteHalf<Msg>,
    extended: Option<u32>,
    moved: &AtomicBool,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        moved.store(true, Ordering::Relaxed);
        let bytes = chunk[..read].to_vec();
        let sent = match extended {
            None => write.data_bytes(bytes).await,
            Some(number) => write.extended_data_bytes(number, bytes).await,
        };
        if sent.is_err() {
            // The connection has ended; the other side of the pump sees it too.
            std::future::pending::<()>().await;
        }
        moved.store(true, Ordering::Relaxed);
    }
}

/// Ends when nothing moved for `limit` (and at most twice that).
async fn stillness(limit: Duration, moved: &AtomicBool) {
    while moved.swap(false, Ordering::Relaxed) {
        tokio::time::sleep(limit).await;
    }
}

async fn say_goodbye(write: &ChannelWriteHalf<Msg>, exit_code: u32, gone: &CancellationToken) {
    let goodbye = async {
        // Each fails only if the connection has ended.
        let _ = write.exit_status(exit_code).await;
        let _ = write.eof().await;
        let _ = write.close().await;
    };
    tokio::select! {
        () = goodbye => {}
        () = gone.cancelled() => {}
        () = tokio::time::sleep(GOODBYE) => {}
    }
}
