//! Reports about peers: what libraries, and lines with [`PEER_TARGET`], say of the other side of a
//! connection. Any stranger can cause them, as many as it likes. So they are counted, and told in one line a
//! minute.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, Targets, filter_fn},
    layer::Context,
    registry::LookupSpan,
};

use crate::net::PEER_TARGET;

/// The crates of this project, `oncelog_cli` among them. All others are libraries.
pub(super) const OWN_TARGETS: [&str; 4] =
    ["oncelog", "facade_service", "logging_service", "messages_service"];

/// From one line to the next.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// How many reports of each source were not told yet. The sources are targets of this program, so they are few.
type Counts = BTreeMap<&'static str, u64>;

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what was counted: the first report at once, the next ones together, the last ones at the stop.
    fn tell(&self) {
        let mut state = self.state();
        loop {
            let is_quiet = |state: &mut State| state.counts.is_empty() && !state.stopped;
            let waited = self.changed.wait_while(state, is_quiet);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            let counts = mem::take(&mut state.counts);
            let stopped = state.stopped;
            drop(state);
            if !counts.is_empty() {
                tracing::warn!("{}", line(&counts));
            }
            if stopped {
                return;
            }
            let pause = self
                .changed
                .wait_timeout_while(self.state(), TELL_INTERVAL, |state| !state.stopped);
            state = pause.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn line(counts: &Counts) -> String {
    let (mut numbers, mut filter) = (String::new(), "info".to_owned());
    for (source, count) in counts {
        let comma = if numbers.is_empty() { "" } else { ", " };
        // Writing into memory cannot fail.
        let _ = write!(numbers, "{comma}{count} of {source}");
        let _ = write!(filter, ",{source}=warn");
    }
    format!(
        "warnings about peers are counted and not shown: {numbers}; RUST_LOG={filter} shows each"
    )
}

/// Counts reports. Dropping it tells those that were not told yet.
#[derive(Debug)]
pub(super) struct PeerReports {
    shared: Arc<Shared>,
    telling: Option<JoinHandle<()>>,
}

impl PeerReports {
    /// Nothing is counted yet, and nothing told before [`PeerReports::start`].
    pub(super) fn new() -> Self {
        Self { shared: Arc::default(), telling: None }
    }

    /// The layer that counts the reports that `shown` does not show.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        shown: Targets,
    ) -> impl Layer<S> + use<S> {
        Counter(Arc::clone(&self.shared)).with_filter(uncounted_by(shown))
    }

    /// Begins to tell, on a thread of its own. Without one, for lack of threads, nothing is told.
    pub(super) fn start(&mut self) {
        let shared = Arc::clone(&self.shared);
        let telling = thread::Builder::new().name("peer-reports".to_owned());
        self.telling = telling.spawn(move || shared.tell()).ok();
    }
}

impl Drop for PeerReports {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        if let Some(telling) = self.telling.take() {
            // If it panicked, the panic was told.
            let _ = telling.join();
        }
    }
}

struct Counter(Arc<Shared>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let source = source(event.metadata().target());
        let mut state = self.0.state();
        let is_first = state.counts.is_empty();
        *state.counts.entry(source).or_default() += 1;
        drop(state);
        // The thread that tells takes all that is there, so the next reports need not wake it.
        if is_first {
            self.0.changed.notify_all();
        }
    }
}

/// Lets reports through that `shown` does not show.
fn uncounted_by(shown: Targets) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    let is_counted = move |metadata: &Metadata<'_>| {
        let (target, level) = (metadata.target(), metadata.level());
        *level <= Level::WARN && is_of_peers(target) && !shown.would_enable(target, level)
    };
    filter_fn(is_counted).with_max_level_hint(LevelFilter::WARN)
}

fn is_of_peers(target: &str) -> bool {
    target == PEER_TARGET || !OWN_TARGETS.iter().any(|own| target.starts_with(own))
}

/// What to write in a filter to see such a report.
fn source(target: &'static str) -> &'static str {
    if target == PEER_TARGET { target } else { target.split("::").next().unwrap_or(target) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_lines_about_peers_are_reports() {
        for (target, expected) in [
            ("h2::proto::ping_pong", true),
            ("tonic::status", true),
            (PEER_TARGET, true),
            ("oncelog::net::limiter", false),
            ("oncelog_cli::up", false),
            ("logging_service::log", false),
        ] {
            assert_eq!(is_of_peers(target), expected, "{target}");
        }
    }

    #[test]
    fn the_line_says_how_to_see_each_report() {
        let counts =
            Counts::from([(source("h2::proto::ping_pong"), 1000), (source(PEER_TARGET), 2)]);
        let expected = "warnings about peers are counted and not shown: 1000 of h2, 2 of \
                        oncelog::peer; RUST_LOG=info,h2=warn,oncelog::peer=warn shows each";
        assert_eq!(line(&counts), expected);
    }
}
