//! Uploads of many lines, one after the other on each connection.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::{Failure, Lines};
use crate::experiments::show;

/// What to upload, and for how long.
///
/// Prints one JSON object: the outcomes that came within the time, and how many uploads were begun. Each
/// upload is sent to its end.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The facade, as address:port
    addr: String,

    /// Connections, each with one upload at a time
    #[arg(long, default_value_t = 4)]
    connections: usize,

    /// Messages of one upload
    #[arg(long, default_value_t = 1000)]
    lines: usize,

    /// Bytes of the text of a message
    #[arg(long, default_value_t = 100)]
    text_bytes: usize,

    /// How long to begin new uploads
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

    /// At most so many uploads on each connection
    #[arg(long, default_value_t = u64::MAX)]
    uploads: u64,
}

/// What came of the uploads of a connection.
#[derive(Debug, Default)]
struct Found {
    uploads: u64,
    lines: u64,
    lines_in_time: u64,
    failed: u64,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let line = format!("{{\"msg\":\"{}\"}}\n", "x".repeat(args.text_bytes));
    let body_bytes = line.len() * args.lines;
    let mut request = format!(
        "POST /facade/batch HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {body_bytes}\r\n\r\n",
        args.addr
    );
    for _ in 0..args.lines {
        request.push_str(&line);
    }
    let request: &'static [u8] = request.leak().as_bytes();
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..args.connections {
        connections.spawn(upload(args.clone(), request, started));
    }
    let mut total = Found::default();
    while let Some(found) = connections.join_next().await {
        let found = found??;
        total.uploads += found.uploads;
        total.lines += found.lines;
        total.lines_in_time += found.lines_in_time;
        total.failed += found.failed;
    }
    let took = started.elapsed().as_secs_f64();
    show(&json!({
        "uploads": total.uploads,
        "lines": total.lines,
        "failed": total.failed,
        "seconds": took,
        // Those that came after the time was over, when fewer uploads were under way, count for nothing.
        "lines_per_second": total.lines_in_time as f64 / took.min(args.seconds),
        "body_bytes": body_bytes,
    }));
    Ok(())
}

async fn upload(args: Args, request: &[u8], started: Instant) -> Result<Found, Failure> {
    let connection = TcpStream::connect(&args.addr).await?;
    connection.set_nodelay(true)?;
    let (mut reader, mut writer) = connection.into_split();
    let time = Duration::from_secs_f64(args.seconds);
    let mut found = Found::default();
    while found.uploads < args.uploads && started.elapsed() < time {
        // Outcomes flow while lines are sent: a service does not read from a client that does not.
        let read = Lines::receive(&mut reader, |lines| {
            if started.elapsed() < time {
                found.lines_in_time += lines;
            }
        });
        let write = async { writer.write_all(request).await.map_err(Failure::from) };
        let (answer, ()) = tokio::try_join!(read, write)?;
        found.uploads += 1;
        found.lines += answer.count;
        found.failed += answer.others + args.lines as u64 - answer.count;
    }
    Ok(found)
}
