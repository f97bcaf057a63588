//! Follows where requests begin and end in the bytes of a connection, and finds what another program could
//! read differently.
//!
//! The HTTP library frames the requests; it takes some things that RFC 9112 forbids, and of those its caller
//! sees nothing. The bytes are read here first, and end where they can no longer be vouched for:
//!
//! | in | refused | RFC 9112 |
//! |---|---|---|
//! | a head | both `Transfer-Encoding` and `Content-Length` | 6.1 |
//! | the size line of a chunk | anything but digits, extensions and CR LF | 7.1 |
//! | the end of a chunk | anything but CR LF | 7.1 |
//! | the trailer section | a line that is no field, or has another end than CR LF | 7.1.2 |
//!
//! Other heads are the library's to refuse: it finds the same lines in them.

use memchr::{memchr, memchr_iter};

/// A framing that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("the request has both Transfer-Encoding and Content-Length")]
    TwoLengths,
    #[error(
        "a chunk does not begin with its size in hexadecimal digits on a line that ends in CR LF"
    )]
    ChunkSize,
    #[error("a chunk does not end in CR LF where its size says")]
    ChunkEnd,
    #[error("the trailer section has a line that is no field or does not end in CR LF")]
    Trailer,
    #[error("a line is too long")]
    LineTooLong,
    /// Found by the HTTP library, which sees a wrong byte before the end of its line.
    #[error("the chunks of the body are no chunks of HTTP/1.1")]
    Chunks,
}

/// The requests of one connection, as far as they have come.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    partial_bytes_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head(Head),
    /// This many bytes of a body are to come, and no chunks.
    Body(u64),
    ChunkSize,
    /// This many bytes of a chunk are to come.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Broken(FramingError),
}

/// What a head has said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    /// Empty lines may come before the first line.
    has_begun: bool,
    is_chunked: bool,
    length: Option<u64>,
}

const NO_HEAD: State = State::Head(Head { has_begun: false, is_chunked: false, length: None });

impl Framing {
    /// A connection on which nothing has come. The server reads no head of more than `head_bytes_max`.
    pub(crate) fn new(head_bytes_max: usize) -> Self {
        // A server reads as many bytes again before it looks how many there are.
        Self { state: NO_HEAD, partial: Vec::new(), partial_bytes_max: 2 * head_bytes_max }
    }

    /// Why nothing more may be read.
    pub(crate) fn broken(&self) -> Option<FramingError> {
        match self.state {
            State::Broken(error) => Some(error),
            State::Head(_)
            | State::Body(_)
            | State::ChunkSize
            | State::Chunk(_)
            | State::ChunkEnd
            | State::Trailer => None,
        }
    }

    /// Takes in the bytes that came next. Returns how many of them may be read: all, unless the framing
    /// is [`broken`](Self::broken) there.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            let read = match self.state {
                State::Broken(_) => break,
                State::Body(left) => {
                    let read = at_most(rest.len(), left);
                    let left = left - read as u64;
                    self.state = if left == 0 { NO_HEAD } else { State::Body(left) };
                    read
                }
                State::Chunk(left) => {
                    let read = at_most(rest.len(), left);
                    let left = left - read as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    read
                }
                State::Head(_) | State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    match self.follow_line(rest) {
                        Ok(read) => read,
                        Err((read, error)) => {
                            self.state = State::Broken(error);
                            read
                        }
                    }
                }
            };
            rest = &rest[read..];
        }
        bytes.len() - rest.len()
    }

    /// Reads the whole lines at the start of `bytes`, up to the end of the head. Most heads come in one
    /// piece: so their lines are read without the state between them.
    fn follow_head(&mut self, mut head: Head, bytes: &[u8]) -> usize {
        let mut read = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[read..end];
            read = end + 1;
            let after = head.next(line.strip_suffix(b"\r").unwrap_or(line));
            let State::Head(next) = after else {
                self.state = after;
                return read;
            };
            head = next;
        }
        self.state = State::Head(head);
        read
    }

    /// Reads a line at the start of `bytes`, or what has come of one. An error has what is good of it.
    fn follow_line(&mut self, bytes: &[u8]) -> Result<usize, (usize, FramingError)> {
        if let State::Head(head) = self.state
            && self.partial.is_empty()
        {
            let read = self.follow_head(head, bytes);
            if read > 0 {
                return Ok(read);
            }
        }
        let Some(end) = memchr(b'\n', bytes) else {
            if self.partial.len() + bytes.len() > self.partial_bytes_max {
                return Err((0, FramingError::LineTooLong));
            }
            self.partial.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let next = if self.partial.is_empty() {
            next(self.state, &bytes[..end])
        } else {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(&bytes[..end]);
            next(self.state, &line)
        };
        match next {
            // The head is whole; what comes behind it is not read.
            Ok(state) => self.state = state,
            // Without the end of its line nothing is made of it.
            Err(error) => return Err((end, error)),
        }
        Ok(end + 1)
    }
}

