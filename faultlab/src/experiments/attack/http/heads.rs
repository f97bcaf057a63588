//! Request heads that do not come, or are too large.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncWriteExt as _, split},
    net::TcpStream,
    time::sleep,
};

use super::{Attack, Port};
use crate::experiments::attack::abuse::until_closed;

/// A head has to be complete after this time.
const HEAD: Duration = Duration::from_secs(30);

/// A connection that is refused is closed after this time, in which its client may read the answer.
const REFUSED: Duration = Duration::from_secs(3);

/// Says nothing at all.
pub(super) const SILENT: Attack = Attack {
    name: "http: no byte at all",
    port: Port::Http,
    abusers: 500,
    dropped_within: Some(HEAD),
    abuse: |mut stream| Box::pin(async move { until_closed(&mut stream).await }),
};

/// One byte of a head a second.
pub(super) const SLOW: Attack = Attack {
    name: "http: a head, byte by byte",
    port: Port::Http,
    abusers: 500,
    dropped_within: Some(HEAD),
    abuse: |stream| Box::pin(slow(stream)),
};

async fn slow(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await?;
    let (mut reader, mut writer) = stream.split();
    let trickle = async {
        loop {
            writer.write_all(b"a").await?;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let closed = async {
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await?;
        Ok(())
    };
    tokio::select! { ended = trickle => ended, ended = closed => ended }
}

/// A hundred thousand header lines.
pub(super) const MANY_LINES: Attack = Attack {
    name: "http: 100,000 header lines",
    port: Port::Http,
    abusers: 10,
    dropped_within: Some(REFUSED),
    abuse: |stream| Box::pin(head_of(stream, b"x-line: 1\r\n", 100_000)),
};

/// One header of ten megabytes.
pub(super) const LONG_LINE: Attack = Attack {
    name: "http: a header of 10 MB",
    port: Port::Http,
    abusers: 10,
    dropped_within: Some(REFUSED),
    abuse: |stream| Box::pin(head_of(stream, &[b'a'; 1000], 10_000)),
};

async fn head_of(stream: TcpStream, piece: &[u8], times: usize) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream);
    let send = async {
        writer.write_all(b"GET /healthz HTTP/1.1\r\nx-first: ").await?;
        for _ in 0..times {
            writer.write_all(piece).await?;
        }
        writer.write_all(b"\r\n\r\n").await
    };
    let mut nowhere = tokio::io::sink();
    let closed = tokio::io::copy(&mut reader, &mut nowhere);
    // The answer may come before all is sent, and the end after that.
    let (_, closed) = tokio::join!(send, closed);
    closed.map(|_| ())
}
