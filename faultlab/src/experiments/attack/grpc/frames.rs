//! HTTP/2 by hand.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a client begins with: its preface and settings, each an id and a value.
pub(super) fn opening(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &payload)].concat()
}

/// The header block of a call of the logging service.
pub(super) fn call(method: &str) -> Vec<u8> {
    let path = format!("/oncelog.v1.LoggingService/{method}");
    // Methods and schemes have numbers, other fields are spelled out (RFC 7541).
    let mut block = vec![0x83, 0x86];
    block.extend([0x04, path.len() as u8]);
    block.extend(path.as_bytes());
    block.extend(b"\x01\x07logging");
    block.extend(b"\x0f\x10\x10application/grpc");
    block.extend(b"\x00\x02te\x08trailers");
    block
}

/// The frame that begins a call.
pub(super) fn begin(stream: u32, method: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call(method))
}

/// Streams a client may open, in their order.
pub(super) fn streams() -> impl Iterator<Item = u32> {
    (1..i32::MAX as u32).step_by(2)
}

/// Reads frames and answers pings, as any client does, until the connection ends.
pub(super) async fn answer_pings(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (PING, 0) => stream.write_all(&frame(PING, ACK, 0, &payload)).await?,
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            _ => {}
        }
    }
}
