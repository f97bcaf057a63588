//! The real client against real sockets: how each way to fail shows up, provoked and not assumed.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use http::{Response, StatusCode};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Status};
use tower::{ServiceBuilder, ServiceExt as _};

use super::{
    classifying::{CODES, Meaning},
    support::{all_stored, append, message, message_with, receipt, settle, stored_nothing},
};
use crate::delivery::{
    Delivery, DeliveryError, DeliveryOptions, LoggingClient,
    classify::{
        Fate::{NeverReached, Refused, Unknown},
        Remedy::{GiveUp, Retry, Split},
        Verdict, classify, describe,
    },
};
use oncelog::{
    grpc::{channel, grpc_server},
    limits,
    message::Outcome,
    wire::v1::{self, logging_service_server as grpc},
};

type AppendResult = Result<v1::AppendResponse, Status>;
type Handler = dyn Fn(v1::AppendRequest) -> AppendResult + Send + Sync;

/// A gRPC server that answers `Append` with a function and nothing else.
struct Answering(Box<Handler>);

type Answered<T> = Result<tonic::Response<T>, Status>;

#[tonic::async_trait]
impl grpc::LoggingService for Answering {
    type ReadStream = tokio_stream::Empty<Result<v1::ReadResponse, Status>>;

    async fn append(&self, request: Request<v1::AppendRequest>) -> Answered<v1::AppendResponse> {
        (self.0)(request.into_inner()).map(tonic::Response::new)
    }

    async fn read(&self, _: Request<v1::ReadRequest>) -> Answered<Self::ReadStream> {
        Err(Status::unimplemented("append only"))
    }

    async fn lookup(&self, _: Request<v1::LookupRequest>) -> Answered<v1::LookupResponse> {
        Err(Status::unimplemented("append only"))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Answered<v1::StatusResponse> {
        Err(Status::unimplemented("append only"))
    }
}

/// A port that no other socket gets, which refuses connections until it listens.
fn reserve(addr: SocketAddr) -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(addr).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn serve_on(
    listener: TcpListener,
    handler: impl Fn(v1::AppendRequest) -> AppendResult + Send + Sync + 'static,
) {
    let service = grpc::LoggingServiceServer::new(Answering(Box::new(handler)))
        .max_decoding_message_size(limits::GRPC_MESSAGE_BYTES_MAX);
    let incoming = TcpListenerStream::new(listener);
    grpc_server().add_service(service).serve_with_incoming(incoming).await.unwrap();
}

async fn serve(
    handler: impl Fn(v1::AppendRequest) -> AppendResult + Send + Sync + 'static,
) -> SocketAddr {
    let (listener, addr) = listen().await;
    tokio::spawn(serve_on(listener, handler));
    addr
}

/// An HTTP/2 server that ends its first stream by hand.
async fn serve_h2<F>(end: F) -> SocketAddr
where
    F: FnOnce(&mut H2, h2::server::SendResponse<Bytes>) + Send + 'static,
{
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (_, respond) = connection.accept().await.unwrap().unwrap();
        end(&mut connection, respond);
        while connection.accept().await.is_some() {}
    });
    addr
}

type H2 = h2::server::Connection<TcpStream, Bytes>;

fn client(addr: SocketAddr) -> LoggingClient {
    LoggingClient::new(channel(format!("http://{addr}").parse().unwrap()))
}

/// A delivery that gives up soon, in the middle of an attempt.
fn hasty(addr: SocketAddr) -> Delivery {
    let options = DeliveryOptions {
        attempt_timeout: Duration::from_millis(100),
        total_timeout: Duration::from_millis(350),
        ..DeliveryOptions::default()
    };
    Delivery::start(client(addr), options)
}

fn request() -> v1::AppendRequest {
    v1::AppendRequest { messages: vec![message(7).into()] }
}

fn store_all(request: v1::AppendRequest) -> AppendResult {
    let receipt = |(message, sequence): (v1::Message, u64)| {
        Outcome::Stored(receipt(sequence)).into_receipt(message.id)
    };
    Ok(v1::AppendResponse {
        receipts: request.messages.into_iter().zip(1..).map(receipt).collect(),
    })
}

/// Makes one attempt and judges its error: what it means, and in which words.
async fn judge(addr: SocketAddr, request: v1::AppendRequest) -> (Meaning, String) {
    let judged = judge_within(Duration::from_secs(60), addr, request).await;
    assert!(!judged.1.starts_with("no answer"), "the failure never arrived");
    judged
}

