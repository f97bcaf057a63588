//! One connection through the proxy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use super::{Cut, Mode, Orders};

/// Bytes read at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// How a connection ended before its peers ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    InOrder,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

/// A client's connection and the one made for it.
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    orders: watch::Receiver<Orders>,
}

/// What both directions share.
struct Fate {
    orders: watch::Receiver<Orders>,
    /// Bytes were dropped: what follows would make no sense to the peers.
    lost_bytes: AtomicBool,
    /// The latest cut it has carried out, or was too young for.
    cuts_done: AtomicU64,
    /// Bytes until the reset.
    bytes_left: AtomicU64,
}

impl Fate {
    /// Takes note of the latest cut. Whoever is about to move bytes asks first, so that no byte
    /// overtakes an order.
    fn latest_cut(&self) -> Result<(), Ending> {
        let Some((number, cut)) = self.orders.borrow().cut else { return Ok(()) };
        if self.cuts_done.fetch_max(number, Ordering::Relaxed) >= number {
            return Ok(());
        }
        match cut {
            Cut::End => Err(Ending::InOrder),
            Cut::Reset { after_bytes: 0 } => Err(Ending::Reset),
            Cut::Reset { after_bytes } => {
                self.bytes_left.store(after_bytes, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl Connection {
    pub(super) fn new(
        client: TcpStream,
        server: TcpStream,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        // Without delay or not at all: small pieces are what gRPC is made of.
        let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        Self { client, server, orders }
    }

    /// Returns once it has ended, for whatever reason.
    pub(super) async fn run(mut self) {
        let fate = Fate {
            orders: self.orders.clone(),
            lost_bytes: AtomicBool::new(false),
            // A cut that was ordered before concerns others.
            cuts_done: AtomicU64::new(self.orders.borrow().cut.map_or(0, |(number, _)| number)),
            bytes_left: AtomicU64::new(u64::MAX),
        };
        let ending = {
            let (from_client, to_client) = self.client.split();
            let (from_server, to_server) = self.server.split();
            tokio::select! {
                ending = orders(self.orders, &fate) => ending,
                ending = async {
                    tokio::try_join!(
                        pump(Direction::Request, from_client, to_server, &fate),
                        pump(Direction::Reply, from_server, to_client, &fate),
                    )
                } => ending.err().unwrap_or(Ending::InOrder),
            }
        };
        match ending {
            Ending::InOrder => {
                // Both fail only if the peer has gone.
                let _ = self.client.shutdown().await;
                let _ = self.server.shutdown().await;
            }
            Ending::Reset => {
                let _ = self.client.set_zero_linger();
                let _ = self.server.set_zero_linger();
            }
        }
    }
}

/// Carries out orders that end a connection.
async fn orders(mut orders: watch::Receiver<Orders>, fate: &Fate) -> Ending {
    while orders.changed().await.is_ok() {
        let mode = orders.borrow_and_update().mode;
        if mode == Mode::Pass && fate.lost_bytes.load(Ordering::Relaxed) {
            return Ending::Reset;
        }
        if let Err(ending) = fate.latest_cut() {
            return ending;
        }
    }
    // The proxy is gone.
    Ending::InOrder
}

/// Moves bytes until the sender ends or something cuts the connection.
async fn pump(
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    fate: &Fate,
) -> Result<(), Ending> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = from.read(&mut piece).await.map_err(|_| Ending::Reset)?;
        if read == 0 {
            // The other direction may go on.
            return to.shutdown().await.map_err(|_| Ending::Reset);
        }
        fate.latest_cut()?;
        let mode = fate.orders.borrow().mode;
        let drops = match mode {
            Mode::Pass => false,
            Mode::Delay(delay) => {
                tokio::time::sleep(delay).await;
                false
            }
            Mode::BlackHole => true,
            Mode::DropReplies => direction == Direction::Reply,
        };
        if drops || fate.lost_bytes.load(Ordering::Relaxed) && direction == Direction::Reply {
            fate.lost_bytes.store(true, Ordering::Relaxed);
            continue;
        }
        let left = fate.bytes_left.load(Ordering::Relaxed);
        let (passes, is_last) = match usize::try_from(left) {
            Ok(left) if left <= read => (left, true),
            Ok(_) | Err(_) => (read, false),
        };
        if left != u64::MAX {
            fate.bytes_left.fetch_sub(passes as u64, Ordering::Relaxed);
        }
        to.write_all(&piece[..passes]).await.map_err(|_| Ending::Reset)?;
        if is_last {
            return Err(Ending::Reset);
        }
    }
}
