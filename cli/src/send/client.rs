//! Requests to the facade, and what its answers mean.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use http::{HeaderName, Uri, header::CONTENT_TYPE};
use oncelog::{limits, printable::escaped};
use reqwest::{Body, Client, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::{input::Line, key::Key};
use crate::terminal::root_cause;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest answer: a facade repeats no message in it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What the facade says about a message.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// As it came.
    pub(super) json: String,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// On disk; `replayed` if it was before this request.
    Stored { sequence: u64, uuid: String, replayed: bool },
    /// Surely not stored.
    NotStored { message: String },
    /// Stored once or not at all.
    Unknown { message: String },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    #[error("cannot reach the facade at {url}: {}; nothing was sent", root_cause(source))]
    Unreachable { url: Uri, source: reqwest::Error },
    /// The request was refused as a whole; nothing of it was stored.
    #[error("the facade refused: {}", escaped(.0.as_bytes()))]
    Refused(String),
    /// Anything may have happened to what was sent.
    #[error("the connection to the facade broke: {}", root_cause(.0))]
    Broken(#[source] reqwest::Error),
    /// The answers ended early. Anything may have happened to what was sent.
    #[error("the connection to the facade broke: {}", escaped(.0.as_bytes()))]
    Ended(String),
    /// Ctrl-C. Anything may have happened to what was sent.
    #[error("interrupted")]
    Interrupted,
    /// It answers, but not like a facade.
    #[error("this is no answer of a facade: {0}")]
    Nonsense(String),
}

impl NoAnswer {
    /// Whether nothing of what was sent can have been stored.
    pub(super) const fn is_not_stored(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Refused(_) => true,
            Self::Broken(_) | Self::Ended(_) | Self::Interrupted | Self::Nonsense(_) => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum AnswerJson {
    Success {
        uuid: String,
        sequence: u64,
        #[serde(default)]
        replayed: bool,
    },
    Failure {
        message: String,
        stored: Option<Stored>,
    },
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Stored {
    No,
    Unknown,
}

#[derive(Serialize)]
struct Post<'a> {
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Key>,
}

pub(super) struct FacadeClient {
    http: Client,
    url: Uri,
}

impl FacadeClient {
    pub(super) fn new(url: Uri) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            // A proxy between would hold back what is streamed.
            .no_proxy()
            .connect_timeout(limits::CONNECT_TIMEOUT)
            // The facade answers each message within its own timeout; this is for one that hangs.
            .read_timeout(2 * limits::TOTAL_TIMEOUT)
            // A kept connection may be closed by the other side just when it is used again, which
            // would make an outcome unknown for nothing.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { http, url })
    }

    /// Sends one message and waits for its answer.
    pub(super) async fn post(&self, line: &Line) -> Result<Answer, NoAnswer> {
        let response = self
            .http
            .post(self.resource("/facade"))
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, line.key.to_header())
            .body(json(&Post { msg: &line.text, key: None }))
            .send()
            .await
            .map_err(|error| self.no_answer(error))?;
        let status = response.status();
        let replayed = response.headers().contains_key(IDEMPOTENCY_REPLAYED);
        let body = self.read_small(response).await?;
        let mut answer = parse(&body, status, &line.key)?;
        if let Outcome::Stored { replayed: told, .. } = &mut answer.outcome {
            *told |= replayed;
        }
        Ok(answer)
    }

    /// Sends `lines`, encoded by [`encode_line`], over one connection. The answers come in order,
    /// while lines are still being sent.
    pub(super) async fn upload(
        &self,
        lines: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
    ) -> Result<Answers, NoAnswer> {
        let response = self
            .http
            .post(self.resource("/facade/batch"))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(Body::wrap_stream(lines))
            .send()
            .await
            .map_err(|error| self.no_answer(error))?;
        let status = response.status();
        if status == StatusCode::OK {
            let chunks = response.bytes_stream().boxed();
            return Ok(Answers { chunks, received: Vec::new(), parsed_bytes: 0 });
        }
        let body = self.read_small(response).await?;
        Err(match serde_json::from_str(&body) {
            Ok(AnswerJson::Failure { message, stored })
                if is_not_stored(status, stored.as_ref()) =>
            {
                NoAnswer::Refused(message)
            }
            Ok(AnswerJson::Failure { message, .. }) => NoAnswer::Ended(message),
            Ok(AnswerJson::Success { .. }) | Err(_) => nonsense(status, &body),
        })
    }

    fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.url.to_string().trim_end_matches('/'))
    }

    async fn read_small(&self, mut response: Response) -> Result<String, NoAnswer> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(NoAnswer::Nonsense("it is too long".to_owned()));
            }
        }
        Ok(String::from_utf8_lossy(&body).trim().to_owned())
    }

    fn no_answer(&self, source: reqwest::Error) -> NoAnswer {
        if source.is_connect() {
            NoAnswer::Unreachable { url: self.url.clone(), source }
        } else {
            NoAnswer::Broken(source)
        }
    }
}

