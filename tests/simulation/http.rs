//! One HTTP request of a client, over the simulated network.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use crate::machines::FACADE_PORT;

/// Connecting takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to a facade that is kept between requests, for as long as it works.
pub(crate) struct Connection {
    facade: &'static str,
    timeout: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    /// What arrived of the body.
    pub(crate) body: Vec<u8>,
    /// Whether all of it did.
    pub(crate) complete: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// There was no connection to send it on.
    NotSent,
    /// It was sent, and no answer told what became of it.
    Lost,
}

impl Connection {
    /// A connection to `facade` that waits for no answer longer than `timeout`.
    pub(crate) fn new(facade: &'static str, timeout: Duration) -> Self {
        Self { facade, timeout, open: None }
    }

    /// A request to the facade.
    pub(crate) fn request(method: Method, path: &str) -> request::Builder {
        Request::builder().method(method).uri(path).header("host", "facade")
    }

    /// Sends `request` once.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let mut open = match self.open.take() {
            Some(open) if !open.is_closed() => open,
            _ => self.connect().await.ok_or(NoAnswer::NotSent)?,
        };
        let answer = timeout(self.timeout, answer(&mut open, request)).await;
        // One that broke, or that did not answer in time, is not used again.
        let answer = answer.unwrap_or(Err(NoAnswer::Lost));
        if answer.as_ref().is_ok_and(|answer| answer.complete) {
            self.open = Some(open);
        }
        answer
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
) -> Result<Answer, NoAnswer> {
    open.ready().await.map_err(|_| NoAnswer::NotSent)?;
    let response = open.send_request(request).await.map_err(|_| NoAnswer::Lost)?;
    let (head, mut body) = response.into_parts();
    let replayed = head.headers.get("idempotency-replayed").is_some_and(|value| value == "true");
    let mut answer = Answer { status: head.status, replayed, body: Vec::new(), complete: true };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => answer.body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                answer.complete = false;
                break;
            }
        }
    }
    Ok(answer)
}
