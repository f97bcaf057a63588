//! A line that moves while something runs.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::ProgressBar;

/// How often the line changes.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// The line on standard error, if that is a terminal. It wipes itself out when it is dropped.
pub(crate) struct MovingLine(Option<ProgressBar>);

impl MovingLine {
    pub(crate) fn new() -> Self {
        Self(io::stderr().is_terminal().then(ProgressBar::new_spinner))
    }

    /// Shows `text` in place of what was there. To be called every [`INTERVAL`].
    pub(crate) fn show(&self, text: impl Display) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_string());
            bar.tick();
        }
    }
}

impl Drop for MovingLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
