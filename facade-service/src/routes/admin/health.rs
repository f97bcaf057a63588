//! `GET /healthz` and `GET /readyz`: is it alive, and can it store messages?

use axum::{extract::State, response::Response};
use http::StatusCode;
use oncelog::wire::v1;
use serde::Serialize;

use crate::{
    Facade,
    http::json::{json, to_json},
    reads::{Cause, wrong_service},
};

#[derive(Serialize)]
struct ReadyJson {
    status: &'static str,
    /// Why messages cannot be stored; empty if they can.
    reasons: Vec<String>,
    logging: LoggingJson,
    messages: MessagesJson,
}

#[derive(Serialize)]
struct LoggingJson {
    state: &'static str,
    #[serde(flatten)]
    log: Option<LogJson>,
}

#[derive(Serialize)]
struct LogJson {
    store: String,
    /// False if a restart forgets what was acknowledged.
    durable: bool,
    last_sequence: u64,
}

#[derive(Serialize)]
struct MessagesJson {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Always 200: the process answers.
pub(crate) async fn alive() -> Response {
    json(StatusCode::OK, br#"{"status":"alive"}"#.to_vec())
}

/// 200 if a message posted now can be stored, otherwise 503 and why. The messages service is
/// reported and does not decide: storing does not need it.
pub(crate) async fn ready(State(facade): State<Facade>) -> Response {
    let ((logging, reason), messages) =
        tokio::join!(logging_state(&facade), messages_state(&facade));
    let draining = facade
        .stop()
        .is_cancelled()
        .then(|| "the facade is draining: it finishes its work and stops".to_owned());
    let reasons: Vec<_> = draining.into_iter().chain(reason).collect();
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    json(code, to_json(&ReadyJson { status, reasons, logging, messages }))
}

/// The state of the logging service, and why it takes no messages if it takes none.
async fn logging_state(facade: &Facade) -> (LoggingJson, Option<String>) {
    let status = match facade.reads().status_within(facade.limits().readiness).await {
        Ok(status) => status,
        Err(broken) => {
            let (state, reason) = match broken.cause() {
                Cause::WrongService => ("wrong-service", wrong_service(&broken)),
                // A program of another kind may close the connection without a word.
                Cause::Trouble | Cause::Damage => (
                    "unreachable",
                    format!("no logging-service can be reached at LOGGING_URL: {broken}"),
                ),
            };
            return (LoggingJson { state, log: None }, Some(reason));
        }
    };
    let state = match status.state() {
        v1::State::Unspecified => "unknown",
        v1::State::Replaying => "replaying",
        v1::State::Ready => "ready",
        v1::State::ReadOnly => "read-only",
        v1::State::Draining => "draining",
        v1::State::Failed => "failed",
        v1::State::Orphaned => "orphaned",
        v1::State::Damaged => "damaged",
    };
    let reason = (status.state() != v1::State::Ready)
        .then(|| format!("the logging-service is {state}: {}", status.reason));
    let log = LogJson {
        store: status.store,
        durable: status.durable,
        last_sequence: status.last_sequence,
    };
    (LoggingJson { state, log: Some(log) }, reason)
}

async fn messages_state(facade: &Facade) -> MessagesJson {
    let text = facade.reads().text_within(facade.limits().readiness).await;
    let reason = text.err().map(|broken| broken.to_string());
    let state = if reason.is_none() { "ready" } else { "unreachable" };
    MessagesJson { state, reason }
}
