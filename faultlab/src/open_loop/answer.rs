//! What the answer to a post says.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

/// The most a head may have. A longer one is nonsense.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The parts of an answer that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What became of the message.
    pub says: Says,
    /// How long the client shall wait before it repeats the request.
    pub retry_after: Option<Duration>,
    /// Whether the server closes the connection after it.
    pub(super) closes: bool,
}

/// What an answer says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Success, with a receipt: an id and a place in the log.
    Stored,
    /// It is surely not stored.
    NotStored,
    /// It is stored once or not at all.
    Unknown,
    /// Nothing that a facade would say.
    Nothing,
}

/// The parts of a body that matter here.
#[derive(Deserialize)]
struct Body<'a> {
    status: Option<&'a str>,
    uuid: Option<&'a str>,
    sequence: Option<u64>,
    stored: Option<&'a str>,
}

/// The bytes are no answer of HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonsense;

impl Answer {
    /// Reads the answer that `bytes` begin with, and how many bytes it has. `None`: more is to come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Nonsense> {
        let Some(head_bytes) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES_MAX { Err(Nonsense) } else { Ok(None) };
        };
        let head = std::str::from_utf8(&bytes[..head_bytes]).map_err(|_| Nonsense)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|line| line.get(..3)).and_then(|code| code.parse().ok());
        let mut answer = Self {
            status: status.ok_or(Nonsense)?,
            says: Says::Nothing,
            retry_after: None,
            closes: false,
        };
        let mut body_bytes: Option<usize> = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                body_bytes = value.parse().ok();
            } else if name.eq_ignore_ascii_case("retry-after") {
                answer.retry_after = value.parse().ok().map(Duration::from_secs);
            } else if name.eq_ignore_ascii_case("connection") {
                answer.closes = value.eq_ignore_ascii_case("close");
            }
        }
        let body_at = head_bytes + 4;
        let end = body_at + body_bytes.ok_or(Nonsense)?;
        let Some(body) = bytes.get(body_at..end) else { return Ok(None) };
        answer.says = Says::of(answer.status, body);
        Ok(Some((answer, end)))
    }
}

impl Says {
    fn of(status: u16, body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else { return Self::Nothing };
        let is_receipt = || {
            let has_id = body.uuid.is_some_and(|uuid| Uuid::try_parse(uuid).is_ok());
            body.status == Some("success") && has_id && body.sequence.is_some_and(|it| it > 0)
        };
        match (status, body.stored) {
            (200, _) if is_receipt() => Self::Stored,
            (400.., Some("no")) => Self::NotStored,
            (400.., Some("unknown")) => Self::Unknown,
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
                           Retry-After: 2\r\ncontent-length: 15\r\n\r\n{\"stored\":\"no\"}";

    #[test]
    fn a_refusal_is_read_with_all_it_says() {
        let (answer, length) = Answer::parse(REFUSED.as_bytes()).unwrap().unwrap();
        assert_eq!(length, REFUSED.len());
        assert_eq!((answer.status, answer.says, answer.closes), (503, Says::NotStored, false));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn only_a_whole_receipt_says_that_a_message_is_stored() {
        let receipt =
            r#"{"status":"success","uuid":"0199c0de-0000-7000-8000-00000000abcd","sequence":7}"#;
        let says = |status, body: &str| Says::of(status, body.as_bytes());
        assert_eq!(says(200, receipt), Says::Stored);
        assert_eq!(says(504, r#"{"status":"failure","stored":"unknown"}"#), Says::Unknown);
        for (status, body) in [
            (201, receipt),
            (200, "{}"),
            (200, "OK"),
            (200, &receipt.replace("success", "failure")),
            (200, &receipt.replace("0199", "x199")),
            (200, &receipt.replace('7', "0")),
            (200, r#"{"stored":"no"}"#),
            (404, r#"{"status":"failure"}"#),
        ] {
            assert_eq!(says(status, body), Says::Nothing, "{status} {body}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_waited_for() {
        for length in 0..REFUSED.len() {
            assert_eq!(Answer::parse(&REFUSED.as_bytes()[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(Answer::parse(b"SSH-2.0\r\n\r\n"), Err(Nonsense));
        assert_eq!(Answer::parse(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Nonsense));
        assert_eq!(Answer::parse(&[b'x'; HEAD_BYTES_MAX + 1]), Err(Nonsense));
    }
}
