//! What the layers around the routes cost a request: `cargo bench -p facade-service --bench stack`.
//!
//! Each request is answered by the stack and by the routes alone, in the same run.

#![allow(clippy::unwrap_used)] // What cannot be set up cannot be measured.

use std::{sync::Arc, time::SystemTime};

use axum::{body::Body, extract::Request};
use divan::{Bencher, black_box};
use facade_service::{
    Facade, HttpService, Options, ReadUpstream, Upstreams,
    delivery::{Delivery, DeliveryOptions},
    stack_and_routes,
};
use oncelog::{
    message::{Message, Outcome, RandomIds, Receipt},
    wire::v1::{AppendRequest, AppendResponse},
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Endpoint};
use tower::ServiceExt as _;

/// A request for each way through the routes.
const REQUESTS: [&str; 3] = ["a post", "a refused post", "a probe"];

fn main() {
    divan::main();
}

#[divan::bench(args = REQUESTS)]
fn stack(bencher: Bencher<'_, '_>, request: &str) {
    let runtime = runtime();
    let (stack, _) = runtime.block_on(async { stack_and_routes(facade()) });
    answer(bencher, &runtime, &stack, request);
}

#[divan::bench(args = REQUESTS)]
fn routes_alone(bencher: Bencher<'_, '_>, request: &str) {
    let runtime = runtime();
    let (_, routes) = runtime.block_on(async { stack_and_routes(facade()) });
    answer(bencher, &runtime, &routes, request);
}

fn answer(bencher: Bencher<'_, '_>, runtime: &Runtime, service: &impl HttpService, request: &str) {
    bencher.with_inputs(|| made(request)).bench_local_values(|request| {
        runtime.block_on(service.clone().oneshot(black_box(request))).unwrap()
    });
}

fn made(request: &str) -> Request {
    let post = Request::post("/facade").header("host", "a");
    match request {
        "a post" => post.header("content-type", "application/json").body(r#"{"msg":"a"}"#.into()),
        "a refused post" => post.body(Body::empty()),
        _ => Request::get("/healthz").header("host", "a").body(Body::empty()),
    }
    .unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A facade whose log stores every message at once, in no place.
fn facade() -> Facade {
    let log = tower::service_fn(|request: AppendRequest| {
        let receipts = request.messages.into_iter().map(|message| {
            let id = Message::try_from(message).unwrap().id.as_bytes().to_vec();
            let receipt = Receipt { sequence: 1, stored_at: SystemTime::UNIX_EPOCH };
            Outcome::Stored(receipt).into_receipt(id.into())
        });
        std::future::ready(Ok::<_, Status>(AppendResponse { receipts: receipts.collect() }))
    });
    let nowhere = || Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let options = DeliveryOptions::default();
    let reads = ReadUpstream {
        logging: nowhere(),
        log_reads: nowhere(),
        messages: nowhere(),
        call_timeout: options.attempt_timeout,
        read_timeout: options.total_timeout,
    };
    let upstreams = Upstreams { delivery: Delivery::start(log, options), reads };
    Facade::new(upstreams, Options::new(Arc::new(RandomIds)), CancellationToken::new())
}
