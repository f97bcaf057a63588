//! A store that does as its script says: it is slow, full or broken, or one of several writers of one log,
//! where others come first and answers get lost.

use std::{
    collections::{HashSet, VecDeque},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
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
        Address, CatchUpError, CommitAnswer, CommitError, Committed, CommittedBatch, Origin,
        ReadError, Reader, Refusal, ScanLimit, Store, memory::MemoryStore,
    },
};
use oncelog::message::{Message, MessageId, StoredMessage};
use tokio::sync::watch;

/// What happens to one commit.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is stored.
    Stored,
    /// It is stored after [`SLOW_COMMIT`].
    Slow,
    /// It is stored, and another sequence is told than that of its first record.
    WrongSequence,
    /// Another writer came first, with these messages, unless they are stored already.
    Overtaken(Vec<Message>),
    /// It is stored, and the answer is lost.
    LostReply,
    /// It is not stored, and the answer is lost.
    LostRequest,
    /// The answer is lost, and the batch is stored just before a later commit arrives, unless another
    /// batch comes first.
    Late,
    /// As [`Answer::Late`], but another writer comes first, with these messages.
    LateAndOvertaken(Vec<Message>),
    /// There is no leader.
    NoLeader,
    /// No space is left.
    NoSpace,
    /// The disk fails.
    Fails,
    /// The store panics.
    Panics,
}

/// How long a slow disk takes.
pub const SLOW_COMMIT: Duration = Duration::from_millis(250);

/// What happens when the store reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    All,
    /// One batch only.
    One,
    /// The copy that is read is behind.
    Nothing,
    Unavailable,
    Fails,
}

/// A batch in the log that all writers share.
#[derive(Debug, Clone)]
pub struct Entry {
    pub origin: Origin,
    /// The number of the commit that brought it, or met it.
    pub commit: usize,
    pub messages: Vec<Message>,
    stored_at: SystemTime,
}

/// The log of all writers, and the script of this one.
#[derive(Clone, Default)]
pub struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    let_go: Condvar,
    seals: watch::Sender<usize>,
    scans: AtomicUsize,
}

#[derive(Default)]
struct State {
    log: Vec<Entry>,
    /// Ids of all batches in the log.
    ids: HashSet<MessageId>,
    /// Batches of which one may still arrive.
    late: Vec<Entry>,
    answers: VecDeque<Answer>,
    /// What the other commits meet, again and again.
    cycle: VecDeque<Answer>,
    readings: VecDeque<Reading>,
    /// The names of the threads that made the commits so far.
    committers: Vec<Option<String>>,
    /// Commits that were answered that their outcome is unknown.
    unknown: usize,
    commits_are_held: bool,
}

/// Holds commits up until it is dropped.
pub struct Held(Script);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().commits_are_held = false;
        self.0.0.let_go.notify_all();
    }
}

