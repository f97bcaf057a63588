//! Request heads that are many, endless, or grow when they are unpacked.

use super::{
    Attack, Port,
    floods::FLOODED,
    frames::{
        CONTINUATION as CONTINUATION_FRAME, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, begin,
        call, flood, frame, opening, streams,
    },
};

/// Calls that are taken back as soon as they are made.
pub(super) const RAPID_RESET: Attack = Attack {
    name: "grpc: calls reset at once",
    port: Port::Grpc,
    abusers: 4,
    dropped_within: Some(FLOODED),
    abuse: |stream| {
        let mut streams = streams();
        let next = move || {
            let calls = streams.by_ref().take(100).flat_map(|stream| {
                [begin(stream, "Status"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            });
            calls.collect()
        };
        Box::pin(flood(stream, opening(&[]), next))
    },
};

/// A head that is continued without end.
pub(super) const CONTINUATION: Attack = Attack {
    name: "grpc: a head continued without end",
    port: Port::Grpc,
    abusers: 4,
    dropped_within: Some(FLOODED),
    abuse: |stream| {
        let opening = [opening(&[]), frame(HEADERS, 0, 1, &call("Append"))].concat();
        let field = b"\x00\x06x-line\x01a".repeat(100);
        let more = frame(CONTINUATION_FRAME, 0, 1, &field);
        Box::pin(flood(stream, opening, move || more.clone()))
    },
};

/// Four kilobytes of a field, once, and then its number, thousands of times: a small frame that
/// unpacks to megabytes. Each is refused alone; it is a connection's right to be refused often.
pub(super) const BOMB: Attack = Attack {
    name: "grpc: heads that unpack to megabytes",
    port: Port::Grpc,
    abusers: 4,
    dropped_within: None,
    abuse: |stream| {
        let mut streams = streams();
        // A field to be remembered, with its length of 4000 in the way of RFC 7541.
        let mut field = b"\x40\x04bomb\x7f\xa1\x1e".to_vec();
        field.extend([b'a'; 4000]);
        let block = [call("Status"), field, vec![0xbe; 10_000]].concat();
        let next = move || {
            let stream = streams.next().unwrap_or(1);
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
        };
        Box::pin(flood(stream, opening(&[]), next))
    },
};
