//! Frames that carry nothing and cost something, as many as the connection takes.

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::{
    Attack, Port,
    frames::{self, begin, flood, frame, opening},
};

/// A flood uses up its budget in this time.
pub(super) const FLOODED: Duration = Duration::from_secs(2);

/// Frames sent at once.
const AT_ONCE: usize = 500;

const fn attack(
    name: &'static str,
    abuse: fn(TcpStream) -> BoxFuture<'static, io::Result<()>>,
) -> Attack {
    Attack { name, port: Port::Grpc, abusers: 4, dropped_within: Some(FLOODED), abuse }
}

pub(super) const SETTINGS: Attack = attack("grpc: a flood of settings", |stream| {
    let frames = frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(AT_ONCE);
    Box::pin(flood(stream, opening(&[]), move || frames.clone()))
});

pub(super) const PING: Attack = attack("grpc: a flood of pings", |stream| {
    let frames = frame(frames::PING, 0, 0, &[7; 8]).repeat(AT_ONCE);
    Box::pin(flood(stream, opening(&[]), move || frames.clone()))
});

pub(super) const PRIORITY: Attack = attack("grpc: a flood of priorities", |stream| {
    let frames = frame(frames::PRIORITY, 0, 1, &[0, 0, 0, 0, 16]).repeat(AT_ONCE);
    Box::pin(flood(stream, opening(&[]), move || frames.clone()))
});

pub(super) const WINDOW_UPDATE: Attack = attack("grpc: a flood of window updates", |stream| {
    let frames = frame(frames::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(AT_ONCE);
    Box::pin(flood(stream, opening(&[]), move || frames.clone()))
});

pub(super) const EMPTY_DATA: Attack = attack("grpc: a flood of empty data", |stream| {
    let opening = [opening(&[]), begin(1, "Append")].concat();
    let frames = frame(frames::DATA, 0, 1, &[]).repeat(AT_ONCE);
    Box::pin(flood(stream, opening, move || frames.clone()))
});
