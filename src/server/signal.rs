//! The stop signal of a process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by Ctrl-C or SIGTERM. A second signal ends the process at once.
///
/// # Errors
/// The operating system refused to watch for signals.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let requested = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            if requested.is_cancelled() {
                tracing::info!("stopping; once more to stop at once");
            }
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            requested.cancel();
        }
        tracing::warn!("stopped at once: answers under way were cut off");
        std::process::exit(130);
    });
    Ok(stop)
}
