//! A logging service that does as it is told, and remembers what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::Instant};
use tonic::{ConnectError, Status};
use tower::Service;

use crate::delivery::{
    Delivered, Delivery, DeliveryError, DeliveryLimits, DeliveryOptions, Jitter,
};
use oncelog::{
    message::{ContentType, Message, MessageId, Outcome, Receipt},
    wire::{STORED_TRAILER, v1},
};

pub(crate) type Answered = Result<Delivered, DeliveryError>;

/// What the fake does with one call. After the script it answers every call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Stores and answers, after a while.
    Answer(Duration),
    /// Stores and answers, after this for each message.
    AnswerEach(Duration),
    /// No connection.
    Unreachable,
    /// No connection for any call until so long after the start.
    UnreachableUntil(Duration),
    /// Never stores, never answers.
    Hang,
    /// Stores at once, never answers.
    StoreAndHang,
    /// Stores after a while, even if the caller is gone by then, and never answers.
    HangAndStoreLater(Duration),
    /// Stores, then fails with this status.
    StoreAndFail(Status),
    /// Fails with this status, storing nothing.
    Fail(Status),
    /// Answers each message with this, storing nothing.
    Tell(Outcome),
    /// Answers with this response, whatever the request.
    Respond(v1::AppendResponse),
    /// Ends its caller.
    Panic,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Duration,
    pub(crate) ids: Vec<u128>,
    pub(crate) body_bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    pub(crate) stored: HashMap<u128, Vec<u64>>,
    next_sequence: u64,
    script: VecDeque<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct FakeLog {
    seen: Arc<Mutex<Seen>>,
    start: Instant,
}

impl FakeLog {
    pub(crate) fn scripted(script: impl IntoIterator<Item = Step>) -> Self {
        let script = script.into_iter().collect();
        let seen = Arc::new(Mutex::new(Seen { script, ..Seen::default() }));
        Self { seen, start: Instant::now() }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// When each call came, in milliseconds.
    pub(crate) fn call_times(&self) -> Vec<u128> {
        self.seen().calls.iter().map(|call| call.at.as_millis()).collect()
    }

    /// The ids of each call.
    pub(crate) fn call_ids(&self) -> Vec<Vec<u128>> {
        self.seen().calls.iter().map(|call| call.ids.clone()).collect()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Deduplicates and stores, as the real one does.
    fn store(&self, request: &v1::AppendRequest) -> v1::AppendResponse {
        let mut seen = self.seen();
        let mut receipt = |message: &v1::Message| {
            let id = id_of(message);
            let known = seen.stored.get(&id).and_then(|places| places.first()).copied();
            let outcome = match known {
                Some(sequence) => Outcome::Duplicate(receipt(sequence)),
                None => {
                    seen.next_sequence += 1;
                    let sequence = seen.next_sequence;
                    seen.stored.entry(id).or_default().push(sequence);
                    Outcome::Stored(receipt(sequence))
                }
            };
            outcome.into_receipt(message.id.clone())
        };
        v1::AppendResponse { receipts: request.messages.iter().map(&mut receipt).collect() }
    }

    async fn perform(self, step: Step, request: v1::AppendRequest) -> Answer {
        match step {
            Step::Answer(after) => {
                tokio::time::sleep(after).await;
                Ok(self.store(&request))
            }
            Step::AnswerEach(after) => {
                let messages = u32::try_from(request.messages.len()).unwrap();
                tokio::time::sleep(after * messages).await;
                Ok(self.store(&request))
            }
            Step::Unreachable | Step::UnreachableUntil(_) => Err(unreachable_status()),
            Step::Hang => std::future::pending().await,
            Step::StoreAndHang => {
                self.store(&request);
                std::future::pending().await
            }
            Step::HangAndStoreLater(after) => {
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    self.store(&request);
                });
                std::future::pending().await
            }
            Step::StoreAndFail(status) => {
                self.store(&request);
                Err(status)
            }
            Step::Fail(status) => Err(status),
            Step::Tell(outcome) => {
                let receipt = |message: v1::Message| outcome.clone().into_receipt(message.id);
                Ok(v1::AppendResponse {
                    receipts: request.messages.into_iter().map(receipt).collect(),
                })
            }
            Step::Respond(response) => Ok(response),
            Step::Panic => panic!("told to"),
        }
    }
}

type Answer = Result<v1::AppendResponse, Status>;

