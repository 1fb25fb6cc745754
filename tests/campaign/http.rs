//! As much HTTP/1.1 as both ends of a campaign need, by hand: what counts is what was read from the socket.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// A head and its body. The first line is apart.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) first_line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Of an answer.
    pub(crate) fn status(&self) -> u16 {
        let status = self.first_line.split(' ').nth(1);
        status.and_then(|it| it.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        self.header("connection") != Some("close")
    }
}

const MAX_HEAD: usize = 64 * 1024;

/// `None` at the end of the stream, if nothing of a message came.
pub(crate) async fn read<R: AsyncRead + Unpin>(stream: &mut BufReader<R>) -> Result<Option<Message>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = match stream.read_u8().await {
            Ok(byte) => byte,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        };
        head.push(byte);
        if head.len() > MAX_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "the head does not end"));
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|it| it.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut message = Message {
        first_line,
        headers,
        body: Vec::new(),
    };
    let length = message.header("content-length").and_then(|it| it.parse().ok());
    message.body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut message.body).await?;
    Ok(Some(message))
}

pub(crate) async fn answer<W: AsyncWrite + Unpin>(stream: &mut W, status: u16, header: &str) -> Result<()> {
    let text = format!("HTTP/1.1 {status} Noted\r\ncontent-length: 5\r\n{header}\r\nnoted");
    stream.write_all(text.as_bytes()).await
}

/// Asks an admin side, on a connection of its own.
pub(crate) async fn get(address: std::net::SocketAddr, path: &str) -> Result<Message> {
    let mut stream = BufReader::new(tokio::net::TcpStream::connect(address).await?);
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    read(&mut stream)
        .await?
        .ok_or_else(|| ErrorKind::UnexpectedEof.into())
}
