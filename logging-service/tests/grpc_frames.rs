//! What arrives on the port of a gRPC service and is no call: refused in words, never stored.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request};
use logging_service::store::journal::disk::SimulatedDisk;
use oncelog::wire::v1::{AppendRequest, Outcome};
use prost::Message as _;
use support::{
    message,
    served::{Served, append},
};
use tokio::net::TcpStream;

const APPEND: &str = "/oncelog.v1.LoggingService/Append";

/// A message of the gRPC protocol: a flag, a length, and that much.
fn framed(flag: u8, len: usize, content: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(len).unwrap().to_be_bytes(), content].concat()
}

fn whole(content: &[u8]) -> Vec<u8> {
    framed(0, content.len(), content)
}

/// The status a call ends with: `grpc-status` or, without one, the status of HTTP, and the words.
async fn ends(service: &Served, head: Request<()>, body: Vec<u8>) -> (Option<u32>, u16, String) {
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
    let (code, words) = (find("grpc-status"), find("grpc-message"));
    connection.abort();
    (code.map(|code| code.parse().unwrap()), head.status.as_u16(), words.unwrap_or_default())
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
    for (what, body) in [
        ("nothing", vec![]),
        ("half a prefix", vec![0, 0, 0]),
        ("a length longer than what comes", framed(0, good.len() + 1, &good)),
        ("a length of 4 GiB", framed(0, u32::MAX as usize, &good)),
        ("a length over the limit", framed(0, 4 * 1024 * 1024 + 1, &good)),
        ("a length shorter than what comes", framed(0, good.len() - 1, &good)),
        ("a compressed message without an encoding", framed(1, good.len(), &good)),
        ("a flag that means nothing", framed(7, good.len(), &good)),
        ("a message that ends inside of a field", whole(cut)),
        ("a varint without an end", whole(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("a cut varint", whole(b"\x0a\x80")),
        ("the wrong wire type", whole(b"\x08\x05")),
        ("the wrong wire type inside", whole(b"\x0a\x02\x08\x05")),
        ("a field without a number", whole(b"\x02\x00")),
        ("groups without an end", whole(&[0x0b; 1000])),
        ("a name that is not UTF-8", whole(b"\x0a\x04\x12\x02\xff\xfe")),
        ("an empty batch", whole(b"")),
        ("a field that is longer than all", whole(b"\x0a\xff\xff\xff\xff\x07")),
        ("text", whole(b"{\"messages\":[]}")),
    ] {
        let (code, status, words) = ends(&service, request(APPEND, "application/grpc"), body).await;
        assert_eq!(status, 200, "{what}");
        // INVALID_ARGUMENT, OUT_OF_RANGE, UNIMPLEMENTED, or INTERNAL for what cannot be decoded.
        assert!(matches!(code, Some(3 | 11 | 12 | 13)), "{what}: {code:?} {words}");
        assert!(!words.is_empty(), "{what}: {code:?}");
    }
    assert_eq!(service.last_sequence().await, 0);

    let two = [whole(&good), whole(&good)].concat();
    let (code, ..) = ends(&service, request(APPEND, "application/grpc"), two).await;
    assert!(code != Some(0) || service.last_sequence().await == 1, "two messages in one call");
    let repeated = AppendRequest { messages: vec![message(1, "hello").into()] };
    let client = service.client().await;
    let first = append(&client, repeated.clone()).await[0];
    assert!(matches!(first, (Outcome::Stored | Outcome::Duplicate, 1)), "{first:?}");
    assert_eq!(append(&client, repeated).await, [(Outcome::Duplicate, 1)]);
    service.stop().await;
}

#[tokio::test]
async fn a_call_of_something_else_is_refused() {
    let service = Served::on(&SimulatedDisk::new()).await;
    for path in ["/", "/oncelog.v1.LoggingService/append", "/oncelog.v1.LoggingService/", "/a/b/c"]
    {
        let (code, status, _) = ends(&service, request(path, "application/grpc"), whole(b"")).await;
        assert!(code == Some(12) || status == 404, "{path}: {code:?}, {status}");
    }
    let mut compressed = request(APPEND, "application/grpc");
    compressed.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let (code, _, words) = ends(&service, compressed, framed(1, 3, b"abc")).await;
    assert_eq!(code, Some(12), "{words}");
    assert_eq!(service.last_sequence().await, 0);

    // What a call says about its type changes nothing: it is whole and valid, or it is not.
    for content_type in ["application/grpc+proto", "application/json", "text/html", ""] {
        let (code, ..) = ends(&service, request(APPEND, content_type), whole(b"{}")).await;
        assert_eq!(code, Some(13), "{content_type:?}");
        let (code, ..) = ends(&service, request(APPEND, content_type), whole(&good())).await;
        assert_eq!(code, Some(0), "{content_type:?}");
        assert_eq!(service.last_sequence().await, 1, "stored once");
    }
    service.stop().await;
}
