//! A stand-in for the facade: the same answers, kept in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use oncelog::message::MessageId;
use serde_json::{Value, json};

use super::serve;

/// What the stand-in has seen.
#[derive(Default)]
pub(crate) struct Seen {
    ids: HashMap<MessageId, (u64, String)>,
    /// Keys as they came, in order.
    pub keys: Vec<String>,
    /// Texts that were stored, in order.
    pub texts: Vec<String>,
    /// Uploads that came to their end.
    pub uploads_ended: usize,
}

#[derive(Clone)]
pub(crate) struct Facade {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
    /// An upload breaks instead of this answer.
    breaks_at: usize,
}

impl Facade {
    pub(crate) async fn start() -> Self {
        Self::start_that_breaks_at(usize::MAX).await
    }

    /// Stores messages, but breaks the connection of an upload instead of its answer `breaks_at`.
    pub(crate) async fn start_that_breaks_at(breaks_at: usize) -> Self {
        let mut facade = Self { url: String::new(), seen: Arc::default(), breaks_at };
        let router = Router::new()
            .route("/facade", post(single))
            .route("/facade/batch", post(batch))
            .with_state(facade.clone());
        facade.url = serve(router).await;
        facade
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.seen.lock().unwrap().texts.clone()
    }

    fn store(&self, key: &str, text: &str) -> (StatusCode, Value) {
        let stream = "facade".parse().unwrap();
        let id = MessageId::from_key(&stream, key).unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.keys.push(key.to_owned());
        if let Some((sequence, first)) = seen.ids.get(&id) {
            if first != text {
                let message = "this id is in use by a different message";
                let failure = json!({"status": "failure", "message": message, "uuid": id.to_string(), "stored": "no"});
                return (StatusCode::UNPROCESSABLE_ENTITY, failure);
            }
            let success = json!({"status": "success", "uuid": id.to_string(), "sequence": sequence, "replayed": true});
            return (StatusCode::OK, success);
        }
        seen.texts.push(text.to_owned());
        let sequence = seen.texts.len() as u64;
        seen.ids.insert(id, (sequence, text.to_owned()));
        let success = json!({"status": "success", "uuid": id.to_string(), "sequence": sequence});
        (StatusCode::OK, success)
    }
}

async fn single(State(facade): State<Facade>, headers: HeaderMap, body: Bytes) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap();
    // Quoted, as the draft wants it.
    let key: String = serde_json::from_str(key).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    if body["msg"] == "time out" {
        let failure =
            json!({"status": "failure", "message": "the outcome is unknown", "stored": "unknown"});
        return (StatusCode::GATEWAY_TIMEOUT, failure.to_string()).into_response();
    }
    if body["msg"] == "steer" {
        let message = "two\nlines \u{1b}[2J\u{202e}";
        let failure = json!({"status": "failure", "message": message, "stored": "no"});
        return (StatusCode::BAD_REQUEST, failure.to_string()).into_response();
    }
    let (status, mut answer) = facade.store(&key, body["msg"].as_str().unwrap());
    let mut response = HeaderMap::new();
    // A single answer is the same each time; a header tells a repeat.
    if answer.as_object_mut().unwrap().remove("replayed").is_some() {
        response.insert("idempotency-replayed", "true".parse().unwrap());
    }
    (status, response, answer.to_string()).into_response()
}

async fn batch(State(facade): State<Facade>, body: Body) -> Response {
    struct Upload {
        facade: Facade,
        chunks: axum::body::BodyDataStream,
        received: Vec<u8>,
        answered: usize,
    }
    let chunks = body.into_data_stream();
    let upload = Upload { facade, chunks, received: Vec::new(), answered: 0 };
    let answers = stream::unfold(upload, |mut upload| async move {
        loop {
            if let Some(end) = upload.received.iter().position(|byte| *byte == b'\n') {
                if upload.answered == upload.facade.breaks_at {
                    return Some((Err(std::io::Error::other("broken on purpose")), upload));
                }
                upload.answered += 1;
                let line: Vec<u8> = upload.received.drain(..=end).collect();
                let line: Value = serde_json::from_slice(&line).unwrap();
                let (_, answer) = upload
                    .facade
                    .store(line["key"].as_str().unwrap(), line["msg"].as_str().unwrap());
                return Some((Ok(Bytes::from(format!("{answer}\n"))), upload));
            }
            match upload.chunks.next().await {
                Some(chunk) => upload.received.extend_from_slice(&chunk.ok()?),
                None => {
                    upload.facade.seen.lock().unwrap().uploads_ended += 1;
                    return None;
                }
            }
        }
    });
    Response::new(Body::from_stream(answers))
}
