//! The stop signal of a process.

use std::{thread, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// After `128 + SIGINT`, as a shell reports a process that a signal ended.
const EXIT_INTERRUPTED: i32 = 130;

/// How long a line about stopping may take. A terminal that is held with Ctrl-S takes none.
const TELL_TIMEOUT: Duration = Duration::from_millis(100);

/// A token that is cancelled by Ctrl-C or SIGTERM. A second signal ends the process at once, with
/// exit code 130.
///
/// # Errors
/// The operating system refused to watch for signals.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let requested = stop.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        requested.cancel();
        tell(|| tracing::info!("stopping; once more to stop at once")).await;

        either(&mut interrupt, &mut terminate).await;
        tell(|| tracing::warn!("stopped at once: answers under way were cut off")).await;
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(stop)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Writes a line on a thread that nothing waits for, so that no stuck console holds up the stop.
async fn tell(line: impl FnOnce() + Send + 'static) {
    let (is_told, told) = oneshot::channel::<()>();
    let written = thread::Builder::new().spawn(move || {
        line();
        drop(is_told);
    });
    // A line that cannot be written, or in time, is not worth more.
    if written.is_ok() {
        let _ = timeout(TELL_TIMEOUT, told).await;
    }
}
