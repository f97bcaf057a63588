//! A store whose commits can be held up or fail.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, SystemTime},
};

use logging_service::{
    OpenStore,
    log::Index,
    store::{
        Address, CommitAnswer, CommitError, ReadError, Reader, ScanLimit, Store,
        memory::MemoryStore,
    },
};
use oncelog::message::{Message, StoredMessage};
use tokio::sync::watch;

/// What the next commits do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    Works,
    /// Takes [`SLOW_COMMIT`].
    IsSlow,
    Full,
    Fails,
    /// Fails once so many batches are stored.
    FailsAfter(usize),
    Panics,
    /// Stores a batch, and says another sequence than that of its first record.
    SaysAWrongSequence,
}

/// How long a slow disk takes.
pub const SLOW_COMMIT: Duration = Duration::from_millis(250);

/// The switches of a [`FaultyStore`].
#[derive(Clone)]
pub struct Switches {
    disk: Arc<Mutex<Disk>>,
    gate: Arc<Gate>,
    batches: Arc<Mutex<Vec<usize>>>,
    committers: Arc<Mutex<Vec<Option<String>>>>,
    seals: watch::Sender<usize>,
    scans: Arc<AtomicUsize>,
}

impl Switches {
    pub fn set(&self, disk: Disk) {
        *self.disk.lock().unwrap() = disk;
    }

    /// Commits wait until the guard is dropped.
    pub fn hold_commits(&self) -> Held {
        *self.gate.closed.lock().unwrap() = true;
        Held(Arc::clone(&self.gate))
    }

    /// The sizes of the batches committed so far.
    pub fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    /// The names of the threads that made the commits so far.
    pub fn committers(&self) -> Vec<Option<String>> {
        self.committers.lock().unwrap().clone()
    }

    /// How many seals there are, and a way to wait for more.
    pub fn seals(&self) -> watch::Receiver<usize> {
        self.seals.subscribe()
    }

    /// How often the store was scanned.
    pub fn scans(&self) -> usize {
        self.scans.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

/// Holds commits up until it is dropped.
pub struct Held(Arc<Gate>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.closed.lock().unwrap() = false;
        self.0.opened.notify_all();
    }
}

pub struct FaultyStore {
    memory: MemoryStore,
    switches: Switches,
    entered: mpsc::Sender<()>,
}

/// The store, its switches, and a word each time a commit begins.
pub fn faulty() -> (OpenStore, Switches, mpsc::Receiver<()>) {
    let switches = Switches {
        disk: Arc::new(Mutex::new(Disk::Works)),
        gate: Arc::default(),
        batches: Arc::default(),
        committers: Arc::default(),
        seals: watch::Sender::default(),
        scans: Arc::default(),
    };
    let (entered, entries) = mpsc::channel();
    let store = FaultyStore { memory: MemoryStore::default(), switches: switches.clone(), entered };
    (OpenStore { store: Box::new(store), index: Index::default() }, switches, entries)
}

impl FaultyStore {
    fn meet_the_disk(&self) -> Result<(), CommitError> {
        let disk = *self.switches.disk.lock().unwrap();
        match disk {
            Disk::Works | Disk::SaysAWrongSequence => Ok(()),
            Disk::IsSlow => {
                thread::sleep(SLOW_COMMIT);
                Ok(())
            }
            Disk::Full => Err(CommitError::NoSpace(io::ErrorKind::StorageFull.into())),
            Disk::FailsAfter(batches) if self.switches.batches().len() < batches => Ok(()),
            Disk::Fails | Disk::FailsAfter(_) => {
                Err(CommitError::Failed(io::Error::other("planted")))
            }
            Disk::Panics => panic!("planted"),
        }
    }
}

impl Store for FaultyStore {
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer {
        let _ = self.entered.send(());
        let committer = thread::current().name().map(str::to_owned);
        self.switches.committers.lock().unwrap().push(committer);
        let gate = &self.switches.gate;
        drop(gate.opened.wait_while(gate.closed.lock().unwrap(), |closed| *closed).unwrap());
        if let Err(error) = self.meet_the_disk() {
            return Err(error).into();
        }
        self.switches.batches.lock().unwrap().push(batch.len());
        let mut answer = self.memory.commit(batch, stored_at);
        if let (Disk::SaysAWrongSequence, CommitAnswer::Stored(committed)) =
            (*self.switches.disk.lock().unwrap(), &mut answer)
        {
            committed.first_sequence += 1;
        }
        answer
    }

    fn seal(&mut self) -> Result<(), CommitError> {
        if *self.switches.disk.lock().unwrap() == Disk::IsSlow {
            self.meet_the_disk()?;
        }
        self.switches.seals.send_modify(|seals| *seals += 1);
        Ok(())
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        self.meet_the_disk()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(CountingReader(self.memory.reader(), Arc::clone(&self.switches.scans)))
    }

    fn last_sequence(&self) -> u64 {
        self.memory.last_sequence()
    }
}

struct CountingReader(Arc<dyn Reader>, Arc<AtomicUsize>);

impl Reader for CountingReader {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        self.0.get(address)
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.scan(after, limit)
    }
}
