//! Readers of the log.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::{Client, Run, record};
use crate::{
    checker::Violation,
    history::{History, Read, Record, Shown},
};

/// A log of so many records doubles the pause before the next whole read, so that reading takes a
/// limited part of a long run.
const LONG_LOG: f64 = 50_000.0;

/// Records a page.
const PAGE_RECORDS: usize = 1000;

/// Reads the whole log again and again until the run stops, with random pauses of at most
/// `pause_max`, and longer ones once the log is long.
pub async fn read_on(client: Client, run: &Run, seed: u64, pause_max: Duration) -> History {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let mut history = History::default();
    while run.goes_on() {
        let read = read(&client, run).await;
        let records = read.as_ref().map_or(0, |read| read.shown.count());
        history.reads.extend(read);
        let pause = pause_max.mul_f64(rng.f64() * (1.0 + records as f64 / LONG_LOG));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = run.stopped() => {}
        }
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

/// All records of the log. `None` if it could not be read to its end.
pub async fn read_whole(client: &Client, run: &Run) -> Option<Vec<Record>> {
    let (read, records) = read_records(client, run).await?;
    read.complete.then_some(records)
}

async fn read_each(client: &Client, run: &Run, mut each: impl FnMut(Record)) -> Option<Read> {
    let began = run.now();
    let response = client.list("").await?;
    let mut shown = Shown::default();
    let complete = lines(response, |line| {
        let record = record(line);
        shown.push(&record);
        each(record);
    });
    let complete = complete.await;
    Some(Read { began, ended: run.now(), complete, shown })
}

/// What was read of a log that has other records, too.
#[derive(Debug)]
pub struct Part {
    /// When and how, for the history.
    pub read: Read,
    /// The records that were looked for.
    pub records: Vec<Record>,
    /// What is wrong with the order of all that was read.
    pub violations: Vec<Violation>,
}

/// Reads what comes after `after`, page by page, and keeps the records whose text begins with `tag`:
/// a log that others write to has theirs, too. Also returns what is wrong with the order of all.
/// `None` if a page could not be read.
pub async fn read_pages(client: &Client, run: &Run, after: u64, tag: &str) -> Option<Part> {
    let began = run.now();
    let (mut records, mut violations) = (Vec::new(), Vec::new());
    let mut last = after;
    loop {
        let mut on_page = 0;
        let response = client.list(&format!("?after={last}&limit={PAGE_RECORDS}")).await?;
        let complete = lines(response, |line| {
            on_page += 1;
            let found = sequence(line);
            if found <= last || on_page > PAGE_RECORDS {
                violations.push(Violation::Gap { expected: last + 1, found });
            }
            last = last.max(found);
            records.extend(Some(record(line)).filter(|record| record.message.starts_with(tag)));
        });
        if !complete.await {
            return None;
        }
        if on_page < PAGE_RECORDS || !violations.is_empty() {
            break;
        }
    }
    let read = Read { began, ended: run.now(), complete: true, shown: records[..].into() };
    Some(Part { read, records, violations })
}

/// The place of a record, also of one that is no text; 0 if it has none.
fn sequence(line: &[u8]) -> u64 {
    let json: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
    json["sequence"].as_u64().unwrap_or(0)
}

/// Calls `each` with every line as it arrives. Returns whether the answer came to its end.
async fn lines(mut response: Response, mut each: impl FnMut(&[u8])) -> bool {
    let mut rest: Vec<u8> = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let mut pieces = chunk.split(|byte| *byte == b'\n');
                rest.extend_from_slice(pieces.next().unwrap_or_default());
                for piece in pieces {
                    each(&rest);
                    rest.clear();
                    rest.extend_from_slice(piece);
                }
            }
            Ok(None) => {
                if !rest.is_empty() {
                    // An answer that calls itself complete has whole lines only: the checker shall see it.
                    each(&rest);
                }
                return true;
            }
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_no_text_still_has_its_place() {
        assert_eq!(sequence(br#"{"uuid":"u","sequence":7,"msg_base64":"/w=="}"#), 7);
        assert_eq!(sequence(b"nonsense"), 0);
    }
}
