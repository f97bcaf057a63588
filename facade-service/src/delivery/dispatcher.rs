//! The task that sends: one call after the other, through the layers.

use std::sync::Arc;

use tonic::Status;
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt as _, retry::RetryLayer, timeout::TimeoutLayer,
};

use oncelog::wire::v1::{AppendRequest, AppendResponse};

use super::{
    call::{Attempt, Call, Outcomes},
    classify::{Remedy, classify},
    entry::State,
    options::DeliveryOptions,
    outcome,
    queue::{PendingAppend, Queue},
    reply::{Answer, Reply},
    retry::{RetryPolicy, retry_budget},
};

/// Sends what is queued until the queue is closed and empty.
pub(super) async fn run<S>(logging: S, options: DeliveryOptions, queue: Arc<Queue>)
where
    S: Service<AppendRequest, Response = AppendResponse, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    let _abandoned_at_the_end = AbandonOnDrop(Arc::clone(&queue));
    let DeliveryOptions { attempt_timeout, total_timeout, jitter, limits: _ } = options;
    let retry = RetryPolicy::new(jitter, retry_budget(), attempt_timeout, Arc::clone(&queue));
    let mut layers = ServiceBuilder::new()
        // No call keeps the next one waiting for longer. By then all its appends have ended.
        .layer(TimeoutLayer::new(total_timeout))
        // The only retries of the system. They are in here so that delays count as well.
        .layer(RetryLayer::new(retry))
        // One attempt, with connecting. This one is retried.
        .layer(TimeoutLayer::new(attempt_timeout))
        // Leaves out the messages whose appends are cancelled.
        .service(Attempt { logging, queue: Arc::clone(&queue) });
    while let Some(appends) = queue.next_call().await {
        deliver(&mut layers, appends, &queue).await;
    }
}

/// Sends what was taken from the queue for one call, and answers it.
///
/// A call that is refused for its content is halved until the message that spoils it is alone, so that it
/// cannot fail its neighbours. After a probe the other messages follow, as many at a time as the way can
/// take.
async fn deliver<L>(layers: &mut L, appends: Vec<PendingAppend>, queue: &Queue)
where
    L: Service<Call, Response = Outcomes, Error = BoxError>,
{
    let mut parts = vec![appends];
    while let Some(mut appends) = parts.pop() {
        let fits = queue.fits(&appends);
        if fits < appends.len() {
            parts.push(appends.split_off(fits));
        }
        let entries = appends.iter().map(|append| Arc::clone(&append.entry));
        match (&mut *layers).oneshot(Call::new(entries, queue.probes())).await {
            Ok(outcomes) => {
                let (answers, rest) = sort(appends, outcomes);
                if !rest.is_empty() {
                    parts.push(rest);
                }
                if parts.is_empty() && !queue.is_coalesced() {
                    send_all(answers);
                } else {
                    tokio::spawn(send_behind_the_next_call(answers));
                }
            }
            Err(error) if appends.len() > 1 && classify(&*error).remedy == Remedy::Split => {
                let rest = appends.split_off(appends.len() / 2);
                parts.extend([rest, appends]);
            }
            Err(error) => {
                let last_failure = queue.last_failure();
                for PendingAppend { entry, reply, .. } in appends {
                    let last_failure = last_failure.clone();
                    reply.send(Err(outcome::of_failure(&*error, entry.state(), last_failure)));
                }
            }
        }
    }
}

fn send_all(answers: Vec<(Reply, Answer)>) {
    for (reply, answer) in answers {
        reply.send(answer);
    }
}

/// Each answer makes its connection ready, and all of them would run before a call that need not coalesce
/// more is on its way, while the disk has nothing to do.
async fn send_behind_the_next_call(answers: Vec<(Reply, Answer)>) {
    for _ in 0..TASKS_OF_A_CALL {
        tokio::task::yield_now().await;
    }
    send_all(answers);
}

/// A call passes through so many tasks until it is written: its channel, and its connection.
const TASKS_OF_A_CALL: usize = 2;

/// The answers to the appends whose outcome is known, and the others that are not cancelled.
fn sort(
    appends: Vec<PendingAppend>,
    outcomes: Outcomes,
) -> (Vec<(Reply, Answer)>, Vec<PendingAppend>) {
    let (mut answers, mut rest) = (Vec::with_capacity(appends.len()), Vec::new());
    // Without an outcome there was no attempt, and no append that needs another one.
    let known = !outcomes.is_empty();
    let mut outcomes = outcomes.into_iter().peekable();
    for (position, append) in appends.into_iter().enumerate() {
        // Positions ascend. Those left out have to follow, or are cancelled.
        if let Some((_, outcome)) = outcomes.next_if(|(at, _)| *at == position) {
            let answer = outcome::of_receipt(outcome, append.entry.state());
            answers.push((append.reply, answer));
        } else if known && append.entry.state() != State::Cancelled {
            rest.push(append);
        }
    }
    (answers, rest)
}

/// However the task ends, by a panic or with its runtime, no append is left waiting in the queue.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
