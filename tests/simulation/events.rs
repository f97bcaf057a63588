//! What happened in a run beside what clients saw, with simulated times.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The events of a run. Clones add to the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Duration,
    lines: Vec<(Duration, String)>,
}

impl Events {
    /// The time of what is told from outside of a host.
    pub(crate) fn set_now(&self, now: Duration) {
        self.0.lock().unwrap().now = now;
    }

    pub(crate) fn tell(&self, what: impl Into<String>) {
        let mut inner = self.0.lock().unwrap();
        let at = turmoil::sim_elapsed().unwrap_or(inner.now);
        inner.lines.push((at, what.into()));
    }

    /// When each event that `wanted` was.
    pub(crate) fn times(&self, wanted: impl Fn(&str) -> bool) -> Vec<Duration> {
        let inner = self.0.lock().unwrap();
        inner.lines.iter().filter(|(_, what)| wanted(what)).map(|(at, _)| *at).collect()
    }

    /// One event a line.
    pub(crate) fn text(&self) -> String {
        let inner = self.0.lock().unwrap();
        inner.lines.iter().map(|(at, what)| format!("{:>9} ms  {what}\n", at.as_millis())).collect()
    }
}
