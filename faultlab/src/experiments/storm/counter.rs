//! What arrives at the backend, counted on the wire.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The bytes that each HTTP/2 connection of a client begins with.
const PREFACE_BYTES: usize = 24;

/// Bytes of the head of a frame.
const HEAD_BYTES: usize = 9;

/// Frame types of HTTP/2: a part of a body, and the head of a call.
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// What happens to the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// They go through.
    Well,
    /// They arrive and are not accepted.
    Silent,
    /// Connections are closed as soon as they are made.
    Down,
    /// Half of the calls, at random: their connections are cut when the call has arrived.
    Fails,
}

/// What arrived since it was last asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrived {
    /// When connections were asked for.
    pub(super) connections: Vec<Instant>,
    /// When calls arrived.
    pub(super) calls: Vec<Instant>,
    /// Bytes of the bodies of the calls.
    pub(super) body_bytes: u64,
}

#[derive(Debug)]
struct State {
    backend: Backend,
    arrived: Arrived,
    random: fastrand::Rng,
}

/// A relay before the logging service, which counts the calls. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Counter {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Counter {
    pub(super) async fn start(target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (backend, arrived) = (Backend::Well, Arrived::default());
        let state = State { backend, arrived, random: fastrand::Rng::with_seed(seed) };
        let state = Arc::new(Mutex::new(state));
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set(&self, backend: Backend) {
        lock(&self.state).backend = backend;
    }

    /// What arrived since the last call of this.
    pub(super) fn take(&self) -> Arrived {
        std::mem::take(&mut lock(&self.state).arrived)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, target: SocketAddr, state: Arc<Mutex<State>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let backend = {
            let mut state = lock(&state);
            state.arrived.connections.push(Instant::now());
            state.backend
        };
        if backend == Backend::Down {
            continue;
        }
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // Both connections end with it, whatever the reason.
            let _ = relay(client, target, &state).await;
        });
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut frames = Frames::default();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let seen = frames.read(&piece[..read]);
            let cut = note(state, seen);
            match cut {
                // What had come through before the cut may be stored.
                Some(Backend::Fails | Backend::Down) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Some(Backend::Silent) => {}
                Some(Backend::Well) | None => to_server.write_all(&piece[..read]).await?,
            }
        }
    };
    let replies = copy(&mut from_server, &mut to_client);
    tokio::select! {
        ended = requests => ended,
        ended = replies => ended.map(|_| ()),
    }
}

/// Counts what was seen. Says what happens to it, if it does not go through.
fn note(state: &Mutex<State>, seen: Seen) -> Option<Backend> {
    let mut state = lock(state);
    let now = Instant::now();
    state.arrived.calls.extend((0..seen.calls).map(|_| now));
    state.arrived.body_bytes += seen.body_bytes;
    match state.backend {
        Backend::Well => None,
        Backend::Fails => {
            let fails = (0..seen.calls).any(|_| state.random.bool());
            fails.then_some(Backend::Fails)
        }
        harm @ (Backend::Silent | Backend::Down) => Some(harm),
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    calls: usize,
    body_bytes: u64,
}

/// Finds the frames in the bytes of one connection.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the preface that were there.
    preface: usize,
    head: Vec<u8>,
    /// Bytes of the payload of the last frame that are still to come.
    payload_left: usize,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let preface = bytes.len().min(PREFACE_BYTES - self.preface);
        self.preface += preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            let payload = bytes.len().min(self.payload_left);
            self.payload_left -= payload;
            bytes = &bytes[payload..];
            let head = bytes.len().min(HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if let [high, middle, low, kind, ..] = self.head[..]
                && self.head.len() == HEAD_BYTES
            {
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.payload_left = length as usize;
                self.head.clear();
                seen.calls += usize::from(kind == HEADERS);
                seen.body_bytes += if kind == DATA { u64::from(length) } else { 0 };
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bodies_are_found_however_the_bytes_are_cut() {
        let frame = |kind: u8, length: u8| {
            let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
            frame.resize(HEAD_BYTES + usize::from(length), 7);
            frame
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let settings = 4;
        let bytes =
            [preface, frame(settings, 12), frame(HEADERS, 30), frame(DATA, 100), frame(DATA, 0)];
        let bytes = bytes.concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut sum = Seen::default();
            for piece in bytes.chunks(size) {
                let seen = frames.read(piece);
                sum.calls += seen.calls;
                sum.body_bytes += seen.body_bytes;
            }
            assert_eq!(sum, Seen { calls: 1, body_bytes: 100 }, "{size}");
        }
    }
}
