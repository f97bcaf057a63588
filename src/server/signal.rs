//! The stop signal of a process.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// After `128 + SIGINT`, as a shell reports a process that a signal ended.
const EXIT_INTERRUPTED: i32 = 130;

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
        tracing::info!("stopping; once more to stop at once");
        requested.cancel();

        either(&mut interrupt, &mut terminate).await;
        tracing::warn!("stopped at once: answers under way were cut off");
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
