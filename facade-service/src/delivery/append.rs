//! The caller's side: one message or many in the queue, and their cancellation.

use std::{collections::VecDeque, future::poll_fn, sync::Arc};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use oncelog::message::Message;

use super::{
    classify::AttemptFailure,
    entry::Entry,
    outcome::{self, Cancelled, Delivered, DeliveryError},
    queue::{EntryId, OpenQueue, Queue},
    reply::{Answer, Reply, ReplySlots, Slot},
};

/// A message in the queue. Dropping it cancels the append: no attempt begins with the message afterwards.
#[derive(Debug)]
pub(super) struct SingleAppend<'a> {
    queue: &'a Queue,
    entry: Arc<Entry>,
    id: EntryId,
    answer: oneshot::Receiver<Answer>,
    ended: bool,
}

impl<'a> SingleAppend<'a> {
    /// Queues `message`.
    pub(super) fn start(queue: &'a Queue, message: Message) -> Result<Self, DeliveryError> {
        let entry = Arc::new(Entry::new(message));
        let (sender, answer) = oneshot::channel();
        let id = queue.push(Arc::clone(&entry), Reply::Single(sender))?;
        Ok(Self { queue, entry, id, answer, ended: false })
    }

    /// Waits for the answer, until `deadline` at the latest.
    pub(super) async fn wait_until(mut self, deadline: Instant) -> Answer {
        let answer = timeout_at(deadline, &mut self.answer).await;
        self.ended = true;
        let told = match answer {
            Ok(Ok(answer)) => return answer,
            // The dispatcher is gone and will send nothing more.
            Ok(Err(_)) => outcome::without_dispatcher,
            Err(_) => outcome::at_the_deadline,
        };
        Err(cancel(self.queue, &self.entry, self.id, told))
    }
}

impl Drop for SingleAppend<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.cancel(&self.entry, self.id);
        }
    }
}

/// Messages that were queued together, and one place to wait for all their answers.
/// [`Delivery::append_bulk`](super::Delivery::append_bulk) makes it.
///
/// Dropping it cancels what was not answered: no attempt begins with any of them afterwards.
#[derive(Debug)]
pub struct BulkAppend {
    queue: Arc<OpenQueue>,
    deadline: Instant,
    /// Those whose answers were not taken yet, in their order.
    members: VecDeque<Member>,
    replies: Arc<ReplySlots>,
}

/// A message in the queue, or why it was not taken into it. Then no reply will come.
type Member = Result<(Arc<Entry>, EntryId), DeliveryError>;

impl BulkAppend {
    /// Queues `messages`, in their order.
    pub(super) fn start(queue: Arc<OpenQueue>, messages: Vec<Message>, deadline: Instant) -> Self {
        let replies = ReplySlots::open(messages.len());
        let entries: Vec<_> =
            messages.into_iter().map(|message| Arc::new(Entry::new(message))).collect();
        let slots = (0..).map(|index| Reply::Slot(replies.slot(index)));
        // Collected before the queue is locked.
        let appends: Vec<_> = entries.iter().cloned().zip(slots).collect();
        let pushed = queue.push_all(appends);
        let member = |(entry, pushed): (_, Result<_, _>)| pushed.map(|id| (entry, id));
        let members = entries.into_iter().zip(pushed).map(member).collect();
        Self { queue, deadline, members, replies }
    }

    /// Waits until the next answers are known, and takes them: one at least, in the order of the
    /// messages. All are known after the total timeout at the latest. `None` once all were taken.
    ///
    /// Cancel safe: dropping the future loses no answer.
    pub async fn next(&mut self) -> Option<Vec<Result<Delivered, DeliveryError>>> {
        if self.members.is_empty() {
            return None;
        }
        let answered = poll_fn(|cx| self.replies.poll_first(cx));
        let slots = match timeout_at(self.deadline, answered).await {
            Ok(slots) => slots,
            Err(_) => self.replies.take_all(),
        };
        let members = self.members.drain(..slots.len());
        let queue = &self.queue;
        let answer = |(slot, member): (_, Member)| {
            let told = match slot {
                Slot::Answered(answer) => return answer,
                Slot::Dropped => outcome::without_dispatcher,
                Slot::Open => outcome::at_the_deadline,
            };
            let (entry, id) = member?;
            Err(cancel(queue, &entry, id, told))
        };
        Some(slots.into_iter().zip(members).map(answer).collect())
    }
}

impl Drop for BulkAppend {
    fn drop(&mut self) {
        for (entry, id) in self.members.iter().flatten() {
            self.queue.cancel(entry, *id);
        }
    }
}

/// Cancels an append that gets no reply. `told` makes the answer of what is known then.
fn cancel(
    queue: &Queue,
    entry: &Entry,
    id: EntryId,
    told: fn(Cancelled, Option<AttemptFailure>) -> DeliveryError,
) -> DeliveryError {
    let cancelled = queue.cancel(entry, id);
    told(cancelled, queue.last_failure())
}
