//! A line that moves while it runs.

use std::{io::IsTerminal as _, time::Duration};

use faultlab::load::Run;
use indicatif::ProgressBar;

/// How often the line changes.
const INTERVAL: Duration = Duration::from_millis(200);

/// Shows how far the run is, on standard error if that is a terminal. Never returns.
pub(super) async fn show(run: &Run, duration: Duration) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    // It wipes itself out when it is dropped.
    let bar = ProgressBar::new_spinner();
    let bar = Wiped(bar);
    loop {
        bar.0.set_message(format!(
            "{:.0} of {:.0} s: {} posts, {} acknowledged, {} faults",
            run.origin().elapsed().as_secs_f64(),
            duration.as_secs_f64(),
            run.attempts(),
            run.acknowledged(),
            run.faults(),
        ));
        bar.0.tick();
        tokio::time::sleep(INTERVAL).await;
    }
}

struct Wiped(ProgressBar);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
