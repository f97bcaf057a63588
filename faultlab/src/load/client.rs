//! One request to the facade, and what a client may conclude from the answer.

use std::{
    error::Error,
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

/// A read of the log may take longer, as long as something arrives.
const READ_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The form of the log that tells where each record is.
const NDJSON: &str = "application/x-ndjson";

/// An HTTP client of one facade, which may move to another port when it is restarted.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    facade: Arc<Mutex<String>>,
}

/// How a post ended.
#[derive(Debug)]
pub struct Posted {
    /// What the client may conclude.
    pub outcome: Outcome,
    /// The id in the answer.
    pub uuid: Option<String>,
}

impl Client {
    /// A client that keeps connections open between calls and tries each call once.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(facade: SocketAddr) -> reqwest::Result<Self> {
        Self::of_url(&format!("http://{facade}"))
    }

    /// As [`Client::new`], for the facade that `url`, which has no slash at its end, leads to.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn of_url(url: &str) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(CALL_TIMEOUT).no_proxy();
        let http = http.read_timeout(CALL_TIMEOUT);
        let http = http.retry(reqwest::retry::never()).build()?;
        Ok(Self { http, facade: Arc::new(Mutex::new(url.to_owned())) })
    }

    /// From now on, this client and its clones call `facade`.
    pub fn move_to(&self, facade: SocketAddr) {
        *self.facade.lock().unwrap_or_else(PoisonError::into_inner) = format!("http://{facade}");
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let facade = self.facade.lock().unwrap_or_else(PoisonError::into_inner);
        let url = format!("{facade}{path}");
        drop(facade);
        self.http.request(method, url)
    }

    /// Finds out whether an Oncelog is there, without storing anything.
    ///
    /// # Errors
    /// What is there instead, for a person.
    pub async fn recognize(&self) -> Result<(), String> {
        let request = self.request(Method::GET, "/facade?limit=1").header(ACCEPT, NDJSON);
        let answer = request.send().await.map_err(|error| {
            let mut cause: &dyn Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            cause.to_string()
        })?;
        let header = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match (answer.status().as_u16(), header) {
            (200, Some(content_type)) if content_type.starts_with(NDJSON) => Ok(()),
            (200, _) => Err("GET /facade does not answer as Oncelog does".to_owned()),
            (status, _) => Err(format!("GET /facade is answered with {status}")),
        }
    }

    /// Whether the facade says that it and what it needs is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.request(Method::GET, "/readyz").send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// The whole log, as it is shown.
    pub(crate) async fn text(&self) -> Option<String> {
        self.list("").await?.text().await.ok()
    }

    pub(crate) async fn list(&self, query: &str) -> Option<Response> {
        let request = self.request(Method::GET, &format!("/facade{query}")).header(ACCEPT, NDJSON);
        let answer = request.timeout(READ_TIMEOUT).send().await;
        answer.ok().filter(|response| response.status() == 200)
    }
}

/// The calls of a poster, each tried once.
pub trait Calls {
    /// Posts `body`.
    fn post_body(&self, body: String, key: Option<&str>) -> impl Future<Output = Posted>;

    /// Posts `message`.
    fn post(&self, message: &str, key: Option<&str>) -> impl Future<Output = Posted> {
        self.post_body(json!({ "msg": message }).to_string(), key)
    }

    /// `None`: no answer, which is no statement. `Some(None)`: there is no such message.
    fn look_up(&self, uuid: &str) -> impl Future<Output = Option<Option<Record>>>;
}

impl Calls for Client {
    async fn post_body(&self, body: String, key: Option<&str>) -> Posted {
        let request = self.request(Method::POST, "/facade");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let response = match request.send().await {
            Ok(response) => response,
            // There was no connection to send it on.
            Err(error) if error.is_connect() => return Posted::without_id(Outcome::NotStored),
            Err(_) => return Posted::without_id(Outcome::Unknown),
        };
        let status = response.status().as_u16();
        let header = response.headers().get("idempotency-replayed");
        let replayed = header.is_some_and(|value| value == "true");
        let Ok(text) = response.text().await else {
            return Posted::without_id(Outcome::Unknown);
        };
        Posted::of(status, text.as_bytes(), replayed)
    }

    async fn look_up(&self, uuid: &str) -> Option<Option<Record>> {
        let answer = self.request(Method::GET, &format!("/facade/{uuid}")).send().await.ok()?;
        match answer.status().as_u16() {
            200 => Some(Some(record(&answer.bytes().await.ok()?))),
            404 => Some(None),
            _ => None,
        }
    }
}

impl Posted {
    /// What an answer says.
    #[must_use]
    pub fn of(status: u16, body: &[u8], replayed: bool) -> Self {
        let json = serde_json::from_slice(body).unwrap_or(Value::Null);
        let nonsense =
            || Outcome::Nonsense { answer: format!("{status} {}", String::from_utf8_lossy(body)) };
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
        Self { outcome, uuid: json["uuid"].as_str().map(str::to_owned) }
    }

    /// Without an answer.
    #[must_use]
    pub const fn without_id(outcome: Outcome) -> Self {
        Self { outcome, uuid: None }
    }
}

/// A record as the facade shows it. One that cannot be understood is none that a client sent, which
/// the checker will notice.
#[must_use]
pub fn record(json: &[u8]) -> Record {
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
