//! A client that posts.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use uuid::{Builder, Uuid};

use super::{Client, Run};
use crate::{
    checker::Violation,
    history::{Attempt, History, Lookup, Outcome},
};

/// Pause of a client between two requests, at most.
const THINK_MILLIS_MAX: u64 = 20;

/// Pause between two tries to settle one message.
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

/// How many of its messages a client considers for a repeat; keeps the choice cheap in a long run.
const CANDIDATES_MAX: usize = 256;

/// A message this client has sent.
#[derive(Debug, Clone)]
struct Sent {
    message: String,
    /// What to repeat it with, if anything.
    key: Option<String>,
    uuid: Option<String>,
    settled: bool,
}

/// A client that posts, repeats, reuses keys and looks up, and writes down what it saw.
#[derive(Debug)]
pub struct Poster<'a> {
    name: usize,
    client: Client,
    run: &'a Run,
    rng: fastrand::Rng,
    sent: Vec<Sent>,
    history: History,
}

/// What a client has seen in all.
#[derive(Debug)]
pub struct Settled {
    /// Everything it did.
    pub history: History,
    /// The messages it could not settle in time.
    pub unresolved: Vec<Violation>,
}

impl<'a> Poster<'a> {
    /// A client whose every choice follows from `seed` and its name.
    #[must_use]
    pub fn new(name: usize, client: Client, run: &'a Run, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed.wrapping_add(name as u64));
        Self { name, client, run, rng, sent: Vec::new(), history: History::default() }
    }

    /// Posts until the run stops.
    pub async fn work(mut self) -> Self {
        while self.run.goes_on() {
            match self.rng.u8(0..100) {
                0..45 => self.post_new(true).await,
                45..65 => self.post_new(false).await,
                65..73 => self.post_new_twice_at_once().await,
                73..85 => self.repeat(|sent| sent.settled).await,
                85..91 => self.repeat(|sent| !sent.settled).await,
                91..94 => self.reuse_a_key().await,
                94..96 => self.post_nonsense().await,
                _ => self.look_up().await,
            }
            let pause = Duration::from_millis(self.rng.u64(0..THINK_MILLIS_MAX));
            tokio::time::sleep(pause).await;
        }
        self
    }

    /// After the faults: posts a new message, and repeats every `nth` message whose outcome is unknown
    /// and that can be repeated, each until it is settled or `within` has passed.
    pub async fn settle(mut self, within: Duration, nth: usize) -> Settled {
        let deadline = Instant::now() + within;
        self.post_new(true).await;
        let open = self.sent.iter().filter(|sent| !sent.settled && sent.key.is_some());
        let mut unresolved = Vec::new();
        for mut sent in open.cloned().step_by(nth).collect::<Vec<_>>() {
            self.post(&mut sent).await;
            while !sent.settled && Instant::now() < deadline {
                tokio::time::sleep(SETTLE_PAUSE).await;
                self.post(&mut sent).await;
            }
            if !sent.settled {
                unresolved.push(Violation::Unresolved { message: sent.message });
            }
        }
        Settled { history: self.history, unresolved }
    }

    async fn post_new(&mut self, keyed: bool) {
        let mut sent = self.new_message(keyed);
        self.post(&mut sent).await;
        self.sent.push(sent);
    }

    async fn post_new_twice_at_once(&mut self) {
        let mut sent = self.new_message(true);
        let spelled = [self.spell(&sent), self.spell(&sent)];
        let [first, second] = &spelled;
        let (first, second) = tokio::join!(
            self.attempt(&sent, first.as_deref()),
            self.attempt(&sent, second.as_deref())
        );
        self.note(&mut sent, first);
        self.note(&mut sent, second);
        self.sent.push(sent);
    }

    async fn repeat(&mut self, wanted: impl Fn(&Sent) -> bool) {
        if let Some(place) = self.pick(wanted) {
            let mut sent = self.sent[place].clone();
            self.post(&mut sent).await;
            self.sent[place] = sent;
        }
    }

