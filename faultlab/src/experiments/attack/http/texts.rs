//! Bodies that come as they should and are hard to take.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Attack, JSON, Port, post_head};

/// The largest body the facade takes.
const LIMIT_BYTES: usize = 1024 * 1024;

/// As large as may be. It is stored.
pub(super) const LIMIT: Attack = Attack {
    name: "http: bodies as large as may be",
    port: Port::Http,
    abusers: 2,
    dropped_within: None,
    abuse: |stream| Box::pin(post(stream, filled(LIMIT_BYTES), "200")),
};

/// A byte larger. It is refused.
pub(super) const OVER_LIMIT: Attack = Attack {
    name: "http: bodies a byte too large",
    port: Port::Http,
    abusers: 10,
    dropped_within: None,
    abuse: |stream| Box::pin(post(stream, filled(LIMIT_BYTES + 1), "413")),
};

/// JSON of a hundred thousand levels.
pub(super) const NESTED: Attack = Attack {
    name: "http: JSON of 100,000 levels",
    port: Port::Http,
    abusers: 10,
    dropped_within: None,
    abuse: |stream| {
        let json = [br#"{"msg":"#, "[".repeat(100_000).as_bytes()].concat();
        Box::pin(post(stream, json, "400"))
    },
};

/// A text of escapes only, whose end is missing.
pub(super) const ESCAPES: Attack = Attack {
    name: "http: a megabyte of escapes",
    port: Port::Http,
    abusers: 4,
    dropped_within: None,
    abuse: |stream| {
        let json = [br#"{"msg":""#, r"\ud83d\ude00".repeat(80_000).as_bytes()].concat();
        Box::pin(post(stream, json, "400"))
    },
};

/// A message that makes a body of `bytes`.
fn filled(bytes: usize) -> Vec<u8> {
    let (begin, end) = (br#"{"msg":""#, br#""}"#);
    [&begin[..], &vec![b'x'; bytes - begin.len() - end.len()], end].concat()
}

/// Posts `json` once. Any other answer than `status` panics: it would be a wrong one.
async fn post(mut stream: TcpStream, json: Vec<u8>, status: &str) -> io::Result<()> {
    let head = post_head("/facade", JSON, &format!("content-length: {}", json.len()));
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&json).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    let expected = format!("HTTP/1.1 {status}");
    if answer == expected.as_bytes() {
        return Ok(());
    }
    panic!("{} instead of {expected}", answer.escape_ascii())
}