impl Script {
    /// The next commits are answered like this; later ones are stored.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers.extend(answers);
    }

    /// All other commits are answered like this, again and again. Seals and probes for space meet the same
    /// disk.
    pub fn cycle(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().cycle = answers.into_iter().collect();
    }

    /// The next times that the store reads on, it reads this; later it reads all.
    pub fn read(&self, readings: impl IntoIterator<Item = Reading>) {
        self.state().readings = readings.into_iter().collect();
    }

    /// Commits wait until the guard is dropped.
    pub fn hold_commits(&self) -> Held {
        self.state().commits_are_held = true;
        Held(self.clone())
    }

    /// All batches that are stored.
    pub fn log(&self) -> Vec<Entry> {
        self.state().log.clone()
    }

    /// All records that are stored, in order.
    pub fn records(&self) -> Vec<Message> {
        self.log().into_iter().flat_map(|entry| entry.messages).collect()
    }

    /// Batches of which one may still arrive.
    pub fn late(&self) -> Vec<Entry> {
        self.state().late.clone()
    }

    /// The sizes of the batches that are stored.
    pub fn batches(&self) -> Vec<usize> {
        self.state().log.iter().map(|entry| entry.messages.len()).collect()
    }

    /// How many commits there were.
    pub fn commits(&self) -> usize {
        self.state().committers.len()
    }

    /// How many commits were answered that their outcome is unknown.
    pub fn unknown(&self) -> usize {
        self.state().unknown
    }

    /// The names of the threads that made the commits so far.
    pub fn committers(&self) -> Vec<Option<String>> {
        self.state().committers.clone()
    }

    /// How many seals there are, and a way to wait for more.
    pub fn seals(&self) -> watch::Receiver<usize> {
        self.0.seals.subscribe()
    }

    /// How often the store was scanned.
    pub fn scans(&self) -> usize {
        self.0.scans.load(Ordering::Relaxed)
    }

    /// What has not been used of the script is forgotten, and a late batch arrives.
    pub fn settle(&self) {
        let mut state = self.state();
        state.arrive();
        (state.answers, state.cycle, state.readings) = <_>::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Notes a commit, and lets it wait if commits are held up.
    fn begin_commit(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.committers.push(thread::current().name().map(str::to_owned));
        self.0.let_go.wait_while(state, |state| state.commits_are_held).unwrap()
    }

    /// The disk as seals and probes for space meet it.
    fn meet_the_disk(&self) -> Result<(), CommitError> {
        let next = self.state().cycle.front().cloned();
        match next {
            Some(Answer::Slow) => thread::sleep(SLOW_COMMIT),
            Some(Answer::NoSpace) => return Err(CommitError::NoSpace(no_space())),
            Some(Answer::Fails) => return Err(CommitError::Failed(io::Error::other("planted"))),
            Some(_) | None => {}
        }
        Ok(())
    }
}

fn no_space() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl State {
    fn push(&mut self, entry: Entry) {
        for message in &entry.messages {
            assert!(self.ids.insert(message.id), "{} is stored twice", message.id);
        }
        self.log.push(entry);
        // A batch that has not arrived yet was decided against an older log: it is void.
        self.late.clear();
    }

    /// Whether the next commit arrives where batches are put in order.
    fn next_arrives(&self) -> bool {
        use Answer::{Late, LostRequest, NoLeader, NoSpace};
        let answer = self.answers.front().or_else(|| self.cycle.front());
        !matches!(answer, Some(LostRequest | Late | NoLeader | NoSpace))
    }

    fn next_answer(&mut self) -> Answer {
        if let Some(answer) = self.answers.pop_front() {
            return answer;
        }
        self.cycle.rotate_left(usize::from(!self.cycle.is_empty()));
        self.cycle.back().cloned().unwrap_or(Answer::Stored)
    }

    fn arrive(&mut self) {
        if let Some(any) = self.committers.len().checked_rem(self.late.len()) {
            let late = self.late.swap_remove(any);
            self.push(late);
        }
    }

    /// Another writer commits, which deduplicates as this one does.
    fn others(&mut self, messages: Vec<Message>, stored_at: SystemTime) {
        let mut ids = self.ids.clone();
        let messages: Vec<_> = messages.into_iter().filter(|new| ids.insert(new.id)).collect();
        if !messages.is_empty() {
            let commit = self.committers.len();
            self.push(Entry { origin: Origin::Other, commit, messages, stored_at });
        }
    }
}

/// One writer.
struct ScriptedStore {
    /// What it has read or committed.
    copy: MemoryStore,
    /// How many batches that are.
    walked: usize,
    script: Script,
    /// Told when a commit begins.
    began: mpsc::Sender<()>,
}

/// The store of one writer, the script of what it meets, and a word each time a commit begins.
pub fn scripted() -> (OpenStore, Script, mpsc::Receiver<()>) {
    let script = Script::default();
    let (began, commits) = mpsc::channel();
    let copy = MemoryStore::default();
    let store = Box::new(ScriptedStore { copy, walked: 0, script: script.clone(), began });
    (OpenStore { store, index: Index::default() }, script, commits)
}

