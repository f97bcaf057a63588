//! What the parts of storing a message cost, one by one: `cargo bench -p logging-service`.
//!
//! An append ends with a sync, whose cost is that of the disk below the directory for temporary
//! files (`TMPDIR`); where the system has a directory in memory, the same is shown without a disk.

#![allow(clippy::unwrap_used)] // What cannot be set up cannot be measured.

use std::{
    env,
    path::Path,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use divan::{Bencher, black_box, counter::ItemsCount};
use logging_service::{
    OpenStore,
    limits::Limits,
    log::Index,
    open_journal,
    store::{
        Address, CommitAnswer, Store,
        journal::{Options, disk::RealDisk},
        memory::MemoryStore,
    },
};
use oncelog::{
    limits,
    message::{ContentType, Message, MessageId, StreamName},
};
use tempfile::TempDir;

/// Bytes of the body of each message.
const BODY_BYTES: usize = 100;

/// Messages of one append: alone, some connections, a full call.
const BATCHES: [usize; 3] = [1, 64, limits::CALL_MESSAGES_MAX];

/// Messages in the log that is replayed and read.
const STORED: u64 = 100_000;

/// Ids in the index that is asked.
const KNOWN: u64 = 1_000_000;

/// A file system in memory, on Linux.
const SHARED_MEMORY: &str = "/dev/shm";

fn main() {
    divan::main();
}

fn id(number: u64) -> MessageId {
    MessageId::try_from((u128::from(number) + 1).to_be_bytes()).unwrap()
}

fn batch(first: u64, messages: usize) -> Vec<Message> {
    let message = |number| Message {
        id: id(number),
        stream: StreamName::facade(),
        content_type: ContentType::text(),
        body: vec![b'x'; BODY_BYTES].into(),
    };
    (first..).take(messages).map(message).collect()
}

/// A journal in a new directory in `parent`.
fn journal(parent: &Path) -> (TempDir, OpenStore) {
    let dir = tempfile::Builder::new().prefix("oncelog-bench-").tempdir_in(parent).unwrap();
    let opened = open(dir.path());
    (dir, opened)
}

fn open(dir: &Path) -> OpenStore {
    open_journal(Arc::new(RealDisk::open(dir).unwrap()), Options::default()).unwrap()
}

/// Stores a batch, and returns its first sequence.
fn commit(store: &mut dyn Store, batch: &[Message]) -> u64 {
    let answer = store.commit(batch, SystemTime::UNIX_EPOCH);
    let CommitAnswer::Stored(committed) = answer else { panic!("{answer:?}") };
    committed.first_sequence
}

fn append(bencher: Bencher<'_, '_>, parent: &Path, messages: usize) {
    let (_dir, mut opened) = journal(parent);
    let batch = batch(0, messages);
    // Whether an id is new is not the store's business: the same batch will do.
    bencher
        .counter(ItemsCount::new(messages))
        .bench_local(|| commit(&mut *opened.store, black_box(&batch)));
}

#[divan::bench(args = BATCHES)]
fn append_and_sync(bencher: Bencher<'_, '_>, messages: usize) {
    append(bencher, &env::temp_dir(), messages);
}

#[divan::bench(args = BATCHES)]
fn append_without_a_disk(bencher: Bencher<'_, '_>, messages: usize) {
    if Path::new(SHARED_MEMORY).is_dir() {
        append(bencher, Path::new(SHARED_MEMORY), messages);
    }
}

#[divan::bench(args = BATCHES, sample_count = 20, sample_size = 20)]
fn append_to_the_memory_store(bencher: Bencher<'_, '_>, messages: usize) {
    let mut store = MemoryStore::default();
    let batch = batch(0, messages);
    bencher
        .counter(ItemsCount::new(messages))
        .bench_local(|| commit(&mut store, black_box(&batch)));
}

/// A closed journal with [`STORED`] messages.
struct Closed(TempDir);

impl Closed {
    fn new() -> Self {
        let (dir, mut opened) = journal(&env::temp_dir());
        let step = limits::CALL_MESSAGES_MAX;
        for first in (0..STORED).step_by(step) {
            let messages = usize::try_from(STORED - first).unwrap().min(step);
            commit(&mut *opened.store, &batch(first, messages));
        }
        opened.store.seal().unwrap();
        Self(dir)
    }
}

/// From a process that starts to a log that is checked and indexed.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>) {
    let closed = Closed::new();
    bencher.counter(ItemsCount::new(STORED)).bench_local(|| {
        let opened = open(closed.0.path());
        assert_eq!(opened.index.len() as u64, STORED);
    });
}

/// Reading all of it, as a listing does.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn scan(bencher: Bencher<'_, '_>) {
    let closed = Closed::new();
    let reader = open(closed.0.path()).store.reader();
    let limit = Limits::default().read_chunk;
    bencher.counter(ItemsCount::new(STORED)).bench_local(|| {
        let mut after = 0;
        while after < STORED {
            after = reader.scan(after, limit).unwrap().last().unwrap().receipt.sequence;
        }
    });
}

/// An index of [`KNOWN`] ids.
fn known() -> &'static Index {
    static KNOWN_IDS: OnceLock<Index> = OnceLock::new();
    KNOWN_IDS.get_or_init(|| {
        let index = Index::default();
        for number in 0..KNOWN {
            index.insert(id(number), Address(number));
        }
        index
    })
}

/// Whether an id is stored.
#[divan::bench(args = ["new", "repeat"], sample_size = 1000)]
fn dedup_lookup(bencher: Bencher<'_, '_>, which: &str) {
    let index = known();
    let first = if which == "new" { KNOWN } else { 0 };
    bencher
        .with_inputs(|| id(first + fastrand::u64(..KNOWN)))
        .counter(ItemsCount::new(1_u32))
        .bench_local_values(|id| index.get(black_box(&id)));
}

/// A new id becomes known.
#[divan::bench(sample_size = 1000)]
fn dedup_insert(bencher: Bencher<'_, '_>) {
    let index = Index::default();
    let mut number = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        number += 1;
        index.insert(black_box(id(number)), Address(number))
    });
}
