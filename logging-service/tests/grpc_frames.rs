//! What arrives on the port of a gRPC service and is no call: refused in words, never stored.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request};
use logging_service::{limits::Limits, store::journal::disk::SimulatedDisk};
use oncelog::{
    limits::GRPC_MESSAGE_BYTES_MAX,
    wire::{
        STORED_TRAILER,
        v1::{AppendRequest, Outcome},
    },
};
use prost::Message as _;
use support::{
    message,
    scripted_store::scripted,
    served::{Served, append, parts},
};
use tokio::net::TcpStream;

const APPEND: &str = "/oncelog.v1.LoggingService/Append";

const LIMIT: usize = GRPC_MESSAGE_BYTES_MAX;

const CANCELLED: u32 = 1;
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;

/// A message of the gRPC protocol: a flag, a length, and that much.
fn framed(flag: u8, len: usize, content: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(len).unwrap().to_be_bytes(), content].concat()
}

fn whole(content: &[u8]) -> Vec<u8> {
    framed(0, content.len(), content)
}

/// How a call ended: `grpc-status`, the status of HTTP, the words, and the trailer `oncelog-stored`.
#[derive(Debug)]
struct Ended {
    code: Option<u32>,
    status: u16,
    words: String,
    stored: Option<String>,
}

impl Ended {
    /// Whether it says that nothing was stored, and why.
    fn surely_not_stored(&self) -> bool {
        self.stored.as_deref() == Some("no") && !self.words.is_empty()
    }
}

/// Makes a call with these bytes as its body.
async fn ends(service: &Served, head: Request<()>, body: Vec<u8>) -> Ended {
    let socket = TcpStream::connect(service.addr).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let (response, mut sending) = sender.send_request(head, false).unwrap();
    // It may be refused before all of it is there.
    let _ = sending.send_data(Bytes::from(body), true);
    let (head, mut body) = response.await.unwrap().into_parts();
    while let Some(data) = body.data().await {
        let _ = body.flow_control().release_capacity(data.unwrap().len());
    }
    let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    let find = |name: &str| -> Option<String> {
        let of = |map: &HeaderMap| map.get(name).map(|value| value.to_str().unwrap().to_owned());
        of(&head.headers).or_else(|| of(&trailers))
    };
    connection.abort();
    Ended {
        code: find("grpc-status").map(|code| code.parse().unwrap()),
        status: head.status.as_u16(),
        words: find("grpc-message").unwrap_or_default(),
        stored: find(STORED_TRAILER),
    }
}

fn request(path: &str, content_type: &str) -> Request<()> {
    let uri = format!("http://logging{path}");
    let head = Request::post(uri).header("te", "trailers").header("content-type", content_type);
    head.body(()).unwrap()
}

/// A call that would be taken.
fn good() -> Vec<u8> {
    AppendRequest { messages: vec![message(1, "hello").into()] }.encode_to_vec()
}

#[tokio::test]
async fn what_is_no_grpc_message_is_refused_and_not_stored() {
    let service = Served::on(&SimulatedDisk::new()).await;
    let good = good();
    let cut = &good[..good.len() - 1];
    for (what, expected, body) in [
        ("nothing", UNIMPLEMENTED, vec![]),
        ("half a prefix", INTERNAL, vec![0, 0, 0]),
        ("a length longer than what comes", INTERNAL, framed(0, good.len() + 1, &good)),
        ("a length of 4 GiB", RESOURCE_EXHAUSTED, framed(0, u32::MAX as usize, &good)),
        ("a length over the limit", RESOURCE_EXHAUSTED, framed(0, LIMIT + 1, &good)),
        ("a message over the limit", RESOURCE_EXHAUSTED, whole(&vec![0; LIMIT + 1])),
        ("more elements than are made", RESOURCE_EXHAUSTED, whole(&[0x0a, 0].repeat(5000))),
        ("a length shorter than what comes", UNIMPLEMENTED, framed(0, good.len() - 1, &good)),
        ("two messages", UNIMPLEMENTED, [whole(&good), whole(&good)].concat()),
        ("a message and half of one", UNIMPLEMENTED, [&whole(&good)[..], &[0]].concat()),
        ("a message and an empty one", UNIMPLEMENTED, [whole(&good), whole(b"")].concat()),
        ("an empty message and one", UNIMPLEMENTED, [whole(b""), whole(&good)].concat()),
        ("a compressed message without an encoding", INTERNAL, framed(1, good.len(), &good)),
        ("a flag that means nothing", INTERNAL, framed(7, good.len(), &good)),
        ("a message that ends inside of a field", INTERNAL, whole(cut)),
        ("a varint without an end", INTERNAL, whole(&[&b"\x0a"[..], &[0xff; 11]].concat())),
        ("a cut varint", INTERNAL, whole(b"\x0a\x80")),
        ("the wrong wire type", INTERNAL, whole(b"\x08\x05")),
        ("the wrong wire type inside", INTERNAL, whole(b"\x0a\x02\x08\x05")),
        ("a field without a number", INTERNAL, whole(b"\x02\x00")),
        ("groups without an end", INTERNAL, whole(&[0x0b; 1000])),
        ("a name that is not UTF-8", INTERNAL, whole(b"\x0a\x04\x12\x02\xff\xfe")),
        ("an empty batch", INVALID_ARGUMENT, whole(b"")),
        ("a field that is longer than all", INTERNAL, whole(b"\x0a\xff\xff\xff\xff\x07")),
        ("text", INTERNAL, whole(b"{\"messages\":[]}")),
    ] {
        let ended = ends(&service, request(APPEND, "application/grpc"), body).await;
        assert_eq!((ended.status, ended.code), (200, Some(expected)), "{what}: {ended:?}");
        assert!(ended.surely_not_stored(), "{what}: {ended:?}");
    }
    assert_eq!(service.last_sequence().await, 0);

    let repeated = AppendRequest { messages: vec![message(1, "hello").into()] };
    let client = service.client().await;
    assert_eq!(append(&client, repeated.clone()).await, [(Outcome::Stored, 1)]);
    assert_eq!(append(&client, repeated).await, [(Outcome::Duplicate, 1)]);
    service.stop().await;
}