/// A message as a line of an upload.
pub(super) fn encode_line(line: &Line) -> Bytes {
    let mut bytes = json(&Post { msg: &line.text, key: Some(&line.key) });
    bytes.push(b'\n');
    bytes.into()
}

fn json(post: &Post<'_>) -> Vec<u8> {
    serde_json::to_vec(post).unwrap_or_else(|error| panic!("strings make valid JSON: {error}"))
}

/// The answers to an upload, in the order of its lines.
pub(super) struct Answers {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    received: Vec<u8>,
    parsed_bytes: usize,
}

impl Answers {
    /// The answer to the line that was sent under `key`, which is the oldest one without an answer;
    /// `None` if the facade sends no more answers.
    pub(super) async fn next(&mut self, key: &Key) -> Result<Option<Answer>, NoAnswer> {
        loop {
            let rest = &self.received[self.parsed_bytes..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.parsed_bytes += end + 1;
                let line = String::from_utf8_lossy(&rest[..end]);
                return parse(line.trim(), StatusCode::OK, key).map(Some);
            }
            self.received.drain(..self.parsed_bytes);
            self.parsed_bytes = 0;
            if self.received.len() > ANSWER_BYTES_MAX {
                return Err(NoAnswer::Nonsense("it is too long".to_owned()));
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.received.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(NoAnswer::Broken(error)),
                None if self.received.is_empty() => return Ok(None),
                None => return Err(NoAnswer::Ended("an answer is cut off".to_owned())),
            }
        }
    }

    /// Waits until the facade has seen the end of the upload, so that it does not take it for a
    /// broken one. Everything was answered, so a failure changes nothing.
    pub(super) async fn end(mut self) {
        while let Some(Ok(_)) = self.chunks.next().await {}
    }
}

fn parse(json: &str, status: StatusCode, key: &Key) -> Result<Answer, NoAnswer> {
    let outcome = match serde_json::from_str(json) {
        Ok(AnswerJson::Success { uuid, sequence, replayed }) if status == StatusCode::OK => {
            // An answer that belongs to another message must not count as a receipt for this one.
            if uuid.parse().ok() != key.id() {
                return Err(NoAnswer::Nonsense(format!("it is about {uuid:?}, not about {key}")));
            }
            Outcome::Stored { sequence, uuid, replayed }
        }
        Ok(AnswerJson::Failure { message, stored }) => {
            if is_not_stored(status, stored.as_ref()) {
                Outcome::NotStored { message }
            } else {
                Outcome::Unknown { message }
            }
        }
        Ok(AnswerJson::Success { .. }) | Err(_) => return Err(nonsense(status, json)),
    };
    Ok(Answer { outcome, json: json.to_owned() })
}

fn is_not_stored(status: StatusCode, stored: Option<&Stored>) -> bool {
    match stored {
        Some(stored) => *stored == Stored::No,
        None => status.is_client_error(),
    }
}

fn nonsense(status: StatusCode, body: &str) -> NoAnswer {
    const SHOWN_CHARS_MAX: usize = 200;
    let shown: String = body.chars().take(SHOWN_CHARS_MAX).collect();
    NoAnswer::Nonsense(format!("{status}: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0199c0de-0000-7000-8000-00000000abcd";

    fn meaning(status: u16, json: &str) -> &'static str {
        match parse(json, StatusCode::from_u16(status).unwrap(), &KEY.parse().unwrap()) {
            Ok(Answer { outcome: Outcome::Stored { .. }, .. }) => "stored",
            Ok(Answer { outcome: Outcome::NotStored { .. }, .. }) => "not stored",
            Ok(Answer { outcome: Outcome::Unknown { .. }, .. }) => "unknown",
            Err(_) => "no answer",
        }
    }

    #[test]
    fn only_a_receipt_for_this_message_means_stored() {
        let receipt = format!(r#"{{"status":"success","uuid":"{KEY}","sequence":1}}"#);
        assert_eq!(meaning(200, &receipt), "stored");
        assert_eq!(meaning(500, &receipt), "no answer");
        assert_eq!(meaning(200, &receipt.replace("abcd", "abce")), "no answer");
        assert_eq!(meaning(200, "{}"), "no answer");
        assert_eq!(meaning(404, "<html>"), "no answer");
    }

    #[test]
    fn a_failure_is_final_only_if_it_says_so_or_blames_the_request() {
        for (status, stored, expected) in [
            (503, r#","stored":"no""#, "not stored"),
            (504, r#","stored":"unknown""#, "unknown"),
            (400, r#","stored":"unknown""#, "unknown"),
            (400, "", "not stored"),
            (500, "", "unknown"),
        ] {
            let failure = format!(r#"{{"status":"failure","message":"why"{stored}}}"#);
            assert_eq!(meaning(status, &failure), expected, "{status} {failure}");
        }
    }
}
