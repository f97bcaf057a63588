//! Log lines: one event a line on standard error, `RUST_LOG` to choose, `info` by default.
//!
//! Standard output is left to what a service is asked to show: its address and, in the logging
//! service, the messages.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal as _},
};

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::settings;

/// The variable that chooses log lines, as in most programs written in Rust.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// Log lines waiting to be written. Past this they are dropped.
const LINES_WAITING_MAX: usize = 8 * 1024;

/// Starts logging; keep the guard until the end, when it waits a moment for the last lines. A second
/// call changes nothing.
///
/// A task that logs never waits for a terminal or pipe: lines that nobody reads are lost, and disturb
/// nothing else.
#[must_use = "the last lines are written when the guard is dropped"]
pub fn init() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .lossy(true)
        .finish(io::stderr());
    let wanted = settings::variable(FILTER_VARIABLE);
    let chosen = wanted.as_deref().map(filter);
    let is_invalid = matches!(chosen, Some(None));
    let filter = chosen.flatten().unwrap_or_else(|| all(LevelFilter::INFO));
    let lines = fmt::layer()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer)
        // It would tell the same closed pipe, with a panic of the task that logged.
        .log_internal_errors(false);
    let started = tracing_subscriber::registry().with(lines).with(filter).try_init();
    if started.is_ok() && is_invalid {
        let value = wanted.unwrap_or_default();
        tracing::warn!(
            ?value,
            "{FILTER_VARIABLE} is not understood, so it is info; write level or target=level"
        );
    }
    guard
}

/// Levels for all targets or for one, as in `info` or `facade_service=debug,warn`. `None` if it is not
/// understood.
fn filter(wanted: &OsStr) -> Option<Targets> {
    let directives = wanted.to_str()?.split(',').map(str::trim);
    let directives: Vec<&str> = directives.filter(|directive| !directive.is_empty()).collect();
    // Spans and their fields, in brackets, would be taken for the name of a target.
    if directives.is_empty() || directives.iter().any(|directive| directive.contains('[')) {
        return None;
    }
    directives.join(",").parse().ok()
}

fn all(level: LevelFilter) -> Targets {
    Targets::new().with_default(level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn enabled(wanted: &str, target: &str) -> Option<LevelFilter> {
        let filter = filter(wanted.as_ref())?;
        let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
        let most = levels.into_iter().find(|level| filter.would_enable(target, level));
        Some(most.map_or(LevelFilter::OFF, LevelFilter::from))
    }

    #[test]
    fn a_level_is_for_all_targets_and_may_differ_for_one() {
        assert_eq!(enabled("debug", "any"), Some(LevelFilter::DEBUG));
        assert_eq!(enabled("WARN", "any"), Some(LevelFilter::WARN));
        assert_eq!(enabled("off", "any"), Some(LevelFilter::OFF));
        let list = "warn, oncelog=debug,oncelog::net=error,";
        for (target, level) in [
            ("any", LevelFilter::WARN),
            ("oncelog::grpc", LevelFilter::DEBUG),
            ("oncelog::net::flood", LevelFilter::ERROR),
        ] {
            assert_eq!(enabled(list, target), Some(level), "{target}");
        }
        assert_eq!(enabled("oncelog=info", "any"), Some(LevelFilter::OFF));
        assert_eq!(enabled("oncelog", "oncelog"), Some(LevelFilter::TRACE), "a target alone");
    }

    #[test]
    fn a_filter_that_is_not_understood_is_none() {
        for wrong in
            ["oncelog=loud", "a=b=c", "info,a=loud", "[span]=info", "oncelog[{id}]=debug", " , "]
        {
            assert!(filter(wrong.as_ref()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn tracing_knows_the_level_of_the_filter() {
        let _guard = init();
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
    }
}
