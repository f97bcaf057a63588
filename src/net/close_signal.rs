//! A close signal to one task.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

/// Sent once, to one task that does other things meanwhile. A shutdown and an eviction use the same one.
///
/// The task polls it each time it is woken, so a poll has to cost next to nothing: no lock, and nothing
/// to allocate or to register anew.
#[derive(Debug, Default)]
pub struct CloseSignal {
    sent: AtomicBool,
    waiting: AtomicWaker,
}

impl CloseSignal {
    /// Sends it, and wakes the task that waits. Sending it again changes nothing.
    pub fn send(&self) {
        self.sent.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Whether it was sent.
    pub fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// Ready once it is sent. Of several tasks that wait, only the last one that polled is woken.
    pub fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_sent() {
            self.waiting.register(cx.waker());
        }
        // Again: it may have been sent before the waker was there.
        if self.is_sent() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns once it is sent. One task may wait at a time. Dropping the future changes nothing.
    pub async fn sent(&self) {
        poll_fn(|cx| self.poll_sent(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_close_signal_wakes_the_task_that_waits() {
        let signal = Arc::new(CloseSignal::default());
        let waiting = Arc::clone(&signal);
        let task = tokio::spawn(async move { waiting.sent().await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished() && !signal.is_sent());
        signal.send();
        task.await.unwrap();
        assert!(signal.is_sent());
        signal.sent().await;
    }
}
