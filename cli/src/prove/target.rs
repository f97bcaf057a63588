//! Load on a deployment that runs and has other users, then resolving and reading.

use std::time::Duration;

use faultlab::{
    checker::Violation,
    history::History,
    load::{Client, Part, Poster, Run, read_pages},
    report::{Parameters, Report},
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{evidence::Outcome, settle, show_progress};

/// From the first request to the first receipt.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads of its part of the log during a run, about.
const READS: u32 = 10;

/// Tries of the last read, and the pause between two.
const LAST_READS: usize = 10;
const LAST_READ_PAUSE: Duration = Duration::from_secs(1);

/// What to do.
pub(super) struct Audit {
    pub(super) parameters: Parameters,
    pub(super) gap: Duration,
}

/// What was read, and what was wrong with the order of all that was there.
struct Reading {
    history: History,
    disorder: Vec<Violation>,
}

impl Audit {
    /// Runs it at `url`; `stop` ends it early. Only messages of this run are checked, and only the
    /// part of the log since its first one is read.
    ///
    /// # Errors
    /// The reason why nothing was checked.
    pub(super) async fn run(
        mut self,
        url: &str,
        stop: &CancellationToken,
    ) -> Result<Outcome, String> {
        let client = Client::of_url(url).map_err(|error| error.to_string())?;
        client.recognize().await?;
        let run = Run::start();
        let tag = format!("prove-{:016x}", fastrand::u64(..));
        let poster = |name| {
            let poster = Poster::new(name, client.clone(), &run, self.parameters.seed);
            poster.with_gap(self.gap).tagged(&tag)
        };
        let mut first = poster(0);
        let opened = first.post_first(OPEN_TIMEOUT).await;
        let sequence = opened.map_err(|outcome| format!("it stores nothing: {outcome:?}"))?;
        let after = sequence.saturating_sub(1);
        let log_part = LogPart { client: &client, run: &run, after, tag: &tag };

        let duration = self.parameters.duration;
        let posters = [first].into_iter().chain((1..self.parameters.clients).map(poster));
        let posters = join_all(posters.map(Poster::work));
        let end = async {
            tokio::select! {
                () = tokio::time::sleep_until((run.origin() + duration).into()) => {}
                () = stop.cancelled() => {}
                () = show_progress(&run, duration) => {}
            }
            run.stop();
        };
        let reading = log_part.read_on(duration / READS);
        let (posters, Reading { mut history, mut disorder }, ()) =
            tokio::join!(posters, reading, end);
        // Ctrl-C may have ended it early.
        self.parameters.duration = duration.min(run.origin().elapsed());

        disorder.extend(settle(posters, &mut history).await);
        let Part { read, records: log, violations } =
            log_part.read_last().await.ok_or("the log could not be read")?;
        history.reads.push(read);
        disorder.extend(violations);
        let seed = self.parameters.seed;
        let report = Report::new(self.parameters, &history, &log, Vec::new(), disorder);
        Ok(Outcome { report, seed, history, log, faults: Vec::new(), part: true })
    }
}

/// The part of a log that a run stores in.
struct LogPart<'a> {
    client: &'a Client,
    run: &'a Run,
    after: u64,
    tag: &'a str,
}

impl LogPart<'_> {
    async fn read(&self) -> Option<Part> {
        read_pages(self.client, self.run, self.after, self.tag).await
    }

    async fn read_on(&self, pause: Duration) -> Reading {
        let mut reading = Reading { history: History::default(), disorder: Vec::new() };
        while self.run.goes_on() {
            if let Some(part) = self.read().await {
                reading.history.reads.push(part.read);
                reading.disorder.extend(part.violations);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.run.stopped() => {}
            }
        }
        reading
    }

    async fn read_last(&self) -> Option<Part> {
        for _ in 1..LAST_READS {
            if let Some(part) = self.read().await {
                return Some(part);
            }
            tokio::time::sleep(LAST_READ_PAUSE).await;
        }
        self.read().await
    }
}
