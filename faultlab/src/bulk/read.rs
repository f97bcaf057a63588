//! One read of the whole log, as lines.

use std::time::Instant;

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Failure, Lines};
use crate::experiments::show;

/// From where.
///
/// Prints one JSON object: how many records and bytes came, and how long it took.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The facade, as address:port
    addr: String,
}

pub(super) async fn run(Args { addr }: Args) -> Result<(), Failure> {
    let started = Instant::now();
    let mut connection = TcpStream::connect(&addr).await?;
    let request =
        format!("GET /facade HTTP/1.1\r\nhost: {addr}\r\naccept: application/x-ndjson\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let lines = Lines::receive(&mut connection, |_| ()).await?;
    show(&json!({
        "records": lines.count,
        "bytes": lines.body_bytes,
        "seconds": started.elapsed().as_secs_f64(),
    }));
    Ok(())
}
