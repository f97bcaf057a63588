//! Readers that follow the log over gRPC, each on a connection of its own.

use std::{cell::RefCell, rc::Rc, time::Instant};

use bytes::Bytes;
use h2::client;
use http::Request;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    task::LocalSet,
};

use super::{Failure, records::Records};
use crate::experiments::show;

/// HTTP/2 windows of a stream and of a connection, as hyper's clients have them.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 5 * 1024 * 1024;

/// What the readers follow.
///
/// Prints a line with `addr=` once every reader is served. For each line of its input, the last
/// sequence of the log at that moment, it prints one JSON object: what came since the last line, and
/// how far readers are behind that sequence. It ends with its input.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The logging service, as address:port
    addr: String,

    /// How many, each on a connection of its own
    #[arg(long, default_value_t = 200)]
    readers: usize,

    /// They start after this sequence
    #[arg(long, default_value_t = 0)]
    after: u64,
}

/// How far the readers are.
#[derive(Debug)]
struct Readers {
    last: Vec<u64>,
    /// Why a reader ended or was not served in order.
    broken: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    LocalSet::new().run_until(follow(args)).await
}

async fn follow(Args { addr, readers, after }: Args) -> Result<(), Failure> {
    let state = Rc::new(RefCell::new(Readers { last: vec![after; readers], broken: vec![] }));
    for number in 0..readers {
        let stream = open(&addr, after).await?;
        let state = Rc::clone(&state);
        tokio::task::spawn_local(async move {
            let ended = read(stream, number, after, &state).await;
            state.borrow_mut().broken.push(ended);
        });
    }
    show(&format_args!("{readers} readers follow addr={addr}"));

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut since, mut delivered) = (Instant::now(), 0);
    while let Some(line) = lines.next_line().await? {
        let end: u64 = line.trim().parse()?;
        let state = state.borrow();
        let total: u64 = state.last.iter().map(|last| last - after).sum();
        let mut lags: Vec<u64> = state.last.iter().map(|last| end.saturating_sub(*last)).collect();
        lags.sort_unstable();
        show(&json!({
            "seconds": since.elapsed().as_secs_f64(),
            "records": total - delivered,
            "behind": lags.iter().filter(|lag| **lag > 0).count(),
            "lag": { "least": lags.first(), "median": lags.get(lags.len() / 2), "most": lags.last() },
            "broken": state.broken,
        }));
        (since, delivered) = (Instant::now(), total);
    }
    Ok(())
}

async fn open(addr: &str, after: u64) -> Result<h2::RecvStream, Failure> {
    let connection = TcpStream::connect(addr).await?;
    connection.set_nodelay(true)?;
    let (client, connection): (client::SendRequest<Bytes>, _) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(connection)
        .await?;
    // How it ends shows in its stream.
    tokio::task::spawn_local(async move { drop(connection.await) });
    let request = Request::post(format!("http://{addr}/oncelog.v1.LoggingService/Read"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut body) = client.ready().await?.send_request(request, false)?;
    body.send_data(Bytes::from(read_request(after)), true)?;
    let response = response.await?;
    if let Some(status) = response.headers().get("grpc-status") {
        let words = response.headers().get("grpc-message");
        return Err(format!("a reader is not served: status {status:?}, {words:?}").into());
    }
    Ok(response.into_body())
}

/// A gRPC message with a `ReadRequest` that follows the log after a sequence.
fn read_request(after: u64) -> Vec<u8> {
    let mut request = Vec::new();
    if after > 0 {
        // Field 2, a varint.
        request.push(0x10);
        let mut left = after;
        while left > 0x7f {
            request.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        request.push(left as u8);
    }
    // Field 4: true.
    request.extend([0x20, 1]);
    let mut message = vec![0];
    message.extend((request.len() as u32).to_be_bytes());
    message.extend(request);
    message
}

/// Reads to the end, and says what ended it.
async fn read(
    mut stream: h2::RecvStream,
    number: usize,
    after: u64,
    state: &RefCell<Readers>,
) -> String {
    let mut records = Records::after(after);
    while let Some(piece) = stream.data().await {
        let taken = piece.map_err(|error| error.to_string()).and_then(|piece| {
            records.take(&piece)?;
            stream.flow_control().release_capacity(piece.len()).map_err(|error| error.to_string())
        });
        if let Err(why) = taken {
            return format!("reader {number}: {why}");
        }
        if let Some(last) = state.borrow_mut().last.get_mut(number) {
            *last = records.last;
        }
    }
    format!("reader {number}: the stream ended after {}", records.last)
}
