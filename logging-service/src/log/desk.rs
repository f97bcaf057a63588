//! Where handlers meet the owner of the store, and its thread.
//!
//! On a quick disk a commit takes a fifth of a millisecond, and to wake the journal thread for it and to be
//! woken by it takes a good part of that again. So a handler that finds the owner idle makes the commit
//! itself, but only while the disk keeps its word: after one slow commit, and until many in a row were
//! quick, the journal thread makes them all. So a disk that stands still holds up that thread alone, but for
//! the first commit that it meets.

use std::{
    io,
    ops::ControlFlow,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use oncelog::limits::APPENDS_WAITING_MAX;

use super::{
    driver::NotTaken,
    owner::{Event, Owner, Work},
};

/// The handlers' side.
pub(super) struct Desk {
    queue: SyncSender<Work>,
    shared: Arc<Shared>,
}

struct Shared {
    /// None once it has ended.
    owner: Mutex<Option<Owner>>,
    /// Work that was queued and is not done.
    queued: AtomicUsize,
}

impl Desk {
    /// Opens the desk of `owner`, and starts its thread.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub(super) fn open(owner: Owner) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, work) = sync_channel(APPENDS_WAITING_MAX);
        let shared =
            Arc::new(Shared { owner: Mutex::new(Some(owner)), queued: AtomicUsize::new(0) });
        let journal = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("journal".to_owned()).spawn(move || journal.work(&work))?;
        Ok((Self { queue, shared }, thread))
    }

    /// Hands over `work`, or drops it. Waits for nothing but, if `work` is `brief`, for one commit on a
    /// disk that is quick.
    pub(super) fn hand_over(&self, work: Work, brief: bool) -> Result<(), NotTaken> {
        // Who came before and waits for the thread goes first.
        if brief && self.shared.queued.load(Ordering::Acquire) == 0 {
            match self.shared.do_here(work) {
                Done::Here { wake: false } => return Ok(()),
                Done::Here { wake: true } => {
                    // A full queue wakes the thread as well.
                    let _ = self.enqueue(Work::Wake);
                    return Ok(());
                }
                Done::Not(work) => return self.enqueue(work),
            }
        }
        self.enqueue(work)
    }

    fn enqueue(&self, work: Work) -> Result<(), NotTaken> {
        self.shared.queued.fetch_add(1, Ordering::AcqRel);
        self.queue.try_send(work).map_err(|refused| {
            self.shared.queued.fetch_sub(1, Ordering::AcqRel);
            match refused {
                TrySendError::Full(_) => NotTaken::Full,
                TrySendError::Disconnected(_) => NotTaken::Ended,
            }
        })
    }

    /// A way to tell the thread to stop, after what waits already. It waits while the queue is full.
    pub(super) fn stopper(&self) -> impl FnOnce() + Send + 'static {
        let queue = self.queue.clone();
        // An owner that is gone needs no telling.
        move || drop(queue.send(Work::Stop))
    }
}

/// What became of work.
enum Done {
    /// It is done, and the thread has to `wake`, because it waits for something else than it should.
    Here { wake: bool },
    /// The owner is busy, has ended, or has a slow disk.
    Not(Work),
}

impl Shared {
    fn do_here(&self, work: Work) -> Done {
        let mut slot = match self.owner.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Done::Not(work),
        };
        let Some(owner) = slot.as_mut().filter(|owner| owner.is_quick()) else {
            return Done::Not(work);
        };
        // After an idle mark it does not wait for the time of the next one.
        let was_marked = owner.marked;
        let going_on = handle(&mut slot, Event::Work(work), || None);
        Done::Here { wake: was_marked || going_on.is_break() }
    }

    /// Does what is queued, on this thread, until a stop or a failure.
    fn work(&self, queue: &Receiver<Work>) {
        loop {
            let Some(patience) = self.owner().as_ref().map(Owner::patience) else { return };
            let event = match patience {
                Some(patience) => match queue.recv_timeout(patience) {
                    Ok(work) => Event::Work(work),
                    Err(RecvTimeoutError::Timeout) => Event::Quiet,
                    Err(RecvTimeoutError::Disconnected) => Event::Work(Work::Stop),
                },
                None => Event::Work(queue.recv().unwrap_or(Work::Stop)),
            };
            let mut taken = usize::from(matches!(event, Event::Work(_)));
            let waiting = || queue.try_recv().ok().inspect(|_| taken += 1);
            let going_on = handle(&mut self.owner(), event, waiting);
            // The word to stop was not counted, and nothing counts after it.
            if going_on.is_break() {
                return;
            }
            self.queued.fetch_sub(taken, Ordering::AcqRel);
        }
    }

    fn owner(&self) -> MutexGuard<'_, Option<Owner>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the owner handle `event`. Breaks when that was its last: then it is gone, and its store closed.
fn handle(
    slot: &mut Option<Owner>,
    event: Event,
    waiting: impl FnMut() -> Option<Work>,
) -> ControlFlow<()> {
    let Some(owner) = slot else { return ControlFlow::Break(()) };
    let ended = match panic::catch_unwind(AssertUnwindSafe(|| owner.handle(event, waiting))) {
        Ok(Ok(ControlFlow::Continue(()))) => return ControlFlow::Continue(()),
        Ok(ended) => Ok(ended.map(drop)),
        Err(panic) => Err(panic),
    };
    owner.end(ended);
    *slot = None;
    ControlFlow::Break(())
}
