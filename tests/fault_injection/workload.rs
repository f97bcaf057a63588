//! Concurrent clients that do what clients do, and write down what they saw.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use reqwest::{Method, header::ACCEPT};
use serde_json::Value;
use uuid::{Builder, Uuid};

use crate::{
    history::{Attempt, History, Lookup, Micros, Outcome, Read, Record},
    support::{Answer, Client},
};

/// Pause of a client between two requests, at most.
const THINK_MILLIS_MAX: u64 = 20;

/// Pause of a reader between two reads, at most.
const READ_PAUSE_MILLIS_MAX: u64 = 500;

/// Requests of one client: a run stays bounded whatever happens.
const REQUESTS_MAX: usize = 5000;

/// The clock of a run, and the word to stop.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) origin: Instant,
    pub(crate) stop: AtomicBool,
}

impl Run {
    fn now(&self) -> Micros {
        u64::try_from(self.origin.elapsed().as_micros()).expect("a short run")
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// A message this client has sent.
#[derive(Debug, Clone)]
struct Sent {
    message: String,
    /// What to repeat it with, if anything.
    key: Option<String>,
    uuid: Option<String>,
    settled: bool,
}

/// A client that posts.
#[derive(Debug)]
pub(crate) struct Poster<'a> {
    name: usize,
    client: Client,
    run: &'a Run,
    rng: fastrand::Rng,
    sent: Vec<Sent>,
    history: History,
}

impl<'a> Poster<'a> {
    /// A client whose every choice follows from `seed`.
    pub(crate) fn new(name: usize, client: Client, run: &'a Run, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed.wrapping_add(name as u64));
        Self { name, client, run, rng, sent: Vec::new(), history: History::default() }
    }

    /// Posts until the run stops.
    pub(crate) async fn work(mut self) -> Self {
        while self.run.goes_on() && self.history.attempts.len() < REQUESTS_MAX {
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

    /// After the faults: repeats every second message whose outcome is unknown, each until it is
    /// settled, so that both kinds are left for the audit.
    pub(crate) async fn settle(mut self, within: Duration) -> History {
        let deadline = Instant::now() + within;
        let open = self.sent.iter().filter(|sent| !sent.settled && sent.key.is_some());
        for mut sent in open.cloned().step_by(2).collect::<Vec<_>>() {
            while !sent.settled {
                assert!(Instant::now() < deadline, "not settled within {within:?}: {sent:?}");
                self.post(&mut sent).await;
            }
        }
        self.history
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
        let candidates = self.sent.iter().enumerate();
        let candidates = candidates.filter(|(_, sent)| sent.key.is_some() && wanted(sent));
        let places: Vec<usize> = candidates.map(|(place, _)| place).collect();
        if let Some(place) = self.rng.choice(places) {
            let mut sent = self.sent[place].clone();
            self.post(&mut sent).await;
            self.sent[place] = sent;
        }
    }

    /// Another message under a key whose message is stored: it must never be.
    async fn reuse_a_key(&mut self) {
        let settled = self.sent.iter().filter(|sent| sent.settled && sent.key.is_some());
        let Some(owner) = self.rng.choice(settled.collect::<Vec<_>>()).cloned() else { return };
        let mut other = Sent { uuid: None, ..self.new_message(false) };
        other.key = owner.key;
        self.post(&mut other).await;
    }

    async fn post_nonsense(&mut self) {
        let message = self.new_message(false).message;
        let body = format!("{{\"msg\":[\"{message}\"]}}");
        let request = self.client.request(Method::POST, "/facade").body(body);
        let request = request.header("content-type", "application/json");
        let invoked = self.run.now();
        let outcome = outcome(crate::support::http::send(request).await);
        let ended = self.run.now();
        self.history.attempts.push(Attempt { message, key: None, invoked, ended, outcome });
    }

    async fn look_up(&mut self) {
        let known = self.sent.iter().filter_map(|sent| sent.uuid.clone());
        let Some(uuid) = self.rng.choice(known.collect::<Vec<_>>()) else { return };
        let began = self.run.now();
        let answer = self.client.get(&format!("/facade/{uuid}")).await;
        let ended = self.run.now();
        let found = match answer {
            Ok(answer) if answer.status == 200 => Some(record(&answer.json())),
            Ok(answer) if answer.status == 404 => None,
            // No answer is no statement.
            Ok(_) | Err(_) => return,
        };
        self.history.lookups.push(Lookup { uuid, began, ended, found });
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
        let answer = self.client.post(&sent.message, spelled).await;
        let ended = self.run.now();
        let uuid = answer.as_ref().ok().and_then(|answer| {
            let json: Value = serde_json::from_str(&answer.text).ok()?;
            Some(json["uuid"].as_str()?.to_owned())
        });
        let (message, key) = (sent.message.clone(), sent.key.clone());
        (Attempt { message, key, invoked, ended, outcome: outcome(answer) }, uuid)
    }

    fn note(&mut self, sent: &mut Sent, (attempt, uuid): (Attempt, Option<String>)) {
        sent.settled |= matches!(attempt.outcome, Outcome::Acknowledged { .. });
        // The id in a failed answer is the key to repeat it with.
        sent.key = sent.key.take().or_else(|| uuid.clone());
        sent.uuid = uuid.or_else(|| sent.uuid.take());
        self.history.attempts.push(attempt);
    }
}

/// What a client may conclude from an answer.
fn outcome(answer: reqwest::Result<Answer>) -> Outcome {
    let Ok(answer) = answer else { return Outcome::Unknown };
    match answer.status {
        200 => {
            let json = answer.json();
            Outcome::Acknowledged {
                uuid: json["uuid"].as_str().expect("a uuid").to_owned(),
                sequence: json["sequence"].as_u64().expect("a sequence"),
                replayed: answer.header("idempotency-replayed") == "true",
            }
        }
        422 => Outcome::Conflict,
        400 | 413 | 415 => Outcome::Refused,
        503 if answer.json()["stored"] == "no" => Outcome::NotStored,
        408 | 500.. => Outcome::Unknown,
        _ => panic!("not an answer to a post: {answer:?}"),
    }
}

/// Reads the whole log again and again until the run stops.
pub(crate) async fn read_on(client: Client, run: &Run, seed: u64) -> History {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let mut history = History::default();
    while run.goes_on() {
        history.reads.extend(read(&client, run).await);
        tokio::time::sleep(Duration::from_millis(rng.u64(0..READ_PAUSE_MILLIS_MAX))).await;
    }
    history
}

/// Reads the log from its start; what arrives before a connection breaks counts too.
pub(crate) async fn read(client: &Client, run: &Run) -> Option<Read> {
    let began = run.now();
    let request = client.request(Method::GET, "/facade").header(ACCEPT, "application/x-ndjson");
    let mut response = request.send().await.ok().filter(|response| response.status() == 200)?;
    let mut text = Vec::new();
    let complete = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let ended = run.now();
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    assert!(!complete || rest.is_empty(), "a complete read ends with a whole line");
    let parse = |line| record(&serde_json::from_slice(line).expect("JSON"));
    Some(Read { began, ended, complete, records: lines.into_iter().map(parse).collect() })
}

fn record(json: &Value) -> Record {
    Record {
        sequence: json["sequence"].as_u64().expect("a sequence"),
        uuid: json["uuid"].as_str().expect("a uuid").to_owned(),
        message: json["msg"].as_str().expect("a text").to_owned(),
    }
}
