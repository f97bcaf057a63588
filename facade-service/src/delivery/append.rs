//! The caller's side: one message or many in the queue, and their cancellation.

use std::{collections::VecDeque, future::poll_fn, sync::Arc};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use oncelog::message::Message;

use super::{
    entry::Entry,
    outcome::{self, Delivered, DeliveryError},
    queue::{AppendClass, EntryId, OpenQueue, PushError, Queue},
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
        outcome::check(&message)?;
        let entry = Arc::new(Entry::new(message));
        let (sender, answer) = oneshot::channel();
        let reply = Reply::Single(sender);
        match queue.push(Arc::clone(&entry), AppendClass::Single, reply) {
            Ok(id) => Ok(Self { queue, entry, id, answer, ended: false }),
            Err(error) => Err(refusal(queue, error)),
        }
    }

    /// Waits for the answer, until `deadline` at the latest.
    pub(super) async fn wait_until(mut self, deadline: Instant) -> Answer {
        let answer = timeout_at(deadline, &mut self.answer).await;
        self.ended = true;
        let cancel = || self.queue.cancel(&self.entry, self.id);
        match answer {
            Ok(Ok(answer)) => answer,
            // The dispatcher is gone and will send nothing more.
            Ok(Err(_)) => Err(outcome::without_dispatcher(cancel(), self.queue.last_failure())),
            Err(_) => Err(outcome::at_the_deadline(cancel(), self.queue.last_failure())),
        }
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

#[derive(Debug)]
enum Member {
    Queued(Arc<Entry>, EntryId),
    /// Not taken into the queue. No reply will come.
    Refused(DeliveryError),
}

impl BulkAppend {
    /// Queues `messages`, in their order.
    pub(super) fn start(queue: Arc<OpenQueue>, messages: Vec<Message>, deadline: Instant) -> Self {
        let replies = ReplySlots::open(messages.len());
        let mut valid = Vec::with_capacity(messages.len());
        let check = |(index, message)| {
            // The slot of a message that is refused here is dropped.
            let slot = replies.slot(index);
            outcome::check(&message)?;
            let entry = Arc::new(Entry::new(message));
            valid.push((Arc::clone(&entry), Reply::Slot(slot)));
            Ok(entry)
        };
        let checked: Vec<Result<_, DeliveryError>> =
            messages.into_iter().enumerate().map(check).collect();
        let mut pushed = queue.push_all(AppendClass::Bulk, valid).into_iter();
        let mut member = |entry| match pushed.next() {
            Some(Ok(id)) => Member::Queued(entry, id),
            Some(Err(error)) => Member::Refused(refusal(&queue, error)),
            None => unreachable!("each valid message was pushed"),
        };
        let members = checked
            .into_iter()
            .map(|checked| checked.map_or_else(Member::Refused, &mut member))
            .collect();
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
        let answer = |(slot, member)| match (slot, member) {
            (Slot::Answered(answer), _) => answer,
            (_, Member::Refused(error)) => Err(error),
            (Slot::Dropped, Member::Queued(entry, id)) => {
                let cancelled = queue.cancel(&entry, id);
                Err(outcome::without_dispatcher(cancelled, queue.last_failure()))
            }
            (Slot::Open, Member::Queued(entry, id)) => {
                let cancelled = queue.cancel(&entry, id);
                Err(outcome::at_the_deadline(cancelled, queue.last_failure()))
            }
        };
        Some(slots.into_iter().zip(members).map(answer).collect())
    }
}

impl Drop for BulkAppend {
    fn drop(&mut self) {
        for member in &self.members {
            if let Member::Queued(entry, id) = member {
                self.queue.cancel(entry, *id);
            }
        }
    }
}

/// The answer to a message that was not queued.
fn refusal(queue: &Queue, error: PushError) -> DeliveryError {
    match error {
        PushError::Full(wait) => outcome::overloaded(wait, queue.last_failure()),
        PushError::Closed => outcome::stopped(),
    }
}
