//! Takes down what became of each message, from many connections at once.

use std::{
    array,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Answer, Measured, Says, Slice};

/// Parts that are locked by themselves, so that connections rarely wait for each other.
const SHARDS: usize = 8;

/// What a client knows of a message in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// It was never sent: there was no connection, or it was too late.
    #[default]
    NotSent,
    /// Success, with a receipt.
    Accepted,
    /// Surely not stored: the answer says so.
    Refused,
    /// No answer told.
    Unknown,
}

/// How many messages ended in which way, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Success, with a receipt.
    pub accepted: u64,
    /// Surely not stored.
    pub refused: u64,
    /// The answer says that it does not know, or there is none.
    pub unknown: u64,
    /// There is an answer, and it says nothing that a facade would say.
    pub not_understood: u64,
    /// Never sent.
    pub not_sent: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.not_understood += other.not_understood;
        self.not_sent += other.not_sent;
    }

    /// Those that were sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.accepted + self.refused + self.unknown + self.not_understood
    }
}

/// Why there is no answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It was not sent.
    NotSent,
    /// It was sent, and nothing came.
    Silence,
    /// It was sent, and what came is no answer.
    NotUnderstood,
}

/// All that is known so far.
#[derive(Debug)]
pub(super) struct Recorder {
    first: u64,
    slice: Duration,
    /// Each has the messages whose index leaves the same remainder.
    shards: [Mutex<Measured>; SHARDS],
}

impl Recorder {
    pub(super) fn new(first: u64, slice: Duration) -> Self {
        Self { first, slice, shards: array::from_fn(|_| Mutex::default()) }
    }

    /// Message `index` was answered `latency` after it was due, `at` into the run, and had been sent
    /// `late`.
    pub(super) fn answered(
        &self,
        index: u64,
        at: Duration,
        late: Duration,
        latency: Duration,
        answer: Answer,
    ) {
        let fate = match answer.says {
            Says::Stored => Fate::Accepted,
            Says::NotStored => Fate::Refused,
            Says::Unknown | Says::Nothing => Fate::Unknown,
        };
        let mut shard = self.shard(index);
        *shard.statuses.entry(answer.status).or_default() += 1;
        shard.lateness.note(late);
        let slice = self.settle(&mut shard, index, at, fate);
        match fate {
            Fate::Accepted => slice.accepted.note(latency),
            Fate::Refused => slice.refused += 1,
            Fate::Unknown | Fate::NotSent => slice.other += 1,
        }
        match answer.says {
            Says::Stored => {
                shard.accepted.note(latency);
                shard.counts.accepted += 1;
            }
            Says::NotStored => {
                shard.refused.note(latency);
                shard.counts.refused += 1;
                shard.without_retry_after += u64::from(answer.retry_after.is_none());
            }
            Says::Unknown => shard.counts.unknown += 1,
            Says::Nothing => shard.counts.not_understood += 1,
        }
    }

    /// There is no answer to message `index`, which was due `at` into the run.
    pub(super) fn unanswered(&self, index: u64, at: Duration, why: NoAnswer) {
        let mut shard = self.shard(index);
        let (fate, count) = match why {
            NoAnswer::NotSent => (Fate::NotSent, &mut shard.counts.not_sent),
            NoAnswer::Silence => (Fate::Unknown, &mut shard.counts.unknown),
            NoAnswer::NotUnderstood => (Fate::Unknown, &mut shard.counts.not_understood),
        };
        *count += 1;
        shard.errors += u64::from(why != NoAnswer::NotSent);
        self.settle(&mut shard, index, at, fate).other += 1;
    }

    /// What is settled so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        (0..SHARDS).for_each(|number| counts.add(&self.shard(number as u64).counts));
        counts
    }

    /// Everything together, for a run with `messages` that took `took`.
    pub(super) fn measured(&self, messages: u64, took: Duration) -> Measured {
        let fates = vec![Fate::NotSent; usize::try_from(messages).unwrap_or_default()];
        let (first, slice) = (self.first, self.slice);
        let mut measured = Measured { first, fates, took, slice, ..Measured::default() };
        for number in 0..SHARDS {
            let shard = self.shard(number as u64);
            let places = measured.fates.iter_mut().skip(number).step_by(SHARDS);
            places.zip(&shard.fates).for_each(|(place, fate)| *place = *fate);
            measured.add(&shard);
        }
        measured
    }

    fn shard(&self, index: u64) -> MutexGuard<'_, Measured> {
        let shard = usize::try_from(index).unwrap_or_default() % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the fate of message `index`, and returns the slice that it was due in.
    fn settle<'a>(
        &self,
        shard: &'a mut Measured,
        index: u64,
        at: Duration,
        fate: Fate,
    ) -> &'a mut Slice {
        let row = usize::try_from(index).unwrap_or_default() / SHARDS;
        if row >= shard.fates.len() {
            shard.fates.resize(row + 1, Fate::NotSent);
        }
        shard.fates[row] = fate;
        let slice = at.as_micros() / self.slice.as_micros().max(1);
        let slice = usize::try_from(slice).unwrap_or_default();
        if slice >= shard.slices.len() {
            shard.slices.resize_with(slice + 1, Slice::default);
        }
        &mut shard.slices[slice]
    }
}
