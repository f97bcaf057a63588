//! A client that posts.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use uuid::Builder;

use super::{
    Calls, Client, Exchange, Run, Sent,
    memory::{Memory, OPEN_MAX},
};
use crate::{
    checker::Violation,
    history::{Attempt, History, Lookup, Outcome},
};

/// Time from the start of a request to the start of the next one, on average, if it takes less.
const GAP: Duration = Duration::from_millis(10);

/// Pause after an attempt without a receipt, at most: no client hammers on what is away.
const SETBACK: Duration = Duration::from_millis(40);

/// Pause between two tries to settle one message.
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

/// A client that posts, repeats, reuses keys and looks up, and writes down what it saw.
#[derive(Debug)]
pub struct Poster<'a, C = Client> {
    name: String,
    client: C,
    run: &'a Run,
    rng: fastrand::Rng,
    /// What new ids follow from.
    ids: fastrand::Rng,
    gap: Duration,
    padding_max: usize,
    sent: Memory,
    messages: u64,
    setback: bool,
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

impl<'a, C: Calls> Poster<'a, C> {
    /// A client whose every choice follows from `seed` and its name.
    #[must_use]
    pub fn new(name: usize, client: C, run: &'a Run, seed: u64) -> Self {
        let seed = seed.wrapping_add(name as u64);
        Self {
            name: format!("client {name}"),
            client,
            run,
            rng: fastrand::Rng::with_seed(seed),
            ids: fastrand::Rng::with_seed(!seed),
            gap: GAP,
            padding_max: 0,
            sent: Memory::default(),
            messages: 0,
            setback: false,
            history: History::default(),
        }
    }

    /// Starts a request every `gap`, on average. If requests take longer, one follows the other.
    #[must_use]
    pub fn with_gap(self, gap: Duration) -> Self {
        Self { gap, ..self }
    }

    /// Now and then posts a message that is longer, by at most so many bytes.
    #[must_use]
    pub fn with_padding(self, padding_max: usize) -> Self {
        Self { padding_max, ..self }
    }

