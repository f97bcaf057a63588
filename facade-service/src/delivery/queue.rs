//! Appends that wait for their call, and what decides how many may wait and how many one call takes.

use std::{
    collections::VecDeque,
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    admission::Admission,
    amount::Amount,
    batch_size::BatchSize,
    classify::{AttemptFailure, Remedy},
    entry::Entry,
    options::DeliveryOptions,
    outcome::{self, Cancelled, DeliveryError},
    reply::Reply,
};

/// Messages that wait for others which are being read from their sockets already. A call costs about as
/// much as thirty messages, whatever it carries: with this many it is a small part, and from here on the
/// log has better begin while more are read.
pub(super) const COALESCED_MESSAGES_MAX: usize = 128;

/// What waits for no others. To write so many bytes takes longer than the call.
const COALESCED: Amount = Amount { messages: COALESCED_MESSAGES_MAX, body_bytes: 64 * 1024 };

/// An append in the queue.
#[derive(Debug)]
pub(super) struct PendingAppend {
    id: EntryId,
    pub(super) entry: Arc<Entry>,
    pub(super) reply: Reply,
}

impl PendingAppend {
    fn body_bytes(&self) -> usize {
        self.entry.message.body.len()
    }
}

/// Names an append in its queue. Later ones have larger ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct EntryId(u64);

/// A bounded queue with many producers and one consumer, the dispatcher, which takes a call at a time.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    arrived: Notify,
    /// Notified whenever an append is cancelled whose message is in the call under way.
    cancelled: Notify,
}

