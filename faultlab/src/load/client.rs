//! One request to the facade, and what a client may conclude from the answer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Value, json};

use crate::history::{Outcome, Record};

/// No call may take longer; a longer one is a hanging one, and its outcome unknown.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client of one facade, which may move to another port when it is restarted.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    facade: Arc<Mutex<SocketAddr>>,
}

/// How a post ended, and the id in its answer.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) outcome: Outcome,
    pub(super) uuid: Option<String>,
}

impl Client {
    /// A client that keeps connections open between calls and tries each call once.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(facade: SocketAddr) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(CALL_TIMEOUT).no_proxy();
        let http = http.retry(reqwest::retry::never()).build()?;
        Ok(Self { http, facade: Arc::new(Mutex::new(facade)) })
    }

    /// From now on, this client and its clones call `facade`.
    pub fn move_to(&self, facade: SocketAddr) {
        *self.facade.lock().unwrap_or_else(PoisonError::into_inner) = facade;
    }

    /// Where the facade is now.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *self.facade.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let facade = self.address();
        self.http.request(method, format!("http://{facade}{path}"))
    }

    /// Whether the facade says that it and what it needs is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.request(Method::GET, "/readyz").send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    pub(super) async fn post(&self, message: &str, key: Option<&str>) -> Posted {
        self.post_body(json!({ "msg": message }).to_string(), key).await
    }

    pub(super) async fn post_body(&self, body: String, key: Option<&str>) -> Posted {
        let request = self.request(Method::POST, "/facade");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let response = match request.send().await {
            Ok(response) => response,
            // Nobody was there to send it to.
            Err(error) if error.is_connect() => return Posted::without_id(Outcome::NotStored),
            Err(_) => return Posted::without_id(Outcome::Unknown),
        };
        let status = response.status().as_u16();
        let header = response.headers().get("idempotency-replayed");
        let replayed = header.is_some_and(|value| value == "true");
        let Ok(text) = response.text().await else {
            return Posted::without_id(Outcome::Unknown);
        };
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let nonsense = || Outcome::Nonsense { answer: format!("{status} {text}") };
        let outcome = match status {
            200 => match (json["uuid"].as_str(), json["sequence"].as_u64()) {
                (Some(uuid), Some(sequence)) => {
                    Outcome::Acknowledged { uuid: uuid.to_owned(), sequence, replayed }
                }
                _ => nonsense(),
            },
            422 => Outcome::Conflict,
            400 | 413 | 415 => Outcome::Refused,
            503 if json["stored"] == "no" => Outcome::NotStored,
            408 | 500.. => Outcome::Unknown,
            _ => nonsense(),
        };
        Posted { outcome, uuid: json["uuid"].as_str().map(str::to_owned) }
    }

    /// `None`: no answer, which is no statement. `Some(None)`: there is no such message.
    pub(super) async fn look_up(&self, uuid: &str) -> Option<Option<Record>> {
        let answer = self.request(Method::GET, &format!("/facade/{uuid}")).send().await.ok()?;
        match answer.status().as_u16() {
            200 => Some(Some(record(&answer.bytes().await.ok()?))),
            404 => Some(None),
            _ => None,
        }
    }

    pub(super) async fn list(&self) -> Option<Response> {
        self.list_within(CALL_TIMEOUT).await
    }

    /// The whole log, one record a line, if it is read within `timeout`.
    pub(crate) async fn list_within(&self, timeout: Duration) -> Option<Response> {
        let request = self.request(Method::GET, "/facade").header(ACCEPT, "application/x-ndjson");
        request.timeout(timeout).send().await.ok().filter(|response| response.status() == 200)
    }
}

impl Posted {
    const fn without_id(outcome: Outcome) -> Self {
        Self { outcome, uuid: None }
    }
}

/// A record as the facade shows it. One that cannot be understood is none that anybody sent, which
/// the judge will notice.
pub(super) fn record(json: &[u8]) -> Record {
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
