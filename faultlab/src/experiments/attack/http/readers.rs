//! Clients that ask and do not read.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::{Attack, Port};

/// An answer nobody takes is given up after this time.
const STALLED: Duration = Duration::from_secs(62);

/// The same, once the buffers between the two sockets are full.
const FILLED_AND_STALLED: Duration = Duration::from_secs(80);

/// How often a client that does not read looks whether its connection is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Asks for the whole log and reads none of it, as a frozen client would.
pub(super) const STOPPED: Attack = Attack {
    name: "http: the log, and nobody reads it",
    port: Port::Http,
    abusers: 200,
    dropped_within: Some(STALLED),
    abuse: |stream| Box::pin(stopped(stream)),
};

async fn stopped(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /facade HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    gone(&mut stream).await
}

/// Waits until the connection is gone, without reading what has arrived.
async fn gone(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        // Empty lines before a request mean nothing. On a closed connection they fail.
        stream.write_all(b"\r\n").await?;
        sleep(LOOK).await;
    }
}

/// Reads the log a few bytes a second. It may: how many may is bounded.
pub(super) const SLOW: Attack = Attack {
    name: "http: the log, read byte by byte",
    port: Port::Http,
    abusers: 200,
    dropped_within: None,
    abuse: |stream| Box::pin(slow(stream)),
};

async fn slow(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /facade HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    loop {
        stream.read_u8().await?;
        sleep(LOOK).await;
    }
}

/// Requests without end, and no answer is read.
pub(super) const PIPELINE: Attack = Attack {
    name: "http: requests without end, none read",
    port: Port::Http,
    abusers: 4,
    dropped_within: Some(FILLED_AND_STALLED),
    abuse: |stream| Box::pin(pipeline(stream)),
};

async fn pipeline(mut stream: TcpStream) -> io::Result<()> {
    let requests = b"GET /nowhere HTTP/1.1\r\nhost: facade\r\n\r\n".repeat(20);
    loop {
        stream.write_all(&requests).await?;
        sleep(Duration::from_millis(5)).await;
    }
}
