//! Readers of the whole log.

use std::time::Duration;

use super::{Client, Run, client::record};
use crate::history::{History, Read, Record, Shown};

/// Reads the whole log again and again until the run stops, with random pauses of at most
/// `pause_max`.
pub async fn read_on(client: Client, run: &Run, seed: u64, pause_max: Duration) -> History {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let mut history = History::default();
    while run.goes_on() {
        history.reads.extend(read(&client, run).await);
        tokio::time::sleep(pause_max.mul_f64(rng.f64())).await;
    }
    history
}

/// Reads the log from its start; what arrives before a connection breaks counts too. `None` if the
/// read did not begin.
pub async fn read(client: &Client, run: &Run) -> Option<Read> {
    read_each(client, run, |_| ()).await
}

/// The same, with all its records.
pub async fn read_records(client: &Client, run: &Run) -> Option<(Read, Vec<Record>)> {
    let mut records = Vec::new();
    let read = read_each(client, run, |record| records.push(record)).await?;
    Some((read, records))
}

async fn read_each(client: &Client, run: &Run, mut each: impl FnMut(Record)) -> Option<Read> {
    let began = run.now();
    let mut response = client.list().await?;
    let mut shown = Shown::default();
    let mut show = |line: &[u8]| {
        let record = record(line);
        shown.push(&record);
        each(record);
    };
    let mut rest = Vec::new();
    let complete = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                rest.extend_from_slice(&chunk);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let lines = rest[..whole].split_inclusive(|byte| *byte == b'\n');
                lines.for_each(|line| show(line.strip_suffix(b"\n").unwrap_or(line)));
                rest.drain(..whole);
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let ended = run.now();
    if complete && !rest.is_empty() {
        // A read that calls itself complete has whole lines only: the judge shall see this one.
        show(&rest);
    }
    Some(Read { began, ended, complete, shown })
}
