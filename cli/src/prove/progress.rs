//! A line that moves while it runs.

use std::time::Duration;

use faultlab::load::Run;

use crate::progress::{INTERVAL, MovingLine};

/// Shows how far the run is. Never returns.
pub(super) async fn show(run: &Run, duration: Duration) {
    let line = MovingLine::new();
    loop {
        line.show(format_args!(
            "{:.0} of {:.0} s: {} posts, {} acknowledged, {} faults",
            run.origin().elapsed().as_secs_f64(),
            duration.as_secs_f64(),
            run.attempts(),
            run.acknowledged(),
            run.faults(),
        ));
        tokio::time::sleep(INTERVAL).await;
    }
}
