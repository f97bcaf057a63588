//! Responses of HTTP/1.1, read by `httparse`.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use httparse::Status;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most a head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most fields a head may have.
const FIELDS_MAX: usize = 64;

/// Room for one piece of a body in chunks.
const PIECE_BYTES: usize = 256 * 1024;

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its own length.
    pub(crate) bytes: usize,
    pub(crate) status: u16,
    /// The length of the body, if the head tells it.
    pub(crate) body_bytes: Option<usize>,
    /// Whether the body comes in chunks.
    pub(crate) is_chunked: bool,
    /// How long the client shall wait before it repeats the request.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the server closes the connection after it.
    pub(crate) closes: bool,
}

/// The bytes are no response of HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no response of HTTP/1.1")]
pub(crate) struct Malformed;

impl Head {
    /// Reads the head that `bytes` begin with. `None`: more is to come.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(None),
            Ok(Status::Partial) | Err(_) => return Err(Malformed),
        };
        let (Some(1), Some(status)) = (response.version, response.code) else {
            return Err(Malformed);
        };
        let mut head = Self {
            bytes: length,
            status,
            body_bytes: None,
            is_chunked: false,
            retry_after: None,
            closes: false,
        };
        for field in response.headers {
            let value = std::str::from_utf8(field.value).unwrap_or_default().trim();
            if field.name.eq_ignore_ascii_case("content-length") {
                head.body_bytes = value.parse().ok();
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                head.is_chunked = value.eq_ignore_ascii_case("chunked");
            } else if field.name.eq_ignore_ascii_case("retry-after") {
                head.retry_after = value.parse().ok().map(Duration::from_secs);
            } else if field.name.eq_ignore_ascii_case("connection") {
                head.closes = value.eq_ignore_ascii_case("close");
            }
        }
        Ok(Some(head))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Head,
    Size,
    Data(usize),
    /// Before the line end after a chunk; the last one has no data.
    LineEnd {
        is_last: bool,
    },
    End,
}

/// A response with status 200 and a body in chunks, read as it arrives.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    buffer: BytesMut,
    at: At,
}

impl Chunked {
    pub(crate) fn is_whole(&self) -> bool {
        self.at == At::End
    }

    /// Reads once, and calls `each` with what came of the body.
    ///
    /// # Errors
    /// The stream has ended, or it is not such a response, or goes on after its end.
    pub(crate) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        each: impl FnMut(&[u8]),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.buffer.reserve(PIECE_BYTES);
        if stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the answer was broken off".into());
        }
        Ok(self.take(each)?)
    }

    fn take(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let malformed = || Malformed.to_string();
        while !self.buffer.is_empty() {
            self.at = match self.at {
                At::Head => match Head::parse(&self.buffer).map_err(|error| error.to_string())? {
                    Some(Head { bytes, status: 200, is_chunked: true, .. }) => {
                        self.buffer.advance(bytes);
                        At::Size
                    }
                    Some(head) => {
                        return Err(format!("answered with {}, or not in chunks", head.status));
                    }
                    None => return Ok(()),
                },
                At::Size => match httparse::parse_chunk_size(&self.buffer) {
                    Ok(Status::Complete((bytes, size))) => {
                        self.buffer.advance(bytes);
                        let size = usize::try_from(size).map_err(|_| malformed())?;
                        if size == 0 { At::LineEnd { is_last: true } } else { At::Data(size) }
                    }
                    Ok(Status::Partial) => return Ok(()),
                    Err(_) => return Err(malformed()),
                },
                At::Data(left) => {
                    let length = left.min(self.buffer.len());
                    each(&self.buffer[..length]);
                    self.buffer.advance(length);
                    if left == length {
                        At::LineEnd { is_last: false }
                    } else {
                        At::Data(left - length)
                    }
                }
                At::LineEnd { .. } if self.buffer.len() < 2 => return Ok(()),
                At::LineEnd { is_last } => {
                    self.buffer.advance(2);
                    if is_last { At::End } else { At::Size }
                }
                At::End => return Err("more than one answer".to_owned()),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        16\r\n{\"status\":\"success\"}\nx\r\n4\r\n\n{\"s\r\n0\r\n\r\n";

    #[test]
    fn a_body_in_chunks_is_read_wherever_pieces_end() {
        for length in 1..=CHUNKED.len() {
            let (mut answer, mut body) = (Chunked::default(), Vec::new());
            for piece in CHUNKED.as_bytes().chunks(length) {
                assert!(!answer.is_whole());
                answer.buffer.extend_from_slice(piece);
                answer.take(|piece| body.extend_from_slice(piece)).unwrap();
            }
            assert!(answer.is_whole());
            assert_eq!(body, b"{\"status\":\"success\"}\nx\n{\"s");
        }
    }

    #[test]
    fn what_is_no_answer_in_chunks_is_refused() {
        let refused = "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n";
        for wrong in [refused, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", &CHUNKED.repeat(2)] {
            let mut answer = Chunked { buffer: wrong.as_bytes().into(), at: At::Head };
            assert!(answer.take(|_| ()).is_err(), "{wrong}");
        }
    }
}