#[derive(Debug)]
struct QueueState {
    /// In the order of their ids.
    pending: VecDeque<PendingAppend>,
    all: Amount,
    /// Of them, single appends: those that admission control is for.
    singles: Amount,
    admission: Admission,
    batch_size: BatchSize,
    /// Why the last attempt failed, if none has succeeded since.
    last_failure: Option<AttemptFailure>,
    next_id: EntryId,
    /// How many messages the last call had.
    last_call_messages: usize,
    closed: bool,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(options: &DeliveryOptions) -> Self {
        let state = QueueState {
            pending: VecDeque::new(),
            all: Amount::default(),
            singles: Amount::default(),
            admission: Admission::new(options.limits),
            batch_size: BatchSize::new(options.attempt_timeout),
            last_failure: None,
            next_id: EntryId::default(),
            last_call_messages: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), arrived: Notify::new(), cancelled: Notify::new() }
    }

    /// Adds an append at the end, unless a call cannot carry its message, the queue has no room for it,
    /// or the queue is closed.
    pub(super) fn push(&self, entry: Arc<Entry>, reply: Reply) -> Result<EntryId, DeliveryError> {
        self.arrive(|state| state.push(entry, reply))
    }

    /// Adds appends at the end, in their order, each as [`Queue::push`] does.
    pub(super) fn push_all(
        &self,
        appends: impl IntoIterator<Item = (Arc<Entry>, Reply)>,
    ) -> Vec<Result<EntryId, DeliveryError>> {
        self.arrive(|state| {
            appends.into_iter().map(|(entry, reply)| state.push(entry, reply)).collect()
        })
    }

    /// Wakes the dispatcher if `push` adds to an empty queue.
    fn arrive<T>(&self, push: impl FnOnce(&mut QueueState) -> T) -> T {
        let mut state = self.lock();
        let was_empty = state.pending.is_empty();
        let pushed = push(&mut state);
        let is_first = was_empty && !state.pending.is_empty();
        drop(state);
        if is_first {
            self.arrived.notify_one();
        }
        pushed
    }

    /// Cancels an append: no attempt begins with its message afterwards. Returns how far it had come.
    pub(super) fn cancel(&self, entry: &Entry, id: EntryId) -> Cancelled {
        // The message stays out of all attempts either way; its place in the queue is freed at once.
        let state = entry.cancel();
        if self.lock().remove(id).is_some() {
            return Cancelled::InQueue;
        }
        self.cancelled.notify_one();
        Cancelled::InCall(state)
    }

    /// Returns when another append is cancelled whose message is in the call under way.
    pub(super) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }

    /// Why the last attempt failed, if none has succeeded since.
    pub(super) fn last_failure(&self) -> Option<AttemptFailure> {
        self.lock().last_failure.clone()
    }

    /// An attempt begins, with `sent`.
    pub(super) fn attempt_sent(&self, sent: Amount, now: Instant) {
        self.lock().admission.sent(sent, now);
    }

    /// An attempt with `sent` brought receipts after `took`.
    pub(super) fn attempt_answered(&self, sent: Amount, took: Duration) {
        let state = &mut *self.lock();
        state.last_failure = None;
        if state.batch_size.answered(sent, took) {
            // It carried less than there could have been.
            state.admission.answered_in_slow_start(state.singles);
        } else {
            let call = state.batch_size.largest_call();
            state.admission.answered(sent, call, took, state.singles);
        }
    }

    /// An attempt brought no receipts.
    pub(super) fn attempt_failed(&self, failure: AttemptFailure, remedy: Remedy) {
        let mut state = self.lock();
        state.last_failure = Some(failure);
        match remedy {
            Remedy::Retry => state.batch_size.failed(),
            // The way is open: the log refuses what was sent.
            Remedy::Split | Remedy::GiveUp => {}
        }
    }

    /// Whether the next attempt is a probe, one message, because the last attempt brought no receipts.
    pub(super) fn probes(&self) -> bool {
        self.lock().batch_size.probes()
    }

    /// Whether what waits is enough to be sent without coalescing more.
    pub(super) fn is_coalesced(&self) -> bool {
        self.lock().all.reaches(COALESCED)
    }

    /// How many of these, in their order, belong to the next call.
    pub(super) fn fits(&self, appends: &[PendingAppend]) -> usize {
        self.lock().batch_size.fits(appends.iter().map(PendingAppend::body_bytes))
    }

    /// Waits for appends and takes as many as fit one call, in the order they came.
    ///
    /// When the answers to a call have gone out, the next messages of those clients are coming in, and a
    /// call with the first of them would keep all others waiting. So until there are as many as may be on
    /// their way, all tasks that are ready have their turn, for as long as that brings more.
    ///
    /// `None` once the queue is closed and empty. Cancel safe: appends are taken when it returns.
    pub(super) async fn next_call(&self) -> Option<Vec<PendingAppend>> {
        let expected = {
            let state = self.lock();
            (state.last_call_messages + state.all.messages).min(COALESCED_MESSAGES_MAX)
        };
        loop {
            self.coalesce(expected).await;
            let (call, closed) = {
                let mut state = self.lock();
                (state.take_call(), state.closed)
            };
            if !call.is_empty() {
                return Some(call);
            }
            if closed {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    async fn coalesce(&self, expected: usize) {
        let enough = Amount { messages: expected, ..COALESCED };
        let mut coalesced = 0;
        loop {
            let now = self.lock().all;
            if now.messages <= coalesced || now.reaches(enough) {
                return;
            }
            coalesced = now.messages;
            tokio::task::yield_now().await;
        }
    }

    /// Refuses new appends. What waits is still taken.
    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Refuses new appends and drops what waits, because there is no dispatcher to take it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        (state.all, state.singles) = Default::default();
        let dropped = mem::take(&mut state.pending);
        drop(state);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn push(&mut self, entry: Arc<Entry>, reply: Reply) -> Result<EntryId, DeliveryError> {
        outcome::check(&entry.message)?;
        if self.closed {
            return Err(outcome::stopped());
        }
        let body_bytes = entry.message.body.len();
        if !self.admits(&reply, body_bytes) {
            let wait = self.admission.expected_wait(self.all);
            return Err(outcome::overloaded(wait, self.last_failure.clone()));
        }
        let id = self.next_id;
        self.next_id = EntryId(id.0 + 1);
        self.count(&reply, |amount| amount.add(body_bytes));
        self.pending.push_back(PendingAppend { id, entry, reply });
        Ok(id)
    }

    fn admits(&self, reply: &Reply, body_bytes: usize) -> bool {
        self.admission.queue_has_room(self.all, body_bytes)
            && match reply {
                // The caller of a bulk append bounds what it has under way by itself.
                Reply::Slot(_) => true,
                Reply::Single(_) => {
                    self.admission.admits(self.singles, body_bytes)
                        // In an outage, waiting may help.
                        || self.batch_size.probes()
                        // The clock is read only for appends that would be refused.
                        || self.admission.is_silent(Instant::now())
                }
            }
    }

    fn count(&mut self, reply: &Reply, change: impl Fn(&mut Amount)) {
        change(&mut self.all);
        match reply {
            Reply::Single(_) => change(&mut self.singles),
            Reply::Slot(_) => {}
        }
    }

    fn remove(&mut self, id: EntryId) -> Option<PendingAppend> {
        let index = self.pending.binary_search_by_key(&id, |pending| pending.id).ok()?;
        let removed = self.pending.remove(index)?;
        self.count(&removed.reply, |amount| amount.remove(removed.body_bytes()));
        Some(removed)
    }

    fn take_call(&mut self) -> Vec<PendingAppend> {
        let count = self.batch_size.fits(self.pending.iter().map(PendingAppend::body_bytes));
        self.last_call_messages = count;
        let call: Vec<PendingAppend> = self.pending.drain(..count).collect();
        for pending in &call {
            self.count(&pending.reply, |amount| amount.remove(pending.body_bytes()));
        }
        call
    }
}

/// A queue that takes appends. It is closed when this is dropped, which ends the dispatcher.
#[derive(Debug)]
pub(super) struct OpenQueue(pub(super) Arc<Queue>);

impl Deref for OpenQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

impl Drop for OpenQueue {
    fn drop(&mut self) {
        self.0.close();
    }
}
