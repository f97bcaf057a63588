//! What was written once is read back as it was.

use std::{env, fs, path::Path};

use oncelog::wire::v1::{Message, Outcome};

use crate::{
    data::{copy_of, files, golden, keep, line},
    program::Service,
};

/// More than half a segment, so that each begins a new file.
const LARGE_BYTES: usize = 40_000;

fn message(number: u8, stream: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Message {
    Message {
        id: vec![number; 16].into(),
        stream: stream.to_owned().into(),
        content_type: content_type.to_owned().into(),
        body: body.into().into(),
    }
}

/// What was sent, batch by batch: texts, an empty body, all bytes there are, and files' worth of some.
fn batches() -> Vec<Vec<Message>> {
    let text = |number, body: &str| message(number, "facade", "text/plain; charset=utf-8", body);
    let binary = |number, body| message(number, "blobs", "application/octet-stream", body);
    let every_byte: Vec<u8> = (0..=255).collect();
    vec![
        vec![text(1, "hello")],
        vec![
            text(2, "grüße, 世界"),
            message(3, "orders.v1", "application/json", r#"{"amount":42}"#),
            message(4, "a", "x", ""),
        ],
        vec![binary(5, every_byte)],
        vec![binary(6, vec![0xf5; LARGE_BYTES])],
        vec![binary(7, vec![0; LARGE_BYTES])],
        // A repeat beside a new one.
        vec![text(1, "hello"), text(8, "eight")],
        vec![binary(9, vec![0xff; LARGE_BYTES])],
        vec![text(10, "the last before a stop")],
    ]
}

/// The message of the frame that is torn in `torn`.
fn unfinished() -> Message {
    message(11, "facade", "text/plain; charset=utf-8", "u".repeat(200))
}

/// What is in the log after [`batches`].
fn expected() -> Vec<String> {
    let mut messages: Vec<Message> = batches().concat();
    messages.remove(7);
    (1..).zip(&messages).map(|(sequence, message)| line(sequence, message)).collect()
}

async fn found(service: &mut Service) -> Vec<String> {
    let log = service.read().await;
    log.iter().map(|stored| line(stored.sequence, stored.message.as_ref().unwrap())).collect()
}

/// Opened, it holds exactly `lines`, knows each of them as stored, and goes on behind them.
async fn goes_on(dir: &Path, lines: &[String]) {
    let mut service = Service::start(dir).await;
    assert_eq!(found(&mut service).await, lines);
    let mut repeats = batches().concat();
    repeats.remove(7);
    let known: Vec<_> = (1..=10).map(|sequence| (Outcome::Duplicate, sequence)).collect();
    assert_eq!(service.append(repeats).await, known);
    let other = message(3, "orders.v1", "application/json", "{}");
    assert_eq!(service.append(vec![other]).await, [(Outcome::Conflict, 0)]);
    assert_eq!(service.append(vec![unfinished()]).await, [(Outcome::Stored, 11)]);
    service.kill();
    let mut service = Service::start(dir).await;
    assert_eq!(found(&mut service).await.len(), 11);
    service.stop().await;
}

#[tokio::test]
async fn a_journal_of_version_1_holds_what_was_sent_then() {
    let lines = fs::read_to_string(golden("expected.tsv")).unwrap();
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    assert_eq!(lines, expected(), "the messages of this test have changed");
    let dir = copy_of("stopped");
    assert_eq!(files(dir.path()).len(), 3, "segments");
    goes_on(dir.path(), &lines).await;
}

#[tokio::test]
async fn a_torn_journal_of_version_1_loses_only_the_unfinished_write() {
    let dir = copy_of("torn");
    goes_on(dir.path(), &expected()).await;
}

/// Also the writer of golden directories, so that they come from the real program.
#[tokio::test]
async fn todays_program_writes_a_journal_that_is_read_back_as_it_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path()).await;
    for batch in batches() {
        for (outcome, _) in service.append(batch).await {
            assert!([Outcome::Stored, Outcome::Duplicate].contains(&outcome), "{outcome:?}");
        }
    }
    service.stop().await;
    let stopped = files(dir.path());
    assert_eq!(stopped.len(), 3, "segments");
    if let Some(golden) = env::var_os("ONCELOG_GOLDEN") {
        keep(dir.path(), &Path::new(&golden).join("stopped"));
    }

    let mut service = Service::start(dir.path()).await;
    assert_eq!(found(&mut service).await, expected());
    assert_eq!(service.append(vec![unfinished()]).await, [(Outcome::Stored, 11)]);
    service.kill();
    // Torn: its end, and the seal that it was whole if there is one already, never came to the disk.
    let (name, mut bytes) = files(dir.path()).pop_last().unwrap();
    let text = bytes.windows(100).rposition(|window| window == [b'u'; 100]).unwrap();
    bytes[text..].fill(0);
    fs::write(dir.path().join(name), bytes).unwrap();
    if let Some(golden) = env::var_os("ONCELOG_GOLDEN") {
        keep(dir.path(), &Path::new(&golden).join("torn"));
    }
    goes_on(dir.path(), &expected()).await;
}
