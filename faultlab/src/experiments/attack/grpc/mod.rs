//! Abuse of the logging service's port, frame by frame: no library would send such frames.

mod frames;

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use self::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, answer_pings, begin, call, frame, opening, streams,
};
use super::abuse::{Attack, Port, disconnect, send, send_repeatedly, until_closed};

/// A flood uses up its budget in this time.
const FLOOD_TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));

/// A peer that does not answer pings is dropped after this time.
const PING_TIMEOUT: Option<Duration> = Some(Duration::from_secs(9));

/// A pause now and then leaves the service its share of the machine.
const PAUSE: Duration = Duration::from_millis(1);

/// Frames of a flood that are sent at once.
const FRAMES_AT_ONCE: usize = 500;

/// The id of the setting that says how much may be sent on each stream.
const INITIAL_WINDOW_SIZE: u16 = 4;

const GRPC: Port = Port::Grpc;

/// All attacks.
pub const ATTACKS: &[Attack] = &[
    // Request heads that are many, endless, or grow when they are unpacked.
    GRPC.attack("grpc: calls reset at once", 4, FLOOD_TIMEOUT, |stream| {
        Box::pin(reset_calls(stream))
    }),
    GRPC.attack("grpc: a head continued without end", 4, FLOOD_TIMEOUT, |stream| {
        let opening = [opening(&[]), frame(HEADERS, 0, 1, &call("Append"))].concat();
        let more = frame(CONTINUATION, 0, 1, &b"\x00\x06x-line\x01a".repeat(100));
        Box::pin(send_repeatedly(stream, opening, more, PAUSE))
    }),
    // Each is refused alone. A connection may be refused as often as it likes.
    GRPC.attack("grpc: heads that unpack to megabytes", 4, None, |stream| {
        Box::pin(unpack_to_megabytes(stream))
    }),
    // Frames that carry nothing and cost something, as many as the connection takes.
    GRPC.attack("grpc: a flood of settings", 4, FLOOD_TIMEOUT, |stream| {
        flood(stream, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))
    }),
    GRPC.attack("grpc: a flood of pings", 4, FLOOD_TIMEOUT, |stream| {
        flood(stream, &frame(PING, 0, 0, &[7; 8]))
    }),
    GRPC.attack("grpc: a flood of priorities", 4, FLOOD_TIMEOUT, |stream| {
        flood(stream, &frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]))
    }),
    GRPC.attack("grpc: a flood of window updates", 4, FLOOD_TIMEOUT, |stream| {
        flood(stream, &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))
    }),
    GRPC.attack("grpc: a flood of empty data", 4, FLOOD_TIMEOUT, |stream| {
        let opening = [opening(&[]), begin(1, "Append")].concat();
        let frames = frame(DATA, 0, 1, &[]).repeat(FRAMES_AT_ONCE);
        Box::pin(send_repeatedly(stream, opening, frames, PAUSE))
    }),
    // Messages of four megabytes, all begun and none ended, by a client that answers pings. The calls
    // time out, and what they held is free again. The connection may stay.
    GRPC.attack("grpc: 200 messages each, none ended", 20, None, |stream| {
        Box::pin(end_no_message(stream))
    }),
    GRPC.attack("grpc: a message of 4 GiB", 50, PING_TIMEOUT, |stream| {
        Box::pin(append(stream, [&[0][..], &[0xff; 4], &[0; 1000]].concat()))
    }),
    // It says that it is compressed, and is not.
    GRPC.attack("grpc: a message marked as compressed", 50, PING_TIMEOUT, |stream| {
        Box::pin(append(stream, [&[1, 0, 0, 0, 100][..], &[0x1f; 100]].concat()))
    }),
    // The number of reads of either kind is bounded, and so is what each holds.
    GRPC.attack("grpc: reads with a window of nothing", 20, None, |stream| {
        Box::pin(read_without_window(stream))
    }),
    // Connections that say nothing, or nothing of use.
    GRPC.attack("grpc: no byte at all", 500, Some(Duration::from_secs(31)), |stream| {
        Box::pin(until_closed(stream))
    }),
    GRPC.attack("grpc: another protocol", 100, Some(Duration::from_secs(2)), |stream| {
        Box::pin(speak_smtp(stream))
    }),
    GRPC.attack("grpc: a frame, byte by byte", 200, PING_TIMEOUT, |stream| {
        let opening = [&opening(&[])[..], &[0, 0x10, 0, 1, 4, 0, 0, 0, 1]].concat();
        Box::pin(send_repeatedly(stream, opening, vec![0], Duration::from_secs(1)))
    }),
    GRPC.attack("grpc: connections that come and go", 100, None, |stream| {
        Box::pin(disconnect(stream))
    }),
    IDLE,
];