    /// For a log that has messages of other runs: its texts and keys begin with `tag`, and its ids
    /// are new ones whatever the seed.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Self {
        let name = format!("{tag} {}", self.name);
        Self { name, ids: fastrand::Rng::new(), ..self }
    }

    /// Posts one message, again and again until there is a receipt. Returns its place in the log, which
    /// no message that this run posts later can be before.
    ///
    /// # Errors
    /// The outcome: there was no receipt `within` that time, or there never will be.
    pub async fn post_first(&mut self, within: Duration) -> Result<u64, Outcome> {
        let deadline = Instant::now() + within;
        let mut sent = self.new_message(true);
        loop {
            match self.post(&mut sent).await {
                Outcome::Acknowledged { sequence, .. } => {
                    self.sent.remember(sent, &mut self.rng);
                    return Ok(sequence);
                }
                Outcome::NotStored | Outcome::Unknown if Instant::now() < deadline => {
                    sleep(SETTLE_PAUSE).await;
                }
                outcome @ (Outcome::NotStored
                | Outcome::Unknown
                | Outcome::Conflict
                | Outcome::Refused
                | Outcome::Nonsense { .. }) => return Err(outcome),
            }
        }
    }

    /// Posts until the run stops.
    pub async fn work(mut self) -> Self {
        let mut next = Instant::now();
        while self.run.goes_on() {
            self.setback = false;
            match self.rng.u8(0..100) {
                0..73 if self.sent.open() >= OPEN_MAX => self.repeat(Sent::is_open).await,
                0..45 => self.post_new(true).await,
                45..65 => self.post_new(false).await,
                65..73 => self.post_new_twice_at_once().await,
                73..85 => self.repeat(|sent| sent.settled).await,
                85..91 => self.repeat(Sent::is_open).await,
                91..94 => self.reuse_a_key().await,
                94..96 => self.post_nonsense().await,
                _ => self.look_up().await,
            }
            let now = Instant::now();
            next = now.max(next + self.gap.mul_f64(2.0 * self.rng.f64()));
            if self.setback {
                next = next.max(now + SETBACK.mul_f64(self.rng.f64()));
            }
            sleep_until(next).await;
        }
        self
    }

    /// After the faults: posts a new message, and repeats every `nth` message whose outcome is unknown and that can be
    /// repeated, each until it is settled or `within` has passed.
    pub async fn settle(mut self, within: Duration, nth: usize) -> Settled {
        let deadline = Instant::now() + within;
        let mut last = Sent { trusting: false, ..self.new_message(true) };
        self.post(&mut last).await;
        self.sent.remember(last, &mut self.rng);
        let open = std::mem::take(&mut self.sent).into_open();
        let mut unresolved = Vec::new();
        for mut sent in open.step_by(nth) {
            self.post(&mut sent).await;
            while !sent.settled && Instant::now() < deadline {
                sleep(SETTLE_PAUSE).await;
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
        self.sent.remember(sent, &mut self.rng);
    }

    async fn post_new_twice_at_once(&mut self) {
        let mut sent = self.new_message(true);
        let spelled = [sent.spell(&mut self.rng), sent.spell(&mut self.rng)];
        let [first, second] = &spelled;
        let (first, second) = tokio::join!(
            self.attempt(&sent, first.as_deref()),
            self.attempt(&sent, second.as_deref())
        );
        self.note(&mut sent, first);
        self.note(&mut sent, second);
        self.sent.remember(sent, &mut self.rng);
    }

    async fn repeat(&mut self, wanted: impl Fn(&Sent) -> bool) {
        if let Some(at) = self.sent.pick(&mut self.rng, wanted) {
            let mut sent = self.sent.get(at).clone();
            self.post(&mut sent).await;
            self.sent.set(at, sent);
        }
    }

    /// Another message under a key whose message is stored: it must never be.
    async fn reuse_a_key(&mut self) {
        let Some(owner) = self.sent.pick(&mut self.rng, |sent| sent.settled) else { return };
        let key = self.sent.get(owner).key.clone();
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
        let Some(at) = self.sent.pick(&mut self.rng, |sent| sent.uuid.is_some()) else { return };
        let Some(uuid) = self.sent.get(at).uuid.clone() else { return };
        let began = self.run.now();
        let Some(found) = self.client.look_up(&uuid).await else { return };
        self.history.lookups.push(Lookup { uuid, began, ended: self.run.now(), found });
    }

    fn new_message(&mut self, keyed: bool) -> Sent {
        let number = self.messages;
        self.messages += 1;
        let is_longer = self.padding_max > 0 && self.rng.u8(0..8) == 0;
        let padding = if is_longer { self.rng.usize(0..self.padding_max) } else { 0 };
        let message = format!("{} message {number}{}", self.name, ".".repeat(padding));
        let mut bytes = [0; 16];
        self.ids.fill(&mut bytes);
        let uuid = Builder::from_random_bytes(bytes).into_uuid().to_string();
        let key = if self.rng.bool() {
            uuid
        } else {
            format!("{}/message/{number}", self.name.replace(' ', "/"))
        };
        Sent::new(message, keyed.then_some(key), number.is_multiple_of(2))
    }

    async fn post(&mut self, sent: &mut Sent) -> Outcome {
        let spelled = sent.spell(&mut self.rng);
        let exchange = self.attempt(sent, spelled.as_deref()).await;
        self.note(sent, exchange)
    }

    async fn attempt(&self, sent: &Sent, spelled: Option<&str>) -> Exchange {
        let invoked = self.run.now();
        let posted = self.client.post(&sent.message, spelled).await;
        (invoked, posted, self.run.now())
    }

    fn note(&mut self, sent: &mut Sent, exchange: Exchange) -> Outcome {
        let attempt = sent.note(exchange);
        let outcome = attempt.outcome.clone();
        self.run.attempts.fetch_add(1, Ordering::Relaxed);
        self.run.acknowledged.fetch_add(u64::from(outcome.is_receipt()), Ordering::Relaxed);
        self.setback |= matches!(outcome, Outcome::NotStored | Outcome::Unknown);
        self.history.attempts.push(attempt);
        outcome
    }
}
