//! Takes down what became of each message, from many connections at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Answer, Latencies, Measured, Says, Slice};

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
    fn add(&mut self, other: &Self) {
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

/// All that is known so far.
#[derive(Debug)]
pub(super) struct Recorder {
    first: u64,
    slice: Duration,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// Of every message whose index leaves the same remainder.
    fates: Vec<Fate>,
    counts: Counts,
    accepted: Latencies,
    refused: Latencies,
    lateness: Latencies,
    statuses: BTreeMap<u16, u64>,
    errors: u64,
    without_retry_after: u64,
    slices: Vec<Slice>,
}

impl Recorder {
    pub(super) fn new(first: u64, slice: Duration) -> Self {
        Self { first, slice, shards: std::array::from_fn(|_| Mutex::default()) }
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
        let slice = shard.settle(index, fate, slice_of(at, self.slice));
        match answer.says {
            Says::Stored => {
                slice.accepted.note(latency);
                shard.accepted.note(latency);
                shard.counts.accepted += 1;
            }
            Says::NotStored => {
                slice.refused += 1;
                shard.refused.note(latency);
                shard.counts.refused += 1;
                shard.without_retry_after += u64::from(answer.retry_after.is_none());
            }
            Says::Unknown => {
                slice.other += 1;
                shard.counts.unknown += 1;
            }
            Says::Nothing => {
                slice.other += 1;
                shard.counts.not_understood += 1;
            }
        }
    }

    /// Message `index` was sent, and no answer came.
    pub(super) fn unanswered(&self, index: u64, at: Duration) {
        let mut shard = self.shard(index);
        shard.errors += 1;
        shard.counts.unknown += 1;
        shard.settle(index, Fate::Unknown, slice_of(at, self.slice)).other += 1;
    }

    /// Message `index` was sent, and what came is no answer.
    pub(super) fn not_understood(&self, index: u64, at: Duration) {
        let mut shard = self.shard(index);
        shard.errors += 1;
        shard.counts.not_understood += 1;
        shard.settle(index, Fate::Unknown, slice_of(at, self.slice)).other += 1;
    }

    /// Message `index` was not sent.
    pub(super) fn not_sent(&self, index: u64, at: Duration) {
        let mut shard = self.shard(index);
        shard.counts.not_sent += 1;
        shard.settle(index, Fate::NotSent, slice_of(at, self.slice)).other += 1;
    }

    /// What is settled so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        (0..SHARDS).for_each(|number| counts.add(&self.shard(number as u64).counts));
        counts
    }

    /// Everything together, for a run with `messages` that took `took`.
    pub(super) fn measured(&self, messages: u64, took: Duration) -> Measured {
        let mut measured = Measured::empty(self.first, messages, took, self.slice);
        for number in 0..SHARDS {
            let shard = self.shard(number as u64);
            for (row, fate) in shard.fates.iter().enumerate() {
                if let Some(place) = measured.fates.get_mut(row * SHARDS + number) {
                    *place = *fate;
                }
            }
            measured.counts.add(&shard.counts);
            measured.accepted.add(&shard.accepted);
            measured.refused.add(&shard.refused);
            measured.lateness.add(&shard.lateness);
            measured.errors += shard.errors;
            measured.without_retry_after += shard.without_retry_after;
            for (status, count) in &shard.statuses {
                *measured.statuses.entry(*status).or_default() += count;
            }
            measured.add_slices(&shard.slices);
        }
        measured
    }

    fn shard(&self, index: u64) -> MutexGuard<'_, Shard> {
        let shard = usize::try_from(index).unwrap_or_default() % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn settle(&mut self, index: u64, fate: Fate, slice: usize) -> &mut Slice {
        let row = usize::try_from(index).unwrap_or_default() / SHARDS;
        if row >= self.fates.len() {
            self.fates.resize(row + 1, Fate::NotSent);
        }
        self.fates[row] = fate;
        if slice >= self.slices.len() {
            self.slices.resize_with(slice + 1, Slice::default);
        }
        &mut self.slices[slice]
    }
}

fn slice_of(at: Duration, slice: Duration) -> usize {
    usize::try_from(at.as_micros() / slice.as_micros().max(1)).unwrap_or_default()
}
