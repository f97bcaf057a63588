//! An HTTP client as plain as a socket, which may do what a good client never does.

use std::{io, net::SocketAddr};

use facade_service::PROBLEM_TYPES;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::within;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body.escape_ascii().to_string()))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Checks that this is a failure in the usual form, and returns its message.
    pub(crate) fn failure(&self, status: u16, stored: Option<&str>) -> String {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(json["status"], "failure", "{json}");
        assert_eq!(json["detail"], json["message"], "{json}");
        let known = PROBLEM_TYPES.iter().find(|known| json["code"] == known.code);
        assert!(known.is_some_and(|known| known.status == status), "{json}");
        assert_eq!(json.get("stored").and_then(Value::as_str), stored, "{json}");
        json["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// A connection of a client that takes in little of what it does not read.
    pub(crate) async fn connect_with_small_buffer(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = socket.connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends raw bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends a head: `head` is a method and path, then header lines.
    pub(crate) async fn head(&mut self, head: &str) {
        self.send(encode(head)).await;
    }

    /// Sends a whole request.
    pub(crate) async fn request(&mut self, head: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        self.head(&format!("{head}\ncontent-length: {}", body.len())).await;
        self.send(body).await;
    }

    /// Sends a whole request, to a facade that may have closed the connection.
    pub(crate) async fn try_request(&mut self, head: &str, body: &str) {
        let head = encode(&format!("{head}\ncontent-length: {}", body.len()));
        // What becomes of it shows in the response.
        let _ = self.stream.write_all((head + body).as_bytes()).await;
    }

    /// Sends a piece of a chunked body; an empty one ends it.
    pub(crate) async fn chunk(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        self.send(framed).await;
    }

    /// The next whole response.
    pub(crate) async fn response(&mut self) -> Response {
        within(self.try_response()).await.unwrap()
    }

    /// The next response, or why it is not whole.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.response_head().await?;
        if let Some(length) = response.header("content-length") {
            let length = length.parse().unwrap();
            response.body = self.take(length).await?;
            return Ok(response);
        }
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        while let Some(piece) = self.response_chunk().await? {
            response.body.extend(piece);
        }
        Ok(response)
    }

    /// The head of the next response.
    pub(crate) async fn response_head(&mut self) -> io::Result<Response> {
        let head = String::from_utf8(self.take_until(b"\r\n\r\n").await?).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Ok(Response { status, headers, body: Vec::new() })
    }

    /// The next chunk of a body, or `None` at its proper end.
    pub(crate) async fn response_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = String::from_utf8(self.take_until(b"\r\n").await?).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut piece = self.take(size + 2).await?;
        piece.truncate(size);
        Ok((size > 0).then_some(piece))
    }

    /// Ends the input of the facade: nothing more is sent, and answers are still read.
    pub(crate) async fn end_input(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Reads to the end of the connection, which must be in good order, with nothing more before it.
    pub(crate) async fn ends_well(&mut self) {
        within(self.stream.read_to_end(&mut self.read)).await.unwrap();
        assert_eq!(self.read.escape_ascii().to_string(), "");
    }

    /// Waits for the facade to close the connection, and returns what it sent before.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        // A reset is a way to close, too.
        let _ = within(self.stream.read_to_end(&mut self.read)).await;
        std::mem::take(&mut self.read)
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.more().await?;
        }
        let rest = self.read.split_off(length);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    async fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len()).await;
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A head as it is sent, from a method and path, then header lines.
fn encode(head: &str) -> String {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers = headers.lines().filter(|header| !header.is_empty());
    let headers: String = headers.map(|header| format!("{header}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nhost: facade\r\n{headers}\r\n")
}
