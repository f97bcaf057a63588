//! What the tests of the logging service share.

#![allow(dead_code)] // Each test binary uses its part.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

pub mod scripted_store;
pub mod served;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use logging_service::{
    Execution, OpenStore,
    console::Console,
    limits::Limits,
    log::{Log, ReadStream, State},
};
use oncelog::{
    clock::SimulatedClock,
    message::{ContentType, Message, MessageId, Outcome, Receipt, Rejection, StoredMessage},
};
use tokio::time::timeout;

use self::scripted_store::{Script, scripted};

/// The time that [`log`]'s clock shows.
pub fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOON
}

const NOON: Duration = Duration::from_secs(1_700_000_000);

pub fn clock() -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::at(NOON))
}

pub fn log(opened: OpenStore) -> Log {
    log_with(opened, Execution::Threads, Limits::default())
}

pub fn log_with(opened: OpenStore, execution: Execution, limits: Limits) -> Log {
    Log::start(opened, clock(), Console::off(), execution, limits).unwrap()
}

/// A log on a store with a script.
pub fn scripted_log(execution: Execution, limits: Limits) -> (Log, Script) {
    let (opened, script, _) = scripted();
    (log_with(opened, execution, limits), script)
}

/// Waits until the log is in such a state, for as long as a slow machine may need.
pub async fn wait_for(log: &Log, wanted: impl Fn(&State) -> bool) -> State {
    let mut states = log.state();
    let reached = states.wait_for(|state| wanted(state));
    timeout(Duration::from_secs(30), reached).await.unwrap().unwrap().clone()
}

pub fn id(number: u64) -> MessageId {
    MessageId::try_from((u128::from(number) + 1).to_be_bytes()).unwrap()
}

/// The message with the id of `number`.
pub fn message(number: u64, body: &str) -> Message {
    Message {
        id: id(number),
        stream: "facade".parse().unwrap(),
        content_type: ContentType::text(),
        body: body.to_owned().into(),
    }
}

pub fn stored(sequence: u64) -> Outcome {
    Outcome::Stored(Receipt { sequence, stored_at: noon() })
}

pub fn duplicate(sequence: u64) -> Outcome {
    Outcome::Duplicate(Receipt { sequence, stored_at: noon() })
}

pub fn record(sequence: u64, message: Message) -> StoredMessage {
    StoredMessage { receipt: Receipt { sequence, stored_at: noon() }, message }
}

/// The log has refused its one message as overload.
#[track_caller]
pub fn assert_overloaded(outcomes: &[Outcome]) {
    assert!(matches!(outcomes, [Outcome::Rejected(Rejection::Overloaded(_))]), "{outcomes:?}");
}

/// All that a read shows.
pub async fn all(chunks: ReadStream) -> Vec<StoredMessage> {
    let records = chunks.map_ok(|chunk| chunk.records().to_vec());
    records.try_concat().await.unwrap()
}

/// What a read shows next.
pub async fn next(chunks: &mut ReadStream) -> Vec<StoredMessage> {
    chunks.next().await.unwrap().unwrap().records().to_vec()
}

/// The sequences a read shows next, up to `last`.
pub async fn sequences_to(chunks: &mut ReadStream, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|sequence| *sequence < last) {
        seen.extend(next(chunks).await.iter().map(|record| record.receipt.sequence));
    }
    seen
}
