//! The task that sends: one batch after the other, through the layers.

use std::sync::Arc;

use tonic::Status;
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt as _, retry::RetryLayer, timeout::TimeoutLayer,
};

use oncelog::wire::v1::{AppendRequest, AppendResponse};

use super::{
    Delivered, DeliveryError, DeliveryOptions, answer,
    attempt::Attempt,
    batch::{Batch, Outcomes},
    classify::{Remedy, classify},
    entry::State,
    queue::{Answer, Waiting},
    retry::{RetryPolicy, retry_budget},
    shared::Shared,
};

/// Sends what is queued until the queue is closed and empty.
pub(super) async fn run<S>(logging: S, options: DeliveryOptions, shared: Arc<Shared>)
where
    S: Service<AppendRequest, Response = AppendResponse, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    let _closed_at_the_end = AbandonOnDrop(Arc::clone(&shared));
    let retry =
        RetryPolicy::new(options.jitter, retry_budget(), options.attempt_timeout, shared.clone());
    let mut layers = ServiceBuilder::new()
        // No batch keeps the next one waiting for longer. By then all its waiters have left.
        .layer(TimeoutLayer::new(options.total_timeout))
        // The only retries of the system. They are in here so that delays count as well.
        .layer(RetryLayer::new(retry))
        // One attempt, with connecting. This one is retried.
        .layer(TimeoutLayer::new(options.attempt_timeout))
        // Leaves out the messages nobody waits for.
        .service(Attempt::new(logging, Arc::clone(&shared), options.attempt_timeout));
    while let Some(waiting) = shared.queue.next_batch().await {
        deliver(&mut layers, waiting, &shared).await;
    }
}

/// Sends one batch and answers its waiters.
///
/// A batch that is refused for its content is halved until the message that spoils it is alone, so
/// that it cannot fail its neighbours. After an attempt with one message that went ahead, the others
/// follow, as many at a time as the way can take.
async fn deliver<L>(layers: &mut L, waiting: Vec<Waiting>, shared: &Shared)
where
    L: Service<Batch, Response = Outcomes, Error = BoxError>,
{
    let mut parts = vec![waiting];
    while let Some(mut waiting) = parts.pop() {
        let fits = shared.queue.fits(&waiting);
        if fits < waiting.len() {
            parts.push(waiting.split_off(fits));
        }
        let mut batch = Batch::new(waiting.iter().map(|waiting| Arc::clone(&waiting.entry)));
        if shared.queue.sends_one_ahead() {
            batch.send_one_ahead();
        }
        let result = match layers.ready().await {
            Ok(ready) => ready.call(batch).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(outcomes) => {
                let (answers, rest) = sort(waiting, outcomes);
                if !rest.is_empty() {
                    parts.push(rest);
                }
                if parts.is_empty() && !shared.queue.is_gathered() {
                    answers.into_iter().for_each(Answered::send);
                } else {
                    tokio::spawn(send_behind_the_next_batch(answers));
                }
            }
            Err(error) if waiting.len() > 1 && classify(&*error).remedy == Remedy::Split => {
                let rest = waiting.split_off(waiting.len() / 2);
                parts.extend([rest, waiting]);
            }
            Err(error) => answer_failure(waiting, &error, shared),
        }
    }
}

/// An answer, and whose it is.
struct Answered(Answer, Result<Delivered, DeliveryError>);

impl Answered {
    fn send(self) {
        self.0.send(self.1);
    }
}

/// Each answer makes its connection ready, and all of them would run before a batch that need not gather
/// is on its way, while the disk has nothing to do.
async fn send_behind_the_next_batch(answers: Vec<Answered>) {
    for _ in 0..TASKS_OF_A_CALL {
        tokio::task::yield_now().await;
    }
    answers.into_iter().for_each(Answered::send);
}

/// A call passes through so many tasks until it is written: its channel, and its connection.
const TASKS_OF_A_CALL: usize = 2;

/// The answers to those whose outcome is known, and the others that somebody waits for.
fn sort(waiting: Vec<Waiting>, outcomes: Outcomes) -> (Vec<Answered>, Vec<Waiting>) {
    let (mut answers, mut rest) = (Vec::with_capacity(waiting.len()), Vec::new());
    // Without an outcome there was no attempt, and nobody for whom to make another one.
    let known = !outcomes.is_empty();
    let mut outcomes = outcomes.into_iter().peekable();
    for (position, waiting) in waiting.into_iter().enumerate() {
        // Positions ascend. Those left out have to follow, or nobody waits for them.
        if let Some((_, outcome)) = outcomes.next_if(|(at, _)| *at == position) {
            let answer = answer::of_outcome(outcome, waiting.entry.state());
            answers.push(Answered(waiting.answer, answer));
        } else if known && waiting.entry.state() != State::Gone {
            rest.push(waiting);
        }
    }
    (answers, rest)
}

fn answer_failure(waiting: Vec<Waiting>, error: &BoxError, shared: &Shared) {
    for waiting in waiting {
        let answer = answer::of_failure(&**error, waiting.entry.state(), shared);
        waiting.answer.send(Err(answer));
    }
}

/// However the task ends, by a panic or with its runtime, nobody is left waiting in the queue.
struct AbandonOnDrop(Arc<Shared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}
