//! The stop signal of a process.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// How long the last line has to be written. A terminal that is held with Ctrl-S takes none.
const LAST_LINE_PAUSE: Duration = Duration::from_millis(100);

/// A token that is cancelled by Ctrl-C or SIGTERM. A second signal ends the process at once, with
/// exit code 130.
///
/// # Errors
/// The operating system refuses to watch for signals. Standard error is told, and the code to exit with
/// returned.
pub fn stop_on_signal() -> Result<CancellationToken, Exit> {
    let watch = |kind| {
        signal(kind).map_err(|error| {
            Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
        })
    };
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let requested = stop.clone();
    tokio::spawn(async move {
        let mut asked = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        asked().await;
        requested.cancel();
        tracing::info!("stopping; once more to stop at once");

        asked().await;
        tracing::warn!("stopped at once: answers under way were cut off");
        // Log lines are written beside the work; this one has no other work to be written beside.
        tokio::time::sleep(LAST_LINE_PAUSE).await;
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(stop)
}