/// More than all connections that the service keeps, by clients that answer pings. They may stay until
/// others need their slots.
pub const IDLE: Attack =
    GRPC.attack("grpc: 10,000 idle connections", 10_000, None, |mut stream| {
        Box::pin(async move {
            stream.write_all(&opening(&[])).await?;
            answer_pings(&mut stream).await
        })
    });

fn flood(stream: TcpStream, frame: &[u8]) -> BoxFuture<'static, io::Result<()>> {
    Box::pin(send_repeatedly(stream, opening(&[]), frame.repeat(FRAMES_AT_ONCE), PAUSE))
}

async fn reset_calls(stream: TcpStream) -> io::Result<()> {
    let mut streams = streams();
    let calls = move || {
        let calls = streams.by_ref().take(100).flat_map(|stream| {
            [begin(stream, "Status"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        });
        calls.collect()
    };
    send(stream, opening(&[]), calls, PAUSE).await
}

/// Four kilobytes of a field, once, and then its number, thousands of times: a small frame that unpacks
/// to megabytes.
async fn unpack_to_megabytes(stream: TcpStream) -> io::Result<()> {
    let mut streams = streams();
    // A field to be remembered, with its length of 4000 in the way of RFC 7541.
    let mut field = b"\x40\x04bomb\x7f\xa1\x1e".to_vec();
    field.extend([b'a'; 4000]);
    let block = [call("Status"), field, vec![0xbe; 10_000]].concat();
    let heads = move || {
        let stream = streams.next().unwrap_or(1);
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
    };
    send(stream, opening(&[]), heads, PAUSE).await
}

async fn end_no_message(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&opening(&[])).await?;
    let begun = [&[0][..], &4_000_000u32.to_be_bytes(), &[0; 5000]].concat();
    for call in streams().take(200) {
        let frames = [begin(call, "Append"), frame(DATA, 0, call, &begun)].concat();
        stream.write_all(&frames).await?;
    }
    timeout(Duration::from_secs(20), answer_pings(&mut stream)).await?
}

/// Sends `message` in calls that are refused.
async fn append(mut stream: TcpStream, message: Vec<u8>) -> io::Result<()> {
    stream.write_all(&opening(&[])).await?;
    for call in streams().take(20) {
        let frames = [begin(call, "Append"), frame(DATA, END_STREAM, call, &message)].concat();
        stream.write_all(&frames).await?;
    }
    until_closed(stream).await
}

/// Reads the whole log through a window of no bytes, by a client that answers pings. Every third read
/// ends, the others follow.
async fn read_without_window(mut stream: TcpStream) -> io::Result<()> {
    // A request for all streams of the log from its beginning: a message without a field. The other has
    // `follow`, field 4.
    let (all, follow) = (&[0; 5][..], &[0, 0, 0, 0, 2, 4 << 3, 1][..]);
    stream.write_all(&opening(&[(INITIAL_WINDOW_SIZE, 0)])).await?;
    for (nth, call) in streams().take(100).enumerate() {
        let request = if nth % 3 == 0 { all } else { follow };
        let frames = [begin(call, "Read"), frame(DATA, END_STREAM, call, request)].concat();
        stream.write_all(&frames).await?;
    }
    answer_pings(&mut stream).await
}

async fn speak_smtp(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"EHLO example.org\r\nMAIL FROM:<a@example.org>\r\n").await?;
    until_closed(stream).await
}
