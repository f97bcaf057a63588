//! One read of the whole log, as lines.

use std::time::Instant;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Failure, answer::Answer};

/// From where.
///
/// Prints one JSON object: how many records and bytes came, and how long it took.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The facade, as address:port
    addr: String,
}

#[allow(clippy::print_stdout)] // What the program is for.
pub(crate) async fn run(Args { addr }: Args) -> Result<(), Failure> {
    let started = Instant::now();
    let mut connection = TcpStream::connect(&addr).await?;
    let request =
        format!("GET /facade HTTP/1.1\r\nhost: {addr}\r\naccept: application/x-ndjson\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Answer::new();
    let mut buffer = vec![0; 256 * 1024];
    while !answer.is_whole() {
        let length = connection.read(&mut buffer).await?;
        if length == 0 {
            return Err("the answer was broken off".into());
        }
        answer.take(&buffer[..length])?;
    }
    let report = json!({
        "records": answer.lines,
        "bytes": answer.body_bytes,
        "seconds": started.elapsed().as_secs_f64(),
    });
    println!("{report}");
    Ok(())
}