    /// One of a stretch of its messages: any old one may be repeated, too.
    fn pick(&mut self, wanted: impl Fn(&Sent) -> bool) -> Option<usize> {
        let latest = self.sent.len().saturating_sub(CANDIDATES_MAX);
        let from = if self.rng.bool() { latest } else { self.rng.usize(0..=latest) };
        let stretch = self.sent.iter().enumerate().skip(from).take(CANDIDATES_MAX);
        let wanted = stretch.filter(|(_, sent)| sent.key.is_some() && wanted(sent));
        let places: Vec<usize> = wanted.map(|(place, _)| place).collect();
        self.rng.choice(places)
    }

    /// Another message under a key whose message is stored: it must never be.
    async fn reuse_a_key(&mut self) {
        let Some(owner) = self.pick(|sent| sent.settled) else { return };
        let key = self.sent[owner].key.clone();
        let mut other = Sent { key, ..self.new_message(false) };
        self.post(&mut other).await;
    }

    async fn post_nonsense(&mut self) {
        let message = self.new_message(false).message;
        let invoked = self.run.now();
        let posted = self.client.post_body(format!("{{\"msg\":[\"{message}\"]}}"), None).await;
        let (ended, outcome) = (self.run.now(), posted.outcome);
        self.history.attempts.push(Attempt { message, key: None, invoked, ended, outcome });
    }

    async fn look_up(&mut self) {
        let Some(place) = self.pick(|sent| sent.uuid.is_some()) else { return };
        let Some(uuid) = self.sent[place].uuid.clone() else { return };
        let began = self.run.now();
        let Some(found) = self.client.look_up(&uuid).await else { return };
        self.history.lookups.push(Lookup { uuid, began, ended: self.run.now(), found });
    }

    fn new_message(&mut self, keyed: bool) -> Sent {
        let number = self.history.attempts.len();
        let message = format!("client {} message {number}", self.name);
        let mut bytes = [0; 16];
        self.rng.fill(&mut bytes);
        let uuid = Builder::from_random_bytes(bytes).into_uuid().to_string();
        let key = if self.rng.bool() { uuid } else { format!("{}/{number}", self.name) };
        Sent { message, key: keyed.then_some(key), uuid: None, settled: false }
    }

    /// The key in one of the ways to write it.
    fn spell(&mut self, sent: &Sent) -> Option<String> {
        let key = sent.key.as_ref()?;
        let upper = Uuid::try_parse(key).is_ok() && self.rng.bool();
        let key = if upper { key.to_uppercase() } else { key.clone() };
        Some(if self.rng.bool() { format!("\"{key}\"") } else { key })
    }

    async fn post(&mut self, sent: &mut Sent) {
        let spelled = self.spell(sent);
        let attempt = self.attempt(sent, spelled.as_deref()).await;
        self.note(sent, attempt);
    }

    async fn attempt(&self, sent: &Sent, spelled: Option<&str>) -> (Attempt, Option<String>) {
        let invoked = self.run.now();
        let posted = self.client.post(&sent.message, spelled).await;
        let ended = self.run.now();
        let (message, key) = (sent.message.clone(), sent.key.clone());
        (Attempt { message, key, invoked, ended, outcome: posted.outcome }, posted.uuid)
    }

    fn note(&mut self, sent: &mut Sent, (attempt, uuid): (Attempt, Option<String>)) {
        let acknowledged = matches!(attempt.outcome, Outcome::Acknowledged { .. });
        self.run.attempts.fetch_add(1, Ordering::Relaxed);
        self.run.acknowledged.fetch_add(u64::from(acknowledged), Ordering::Relaxed);
        sent.settled |= acknowledged;
        // The id in a failed answer is the key to repeat it with.
        sent.key = sent.key.take().or_else(|| uuid.clone());
        sent.uuid = uuid.or_else(|| sent.uuid.take());
        self.history.attempts.push(attempt);
    }
}
