//! Requests to the facade, past the sockets: its stack as a router, and behind it a log in memory.

mod batch;
mod get;
mod model;
mod post;

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use facade_service::delivery::{Delivery, DeliveryOptions};
use facade_service::{Facade, Options, ReadUpstream, Upstreams, router};
use http::{HeaderName, HeaderValue, Request, header, request::Builder};
use http_body_util::BodyExt as _;
use oncelog::{
    message::{Message, Outcome, RandomIds, Receipt},
    wire::v1::{AppendRequest, AppendResponse},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Endpoint};
use tower::ServiceExt as _;

pub(crate) use self::{batch::batch, get::get, post::post};

/// Nothing about one request takes this much: bodies are not copied more than a few times.
const MEMORY_BYTES_MAX: usize = 4 * 1024 * 1024;

type Log = Arc<Mutex<Vec<(Message, Receipt)>>>;

/// A facade in front of a log that always stores, and of services that cannot be read.
struct Fixture {
    runtime: Runtime,
    router: Router,
    log: Log,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

thread_local! {
    static FIXTURE: Fixture = Fixture::start();
}

/// Calls `case` with a fixture whose log is empty.
fn with_fixture(case: impl FnOnce(&Fixture)) {
    FIXTURE.with(|fixture| {
        fixture.log.lock().unwrap().clear();
        crate::memory::within(MEMORY_BYTES_MAX, || case(fixture));
    });
}

impl Fixture {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let log = Log::default();
        let _entered = runtime.enter();
        let stored = Arc::clone(&log);
        let logging = tower::service_fn(move |request: AppendRequest| {
            std::future::ready(Ok::<_, Status>(append(&stored, request)))
        });
        let options = DeliveryOptions::default();
        let unreachable = || {
            let refuse = |_| std::future::ready(Err::<Io, _>(std::io::Error::other("no network")));
            Endpoint::from_static("http://unreachable")
                .connect_with_connector_lazy(tower::service_fn(refuse))
        };
        let reads = ReadUpstream {
            logging: unreachable(),
            log_reads: unreachable(),
            messages: unreachable(),
            call_timeout: options.attempt_timeout,
            read_timeout: options.total_timeout,
        };
        let upstreams = Upstreams { delivery: Delivery::start(logging, options), reads };
        let stop = CancellationToken::new();
        let facade = Facade::new(upstreams, Options::new(Arc::new(RandomIds)), stop);
        Self { runtime, router: router(facade), log }
    }

    /// Asks the facade, with a head that the edge lets pass: what it refuses has tests of its own.
    fn ask(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("a"));
        request.headers_mut().remove(header::TRANSFER_ENCODING);
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("the answer is whole").to_bytes();
            Answer { status: head.status.as_u16(), headers: head.headers, body }
        })
    }

    fn stored(&self) -> Vec<(Message, Receipt)> {
        self.log.lock().unwrap().clone()
    }
}

/// What a channel would be made of, if there were a network.
type Io = hyper_util::rt::TokioIo<tokio::io::DuplexStream>;

fn append(log: &Log, request: AppendRequest) -> AppendResponse {
    let mut log = log.lock().unwrap();
    let receipts = request.messages.into_iter().map(|sent| {
        let id = sent.id.clone();
        let message = Message::try_from(sent).expect("the facade sends nothing invalid");
        let outcome = match log.iter().find(|(stored, _)| stored.id == message.id) {
            Some((stored, receipt)) if *stored == message => Outcome::Duplicate(*receipt),
            Some(_) => Outcome::Conflict,
            None => {
                let sequence = log.len() as u64 + 1;
                let receipt = Receipt { sequence, stored_at: SystemTime::UNIX_EPOCH };
                log.push((message, receipt));
                Outcome::Stored(receipt)
            }
        };
        outcome.into_receipt(id)
    });
    AppendResponse { receipts: receipts.collect() }
}

impl Answer {
    /// Checks that it is a failure in the usual form, of a client's making.
    fn is_refusal(&self) {
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        assert!((400..500).contains(&self.status), "{}: {json}", self.status);
        assert_eq!(json["status"], "failure");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(json["code"].as_str().is_some_and(|code| !code.is_empty()), "{json}");
        assert!(json["message"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
    }
}

/// An input as text: header lines, an empty line, a body. What is no header is left out.
fn read_request(input: &[u8], mut head: Builder) -> (Builder, &[u8]) {
    let mut rest = input;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        // As they come out of a parser of HTTP.
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            head = head.header(name, value);
        }
    }
    (head, rest)
}
