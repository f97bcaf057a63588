//! What is known of all posts at any moment.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Calls as _, Client, Run};
use crate::history::{Attempt, History, Micros, Outcome};

/// All attempts of a run, those under way too: an experiment that stops the world looks up what was
/// promised until then.
#[derive(Debug)]
pub struct Ledger {
    run: Run,
    attempts: Mutex<Vec<Attempt>>,
}

impl Ledger {
    /// An empty one; its clock starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { run: Run::start(), attempts: Mutex::default() }
    }

    /// Another one with the same clock, which goes on from here by itself.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { run: self.run.fork(), attempts: Mutex::new(self.attempts().clone()) }
    }

    /// Its clock, and the word to stop.
    #[must_use]
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// Posts `message` once. From before it is sent, it is in the ledger as unknown.
    pub async fn post(&self, client: &Client, message: &str, key: Option<&str>) -> Outcome {
        let place = {
            let mut attempts = self.attempts();
            attempts.push(Attempt {
                message: message.to_owned(),
                key: key.map(str::to_owned),
                invoked: self.run.now(),
                ended: Micros::MAX,
                outcome: Outcome::Unknown,
            });
            attempts.len() - 1
        };
        let posted = client.post(message, key).await;
        if let Some(attempt) = self.attempts().get_mut(place) {
            (attempt.ended, attempt.outcome) = (self.run.now(), posted.outcome.clone());
        }
        posted.outcome
    }

    /// Posts again whatever was posted with a key and is not acknowledged, each until it is or was
    /// tried `tries` times.
    pub async fn settle(&self, client: &Client, tries: usize) {
        let mut open = self.attempts().clone();
        let acknowledged: HashSet<String> = open
            .iter()
            .filter(|attempt| attempt.outcome.is_receipt())
            .map(|attempt| attempt.message.clone())
            .collect();
        open.retain(|attempt| !acknowledged.contains(&attempt.message));
        for attempt in open {
            for _ in 0..tries {
                let outcome = self.post(client, &attempt.message, attempt.key.as_deref()).await;
                if attempt.key.is_none() || outcome.is_receipt() {
                    break;
                }
            }
        }
    }

    /// Posts every message with a key once more, acknowledged or not.
    pub async fn repeat(&self, client: &Client) {
        let mut seen = HashSet::new();
        let mut all = self.attempts().clone();
        all.retain(|attempt| attempt.key.is_some() && seen.insert(attempt.message.clone()));
        for attempt in all {
            self.post(client, &attempt.message, attempt.key.as_deref()).await;
        }
    }

    /// Everything so far.
    #[must_use]
    pub fn history(&self) -> History {
        History { attempts: self.attempts().clone(), ..History::default() }
    }

    /// What a client may count on if all that came after `moment` never happened: receipts from
    /// before it. What was sent from `moment` on, up to `until`, may be there or not.
    #[must_use]
    pub fn at(&self, moment: Micros, until: Micros) -> History {
        let mut attempts = self.attempts().clone();
        attempts.retain(|attempt| attempt.invoked <= until);
        for attempt in &mut attempts {
            if attempt.ended >= moment {
                (attempt.ended, attempt.outcome) = (Micros::MAX, Outcome::Unknown);
            }
        }
        History { attempts, ..History::default() }
    }

    /// Messages with a receipt.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.attempts().iter().filter(|attempt| attempt.outcome.is_receipt()).count()
    }

    fn attempts(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
