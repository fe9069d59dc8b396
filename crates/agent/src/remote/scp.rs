//! Copies files to another machine by the protocol of `scp -t`, which every OpenSSH server has.

use std::io::Read as _;

use russh::ChannelMsg;
use russh::client::Msg;
use russh::{Channel, ChannelStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Connection, RemoteError, Stream};
use crate::artifact::CollectedFile;
use crate::supervisor::words::quoted;

/// Bytes that are read and sent at a time.
const PART: usize = 32 * 1024;

/// The longest complaint of the other side that is read, in bytes.
const LONGEST_COMPLAINT: usize = 1024;

impl Connection {
    /// Begins to copy files into a folder over there, which is made when it is missing.
    pub(crate) async fn begin_copy(&self, folder: &str) -> Result<Sender<'_>, RemoteError> {
        let folder = if folder.is_empty() { "." } else { folder };
        let mut said = Vec::new();
        let made = self
            .run(&format!("mkdir -p -- {}", quoted(folder)), |stream, bytes| {
                if stream == Stream::Err && said.len() < LONGEST_COMPLAINT {
                    said.extend_from_slice(bytes);
                }
            })
            .await?;
        if made != Some(0) {
            return Err(RemoteError::Refused(format!(
                "the folder `{folder}` cannot be made over there: {}",
                String::from_utf8_lossy(&said).trim()
            )));
        }
        let broken = |error: russh::Error| self.broken(&error.to_string());
        let channel: Channel<Msg> = self.handle.channel_open_session().await.map_err(broken)?;
        channel
            .exec(true, format!("scp -r -d -t -- {}", quoted(folder)))
            .await
            .map_err(broken)?;
        let channel = self.begun(channel).await?;
        let mut sender = Sender {
            stream: channel.into_stream(),
            connection: self,
            open: Vec::new(),
        };
        sender.answer(folder).await?;
        Ok(sender)
    }

    /// The channel, once the other side has agreed to run the command.
    async fn begun(&self, mut channel: Channel<Msg>) -> Result<Channel<Msg>, RemoteError> {
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel),
                Some(ChannelMsg::Failure) | None => {
                    return Err(RemoteError::Refused(format!("{} does not run `scp`", self.place)));
                }
                Some(_) => {}
            }
        }
    }
}

/// Files on their way to another machine.
pub(crate) struct Sender<'a> {
    stream: ChannelStream<Msg>,
    connection: &'a Connection,
    /// The folders that the other side is in, each in the one before it.
    open: Vec<String>,
}

impl Sender<'_> {
    /// Sends a file to `path` below the folder; the folders of the path are made.
    pub(crate) async fn send(&mut self, mut file: CollectedFile, path: &str) -> Result<(), RemoteError> {
        let path = path.to_owned();
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().unwrap_or_default();
        let same = self
            .open
            .iter()
            .zip(&parts)
            .take_while(|(one, other)| one == *other)
            .count();
        while self.open.len() > same {
            self.line("E\n", &path).await?;
            self.open.pop();
        }
        for part in &parts[same..] {
            self.line(&format!("D0755 0 {part}\n"), &path).await?;
            self.open.push((*part).to_owned());
        }
        let mode = if file.is_executable { "0755" } else { "0644" };
        self.line(&format!("C{mode} {} {name}\n", file.size), &path)
            .await?;
        let mut left = file.size;
        let mut part = vec![0; PART];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(PART).min(PART);
            let read = file.file.read(&mut part[..length]).and_then(|read| match read {
                0 => Err(std::io::Error::other("it became shorter while it was sent")),
                read => Ok(read),
            });
            let read = read.map_err(|source| RemoteError::File {
                path: path.clone(),
                source,
            })?;
            self.write(&part[..read]).await?;
            left -= read as u64;
        }
        self.write(&[0]).await?;
        self.answer(&path).await
    }

    /// Says that there is nothing more.
    pub(crate) async fn finish(mut self) -> Result<(), RemoteError> {
        while let Some(folder) = self.open.pop() {
            self.line("E\n", &folder).await?;
        }
        // The other side has answered for everything; how it closes does not matter.
        let _ = self.stream.shutdown().await;
        Ok(())
    }

    async fn line(&mut self, text: &str, what: &str) -> Result<(), RemoteError> {
        self.write(text.as_bytes()).await?;
        self.answer(what).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(|error| self.connection.broken(&error.to_string()))
    }

    /// 0 is a yes; 1 and 2 come with a sentence.
    async fn answer(&mut self, what: &str) -> Result<(), RemoteError> {
        let broken = |error: std::io::Error| self.connection.broken(&error.to_string());
        if self.stream.read_u8().await.map_err(broken)? == 0 {
            return Ok(());
        }
        let mut said = Vec::new();
        while said.len() < LONGEST_COMPLAINT {
            match self.stream.read_u8().await {
                Ok(b'\n') | Err(_) => break,
                Ok(byte) => said.push(byte),
            }
        }
        Err(RemoteError::Refused(format!(
            "`{what}` was not taken: {}",
            String::from_utf8_lossy(&said).trim()
        )))
    }
}
