//! A store that is one of several writers of one log: others come first, and answers get lost.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use logging_service::{
    OpenStore,
    log::Index,
    store::{
        CatchUpError, CommitAnswer, CommitError, Committed, CommittedBatch, Origin, Reader,
        Refusal, Store, memory::MemoryStore,
    },
};
use oncelog::message::{Message, MessageId};

/// What happens to one commit.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is stored.
    Stored,
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
}

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
    commits: usize,
    unknown: usize,
}

/// The log of all writers, and the script of this one.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

impl Script {
    /// The next commits are answered like this; later ones are stored.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().unwrap().answers.extend(answers);
    }

    /// All other commits are answered like this, again and again.
    pub fn cycle(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().unwrap().cycle = answers.into_iter().collect();
    }

    /// The next times that the store reads on, it reads this; later it reads all.
    pub fn read(&self, readings: impl IntoIterator<Item = Reading>) {
        self.0.lock().unwrap().readings.extend(readings);
    }

    /// What is left of the script of readings is forgotten: the store reads all.
    pub fn read_all(&self) {
        self.0.lock().unwrap().readings.clear();
    }

    /// All batches that are stored.
    pub fn log(&self) -> Vec<Entry> {
        self.0.lock().unwrap().log.clone()
    }

    /// All records that are stored, in order.
    pub fn records(&self) -> Vec<Message> {
        self.log().into_iter().flat_map(|entry| entry.messages).collect()
    }

    /// Batches of which one may still arrive.
    pub fn late(&self) -> Vec<Entry> {
        self.0.lock().unwrap().late.clone()
    }

    /// How many commits were answered that their outcome is unknown.
    pub fn unknown(&self) -> usize {
        self.0.lock().unwrap().unknown
    }

    /// How many commits there were.
    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().commits
    }

    /// What has not been used of the script is forgotten, and a late batch arrives.
    pub fn settle(&self) {
        let mut state = self.0.lock().unwrap();
        state.arrive();
        (state.answers, state.cycle, state.readings) = <_>::default();
    }
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
        let answer = self.answers.front().or_else(|| self.cycle.front());
        !matches!(
            answer,
            Some(Answer::LostRequest | Answer::Late | Answer::NoLeader | Answer::NoSpace)
        )
    }

    fn next_answer(&mut self) -> Answer {
        if let Some(answer) = self.answers.pop_front() {
            return answer;
        }
        self.cycle.rotate_left(usize::from(!self.cycle.is_empty()));
        self.cycle.back().cloned().unwrap_or(Answer::Stored)
    }

    fn arrive(&mut self) {
        if !self.late.is_empty() {
            let any = self.commits % self.late.len();
            let late = self.late.swap_remove(any);
            self.push(late);
        }
    }

    /// Another writer commits, which deduplicates as this one does.
    fn others(&mut self, messages: Vec<Message>, stored_at: SystemTime) {
        let mut ids = self.ids.clone();
        let messages: Vec<_> = messages.into_iter().filter(|new| ids.insert(new.id)).collect();
        if !messages.is_empty() {
            let commit = self.commits;
            self.push(Entry { origin: Origin::Other, commit, messages, stored_at });
        }
    }
}

/// One writer.
pub struct SharedStore {
    /// What it has read or committed.
    copy: MemoryStore,
    /// How many batches that are.
    walked: usize,
    script: Script,
}

/// The store of one writer, and the script of what it meets.
pub fn shared() -> (OpenStore, Script) {
    let script = Script::default();
    let store = SharedStore { copy: MemoryStore::default(), walked: 0, script: script.clone() };
    (OpenStore { store: Box::new(store), index: Index::default() }, script)
}

impl SharedStore {
    fn copy(&mut self, entry: &Entry) -> Committed {
        self.walked += 1;
        let answer = self.copy.commit(&entry.messages, entry.stored_at);
        let CommitAnswer::Stored(committed) = answer else { panic!("{answer:?}") };
        committed
    }
}

impl Store for SharedStore {
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer {
        let script = self.script.clone();
        let mut state = script.0.lock().unwrap();
        state.commits += 1;
        if state.next_arrives() {
            state.arrive();
            if state.log.len() > self.walked {
                // Whatever is to happen to it: its writer has not read all of the log.
                return CommitAnswer::Overtaken;
            }
        }
        let (commit, messages) = (state.commits, batch.to_vec());
        let entry = Entry { origin: Origin::Own, commit, messages, stored_at };
        match state.next_answer() {
            Answer::Stored => {
                state.push(entry.clone());
                return CommitAnswer::Stored(self.copy(&entry));
            }
            Answer::Overtaken(messages) => {
                state.others(messages, stored_at);
                return CommitAnswer::Overtaken;
            }
            Answer::NoLeader => {
                return CommitAnswer::Refused(Refusal::NoLeader("an election".to_owned()));
            }
            Answer::NoSpace => {
                let error = std::io::ErrorKind::StorageFull.into();
                return CommitAnswer::Refused(Refusal::NoSpace(error));
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
        let mut state = script.0.lock().unwrap();
        let batches = match state.readings.pop_front().unwrap_or(Reading::All) {
            Reading::All => usize::MAX,
            Reading::One => 1,
            Reading::Nothing => 0,
            Reading::Unavailable => {
                return Err(CatchUpError::Unavailable("no answer".to_owned()));
            }
            Reading::Fails => {
                return Err(CatchUpError::Failed(std::io::Error::other("diverged")));
            }
        };
        let new: Vec<_> = state.log.iter().skip(self.walked).take(batches).cloned().collect();
        Ok(new
            .into_iter()
            .map(|entry| {
                let committed = self.copy(&entry);
                CommittedBatch { origin: entry.origin, messages: entry.messages, committed }
            })
            .collect())
    }

    fn seal(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.copy.reader()
    }

    fn last_sequence(&self) -> u64 {
        self.copy.last_sequence()
    }
}
