//! gRPC messages that are not what they say.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    Attack, Port,
    frames::{DATA, DEAD, END_STREAM, answer_pings, begin, frame, opening, streams},
};
use crate::experiments::attack::abuse::until_closed;

/// Calls of one connection at a time.
const CALLS: usize = 200;

/// Calls of one connection that are refused.
const CALLS_REFUSED: usize = 20;

/// Two hundred messages of four megabytes, all begun and none ended, by a client that answers pings.
/// Their calls are given up, and what they held is free again; the connection may stay.
pub(super) const UNFINISHED: Attack = Attack {
    name: "grpc: 200 messages each, none ended",
    port: Port::Grpc,
    abusers: 20,
    dropped_within: None,
    abuse: |stream| Box::pin(unfinished(stream)),
};

async fn unfinished(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&opening(&[])).await?;
    let begun = [&[0][..], &4_000_000u32.to_be_bytes(), &[0; 5000]].concat();
    for call in streams().take(CALLS) {
        let frames = [begin(call, "Append"), frame(DATA, 0, call, &begun)].concat();
        stream.write_all(&frames).await?;
    }
    tokio::time::timeout(Duration::from_secs(20), answer_pings(&mut stream)).await?
}

/// A message that says it has four gigabytes.
pub(super) const HUGE: Attack = Attack {
    name: "grpc: a message of 4 GiB",
    port: Port::Grpc,
    abusers: 50,
    dropped_within: Some(DEAD),
    abuse: |stream| Box::pin(send(stream, [&[0][..], &[0xff; 4], &[0; 1000]].concat())),
};

/// A message that says it is compressed, and is not.
pub(super) const COMPRESSED: Attack = Attack {
    name: "grpc: a message marked as compressed",
    port: Port::Grpc,
    abusers: 50,
    dropped_within: Some(DEAD),
    abuse: |stream| Box::pin(send(stream, [&[1, 0, 0, 0, 100][..], &[0x1f; 100]].concat())),
};

async fn send(mut stream: TcpStream, message: Vec<u8>) -> io::Result<()> {
    stream.write_all(&opening(&[])).await?;
    for call in streams().take(CALLS_REFUSED) {
        let frames = [begin(call, "Append"), frame(DATA, END_STREAM, call, &message)].concat();
        stream.write_all(&frames).await?;
    }
    until_closed(&mut stream).await
}
