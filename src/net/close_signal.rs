//! A notice to one task.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

/// Given once, to one task that does other things meanwhile. It looks at it each time it is woken, so
/// that has to cost next to nothing: no lock, and nothing to allocate or to register anew.
#[derive(Debug, Default)]
pub struct Notice {
    given: AtomicBool,
    waiting: AtomicWaker,
}

impl Notice {
    /// Gives it, and wakes the task that waits.
    pub(super) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Whether it was given.
    pub fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Ready once it is given. Of several tasks that wait, only the last one that asked is woken.
    pub fn poll_given(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_given() {
            self.waiting.register(cx.waker());
        }
        // Again: it may have been given before the waker was there.
        if self.is_given() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::Arc};

    use super::*;

    #[tokio::test]
    async fn a_notice_wakes_the_task_that_waits_for_it() {
        let notice = Arc::new(Notice::default());
        let waiting = Arc::clone(&notice);
        let task = tokio::spawn(async move { poll_fn(|cx| waiting.poll_given(cx)).await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished() && !notice.is_given());
        notice.give();
        task.await.unwrap();
        assert!(notice.is_given());
        poll_fn(|cx| notice.poll_given(cx)).await;
    }
}
