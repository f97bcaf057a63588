//! Abusers: each connects, does its harm until the service ends the connection, and comes again.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Pause of an abuser between two connections.
const PAUSE: Duration = Duration::from_millis(100);

/// All abusers have begun after this part of the time.
const ARRIVAL: u32 = 5;

/// How many begin in a second, at most: an attack is to last, not to be a burst of connects.
const ARRIVALS_PER_SECOND: u32 = 1000;

/// Abusers come from this many addresses: one has too few ports for all.
const ADDRESSES: u8 = 20;

/// Which port is abused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The facade's.
    Http,
    /// The logging service's.
    Grpc,
}

impl Port {
    /// An attack on this port. [`Attack`] says what the values are.
    pub(super) const fn attack(
        self,
        name: &'static str,
        abusers: usize,
        dropped_within: Option<Duration>,
        abuse: Abuse,
    ) -> Attack {
        Attack { name, port: self, abusers, dropped_within, abuse }
    }
}

/// What an abuser does with a connection until it is of no use any more.
pub type Abuse = fn(TcpStream) -> BoxFuture<'static, io::Result<()>>;

/// One way to abuse a service.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name in the table.
    pub name: &'static str,
    /// Where.
    pub port: Port,
    /// How many of them there are in a full run.
    pub abusers: usize,
    /// After what time the service is to drop each. `None`: it may stay, and what it takes is bounded.
    pub dropped_within: Option<Duration>,
    /// What they do.
    pub abuse: Abuse,
}

/// What became of the connections of abusers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Connections that ended.
    pub dropped: usize,
    /// The longest that one of them lasted.
    pub longest: Duration,
    /// Connections that were there in the end.
    pub held: usize,
    /// The age of the oldest of them.
    pub oldest: Duration,
    /// Connections that could not be opened.
    pub refused: usize,
}

impl Connections {
    fn and(self, other: Self) -> Self {
        Self {
            dropped: self.dropped + other.dropped,
            longest: self.longest.max(other.longest),
            held: self.held + other.held,
            oldest: self.oldest.max(other.oldest),
            refused: self.refused + other.refused,
        }
    }

    /// The age of the oldest connection there ever was.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.longest.max(self.oldest)
    }
}

/// Lets `abusers` attack `target` for `time`.
pub async fn run_abusers(
    attack: Attack,
    target: SocketAddr,
    abusers: usize,
    time: Duration,
) -> Connections {
    let end = Instant::now() + time;
    let arrival = (time / ARRIVAL).max(arrival(abusers).min(time / 2));
    let mut all = JoinSet::new();
    for number in 0..abusers {
        all.spawn(async move {
            sleep(arrival * number as u32 / abusers as u32).await;
            abuse(attack, target, number, end).await
        });
    }
    all.join_all().await.into_iter().fold(Connections::default(), Connections::and)
}

/// How long it takes that many abusers to begin, one after the other.
#[must_use]
pub fn arrival(abusers: usize) -> Duration {
    Duration::from_secs(1) * abusers as u32 / ARRIVALS_PER_SECOND
}

async fn abuse(attack: Attack, target: SocketAddr, number: usize, end: Instant) -> Connections {
    let mut connections = Connections::default();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return connections;
        }
        match timeout(left, connect(target, number)).await {
            Err(_) => return connections,
            Ok(Err(_)) => connections.refused += 1,
            Ok(Ok(stream)) => {
                let begun = Instant::now();
                let left = end.saturating_duration_since(begun);
                // How it ended does not matter.
                if timeout(left, (attack.abuse)(stream)).await.is_err() {
                    connections.held += 1;
                    connections.oldest = begun.elapsed();
                    return connections;
                }
                connections.dropped += 1;
                connections.longest = connections.longest.max(begun.elapsed());
            }
        }
        sleep(PAUSE).await;
    }
}

async fn connect(target: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = 2 + (number % usize::from(ADDRESSES)) as u8;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads until the service ends the connection.
///
/// # Errors
/// The connection was reset.
pub(super) async fn until_closed(mut stream: TcpStream) -> io::Result<()> {
    copy(&mut stream, &mut sink()).await.map(|_| ())
}

/// Closes the connection as soon as it is open.
pub(super) async fn disconnect(stream: TcpStream) -> io::Result<()> {
    drop(stream);
    Ok(())
}

/// Sends `opening`, and then what `next` makes again and again with a pause, until the connection ends.
/// What the service sends is read and thrown away.
pub(super) async fn send(
    stream: TcpStream,
    opening: Vec<u8>,
    mut next: impl FnMut() -> Vec<u8>,
    pause: Duration,
) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let sending = async {
        writer.write_all(&opening).await?;
        loop {
            writer.write_all(&next()).await?;
            sleep(pause).await;
        }
    };
    let mut nowhere = sink();
    tokio::select! {
        ended = sending => ended,
        ended = copy(&mut reader, &mut nowhere) => ended.map(|_| ()),
    }
}

/// Sends `opening`, and then `piece` again and again, as [`send`] does.
pub(super) async fn send_repeatedly(
    stream: TcpStream,
    opening: Vec<u8>,
    piece: Vec<u8>,
    pause: Duration,
) -> io::Result<()> {
    send(stream, opening, move || piece.clone(), pause).await
}