impl Service<v1::AppendRequest> for FakeLog {
    type Response = v1::AppendResponse;
    type Error = Status;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: v1::AppendRequest) -> Self::Future {
        let at = self.start.elapsed();
        let mut seen = self.seen();
        seen.calls.push(Call {
            at,
            ids: request.messages.iter().map(id_of).collect(),
            body_bytes: request.messages.iter().map(|message| message.body.len()).sum(),
        });
        if matches!(seen.script.front(), Some(Step::UnreachableUntil(until)) if at >= *until) {
            seen.script.pop_front();
        }
        let step = match seen.script.front() {
            Some(down @ Step::UnreachableUntil(_)) => down.clone(),
            Some(_) | None => seen.script.pop_front().unwrap_or(Step::Answer(Duration::ZERO)),
        };
        drop(seen);
        Box::pin(self.clone().perform(step, request))
    }
}

/// A connection that was refused, as tonic reports it.
pub(crate) fn unreachable_status() -> Status {
    let refused = std::io::Error::from_raw_os_error(111);
    Status::from_error(Box::new(ConnectError(refused.into())))
}

/// A status with the trailer that nothing was stored.
pub(crate) fn stored_nothing(mut status: Status) -> Status {
    status.metadata_mut().insert(STORED_TRAILER, "no".parse().unwrap());
    status
}

pub(crate) fn receipt(sequence: u64) -> Receipt {
    Receipt { sequence, stored_at: SystemTime::UNIX_EPOCH + Duration::from_secs(sequence) }
}

fn id_of(message: &v1::Message) -> u128 {
    u128::from_be_bytes(message.id[..].try_into().unwrap())
}

pub(crate) fn message(id: u128) -> Message {
    message_with(id, Bytes::from_static(b"hello"))
}

pub(crate) fn message_with(id: u128, body: Bytes) -> Message {
    keep_log_lines_on();
    Message {
        id: MessageId::try_from(id.to_be_bytes()).unwrap(),
        stream: "facade".parse().unwrap(),
        content_type: ContentType::text(),
        body,
    }
}

pub(crate) const SEED: u64 = 42;

pub(crate) const QUEUE: DeliveryLimits = DeliveryLimits::DEFAULT;

pub(crate) fn options() -> DeliveryOptions {
    DeliveryOptions { jitter: Jitter::seeded(SEED), ..DeliveryOptions::default() }
}

pub(crate) fn start(log: &FakeLog) -> Delivery {
    Delivery::start(log.clone(), options())
}

/// A delivery whose first call is under way, with message 1.
pub(crate) async fn busy(log: &FakeLog) -> (Delivery, JoinHandle<Answered>) {
    let delivery = start(log);
    let first = append(&delivery, message(1));
    settle().await;
    (delivery, first)
}

/// Appends in a task of its own.
pub(crate) fn append(delivery: &Delivery, message: Message) -> JoinHandle<Answered> {
    let delivery = delivery.clone();
    tokio::spawn(async move { delivery.append(message).await })
}

/// Waits for all of them, and each must have stored its message.
pub(crate) async fn all_stored(waiters: impl IntoIterator<Item = JoinHandle<Answered>>) {
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
}

/// Lets every task run until it waits for time to pass. The clock stands still meanwhile.
pub(crate) async fn settle() {
    // The runtime polls 61 tasks between two yields, so this serves more than fill the queue.
    for _ in 0..512 {
        tokio::task::yield_now().await;
    }
}

/// Sleeps until `ms` after the start of `log`.
pub(crate) async fn at(log: &FakeLog, ms: u64) {
    tokio::time::sleep_until(log.start + Duration::from_millis(ms)).await;
    settle().await;
}

/// The delays that deliveries with [`SEED`] draw, in milliseconds.
pub(crate) fn expected_delays() -> impl Iterator<Item = u128> {
    let jitter = Jitter::seeded(SEED);
    [50, 100, 200, 400, 800, 1600]
        .into_iter()
        .chain(std::iter::repeat(2000))
        .map(move |ceiling| jitter.delay(Duration::from_millis(ceiling)).as_millis())
}

/// Whether a log line is on is decided once for the process, when it is first reached, by the
/// listeners of that time. Two listeners that hear nothing keep it on for the test that comes to listen
/// later or at the same time in another thread. Every test makes a message first.
fn keep_log_lines_on() {
    static LISTENERS: OnceLock<[tracing::Dispatch; 2]> = OnceLock::new();
    let listener = || tracing_subscriber::fmt().with_writer(std::io::sink).finish().into();
    LISTENERS.get_or_init(|| [listener(), listener()]);
}

/// Log lines of this thread while it lives.
pub(crate) struct Lines {
    bytes: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Lines {
    pub(crate) fn capture() -> Self {
        keep_log_lines_on();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || Sink(Arc::clone(&sink)))
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        Self { bytes, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        let text = String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
