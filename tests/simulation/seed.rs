//! Everything random of a run, out of one number.

use std::sync::Mutex;

use oncelog::message::{IdSource, MessageId};
use uuid::Builder;

/// The random numbers of one part of a run. No part disturbs the others.
pub(crate) fn random(seed: u64, part: &str) -> fastrand::Rng {
    // FNV-1a: parts with other names draw other numbers.
    let hash = part.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash)
}

/// Some of `all`, at least one: a run with few kinds of faults has more of each, and comes to what a
/// run with all of them never does.
pub(crate) fn some_of<T: Copy>(all: &[T], random: &mut fastrand::Rng) -> Vec<T> {
    let some: Vec<T> = all.iter().copied().filter(|_| random.bool()).collect();
    if some.is_empty() { vec![all[random.usize(0..all.len())]] } else { some }
}

/// Ids that follow from a seed.
pub(crate) struct SeededIds(Mutex<fastrand::Rng>);

impl SeededIds {
    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self(Mutex::new(random))
    }
}

impl IdSource for SeededIds {
    fn next_id(&self) -> MessageId {
        let mut bytes = [0; 16];
        self.0.lock().unwrap().fill(&mut bytes);
        MessageId::try_from(Builder::from_random_bytes(bytes).into_uuid().into_bytes()).unwrap()
    }
}
