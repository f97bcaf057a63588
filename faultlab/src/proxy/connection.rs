//! One connection through the proxy.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, watch},
};

use super::{Cut, Direction, Mode, Orders};

/// Bytes read at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// How often bytes go through while they are throttled.
const THROTTLE_INTERVAL: Duration = Duration::from_millis(20);

/// How a connection ended before its peers ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    InOrder,
    Reset,
}

/// A client's connection and the one made for it.
pub(super) struct Connection {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    orders: watch::Receiver<Orders>,
}

/// What both directions share.
struct Fate {
    number: u64,
    orders: watch::Receiver<Orders>,
    requests: Way,
    replies: Way,
    /// The latest cut it has carried out, or was too young for.
    cuts_done: AtomicU64,
    /// Bytes until the reset.
    bytes_left: AtomicU64,
}

/// What has happened to one direction.
#[derive(Default)]
struct Way {
    /// Bytes were dropped: what follows would make no sense to the receiver.
    lost_bytes: AtomicBool,
    /// Its receiver shall see the end.
    closed: AtomicBool,
    close: Notify,
}

impl Fate {
    const fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Requests => &self.requests,
            Direction::Replies => &self.replies,
        }
    }

    fn mode(&self) -> Mode {
        self.orders.borrow().mode
    }

    fn lost_bytes(&self) -> bool {
        [&self.requests, &self.replies].iter().any(|way| way.lost_bytes.load(Ordering::Relaxed))
    }

    /// Takes note of the latest cut. A direction asks before it moves bytes, so that no byte
    /// overtakes an order.
    fn latest_cut(&self) -> Result<(), Ending> {
        let Some((number, cut)) = self.orders.borrow().cut else { return Ok(()) };
        if self.cuts_done.fetch_max(number, Ordering::Relaxed) >= number {
            return Ok(());
        }
        match cut {
            Cut::End => return Err(Ending::InOrder),
            Cut::Half(direction) => {
                let way = self.way(direction);
                way.closed.store(true, Ordering::Relaxed);
                way.close.notify_one();
            }
            Cut::Reset { after_bytes: 0 } => return Err(Ending::Reset),
            Cut::Reset { after_bytes } => self.bytes_left.store(after_bytes, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Returns once what was read may go through, or shall be dropped.
    async fn wait(&self) {
        match self.mode() {
            // The rate of a throttle is kept while bytes are passed on.
            Mode::Pass
            | Mode::Throttle { .. }
            | Mode::BlackHole
            | Mode::DropRequests
            | Mode::DropReplies => {}
            Mode::Delay(delay) => tokio::time::sleep(delay).await,
            Mode::Scatter { max, seed } => {
                let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(self.number));
                tokio::time::sleep(max.mul_f64(rng.f64())).await;
            }
            Mode::Hold => {
                // It fails only if the proxy is gone, which ends this connection.
                let mut orders = self.orders.clone();
                let _ = orders.wait_for(|orders| orders.mode != Mode::Hold).await;
            }
        }
    }
}

impl Connection {
    pub(super) fn new(
        number: u64,
        client: TcpStream,
        server: TcpStream,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        // Without delay or not at all: small pieces are what gRPC is made of.
        let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        Self { number, client, server, orders }
    }

    /// Returns once it has ended, for whatever reason.
    pub(super) async fn run(mut self) {
        let fate = Fate {
            number: self.number,
            orders: self.orders.clone(),
            requests: Way::default(),
            replies: Way::default(),
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
                        pump(Direction::Requests, from_client, to_server, &fate),
                        pump(Direction::Replies, from_server, to_client, &fate),
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
        if mode == Mode::Pass && fate.lost_bytes() {
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
    let way = fate.way(direction);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = tokio::select! {
            read = from.read(&mut piece) => read.map_err(|_| Ending::Reset)?,
            () = way.close.notified() => {
                to.shutdown().await.map_err(|_| Ending::Reset)?;
                // The receiver of what still comes is gone.
                return match from.read(&mut piece).await {
                    Ok(0) => Ok(()),
                    Ok(_) | Err(_) => Err(Ending::Reset),
                };
            }
        };
        fate.wait().await;
        fate.latest_cut()?;
        if way.closed.load(Ordering::Relaxed) && read > 0 {
            return Err(Ending::Reset);
        }
        if fate.mode().drops(direction) || way.lost_bytes.load(Ordering::Relaxed) {
            way.lost_bytes.store(true, Ordering::Relaxed);
            if read == 0 {
                return nothing_more(fate).await;
            }
            continue;
        }
        if read == 0 {
            // The other direction may go on.
            return to.shutdown().await.map_err(|_| Ending::Reset);
        }
        pass(&piece[..read], &mut to, fate).await?;
    }
}

/// The end of a stream was lost: its receiver waits for it until the connection is reset.
async fn nothing_more(fate: &Fate) -> Result<(), Ending> {
    let mut orders = fate.orders.clone();
    let _ = orders.wait_for(|orders| orders.mode == Mode::Pass).await;
    Err(Ending::Reset)
}

/// Writes `bytes`, or what a reset leaves of them, at the rate they may have.
async fn pass(mut bytes: &[u8], to: &mut WriteHalf<'_>, fate: &Fate) -> Result<(), Ending> {
    while !bytes.is_empty() {
        let mut at_once = bytes.len();
        if let Mode::Throttle { bytes_per_second } = fate.mode() {
            tokio::time::sleep(THROTTLE_INTERVAL).await;
            fate.latest_cut()?;
            let share = THROTTLE_INTERVAL.as_secs_f64() * bytes_per_second as f64;
            at_once = (share as usize).clamp(1, bytes.len());
        }
        let left = fate.bytes_left.load(Ordering::Relaxed);
        let (passes, is_last) = match usize::try_from(left) {
            Ok(left) if left <= at_once => (left, true),
            Ok(_) | Err(_) => (at_once, false),
        };
        if left != u64::MAX {
            fate.bytes_left.fetch_sub(passes as u64, Ordering::Relaxed);
        }
        to.write_all(&bytes[..passes]).await.map_err(|_| Ending::Reset)?;
        if is_last {
            return Err(Ending::Reset);
        }
        bytes = &bytes[passes..];
    }
    Ok(())
}
