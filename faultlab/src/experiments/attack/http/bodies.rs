//! Bodies that do not come to an end, or are too large.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWriteExt as _, copy, sink, split},
    net::TcpStream,
    time::sleep,
};

use super::{Attack, JSON, Port, post_head};

/// What comes too slowly, or not at all, is given up after ten seconds; the refusal may be read for
/// another one.
const GIVEN_UP: Duration = Duration::from_secs(12);

/// What is too large is refused at once, and the refusal may be read for a moment.
const REFUSED: Duration = Duration::from_secs(3);

/// Two bytes of a body a second.
pub(super) const SLOW: Attack = Attack {
    name: "http: a body, byte by byte",
    port: Port::Http,
    abusers: 500,
    dropped_within: Some(GIVEN_UP),
    abuse: |stream| {
        let head = post_head("/facade", JSON, "content-length: 1000");
        Box::pin(send(stream, head, b" ", Duration::from_millis(500)))
    },
};

/// A body that stops after its first byte.
pub(super) const STOPPED: Attack = Attack {
    name: "http: a body that stops",
    port: Port::Http,
    abusers: 500,
    dropped_within: Some(GIVEN_UP),
    abuse: |stream| {
        let head = post_head("/facade", JSON, "content-length: 1000");
        Box::pin(send(stream, head, b"{", Duration::from_secs(3600)))
    },
};

/// A body that says it has a gigabyte, and begins to send it.
pub(super) const HUGE: Attack = Attack {
    name: "http: a body of 1 GiB",
    port: Port::Http,
    abusers: 20,
    dropped_within: Some(REFUSED),
    abuse: |stream| {
        let head = post_head("/facade", JSON, "content-length: 1073741824");
        Box::pin(send(stream, head, &[b' '; 64 * 1024], Duration::from_millis(1)))
    },
};

/// Chunks without end.
pub(super) const ENDLESS: Attack = Attack {
    name: "http: chunks without end",
    port: Port::Http,
    abusers: 20,
    dropped_within: Some(REFUSED),
    abuse: |stream| {
        let head = post_head("/facade", JSON, "transfer-encoding: chunked");
        let chunk = [b"4000\r\n", &[b' '; 0x4000][..], b"\r\n"].concat();
        Box::pin(async move { send(stream, head, &chunk, Duration::from_millis(1)).await })
    },
};

/// An upload that sends a byte of a line now and then. It may take as long as it likes; it is the first
/// to go when places are short.
pub(super) const UPLOAD: Attack = Attack {
    name: "http: an upload, byte by byte",
    port: Port::Http,
    abusers: 500,
    dropped_within: None,
    abuse: |stream| {
        let head = post_head("/facade/batch", "application/x-ndjson", "content-length: 1000000");
        Box::pin(send(stream, head, b" ", Duration::from_millis(500)))
    },
};

/// Sends `head`, then `piece` again and again with a pause, until the connection ends.
async fn send(stream: TcpStream, head: String, piece: &[u8], pause: Duration) -> io::Result<()> {
    let (reader, mut writer) = split(stream);
    let sending = async {
        writer.write_all(head.as_bytes()).await?;
        loop {
            writer.write_all(piece).await?;
            sleep(pause).await;
        }
    };
    tokio::select! { ended = sending => ended, ended = closed(reader) => ended }
}

async fn closed(mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
    copy(&mut reader, &mut sink()).await.map(|_| ())
}
