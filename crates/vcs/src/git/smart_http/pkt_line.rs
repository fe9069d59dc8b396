//! The framing of git's protocol: four hexadecimal digits of length, then the line (gitprotocol-common).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest payload of one packet, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 65_516;

/// The packet that ends a section.
pub(crate) const FLUSH: &[u8] = b"0000";

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Data of a line or a band.
    Data(Vec<u8>),
    /// The end of a section.
    Flush,
}

/// Reads the next packet; `None` at a clean end of the stream.
///
/// # Errors
/// `InvalidData` for a malformed length, `UnexpectedEof` inside a packet.
pub(crate) async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Packet>> {
    let mut digits = [0; 4];
    let first = stream.read(&mut digits).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut digits[first..]).await?;
    match payload_length(digits)? {
        None => Ok(Some(Packet::Flush)),
        Some(length) => {
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await?;
            Ok(Some(Packet::Data(payload)))
        }
    }
}

/// Cuts complete packets off the front of a buffer.
///
/// # Errors
/// `InvalidData` for a malformed length, `UnexpectedEof` if the last packet is cut.
pub(crate) fn packets(mut buffer: &[u8]) -> io::Result<Vec<Packet>> {
    let mut found = Vec::new();
    while !buffer.is_empty() {
        let digits = buffer.first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer = &buffer[4..];
        match payload_length(*digits)? {
            None => found.push(Packet::Flush),
            Some(length) => {
                let payload = buffer.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
                found.push(Packet::Data(payload.to_vec()));
                buffer = &buffer[length..];
            }
        }
    }
    Ok(found)
}

/// Frames a payload of at most [`MAX_PAYLOAD`] bytes.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:04x}", payload.len() + 4).into_bytes();
    framed.extend_from_slice(payload);
    framed
}

/// Frames any amount of data as packets of one side band.
pub(crate) fn band(number: u8, data: &[u8], max_packet: usize) -> Vec<u8> {
    let mut framed = Vec::with_capacity(data.len() + 8);
    for chunk in data.chunks(max_packet - 5) {
        let mut payload = vec![number];
        payload.extend_from_slice(chunk);
        framed.extend_from_slice(&packet(&payload));
    }
    framed
}

fn payload_length(digits: [u8; 4]) -> io::Result<Option<usize>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed packet length");
    let text = std::str::from_utf8(&digits).map_err(|_| malformed())?;
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    match usize::from_str_radix(text, 16).map_err(|_| malformed())? {
        0 => Ok(None),
        length @ 4.. if length - 4 <= MAX_PAYLOAD => Ok(Some(length - 4)),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_read_as_they_were_framed() {
        let mut stream = packet(b"hello\n");
        stream.extend_from_slice(FLUSH);
        stream.extend_from_slice(&packet(b""));
        let expected = [
            Packet::Data(b"hello\n".to_vec()),
            Packet::Flush,
            Packet::Data(Vec::new()),
        ];
        assert_eq!(packets(&stream).unwrap(), expected);
        let mut reader = stream.as_slice();
        for packet in expected {
            assert_eq!(read_packet(&mut reader).await.unwrap(), Some(packet));
        }
        assert_eq!(read_packet(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn malformed_lengths_are_errors() {
        for stream in ["zzzz", "0001", "0003", "+012abc", "ffff", "000", "0009abc"] {
            assert!(read_packet(&mut stream.as_bytes()).await.is_err(), "{stream}");
            assert!(packets(stream.as_bytes()).is_err(), "{stream}");
        }
    }

    #[test]
    fn large_data_is_split_over_packets_of_a_band() {
        let framed = band(2, &vec![b'x'; 70_000], 65_520);
        let total: usize = packets(&framed)
            .unwrap()
            .into_iter()
            .map(|packet| match packet {
                Packet::Data(payload) => {
                    assert_eq!(payload[0], 2);
                    payload.len() - 1
                }
                Packet::Flush => panic!("no flush inside a band"),
            })
            .sum();
        assert_eq!(total, 70_000);
    }
}
