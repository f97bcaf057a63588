//! One suite for every store: what passes it is a store.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::sync::Arc;

use futures_util::{StreamExt, future::join_all};
use logging_service::{
    OpenStore,
    log::{Index, Log, ReadRange},
    open_journal,
    store::{
        journal::{
            Options,
            disk::{Disk, RealDisk, SimulatedDisk},
        },
        memory::MemoryStore,
    },
};
use oncelog::{
    limits::GRPC_ELEMENTS_MAX,
    message::{AfterTheEnd, Message, Outcome, StoredMessage},
};
use support::{
    all, duplicate, id, log, message, next, record,
    scripted_store::{Answer, scripted},
    stored,
};
use tempfile::TempDir;

fn memory() -> OpenStore {
    OpenStore { store: Box::<MemoryStore>::default(), index: Index::default() }
}

/// Commits that are overtaken, or whose answers get lost.
fn shared_with_lost_answers() -> OpenStore {
    let (store, script, _) = scripted();
    script.cycle([
        Answer::LostReply,
        Answer::Stored,
        Answer::Overtaken(Vec::new()),
        Answer::LostRequest,
        Answer::Late,
        Answer::Stored,
    ]);
    store
}

/// Small segments, so that the suite crosses from one to the next.
fn journal(disk: impl Disk + 'static) -> OpenStore {
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
    open_journal(Arc::new(disk), options).unwrap()
}

/// A journal in a directory that is removed at the end.
fn real_journal() -> (OpenStore, TempDir) {
    let dir = TempDir::new().unwrap();
    (journal(RealDisk::open(dir.path()).unwrap()), dir)
}

/// Makes each check a test of each store, beside which something may be kept.
macro_rules! conformance {
    ($($check:ident)*) => {
        conformance! { @store memory_store, (memory(), ()), $($check)* }
        conformance! { @store store_with_several_writers, (shared_with_lost_answers(), ()), $($check)* }
        conformance! { @store journal_on_a_simulated_disk, (journal(SimulatedDisk::new()), ()), $($check)* }
        conformance! { @store journal_on_a_real_disk, real_journal(), $($check)* }
    };
    (@store $store:ident, $open:expr, $($check:ident)*) => {
        mod $store {
            use super::*;

            $(
                #[tokio::test]
                async fn $check() {
                    let (store, _kept) = $open;
                    super::$check(log(store)).await;
                }
            )*
        }
    };
}

conformance! {
    a_new_message_gets_the_next_sequence
    the_same_message_again_is_a_duplicate_with_its_receipt
    another_message_under_a_used_id_is_a_conflict
    a_batch_decides_its_own_duplicates_and_conflicts
    concurrent_copies_of_a_message_are_stored_once
    a_dropped_call_is_stored_all_the_same
    lookup_finds_what_is_stored_and_nothing_else
    a_read_shows_records_in_order_up_to_its_limit
    a_read_of_one_stream_skips_the_others
    a_read_ends_where_the_log_ended_when_it_began
    a_follower_sees_new_records_in_order
    a_position_after_the_end_is_refused
    what_a_receipt_names_is_never_after_the_end
    bodies_come_back_byte_for_byte
    a_closed_log_refuses_appends_and_reads_on
}

async fn append(log: &Log, messages: Vec<Message>) -> Vec<Outcome> {
    log.append(messages).await.unwrap()
}

async fn append_one(log: &Log, message: Message) -> Outcome {
    append(log, vec![message]).await.remove(0)
}

/// Appends messages that are all new.
async fn store(log: &Log, messages: Vec<Message>) {
    let outcomes = append(log, messages).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Stored(_))), "{outcomes:?}");
}

async fn read(log: &Log, range: ReadRange) -> Vec<StoredMessage> {
    all(log.read(range).unwrap()).await
}

async fn read_all(log: &Log) -> Vec<StoredMessage> {
    read(log, ReadRange::default()).await
}

async fn a_new_message_gets_the_next_sequence(log: Log) {
    assert_eq!(log.last_sequence(), 0);
    assert_eq!(append_one(&log, message(1, "msg1")).await, stored(1));
    assert_eq!(append(&log, vec![message(2, "a"), message(3, "a")]).await, [stored(2), stored(3)]);
    assert_eq!(log.last_sequence(), 3);
}

async fn the_same_message_again_is_a_duplicate_with_its_receipt(log: Log) {
    store(&log, vec![message(1, "msg1"), message(2, "msg2")]).await;
    assert_eq!(append_one(&log, message(2, "msg2")).await, duplicate(2));
    let mixed = vec![message(1, "msg1"), message(3, "msg3"), message(2, "msg2")];
    assert_eq!(append(&log, mixed).await, [duplicate(1), stored(3), duplicate(2)]);
    assert_eq!(read_all(&log).await.len(), 3);
}

