//! A TCP proxy between two services that can do to a connection what networks do.
//!
//! - [`Proxy`]: the handle: where it listens, what it does
//! - `connection`: one connection, and the two directions of it
//!
//! Bytes of a connection are never reordered or changed. Bytes that were dropped are not made up for:
//! nothing follows them in their direction, and the connection is reset as soon as the proxy passes bytes
//! again, as a network that comes back after a long time would find it dead.

mod connection;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use self::connection::Connection;

/// A direction of a connection, seen from its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the target.
    Requests,
    /// Back from it.
    Replies,
}

/// What happens to bytes, and to the end of a stream, which travels like a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Mode {
    /// They go through.
    #[default]
    Pass,
    /// They go through later, in both directions: each piece waits this long.
    Delay(Duration),
    /// As [`Mode::Delay`], but each connection has a wait of its own, up to `max`, which follows from `seed`
    /// and the number of the connection: what was sent first on one arrives after what was sent later on
    /// another.
    Scatter { max: Duration, seed: u64 },
    /// They go through slowly, in each direction of each connection.
    Throttle { bytes_per_second: u64 },
    /// They wait, in both directions, and all of them go through once the mode is another. Connections
    /// are accepted.
    Hold,
    /// They are read and thrown away, in both directions. Connections are accepted.
    BlackHole,
    /// Requests are thrown away, replies go through.
    DropRequests,
    /// Requests go through, replies are thrown away.
    DropReplies,
}

impl Mode {
    const fn drops(self, direction: Direction) -> bool {
        matches!(
            (self, direction),
            (Self::BlackHole, _)
                | (Self::DropRequests, Direction::Requests)
                | (Self::DropReplies, Direction::Replies)
        )
    }
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Cut {
    /// In good order, at once: both sides see the end of the stream (FIN).
    End,
    /// In good order, but one direction only: its receiver sees the end of the stream (FIN), while the
    /// other direction goes on. A peer that still sends into the closed one gets a reset.
    Half(Direction),
    /// Hard, after this many more bytes from either side: both sides see a reset (RST).
    Reset { after_bytes: u64 },
}

/// What the connections are told.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    mode: Mode,
    /// The latest cut and its number: each connection carries out each cut once.
    cut: Option<(u64, Cut)>,
}

/// A running proxy. Dropping it ends it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    orders: watch::Sender<Orders>,
    open: Arc<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface and passes bytes to `target`.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (target, _) = watch::channel(target);
        let (orders, _) = watch::channel(Orders::default());
        let open = Arc::new(());
        let accepting =
            tokio::spawn(accept(listener, target.clone(), orders.clone(), Arc::clone(&open)));
        Ok(Self { address, target, orders, open, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections go.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        *self.target.borrow()
    }

    /// New connections go to `target`. Those that are open stay where they are.
    pub fn retarget(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// From now on, bytes are treated as `mode` says, on open connections too.
    pub fn set_mode(&self, mode: Mode) {
        self.orders.send_modify(|orders| orders.mode = mode);
    }

    /// Cuts all connections that are open now. Later ones are not concerned.
    pub fn cut(&self, cut: Cut) {
        self.orders.send_modify(|orders| {
            let number = orders.cut.map_or(0, |(number, _)| number);
            orders.cut = Some((number + 1, cut));
        });
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        // One is ours, one is that of the task that accepts.
        Arc::strong_count(&self.open).saturating_sub(2)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections end with the channel of their orders.
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: watch::Sender<SocketAddr>,
    orders: watch::Sender<Orders>,
    open: Arc<()>,
) {
    let mut number = 0;
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Too many open files, most likely: it may get better.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        number += 1;
        let (server, orders, open) = (*target.borrow(), orders.subscribe(), Arc::clone(&open));
        tokio::spawn(async move {
            let _open = open;
            // A target that refuses looks like one that resets: the client's socket is just closed.
            if let Ok(server) = TcpStream::connect(server).await {
                Connection::new(number, client, server, orders).run().await;
            }
        });
    }
}
