//! What a client asks of a facade, and what it may conclude from the answer.

use std::{cell::Cell, time::Duration};

use bytes::Bytes;
use faultlab::{
    history::{Micros, Outcome, Read, Record, Shown},
    load::{Calls, Posted, record},
};
use http::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    http::{Connection, NoAnswer},
    machines::FACADES,
};

/// A client with one connection.
pub(crate) struct Client(Connection);

/// A client of both facades, with a connection to each. Its calls go through one and the other in turn.
pub(crate) struct Clients {
    clients: [Mutex<Client>; 2],
    next: Cell<usize>,
}

impl Clients {
    pub(crate) fn new(timeout: Duration) -> Self {
        let clients = FACADES.map(|facade| Mutex::new(Client::new(facade, timeout)));
        Self { clients, next: Cell::new(0) }
    }

    /// The client of the next facade, once it is free.
    async fn next(&self) -> MutexGuard<'_, Client> {
        let next = self.next.replace((self.next.get() + 1) % FACADES.len());
        self.clients[next].lock().await
    }

    /// Reads the log from its start. `None` if the read did not begin.
    pub(crate) async fn read(&self) -> Option<Read> {
        self.next().await.read().await
    }
}

impl Calls for Clients {
    async fn post_body(&self, body: String, key: Option<&str>) -> Posted {
        self.next().await.post_body(body, key).await
    }

    async fn look_up(&self, uuid: &str) -> Option<Option<Record>> {
        self.next().await.look_up(uuid).await
    }
}

/// Simulated time.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn micros() -> Micros {
    Micros::try_from(now().as_micros()).unwrap()
}

impl Client {
    /// A client of `facade`.
    pub(crate) fn new(facade: &'static str, timeout: Duration) -> Self {
        Self(Connection::new(facade, timeout))
    }

    /// Posts `body` once.
    pub(crate) async fn post_body(&mut self, body: String, key: Option<&str>) -> Posted {
        let mut request = Connection::request(Method::POST, "/facade");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(body)).unwrap();
        let answer = match self.0.send(request).await {
            Ok(answer) if answer.complete => answer,
            Ok(_) | Err(NoAnswer::Lost) => return Posted::without_id(Outcome::Unknown),
            Err(NoAnswer::NotSent) => return Posted::without_id(Outcome::NotStored),
        };
        let status = answer.status.as_u16();
        let mut posted = Posted::of(status, &answer.body, answer.replayed);
        let body = String::from_utf8_lossy(&answer.body);
        // Nothing between the client and the facade answers in its place.
        let is_told = status == 504 && body.contains(r#""stored":"unknown""#);
        if posted.outcome == Outcome::Unknown && !is_told {
            posted.outcome = Outcome::Nonsense { answer: format!("{status} {body}") };
        }
        posted
    }

    async fn look_up(&mut self, uuid: &str) -> Option<Option<Record>> {
        let answer = self.get(&format!("/facade/{uuid}")).await.filter(|answer| answer.complete)?;
        match answer.status.as_u16() {
            200 => Some(Some(record(&answer.body))),
            404 => Some(None),
            _ => None,
        }
    }

    /// Reads the log from its start. `None` if the read did not begin.
    pub(crate) async fn read(&mut self) -> Option<Read> {
        let began = micros();
        let answer = self.get("/facade").await.filter(|answer| answer.status == 200)?;
        let mut lines: Vec<&[u8]> = answer.body.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap_or_default();
        if answer.complete && !rest.is_empty() {
            // A read that calls itself complete has whole lines only: the checker shall see this one.
            lines.push(rest);
        }
        let mut shown = Shown::default();
        lines.into_iter().for_each(|line| shown.push(&record(line)));
        Some(Read { began, ended: micros(), complete: answer.complete, shown })
    }

    async fn get(&mut self, path: &str) -> Option<crate::http::Answer> {
        let request = Connection::request(Method::GET, path).header(ACCEPT, "application/x-ndjson");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        self.0.send(request).await.ok()
    }
}
