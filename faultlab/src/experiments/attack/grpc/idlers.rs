//! Connections that say nothing, or nothing of use.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::sleep};

use super::{
    Attack, Port,
    frames::{DEAD, answer_pings, opening},
};
use crate::experiments::attack::abuse::until_closed;

/// Says nothing at all.
pub(super) const SILENT: Attack = Attack {
    name: "grpc: no byte at all",
    port: Port::Grpc,
    abusers: 500,
    dropped_within: Some(Duration::from_secs(31)),
    abuse: |mut stream| Box::pin(async move { until_closed(&mut stream).await }),
};

/// Speaks another protocol.
pub(super) const NONSENSE: Attack = Attack {
    name: "grpc: another protocol",
    port: Port::Grpc,
    abusers: 100,
    dropped_within: Some(Duration::from_secs(2)),
    abuse: |mut stream| {
        Box::pin(async move {
            stream.write_all(b"EHLO example.org\r\nMAIL FROM:<a@example.org>\r\n").await?;
            until_closed(&mut stream).await
        })
    },
};

/// One byte of a frame a second.
pub(super) const SLOW_FRAME: Attack = Attack {
    name: "grpc: a frame, byte by byte",
    port: Port::Grpc,
    abusers: 200,
    dropped_within: Some(DEAD),
    abuse: |stream| Box::pin(slow_frame(stream)),
};

async fn slow_frame(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&opening(&[])).await?;
    stream.write_all(&[0, 0x10, 0, 1, 4, 0, 0, 0, 1]).await?;
    let (mut reader, mut writer) = stream.split();
    let trickle = async {
        loop {
            writer.write_all(&[0]).await?;
            sleep(Duration::from_secs(1)).await;
        }
    };
    let closed = async {
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await?;
        Ok(())
    };
    tokio::select! { ended = trickle => ended, ended = closed => ended }
}

/// More than all the places there are, by clients that answer pings. They may stay until others need
/// their places.
pub const IDLE: Attack = Attack {
    name: "grpc: 10,000 idle connections",
    port: Port::Grpc,
    abusers: 10_000,
    dropped_within: None,
    abuse: |mut stream| {
        Box::pin(async move {
            stream.write_all(&opening(&[])).await?;
            answer_pings(&mut stream).await
        })
    },
};

/// Connections that close as soon as they are open.
pub(super) const CHURN: Attack = Attack {
    name: "grpc: connections that come and go",
    port: Port::Grpc,
    abusers: 100,
    dropped_within: None,
    abuse: |stream| {
        Box::pin(async move {
            drop(stream);
            Ok(())
        })
    },
};