impl ScriptedStore {
    fn copy(&mut self, entry: &Entry) -> Committed {
        self.walked += 1;
        let answer = self.copy.commit(&entry.messages, entry.stored_at);
        let CommitAnswer::Stored(committed) = answer else { panic!("{answer:?}") };
        committed
    }
}

impl Store for ScriptedStore {
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer {
        let _ = self.began.send(());
        let script = self.script.clone();
        let mut state = script.begin_commit();
        if state.next_arrives() {
            state.arrive();
            if state.log.len() > self.walked {
                // Whatever is to happen to it: its writer has not read all of the log.
                return CommitAnswer::Overtaken;
            }
        }
        let (commit, messages) = (state.committers.len(), batch.to_vec());
        let entry = Entry { origin: Origin::Own, commit, messages, stored_at };
        match state.next_answer() {
            answer @ (Answer::Stored | Answer::Slow | Answer::WrongSequence) => {
                state.push(entry.clone());
                drop(state);
                if matches!(answer, Answer::Slow) {
                    thread::sleep(SLOW_COMMIT);
                }
                let mut committed = self.copy(&entry);
                committed.first_sequence += u64::from(matches!(answer, Answer::WrongSequence));
                return CommitAnswer::Stored(committed);
            }
            Answer::Overtaken(messages) => {
                state.others(messages, stored_at);
                return CommitAnswer::Overtaken;
            }
            Answer::NoLeader => {
                return CommitAnswer::Refused(Refusal::NoLeader("an election".to_owned()));
            }
            Answer::NoSpace => return CommitAnswer::Refused(Refusal::NoSpace(no_space())),
            Answer::Fails => return CommitAnswer::Failed(io::Error::other("planted")),
            Answer::Panics => {
                drop(state);
                panic!("planted");
            }
            Answer::LostReply => state.push(entry),
            Answer::LostRequest => {}
            // Where its writer has not read all of the log, it will be void.
            Answer::Late if state.log.len() > self.walked => {}
            Answer::Late => state.late.push(entry),
            Answer::LateAndOvertaken(messages) => {
                state.late.push(entry);
                state.others(messages, stored_at);
            }
        }
        state.unknown += 1;
        CommitAnswer::Unknown("no answer".to_owned())
    }

    fn catch_up(&mut self) -> Result<Vec<CommittedBatch>, CatchUpError> {
        let script = self.script.clone();
        let mut state = script.state();
        let batches = match state.readings.pop_front().unwrap_or(Reading::All) {
            Reading::All => usize::MAX,
            Reading::One => 1,
            Reading::Nothing => 0,
            Reading::Unavailable => {
                return Err(CatchUpError::Unavailable("no answer".to_owned()));
            }
            Reading::Fails => return Err(CatchUpError::Failed(io::Error::other("diverged"))),
        };
        let new: Vec<_> = state.log.iter().skip(self.walked).take(batches).cloned().collect();
        let read = new.into_iter().map(|entry| {
            let committed = self.copy(&entry);
            CommittedBatch { origin: entry.origin, messages: entry.messages, committed }
        });
        Ok(read.collect())
    }

    fn seal(&mut self) -> Result<(), CommitError> {
        // Where a commit fails, a seal does no harm: what is tested is the commit.
        let _ = self.script.meet_the_disk();
        self.script.0.seals.send_modify(|seals| *seals += 1);
        Ok(())
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        self.script.meet_the_disk()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(CountingReader(self.copy.reader(), self.script.clone()))
    }

    fn last_sequence(&self) -> u64 {
        self.copy.last_sequence()
    }
}

struct CountingReader(Arc<dyn Reader>, Script);

impl Reader for CountingReader {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        self.0.get(address)
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        self.1.0.scans.fetch_add(1, Ordering::Relaxed);
        self.0.scan(after, limit)
    }
}