#[tokio::test]
async fn every_method_takes_exactly_one_message_within_the_limit() {
    let service = Served::on(&SimulatedDisk::new()).await;
    for path in [
        APPEND,
        "/oncelog.v1.LoggingService/Read",
        "/oncelog.v1.LoggingService/Lookup",
        "/oncelog.v1.LoggingService/Status",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ] {
        for (body, expected) in [
            (vec![], UNIMPLEMENTED),
            ([whole(b""), whole(b"")].concat(), UNIMPLEMENTED),
            (framed(0, LIMIT + 1, b""), RESOURCE_EXHAUSTED),
        ] {
            let ended = ends(&service, request(path, "application/grpc"), body).await;
            assert_eq!(ended.code, Some(expected), "{path}: {ended:?}");
            assert!(ended.surely_not_stored(), "{path}: {ended:?}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_call_of_something_else_is_refused() {
    let service = Served::on(&SimulatedDisk::new()).await;
    for path in ["/", "/oncelog.v1.LoggingService/append", "/oncelog.v1.LoggingService/", "/a/b/c"]
    {
        let ended = ends(&service, request(path, "application/grpc"), whole(b"")).await;
        assert!(ended.code == Some(UNIMPLEMENTED) || ended.status == 404, "{path}: {ended:?}");
    }
    let mut compressed = request(APPEND, "application/grpc");
    compressed.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let ended = ends(&service, compressed, framed(1, 3, b"abc")).await;
    assert_eq!(ended.code, Some(UNIMPLEMENTED), "{ended:?}");
    assert!(ended.surely_not_stored(), "{ended:?}");

    for other in ["application/json", "text/html", "", "application/grpc-web", "application/grpcx"]
    {
        let ended = ends(&service, request(APPEND, other), whole(&good())).await;
        assert_eq!((ended.status, ended.code), (415, Some(INTERNAL)), "{other:?}: {ended:?}");
        assert!(ended.surely_not_stored(), "{other:?}: {ended:?}");
    }
    assert_eq!(service.last_sequence().await, 0);
    for usual in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let ended = ends(&service, request(APPEND, usual), whole(&good())).await;
        assert_eq!(ended.code, Some(0), "{usual:?}: {ended:?}");
    }
    assert_eq!(service.last_sequence().await, 1, "stored once");
    service.stop().await;
}

#[tokio::test]
async fn a_call_past_its_deadline_does_not_say_that_it_is_not_stored() {
    let (store, script, _) = scripted();
    let service = Served::start(parts(Limits::default(), || store)).await;
    let held = script.hold_commits();
    let mut head = request(APPEND, "application/grpc");
    head.headers_mut().insert("grpc-timeout", "100m".parse().unwrap());
    let ended = ends(&service, head, whole(&good())).await;
    assert_eq!((ended.code, &ended.stored), (Some(CANCELLED), &None), "{ended:?}");
    drop(held);
    let repeated = AppendRequest { messages: vec![message(1, "hello").into()] };
    assert_eq!(append(&service.client().await, repeated).await, [(Outcome::Duplicate, 1)]);
    service.stop().await;
}
