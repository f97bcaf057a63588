//! Connections that are only there.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Attack, Port};
use crate::experiments::attack::abuse::until_closed;

/// More than all the places there are.
pub const IDLE: Attack = Attack {
    name: "http: 10,000 idle connections",
    port: Port::Http,
    abusers: 10_000,
    dropped_within: Some(Duration::from_secs(31)),
    abuse: |stream| Box::pin(idle(stream)),
};

async fn idle(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    until_closed(&mut stream).await
}

/// Connections that close as soon as they are open.
pub(super) const CHURN: Attack = Attack {
    name: "http: connections that come and go",
    port: Port::Http,
    abusers: 100,
    dropped_within: None,
    abuse: |stream| {
        Box::pin(async move {
            drop(stream);
            Ok(())
        })
    },
};
