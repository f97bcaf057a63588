//! What the answer to a post says.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::http1::{Head, Malformed};

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

impl Answer {
    /// Reads the answer that `bytes` begin with, and how many bytes it has. `None`: more is to come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(head) = Head::parse(bytes)? else { return Ok(None) };
        let end = head.bytes + head.body_bytes.ok_or(Malformed)?;
        let Some(body) = bytes.get(head.bytes..end) else { return Ok(None) };
        let Head { status, retry_after, closes, .. } = head;
        Ok(Some((Self { status, says: Says::of(status, body), retry_after, closes }, end)))
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
        assert_eq!(Answer::parse(b"SSH-2.0\r\n\r\n"), Err(Malformed));
        assert_eq!(Answer::parse(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Malformed));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(20_000));
        assert_eq!(Answer::parse(endless.as_bytes()), Err(Malformed));
        assert_eq!(Answer::parse(&[b'x'; 20_000]), Err(Malformed));
    }
}
