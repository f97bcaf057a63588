//! A client that posts, repeats, reuses keys, looks up and reads, and writes down what it saw.

use std::{cell::Cell, rc::Rc, time::Duration};

use faultlab::{
    checker::Violation,
    history::{History, Lookup},
    load::{Exchange, Sent, Settled},
};
use tokio::time::{Instant, sleep};
use uuid::Builder;

use crate::{
    client::{Client, now},
    machines::FACADES,
    seed::random,
};

/// Pause between two tries to settle one message.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// How long after the last fault every message must be settled.
pub(crate) const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What all clients of a run are told.
#[derive(Debug, Default)]
pub(crate) struct Word {
    /// The faults are over: settle what is open.
    pub(crate) restored: Cell<bool>,
}

/// A client with a connection to each facade.
pub(crate) struct Poster {
    name: usize,
    clients: [Client; 2],
    random: fastrand::Rng,
    think_max: Duration,
    sent: Vec<Sent>,
    history: History,
}

impl Poster {
    /// A client whose every choice follows from `seed` and its name.
    pub(crate) fn new(seed: u64, name: usize, timeout: Duration, think_max: Duration) -> Self {
        let random = random(seed, &format!("client {name}"));
        let clients = FACADES.map(|facade| Client::new(facade, timeout));
        Self { name, clients, random, think_max, sent: Vec::new(), history: History::default() }
    }

    /// Works until the faults are over, then settles.
    pub(crate) async fn run(mut self, word: Rc<Word>) -> Settled {
        while !word.restored.get() {
            match self.random.u8(0..100) {
                0..40 => self.post_new(true).await,
                40..55 => self.post_new(false).await,
                55..65 => self.post_new_twice_at_once().await,
                65..77 => self.repeat(|sent| sent.settled).await,
                77..87 => self.repeat(Sent::is_open).await,
                87..91 => self.reuse_a_key().await,
                91..96 => self.look_up().await,
                _ => self.read().await,
            }
            sleep(self.think_max.mul_f64(self.random.f64())).await;
        }
        self.settle().await
    }

    async fn settle(mut self) -> Settled {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let open = self.sent.iter().filter(|sent| sent.is_open());
        let mut unresolved = Vec::new();
        for mut sent in open.cloned().collect::<Vec<_>>() {
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
        self.sent.push(sent);
    }

    /// Through both facades at the same time.
    async fn post_new_twice_at_once(&mut self) {
        let mut sent = self.new_message(true);
        let spelled = [sent.spell(&mut self.random), sent.spell(&mut self.random)];
        let [one, other] = &mut self.clients;
        let (one, other) = tokio::join!(
            attempt(one, &sent, spelled[0].as_deref()),
            attempt(other, &sent, spelled[1].as_deref())
        );
        self.history.attempts.extend([one, other].map(|exchange| sent.note(exchange)));
        self.sent.push(sent);
    }

    async fn repeat(&mut self, wanted: impl Fn(&Sent) -> bool) {
        if let Some(place) = self.pick(wanted) {
            let mut sent = self.sent[place].clone();
            self.post(&mut sent).await;
            self.sent[place] = sent;
        }
    }

    fn pick(&mut self, wanted: impl Fn(&Sent) -> bool) -> Option<usize> {
        let wanted = |place: &usize| self.sent[*place].key.is_some() && wanted(&self.sent[*place]);
        let places: Vec<usize> = (0..self.sent.len()).filter(wanted).collect();
        self.random.choice(places)
    }

    /// Another message under a key whose message is stored: it must never be.
    async fn reuse_a_key(&mut self) {
        let Some(owner) = self.pick(|sent| sent.settled) else { return };
        let key = self.sent[owner].key.clone();
        let mut other = Sent { key, ..self.new_message(false) };
        self.post(&mut other).await;
    }

    async fn look_up(&mut self) {
        let Some(place) = self.pick(|sent| sent.uuid.is_some()) else { return };
        let Some(uuid) = self.sent[place].uuid.clone() else { return };
        let began = now();
        let Some(found) = self.any_client().look_up(&uuid).await else { return };
        self.history.lookups.push(Lookup { uuid, began, ended: now(), found });
    }

    async fn read(&mut self) {
        let read = self.any_client().read().await;
        self.history.reads.extend(read);
    }

    fn any_client(&mut self) -> &mut Client {
        let nth = self.random.usize(0..self.clients.len());
        &mut self.clients[nth]
    }

    fn new_message(&mut self, keyed: bool) -> Sent {
        let number = self.history.attempts.len();
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        let uuid = Builder::from_random_bytes(bytes).into_uuid().to_string();
        let key = if self.random.bool() { uuid } else { format!("{}/{number}", self.name) };
        // Now and then one that fills blocks of the disk.
        let length = if self.random.u8(0..8) == 0 { self.random.usize(0..3000) } else { 0 };
        let message = format!("client {} message {number}{}", self.name, ".".repeat(length));
        Sent::new(message, keyed.then_some(key), self.random.bool())
    }

    async fn post(&mut self, sent: &mut Sent) {
        let spelled = sent.spell(&mut self.random);
        let exchange = attempt(self.any_client(), sent, spelled.as_deref()).await;
        self.history.attempts.push(sent.note(exchange));
    }
}

async fn attempt(client: &mut Client, sent: &Sent, spelled: Option<&str>) -> Exchange {
    let invoked = now();
    let posted = client.post(&sent.message, spelled).await;
    (invoked, posted, now())
}