async fn judge_within(
    timeout: Duration,
    addr: SocketAddr,
    request: v1::AppendRequest,
) -> (Meaning, String) {
    let attempt = ServiceBuilder::new().timeout(timeout).service(client(addr));
    let error = attempt.oneshot(request).await.unwrap_err();
    let Verdict { fate, remedy } = classify(&*error);
    ((fate, remedy), describe(&*error, timeout))
}

#[tokio::test]
async fn a_refused_connection_never_reached_the_service() {
    let (_reserved, addr) = reserve(ANY_PORT);
    let (meaning, words) = judge(addr, request()).await;
    assert_eq!(meaning, (NeverReached, Retry));
    assert!(
        words.starts_with("logging-service is not reachable: Connection refused (os error"),
        "{words}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_may_have_been_reached() {
    let (listener, addr) = listen().await;
    let judged = judge_within(Duration::from_millis(200), addr, request()).await;
    assert_eq!(judged, ((Unknown, Retry), "no answer within 200ms".to_owned()));
    drop(listener);
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_a_call_may_have_stored_it() {
    let (listener, addr) = listen().await;
    let (entered, was_entered) = mpsc::channel::<()>();
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let std_listener = listener.into_std().unwrap();
    server.spawn(async move {
        let listener = TcpListener::from_std(std_listener).unwrap();
        serve_on(listener, move |_| {
            entered.send(()).unwrap();
            // Inside of the handler until the process is gone.
            loop {
                std::thread::park();
            }
        })
        .await;
    });
    let killer = std::thread::spawn(move || {
        was_entered.recv().unwrap();
        server.shutdown_background();
    });
    let (meaning, _) = judge(addr, request()).await;
    assert_eq!(meaning, (Unknown, Retry));
    killer.join().unwrap();
}

#[tokio::test]
async fn every_code_arrives_and_means_what_the_table_says() {
    // OK is no error on the wire.
    for (code, alone, with_trailer) in CODES.into_iter().skip(1) {
        for (trailer, expected) in [(false, alone), (true, with_trailer)] {
            let addr = serve(move |_| {
                let status = Status::new(code, "because");
                Err(if trailer { stored_nothing(status) } else { status })
            })
            .await;
            let (meaning, words) = judge(addr, request()).await;
            assert_eq!(meaning, expected, "{code:?}");
            assert_eq!(words, format!("logging-service answered {code:?}: because"));
        }
    }
}

#[tokio::test]
async fn a_reset_or_goaway_is_unknown_whatever_the_reason() {
    for number in 0..=13_u32 {
        let reason = Reason::from(number);
        let addr = serve_h2(move |_, mut respond| respond.send_reset(reason)).await;
        let (meaning, words) = judge(addr, request()).await;
        assert_eq!(meaning, (Unknown, Retry), "reset {reason:?}: {words}");

        let addr = serve_h2(move |connection, _| connection.abrupt_shutdown(reason)).await;
        let (meaning, words) = judge(addr, request()).await;
        assert_eq!(meaning, (Unknown, Retry), "goaway {reason:?}: {words}");
    }
}

#[tokio::test]
async fn a_proxy_that_answers_without_grpc_is_understood() {
    for (status, expected) in [
        (StatusCode::UNAUTHORIZED, (Refused, GiveUp)),
        (StatusCode::FORBIDDEN, (Refused, GiveUp)),
        (StatusCode::NOT_FOUND, (Refused, GiveUp)),
        (StatusCode::TOO_MANY_REQUESTS, (Unknown, Retry)),
        (StatusCode::BAD_GATEWAY, (Unknown, Retry)),
        (StatusCode::SERVICE_UNAVAILABLE, (Unknown, Retry)),
        (StatusCode::GATEWAY_TIMEOUT, (Unknown, Retry)),
        (StatusCode::OK, (Unknown, Retry)),
    ] {
        let addr = serve_h2(move |_, mut respond| {
            let head = Response::builder().status(status).body(()).unwrap();
            respond.send_response(head, true).unwrap();
        })
        .await;
        let (meaning, words) = judge(addr, request()).await;
        assert_eq!(meaning, expected, "{status}: {words}");
    }
}

#[tokio::test]
async fn a_call_over_the_size_limit_is_not_repeated_as_it_is() {
    let addr = serve(|_| {
        let detail = "x".repeat(limits::GRPC_MESSAGE_BYTES_MAX);
        Ok(v1::AppendResponse { receipts: vec![v1::Receipt { detail, ..Default::default() }] })
    })
    .await;
    let (meaning, words) = judge(addr, request()).await;
    // It was stored for all we know: the answer was only too long to read.
    assert_eq!(meaning, (Unknown, Split), "{words}");

    let body = Bytes::from(vec![b'x'; limits::GRPC_MESSAGE_BYTES_MAX + 1]);
    let too_large = v1::AppendRequest { messages: vec![message_with(7, body).into()] };
    let ((fate, _), words) = judge(addr, too_large).await;
    assert_eq!(fate, Unknown, "{words}");
}

#[tokio::test]
async fn the_fullest_call_fits_a_request() {
    let addr = serve(store_all).await;
    let delivery = Delivery::start(client(addr), DeliveryOptions::default());
    let body = Bytes::from(vec![b'x'; limits::CALL_BYTES_MAX / limits::CALL_MESSAGES_MAX]);
    let waiters: Vec<_> = (1..=3 * limits::CALL_MESSAGES_MAX as u128)
        .map(|id| append(&delivery, message_with(id, body.clone())))
        .collect();
    all_stored(waiters).await;
    let full = Bytes::from(vec![b'x'; limits::MESSAGE_BODY_BYTES_MAX]);
    delivery.append(message_with(u128::MAX, full)).await.unwrap();
}

#[tokio::test]
async fn a_service_that_starts_late_gets_the_message() {
    let (reserved, addr) = reserve(ANY_PORT);
    let delivery = Delivery::start(client(addr), DeliveryOptions::default());
    let waiter = append(&delivery, message(7));
    settle().await;
    tokio::spawn(serve_on(reserved.listen(64).unwrap(), store_all));
    assert_eq!(waiter.await.unwrap().unwrap().receipt, receipt(1));
}

#[tokio::test]
async fn unreachable_is_not_stored_and_silent_is_unknown() {
    let (listener, addr) = listen().await;
    let silent = hasty(addr).append(message(7)).await;
    assert!(matches!(silent, Err(DeliveryError::Unknown(_))), "{silent:?}");
    drop(listener);
    let (_reserved, addr) = reserve(ANY_PORT);
    let delivery = hasty(addr);
    for _ in 0..20 {
        let refused = delivery.append(message(7)).await;
        if matches!(refused, Err(DeliveryError::NotStored(_))) {
            return;
        }
        // Where the end of its time falls into an attempt, that one is not waited for.
        assert!(matches!(refused, Err(DeliveryError::Unknown(_))), "{refused:?}");
    }
    panic!("never surely not stored");
}

#[tokio::test]
async fn a_service_that_restarts_is_found_again() {
    let (reserved, addr) = reserve(ANY_PORT);
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    server.spawn(async move {
        serve_on(reserve(addr).0.listen(64).unwrap(), store_all).await;
    });
    let delivery = Delivery::start(client(addr), DeliveryOptions::default());
    delivery.append(message(1)).await.unwrap();
    // Its sockets are closed when this returns.
    tokio::task::spawn_blocking(move || server.shutdown_timeout(Duration::from_secs(60)))
        .await
        .unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(serve_on(reserved.listen(64).unwrap(), move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        store_all(request)
    }));
    delivery.append(message(2)).await.unwrap();
    assert_eq!(served.load(Ordering::Relaxed), 1);
}

/// A server that takes every call, sends the head of an answer and `begun` of its body, and then
/// nothing more.
async fn serve_heads(begun: &'static [u8]) -> SocketAddr {
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let head = Response::builder().header("content-type", "application/grpc");
            let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
            body.send_data(Bytes::from_static(begun), false).unwrap();
            held.push((request, body));
        }
    });
    addr
}

#[tokio::test]
async fn an_answer_that_stalls_is_unknown_at_the_deadline() {
    for begun in [&b""[..], b"\0\0", b"\0\0\0\0\x09\x0a"] {
        let delivery = hasty(serve_heads(begun).await);
        let waiters: Vec<_> = (1..=50).map(|id| append(&delivery, message(id))).collect();
        let all = async {
            for waiter in waiters {
                let answer = waiter.await.unwrap();
                // What waited behind a stalled call was never sent.
                let Err(DeliveryError::Unknown(_) | DeliveryError::NotStored(_)) = answer else {
                    panic!("{answer:?}")
                };
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("a call hangs");
        let alone = delivery.append(message(99)).await;
        assert!(matches!(alone, Err(DeliveryError::Unknown(_))), "{alone:?}");
    }
}

#[tokio::test]
async fn a_call_over_the_limit_of_the_service_is_made_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let addr = serve(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Err(stored_nothing(Status::resource_exhausted("message length too large")))
    })
    .await;
    let delivery = Delivery::start(client(addr), DeliveryOptions::default());
    let answer = delivery.append(message(7)).await;
    assert!(matches!(answer, Err(DeliveryError::Invalid(_))), "{answer:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
