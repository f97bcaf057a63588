//! A facade, kept in memory, that may break its promises on purpose.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, Uri};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use oncelog::message::MessageId;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A lie is told at each of so many chances.
const CHANCES: usize = 3;

/// The promise it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// Some messages are acknowledged and not stored.
    Forgets,
    /// Some are stored twice.
    Doubles,
    /// Some repeats are stored like new messages.
    ForgetsKeys,
    /// Another message under a used key is stored.
    SharesKeys,
    /// Some repeats get another receipt.
    ChangesReceipts,
    /// Two neighbours are shown in another order now and then.
    ShowsItBackwards,
    /// Some new messages are stored, and said surely not to be.
    DeniesIt,
}

struct Record {
    sequence: usize,
    uuid: String,
    message: String,
}

impl Record {
    fn json(&self) -> Value {
        let Self { sequence, uuid, message } = self;
        json!({"uuid": uuid, "sequence": sequence, "msg": message})
    }
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
    /// By id: its place, also of what was not stored.
    receipts: HashMap<String, (usize, String)>,
    next: usize,
    chances: usize,
}

#[derive(Clone)]
struct Liar {
    lie: Lie,
    log: Arc<Mutex<Log>>,
}

/// Starts it, and returns where it is.
pub(crate) async fn start(lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/facade", post(store).get(list))
        .route("/facade/{uuid}", get(look_up))
        .with_state(Liar { lie, log: Arc::default() });
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(connection);
        }
    });
    url
}

impl Liar {
    fn lies(&self, log: &mut Log, lie: Lie) -> bool {
        if self.lie != lie {
            return false;
        }
        log.chances += 1;
        log.chances.is_multiple_of(CHANCES)
    }

    fn append(&self, log: &mut Log, uuid: &str, message: &str) -> usize {
        log.next += 1;
        let sequence = log.next;
        log.receipts.insert(uuid.to_owned(), (sequence, message.to_owned()));
        let (uuid, message) = (uuid.to_owned(), message.to_owned());
        if !self.lies(log, Lie::Forgets) {
            log.records.push(Record { sequence, uuid, message: message.clone() });
        }
        if self.lies(log, Lie::Doubles) {
            log.next += 1;
            let (sequence, uuid) = (log.next, new_id());
            log.records.push(Record { sequence, uuid, message });
        }
        sequence
    }
}

fn new_id() -> String {
    MessageId::try_from(fastrand::u128(1..).to_be_bytes()).unwrap().to_string()
}

fn id(headers: &HeaderMap) -> String {
    let Some(key) = headers.get("idempotency-key") else { return new_id() };
    let key = key.to_str().unwrap().trim_matches('"');
    MessageId::from_key(&"facade".parse().unwrap(), key).unwrap().to_string()
}

async fn store(State(liar): State<Liar>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let Some(message) = body["msg"].as_str() else {
        let failure = json!({"status": "failure", "message": "msg is no text"});
        return (StatusCode::BAD_REQUEST, failure.to_string()).into_response();
    };
    let uuid = id(&headers);
    let success = |uuid: &str, sequence: usize| {
        json!({"status": "success", "uuid": uuid, "sequence": sequence}).to_string()
    };
    let mut log = liar.log.lock().unwrap();
    let Some((sequence, first)) = log.receipts.get(&uuid).cloned() else {
        let sequence = liar.append(&mut log, &uuid, message);
        if sequence > 1 && liar.lies(&mut log, Lie::DeniesIt) {
            let failure = json!({"status": "failure", "uuid": uuid, "stored": "no"});
            return (StatusCode::SERVICE_UNAVAILABLE, failure.to_string()).into_response();
        }
        return success(&uuid, sequence).into_response();
    };
    if first != message {
        if liar.lies(&mut log, Lie::SharesKeys) {
            let sequence = liar.append(&mut log, &uuid, message);
            return success(&uuid, sequence).into_response();
        }
        let failure = json!({"status": "failure", "message": "in use", "stored": "no"});
        return (StatusCode::UNPROCESSABLE_ENTITY, failure.to_string()).into_response();
    }
    if liar.lies(&mut log, Lie::ForgetsKeys) {
        let uuid = new_id();
        let sequence = liar.append(&mut log, &uuid, message);
        return success(&uuid, sequence).into_response();
    }
    let wrong = usize::from(liar.lies(&mut log, Lie::ChangesReceipts));
    ([("idempotency-replayed", "true")], success(&uuid, sequence + wrong)).into_response()
}

async fn list(State(liar): State<Liar>, uri: Uri) -> Response {
    let parameter = |name: &str| {
        let found = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name))?;
        Some(found.strip_prefix('=')?.parse::<u64>().unwrap())
    };
    let (after, limit) = (parameter("after").unwrap_or(0), parameter("limit").unwrap_or(u64::MAX));
    let mut log = liar.log.lock().unwrap();
    let lies = liar.lies(&mut log, Lie::ShowsItBackwards);
    let records = log.records.iter().filter(|record| record.sequence as u64 > after);
    let mut shown: Vec<_> = records.take(usize::try_from(limit).unwrap()).collect();
    if lies && shown.len() > 1 {
        let last = shown.len() - 1;
        shown.swap(last - 1, last);
    }
    let lines: String = shown.iter().map(|record| format!("{}\n", record.json())).collect();
    ([("content-type", "application/x-ndjson")], lines).into_response()
}

async fn look_up(State(liar): State<Liar>, Path(uuid): Path<String>) -> Response {
    let log = liar.log.lock().unwrap();
    match log.records.iter().find(|record| record.uuid == uuid) {
        Some(record) => record.json().to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
