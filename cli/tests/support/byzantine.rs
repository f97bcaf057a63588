//! A Byzantine facade: it keeps its log in memory and may break one promise on purpose.

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
use oncelog::message::MessageId;
use serde_json::{Value, json};

use super::serve;

/// The promise is broken at every so-manieth opportunity.
const EVERY: usize = 3;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
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
    /// Two neighbouring records are shown in another order now and then.
    Reorders,
    /// Some new messages are stored and answered as surely not stored.
    DeniesStored,
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
    /// By id: its place, also of messages that were not stored.
    receipts: HashMap<String, (usize, String)>,
    next: usize,
    opportunities: usize,
}

#[derive(Clone)]
struct Facade {
    fault: Fault,
    log: Arc<Mutex<Log>>,
}

/// Starts it, and returns its URL.
pub(crate) async fn start(fault: Fault) -> String {
    let router =
        Router::new().route("/facade", post(store).get(list)).route("/facade/{uuid}", get(look_up));
    serve(router.with_state(Facade { fault, log: Arc::default() })).await
}

impl Facade {
    fn misbehaves(&self, log: &mut Log, fault: Fault) -> bool {
        if self.fault != fault {
            return false;
        }
        log.opportunities += 1;
        log.opportunities.is_multiple_of(EVERY)
    }

    fn append(&self, log: &mut Log, uuid: &str, message: &str) -> usize {
        log.next += 1;
        let sequence = log.next;
        log.receipts.insert(uuid.to_owned(), (sequence, message.to_owned()));
        let (uuid, message) = (uuid.to_owned(), message.to_owned());
        if !self.misbehaves(log, Fault::Forgets) {
            log.records.push(Record { sequence, uuid, message: message.clone() });
        }
        if self.misbehaves(log, Fault::Doubles) {
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

async fn store(State(facade): State<Facade>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let Some(message) = body["msg"].as_str() else {
        let failure = json!({"status": "failure", "message": "msg is no text"});
        return (StatusCode::BAD_REQUEST, failure.to_string()).into_response();
    };
    let uuid = id(&headers);
    let success = |uuid: &str, sequence: usize| {
        json!({"status": "success", "uuid": uuid, "sequence": sequence}).to_string()
    };
    let mut log = facade.log.lock().unwrap();
    let Some((sequence, first)) = log.receipts.get(&uuid).cloned() else {
        let sequence = facade.append(&mut log, &uuid, message);
        if sequence > 1 && facade.misbehaves(&mut log, Fault::DeniesStored) {
            let failure = json!({"status": "failure", "uuid": uuid, "stored": "no"});
            return (StatusCode::SERVICE_UNAVAILABLE, failure.to_string()).into_response();
        }
        return success(&uuid, sequence).into_response();
    };
    if first != message {
        if facade.misbehaves(&mut log, Fault::SharesKeys) {
            let sequence = facade.append(&mut log, &uuid, message);
            return success(&uuid, sequence).into_response();
        }
        let failure = json!({"status": "failure", "message": "in use", "stored": "no"});
        return (StatusCode::UNPROCESSABLE_ENTITY, failure.to_string()).into_response();
    }
    if facade.misbehaves(&mut log, Fault::ForgetsKeys) {
        let uuid = new_id();
        let sequence = facade.append(&mut log, &uuid, message);
        return success(&uuid, sequence).into_response();
    }
    let wrong = usize::from(facade.misbehaves(&mut log, Fault::ChangesReceipts));
    ([("idempotency-replayed", "true")], success(&uuid, sequence + wrong)).into_response()
}

async fn list(State(facade): State<Facade>, uri: Uri) -> Response {
    let parameter = |name: &str| {
        let found = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name))?;
        Some(found.strip_prefix('=')?.parse::<u64>().unwrap())
    };
    let (after, limit) = (parameter("after").unwrap_or(0), parameter("limit").unwrap_or(u64::MAX));
    let mut log = facade.log.lock().unwrap();
    let reorders = facade.misbehaves(&mut log, Fault::Reorders);
    let records = log.records.iter().filter(|record| record.sequence as u64 > after);
    let mut shown: Vec<_> = records.take(usize::try_from(limit).unwrap()).collect();
    if reorders && shown.len() > 1 {
        let last = shown.len() - 1;
        shown.swap(last - 1, last);
    }
    let lines: String = shown.iter().map(|record| format!("{}\n", record.json())).collect();
    ([("content-type", "application/x-ndjson")], lines).into_response()
}

async fn look_up(State(facade): State<Facade>, Path(uuid): Path<String>) -> Response {
    let log = facade.log.lock().unwrap();
    match log.records.iter().find(|record| record.uuid == uuid) {
        Some(record) => record.json().to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
