//! What a client asks of a facade, and what it may conclude from the answer.

use std::time::Duration;

use bytes::Bytes;
use faultlab::history::{Micros, Outcome, Read, Record, Shown};
use http::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::http::{Connection, NoAnswer};

/// A client with one connection.
pub(crate) struct Client(Connection);

/// How a post ended, and the id in its answer.
pub(crate) struct Posted {
    pub(crate) outcome: Outcome,
    pub(crate) uuid: Option<String>,
}

/// Microseconds of simulated time.
pub(crate) fn now() -> Micros {
    Micros::try_from(turmoil::sim_elapsed().unwrap_or_default().as_micros()).unwrap()
}

impl Client {
    /// A client of `facade`.
    pub(crate) fn new(facade: &'static str, timeout: Duration) -> Self {
        Self(Connection::new(facade, timeout))
    }

    /// Posts `message` once.
    pub(crate) async fn post(&mut self, message: &str, key: Option<&str>) -> Posted {
        let mut request = Connection::request(Method::POST, "/facade");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = Full::from(json!({ "msg": message }).to_string());
        let request = request.header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let without_id = |outcome| Posted { outcome, uuid: None };
        let answer = match self.0.send(request).await {
            Ok(answer) if answer.complete => answer,
            Ok(_) | Err(NoAnswer::Lost) => return without_id(Outcome::Unknown),
            Err(NoAnswer::NotSent) => return without_id(Outcome::NotStored),
        };
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let status = answer.status.as_u16();
        let nonsense = || Outcome::Nonsense {
            answer: format!("{status} {}", String::from_utf8_lossy(&answer.body)),
        };
        let outcome = match status {
            200 => match (json["uuid"].as_str(), json["sequence"].as_u64()) {
                (Some(uuid), Some(sequence)) => {
                    let (uuid, replayed) = (uuid.to_owned(), answer.replayed);
                    Outcome::Acknowledged { uuid, sequence, replayed }
                }
                _ => nonsense(),
            },
            422 => Outcome::Conflict,
            400 | 413 | 415 => Outcome::Refused,
            503 if json["stored"] == "no" => Outcome::NotStored,
            504 if json["stored"] == "unknown" => Outcome::Unknown,
            _ => nonsense(),
        };
        Posted { outcome, uuid: json["uuid"].as_str().map(str::to_owned) }
    }

    /// `None`: no answer, which is no statement. `Some(None)`: there is no such message.
    pub(crate) async fn look_up(&mut self, uuid: &str) -> Option<Option<Record>> {
        let answer = self.get(&format!("/facade/{uuid}")).await.filter(|answer| answer.complete)?;
        match answer.status.as_u16() {
            200 => Some(Some(record(&answer.body))),
            404 => Some(None),
            _ => None,
        }
    }

    /// Reads the log from its start. `None` if the read did not begin.
    pub(crate) async fn read(&mut self) -> Option<Read> {
        let began = now();
        let answer = self.get("/facade").await.filter(|answer| answer.status == 200)?;
        let mut lines: Vec<&[u8]> = answer.body.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        if answer.complete && !rest.is_empty() {
            // A read that calls itself complete has whole lines only: the judge shall see this one.
            lines.push(rest);
        }
        let mut shown = Shown::default();
        lines.into_iter().for_each(|line| shown.push(&record(line)));
        Some(Read { began, ended: now(), complete: answer.complete, shown })
    }

    async fn get(&mut self, path: &str) -> Option<crate::http::Answer> {
        let request = Connection::request(Method::GET, path).header(ACCEPT, "application/x-ndjson");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        self.0.send(request).await.ok()
    }
}

/// A record as the facade shows it. One that cannot be understood is none that anybody sent, which
/// the judge will notice.
fn record(json: &[u8]) -> Record {
    let parsed = || {
        let json: Value = serde_json::from_slice(json).ok()?;
        Some(Record {
            sequence: json["sequence"].as_u64()?,
            uuid: json["uuid"].as_str()?.to_owned(),
            message: json["msg"].as_str()?.to_owned(),
        })
    };
    parsed().unwrap_or_else(|| Record {
        sequence: 0,
        uuid: String::new(),
        message: String::from_utf8_lossy(json).into_owned(),
    })
}
