//! A client over HTTP on the simulated network: what it asks of a facade, and what it may conclude from
//! the answer.

use std::{cell::Cell, time::Duration};

use bytes::Bytes;
use faultlab::{
    history::{Micros, Outcome, Read, Record, Shown},
    load::{Calls, Posted, record},
};
use http::{
    Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HOST},
    request,
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use turmoil::net::TcpStream;

use crate::machines::{FACADE_PORT, FACADES};

/// Connecting takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A client of one facade, with a connection that is kept between requests for as long as it works.
pub(crate) struct Client {
    facade: &'static str,
    /// For one answer.
    timeout: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// What came back.
struct Answer {
    status: StatusCode,
    replayed: bool,
    /// What arrived of the body.
    body: Vec<u8>,
    /// Whether all of it did.
    complete: bool,
}

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
    /// A client of `facade` that waits for no answer longer than `timeout`.
    pub(crate) fn new(facade: &'static str, timeout: Duration) -> Self {
        Self { facade, timeout, open: None }
    }

    /// Posts `body` once.
    pub(crate) async fn post_body(&mut self, body: String, key: Option<&str>) -> Posted {
        let mut request = Request::post("/facade").header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = match self.send(request, body).await {
            Ok(answer) if answer.complete => answer,
            Ok(_) => return Posted::without_id(Outcome::Unknown),
            Err(outcome) => return Posted::without_id(outcome),
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

    async fn get(&mut self, path: &str) -> Option<Answer> {
        let request = Request::get(path).header(ACCEPT, "application/x-ndjson");
        self.send(request, String::new()).await.ok()
    }

    /// Sends `request` once. If there is no answer: what may have become of the request.
    async fn send(&mut self, request: request::Builder, body: String) -> Result<Answer, Outcome> {
        let request = request.header(HOST, "facade").body(Full::from(body)).unwrap();
        let mut open = match self.open.take() {
            Some(open) if !open.is_closed() => open,
            _ => self.connect().await.ok_or(Outcome::NotStored)?,
        };
        // A connection that broke, or did not answer in time, is not used again.
        let answer = timeout(self.timeout, answer(&mut open, request)).await;
        let answer = answer.map_err(|_| Outcome::Unknown)??;
        self.open = answer.complete.then_some(open);
        Ok(answer)
    }

    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let connecting = TcpStream::connect((self.facade, FACADE_PORT));
        let stream = timeout(CONNECT_TIMEOUT, connecting).await.ok()?.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::task::spawn_local(connection);
        sender.ready().await.ok()?;
        Some(sender)
    }
}

async fn answer(
    open: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Outcome> {
    open.ready().await.map_err(|_| Outcome::NotStored)?;
    let response = open.send_request(request).await.map_err(|_| Outcome::Unknown)?;
    let (head, mut body) = response.into_parts();
    let replayed = head.headers.get("idempotency-replayed").is_some_and(|value| value == "true");
    let mut answer = Answer { status: head.status, replayed, body: Vec::new(), complete: true };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            answer.complete = false;
            break;
        };
        answer.body.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    Ok(answer)
}