fn at_most(bytes: usize, left: u64) -> usize {
    usize::try_from(left).map_or(bytes, |left| left.min(bytes))
}

/// The state after `line`, which came without its LF, in `state`.
fn next(state: State, line: &[u8]) -> Result<State, FramingError> {
    let whole = line.strip_suffix(b"\r");
    match state {
        // A head may have lines that end in LF alone (RFC 9112, 2.2).
        State::Head(head) => Ok(head.next(whole.unwrap_or(line))),
        State::ChunkSize => match whole.and_then(chunk_size) {
            Some(0) => Ok(State::Trailer),
            Some(size) => Ok(State::Chunk(size)),
            None => Err(FramingError::ChunkSize),
        },
        State::ChunkEnd if whole == Some(b"") => Ok(State::ChunkSize),
        State::ChunkEnd => Err(FramingError::ChunkEnd),
        State::Trailer => match whole {
            Some(b"") => Ok(NO_HEAD),
            Some(field) if is_field(field) => Ok(State::Trailer),
            Some(_) | None => Err(FramingError::Trailer),
        },
        State::Body(_) | State::Chunk(_) | State::Broken(_) => Ok(state),
    }
}

impl Head {
    /// The state after the next line of the head.
    #[inline]
    fn next(mut self, line: &[u8]) -> State {
        if line.is_empty() {
            return if self.has_begun { self.end() } else { NO_HEAD };
        }
        if !self.has_begun {
            return State::Head(Self { has_begun: true, ..self });
        }
        // Few fields begin so.
        if let Some(b'T' | b't' | b'C' | b'c') = line.first()
            && let Some(colon) = memchr(b':', line)
        {
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                self.is_chunked = true;
            } else if name.eq_ignore_ascii_case(b"content-length") {
                // The server refuses what is no number, and another number in a second line.
                let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                self.length = Some(number.unwrap_or(0));
            }
        }
        State::Head(self)
    }

    /// The state after the head.
    fn end(self) -> State {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => State::Broken(FramingError::TwoLengths),
            // The server refuses all other transfer codings.
            (true, None) => State::ChunkSize,
            (false, Some(length)) if length > 0 => State::Body(length),
            (false, Some(_) | None) => NO_HEAD,
        }
    }
}

/// The size in the size line of a chunk: `1*HEXDIG [ BWS ";" extensions ]`.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at(digits);
    let is_extension = extensions.trim_ascii_start().first().is_none_or(|byte| *byte == b';');
    let ends_plainly = extensions.is_empty() || !extensions.trim_ascii_start().is_empty();
    if !is_extension || !ends_plainly || !is_text(extensions) {
        return None;
    }
    // Leading zeros may be as many as fit the line.
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether `line` is a field: a name, a colon and a value.
fn is_field(line: &[u8]) -> bool {
    memchr(b':', line).is_some_and(|colon| {
        let (name, value) = line.split_at(colon);
        !name.is_empty() && name.iter().all(|byte| is_token(*byte)) && is_text(value)
    })
}

/// Whether `byte` may be in a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether no byte of `text` is a control character other than a tab.
fn is_text(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

#[cfg(test)]
mod tests;
