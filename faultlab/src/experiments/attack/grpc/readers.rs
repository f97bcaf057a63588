//! Readers that do not read.

use std::io;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    Attack, Port,
    frames::{DATA, END_STREAM, answer_pings, begin, frame, opening, streams},
};

/// The id of the setting that says how much may be sent on each stream.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Reads of the whole log that may not send a byte, by a client that answers pings; every third one ends,
/// the others follow. How many there are at a time of either kind is bounded, and so is what each holds.
pub(super) const ZERO_WINDOW: Attack = Attack {
    name: "grpc: reads with a window of nothing",
    port: Port::Grpc,
    abusers: 20,
    dropped_within: None,
    abuse: |stream| Box::pin(read(stream)),
};

/// A request for all streams of the log from its beginning: a message without a field.
const ALL: &[u8] = &[0; 5];

/// The same with `follow`, field 4.
const ALL_AND_WHAT_FOLLOWS: &[u8] = &[0, 0, 0, 0, 2, 4 << 3, 1];

async fn read(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&opening(&[(INITIAL_WINDOW_SIZE, 0)])).await?;
    for (nth, call) in streams().take(100).enumerate() {
        let request = if nth % 3 == 0 { ALL } else { ALL_AND_WHAT_FOLLOWS };
        let frames = [begin(call, "Read"), frame(DATA, END_STREAM, call, request)].concat();
        stream.write_all(&frames).await?;
    }
    answer_pings(&mut stream).await
}
