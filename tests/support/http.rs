//! One request to the facade, and what came back.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

/// No call under test may take longer; a longer one is a hanging one.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client of one facade.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body as one JSON value a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
        };
        self.text.lines().map(parse).collect()
    }

    /// A header, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// The answer, if it has `status`.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Client {
    /// A client that keeps connections open between calls and tries each call once.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().timeout(CALL_TIMEOUT).no_proxy();
        Self {
            http: http.retry(reqwest::retry::never()).build().expect("a client"),
            base: format!("http://{address}"),
        }
    }

    /// A request to `path`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// `GET path`.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    /// `GET path` in one media type.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> reqwest::Result<Answer> {
        send(self.request(Method::GET, path).header(ACCEPT, accept)).await
    }

    /// `POST /facade` with one message.
    pub(crate) async fn post(&self, msg: &str, key: Option<&str>) -> reqwest::Result<Answer> {
        let body = json!({ "msg": msg }).to_string();
        let request =
            self.request(Method::POST, "/facade").header(CONTENT_TYPE, "application/json");
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        send(request.body(body)).await
    }

    /// Every record, as JSON lines.
    pub(crate) async fn records(&self) -> Vec<Value> {
        let answer = self.get_as("/facade", "application/x-ndjson").await.expect("an answer");
        answer.expect(200).lines()
    }

    /// The texts of all messages, in log order.
    pub(crate) async fn logs(&self) -> Vec<String> {
        let answer = self.get("/facade").await.expect("an answer").expect(200);
        serde_json::from_value(answer.json()["logs"].clone()).expect("texts")
    }
}

/// Sends `request` and reads the whole answer.
pub(crate) async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}