async fn another_message_under_a_used_id_is_a_conflict(log: Log) {
    let first = message(1, "msg1");
    assert_eq!(append_one(&log, first.clone()).await, stored(1));
    let others = [
        message(1, "msg2"),
        message(1, ""),
        Message { stream: "other".parse().unwrap(), ..first.clone() },
        Message { content_type: "text/html".parse().unwrap(), ..first.clone() },
    ];
    for other in others {
        assert_eq!(append_one(&log, other).await, Outcome::Conflict);
    }
    assert_eq!(read_all(&log).await, [record(1, first)]);
}

async fn a_batch_decides_its_own_duplicates_and_conflicts(log: Log) {
    let batch = vec![message(1, "a"), message(1, "a"), message(1, "b"), message(2, "c")];
    assert_eq!(append(&log, batch).await, [stored(1), duplicate(1), Outcome::Conflict, stored(2)]);
    assert_eq!(read_all(&log).await.len(), 2);
}

async fn concurrent_copies_of_a_message_are_stored_once(log: Log) {
    let copies: Vec<_> = (0..64)
        .map(|nth| {
            let log = log.clone();
            tokio::spawn(async move { append_one(&log, message(nth % 8, "copy")).await })
        })
        .collect();
    let mut fresh = 0;
    for copy in copies {
        match copy.await.unwrap() {
            Outcome::Stored(_) => fresh += 1,
            Outcome::Duplicate(_) => {}
            other @ (Outcome::Conflict | Outcome::Rejected(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(fresh, 8);
    assert_eq!(read_all(&log).await.len(), 8);
}

async fn a_dropped_call_is_stored_all_the_same(log: Log) {
    let mut call = Box::pin(log.append(vec![message(1, "msg1")]));
    // One poll hands the message over; then the caller goes away.
    let _ = futures_util::poll!(&mut call);
    drop(call);
    assert_eq!(append_one(&log, message(1, "msg1")).await, duplicate(1));
}

async fn lookup_finds_what_is_stored_and_nothing_else(log: Log) {
    store(&log, vec![message(1, "msg1")]).await;
    assert_eq!(log.lookup(&id(1)).await.unwrap(), Some(record(1, message(1, "msg1"))));
    assert_eq!(log.lookup(&id(2)).await.unwrap(), None);
}

async fn a_read_shows_records_in_order_up_to_its_limit(log: Log) {
    let count = GRPC_ELEMENTS_MAX as u64 + 10;
    for start in (0..count).step_by(500) {
        let batch = (start..count.min(start + 500)).map(|n| message(n, &format!("msg{n}")));
        store(&log, batch.collect()).await;
    }
    let all = read_all(&log).await;
    let expected: Vec<_> =
        (0..count).map(|n| record(n + 1, message(n, &format!("msg{n}")))).collect();
    assert!(all == expected, "{} of {count} records", all.len());

    let page = ReadRange { after: 700, limit: Some(3), ..ReadRange::default() };
    assert_eq!(read(&log, page).await, expected[700..703]);
    let behind = ReadRange { after: count, ..ReadRange::default() };
    assert_eq!(read(&log, behind).await, []);
}

async fn a_read_of_one_stream_skips_the_others(log: Log) {
    for nth in 0..10 {
        let stream = if nth % 5 == 4 { "rare" } else { "facade" };
        let message = Message { stream: stream.parse().unwrap(), ..message(nth, "x") };
        assert_eq!(append_one(&log, message).await, stored(nth + 1));
    }
    let rare = |limit| ReadRange { stream: "rare".parse().ok(), limit, ..ReadRange::default() };
    let sequences = |records: Vec<StoredMessage>| {
        records.iter().map(|record| record.receipt.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(read(&log, rare(None)).await), [5, 10]);
    assert_eq!(sequences(read(&log, rare(Some(1))).await), [5]);
}

async fn a_read_ends_where_the_log_ended_when_it_began(log: Log) {
    store(&log, vec![message(1, "before")]).await;
    let records = log.read(ReadRange::default()).unwrap();
    store(&log, vec![message(2, "after")]).await;
    let seen = all(records).await;
    assert_eq!(seen, [record(1, message(1, "before"))]);
}

async fn a_follower_sees_new_records_in_order(log: Log) {
    store(&log, vec![message(1, "1")]).await;
    let follow = ReadRange { follow: true, limit: Some(3), ..ReadRange::default() };
    let mut records = log.read(follow).unwrap();
    assert_eq!(next(&mut records).await, [record(1, message(1, "1"))]);
    store(&log, vec![message(2, "2")]).await;
    assert_eq!(next(&mut records).await, [record(2, message(2, "2"))]);
    store(&log, vec![message(3, "3")]).await;
    assert_eq!(next(&mut records).await, [record(3, message(3, "3"))]);
    assert!(records.next().await.is_none(), "the limit was passed");
}

async fn a_position_after_the_end_is_refused(log: Log) {
    let range = |after, follow| ReadRange { after, follow, limit: Some(1), ..ReadRange::default() };
    for last_sequence in 0..3 {
        for follow in [false, true] {
            for after in [last_sequence + 1, last_sequence + 3, u64::MAX] {
                let refused = log.read(range(after, follow)).err().unwrap();
                assert_eq!(refused, AfterTheEnd { after, last_sequence });
            }
        }
        assert_eq!(read(&log, range(last_sequence, false)).await, []);
        let mut follower = log.read(range(last_sequence, true)).unwrap();
        store(&log, vec![message(last_sequence, "x")]).await;
        assert_eq!(
            next(&mut follower).await,
            [record(last_sequence + 1, message(last_sequence, "x"))]
        );
    }
}

async fn what_a_receipt_names_is_never_after_the_end(log: Log) {
    let check = async |client: u64| {
        for number in 0..50 {
            // Two clients send the same messages, so one of them gets the receipts of the other.
            let sent = message(client / 2 * 1000 + number, "x");
            let outcome = append_one(&log, sent.clone()).await;
            let (Outcome::Stored(receipt) | Outcome::Duplicate(receipt)) = outcome else {
                panic!("{outcome:?}")
            };
            let after = |after| ReadRange { after, limit: Some(1), ..ReadRange::default() };
            assert!(log.read(after(receipt.sequence)).is_ok(), "{receipt:?}");
            let found = log.lookup(&sent.id).await.unwrap().unwrap();
            assert!(log.read(after(found.receipt.sequence)).is_ok(), "{receipt:?}");
        }
    };
    join_all((0..8).map(check)).await;
}

async fn bodies_come_back_byte_for_byte(log: Log) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies = [Vec::new(), vec![0], every_byte, vec![0xff; 1024 * 1024]];
    for (nth, body) in (0..).zip(&bodies) {
        let message = Message { body: body.clone().into(), ..message(nth, "") };
        assert_eq!(append_one(&log, message).await, stored(nth + 1));
    }
    let read: Vec<_> = read_all(&log).await.into_iter().map(|r| r.message.body.to_vec()).collect();
    assert!(read == bodies);
}

async fn a_closed_log_refuses_appends_and_reads_on(log: Log) {
    store(&log, vec![message(1, "msg1")]).await;
    log.drain();
    log.close().await;
    assert!(log.append(vec![message(2, "msg2")]).await.is_err());
    assert_eq!(append_one(&log, message(1, "msg1")).await, duplicate(1));
    assert_eq!(read_all(&log).await, [record(1, message(1, "msg1"))]);
}

/// The answers of a store itself, beside the log.
mod answers {
    use std::io::ErrorKind;

    use logging_service::store::{CommitAnswer, Refusal, Store, journal::disk::Fault};

    use super::*;
    use crate::support::noon;

    /// Commits one message, which is to be stored with this sequence.
    fn assert_stores(store: &mut dyn Store, sequence: u64) {
        let answer = store.commit(&[message(sequence, "msg")], noon());
        let CommitAnswer::Stored(committed) = answer else { panic!("{answer:?}") };
        assert_eq!((committed.first_sequence, committed.addresses.len()), (sequence, 1));
        assert_eq!(store.last_sequence(), sequence);
        let found = store.reader().get(committed.addresses[0]).unwrap();
        assert_eq!(found, record(sequence, message(sequence, "msg")));
    }

    #[test]
    fn a_store_with_one_writer_continues_its_sequences() {
        for OpenStore { mut store, .. } in [memory(), journal(SimulatedDisk::new())] {
            for sequence in 1..=3 {
                assert_stores(&mut *store, sequence);
                store.seal().unwrap();
            }
            assert_eq!(store.catch_up().unwrap(), [], "all batches are its own");
            store.probe_space().unwrap();
            assert_stores(&mut *store, 4);
        }
    }

    #[test]
    fn a_store_without_space_refuses_and_goes_on() {
        let disk = SimulatedDisk::new();
        let OpenStore { mut store, .. } = journal(disk.clone());
        assert_stores(&mut *store, 1);
        disk.set_capacity(Some(disk.used()));
        let large = message(9, &"x".repeat(128 * 1024));
        let answer = store.commit(&[large], noon());
        assert!(matches!(answer, CommitAnswer::Refused(Refusal::NoSpace(_))), "{answer:?}");
        assert!(store.probe_space().is_err());
        assert_eq!(store.last_sequence(), 1);
        disk.set_capacity(None);
        store.probe_space().unwrap();
        assert_stores(&mut *store, 2);
    }

    #[test]
    fn a_store_that_failed_is_finished_until_it_is_opened_again() {
        let disk = SimulatedDisk::new();
        let OpenStore { mut store, .. } = journal(disk.clone());
        assert_stores(&mut *store, 1);
        disk.inject(0, Fault::Fail(ErrorKind::Other));
        for _ in 0..2 {
            let answer = store.commit(&[message(2, "msg")], noon());
            assert!(matches!(answer, CommitAnswer::Failed(_)), "{answer:?}");
        }
        assert!(store.seal().is_err() && store.probe_space().is_err());
        assert_eq!(store.last_sequence(), 1);
        drop(store);
        let OpenStore { mut store, .. } = journal(disk);
        let next = store.last_sequence() + 1;
        assert_stores(&mut *store, next);
    }
}
