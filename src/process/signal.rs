//! The stop signals of a process: Ctrl-C, SIGTERM, and SIGHUP, which a closed terminal sends.

use std::{fs, future, io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// How long the last line has to be written. A terminal that is held with Ctrl-S takes none.
const LAST_LINE_PAUSE: Duration = Duration::from_millis(100);

/// Watches for the signals that ask a process to stop.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// None if the process was started to outlive its terminal.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// From now on these signals end the process no more: [`StopSignals::recv`] tells of them. SIGHUP stays
    /// ignored if it was when the process was started, as `nohup` does it.
    ///
    /// # Errors
    /// The operating system refuses to watch for signals.
    pub fn watch() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if is_ignored(hangup) { None } else { Some(signal(hangup)?) },
        })
    }

    /// Waits for the next signal. Cancel-safe: a signal is kept until it is waited for again.
    pub async fn recv(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }

    /// Waits for the next Ctrl-C or SIGTERM. A terminal that closes may send SIGHUP more than once:
    /// that is one request.
    async fn recv_demand(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A token that is cancelled by Ctrl-C, SIGTERM or SIGHUP. Ctrl-C or SIGTERM after that ends the process at
/// once, with exit code 130.
///
/// # Errors
/// The operating system refuses to watch for signals. Standard error is told, and the code to exit with
/// returned.
pub fn stop_on_signal() -> Result<CancellationToken, Exit> {
    let mut signals = StopSignals::watch().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })?;
    let stop = CancellationToken::new();
    let requested = stop.clone();
    tokio::spawn(async move {
        signals.recv().await;
        // Before the work ends, which may have a line of its own.
        tracing::info!("stopping; once more to stop at once");
        requested.cancel();

        signals.recv_demand().await;
        tracing::warn!("stopped at once: answers under way were cut off");
        // Log lines are written beside the work; this one has no other work to be written beside.
        tokio::time::sleep(LAST_LINE_PAUSE).await;
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(stop)
}

/// Whether this process ignores `signal`. Where the system does not tell, it does not.
fn is_ignored(signal: SignalKind) -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

/// Whether `status`, of Linux, says that `signal` is ignored: a bit for each signal, from 1.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set >> (signal.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_told_from_its_neighbours() {
        let ignored = |set: &str| {
            let status =
                format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{set}\nSigCgt:\t1\n");
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()]
                .map(|signal| ignores(&status, signal))
        };
        assert_eq!(ignored("0000000000001000"), [false; 3]);
        assert_eq!(ignored("0000000000001001"), [true, false, false]);
        assert_eq!(ignored("0000000000004002"), [false, true, true]);
        assert_eq!(ignored("nonsense"), [false; 3]);
        assert!(!ignores("Name:\tx\n", SignalKind::hangup()));
    }
}
