//! Panics of services. A runtime keeps the panic of a task to itself; here each one counts.

use std::{cell::Cell, panic, sync::Once};

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// What `work` returns, and how many panics there were on this thread while it ran.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    let before = PANICS.get();
    let result = work();
    (result, PANICS.get() - before)
}

#[test]
fn a_panic_in_a_detached_task_is_counted() {
    let ((), none) = counted(|| ());
    let ((), one) = counted(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async { panic!("on purpose") });
            tokio::task::yield_now().await;
        });
    });
    assert_eq!((none, one), (0, 1));
}
