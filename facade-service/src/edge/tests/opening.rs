//! Connections that do not open.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use oncelog::net::Listener;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::Edge;
use crate::edge::EdgeLimits;

/// A listener whose first connection never opens.
struct NeverOpens(TcpListener, AtomicBool);

impl Listener for NeverOpens {
    type Io = TcpStream;
    type Opening = BoxFuture<'static, io::Result<TcpStream>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let opening = Listener::accept(&self.0).await?;
        if self.1.swap(true, Ordering::Relaxed) {
            return Ok(Box::pin(opening));
        }
        Ok(Box::pin(async move {
            let _held = opening;
            std::future::pending().await
        }))
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.0.addr()
    }

    fn reset(io: &TcpStream) {
        TcpListener::reset(io);
    }
}

#[tokio::test]
async fn a_connection_that_never_opens_holds_up_no_other_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = EdgeLimits { header_read: Duration::from_millis(500), ..EdgeLimits::default() };
    let edge = Edge::start_on(NeverOpens(listener, AtomicBool::new(false)), limits.clone());
    let begun = Instant::now();
    let mut stuck = edge.get("/plain").await;
    let mut other = edge.get("/plain").await;
    other.expect("plain").await;
    assert!(stuck.rest().await.is_err(), "it was answered");
    assert!(begun.elapsed() >= limits.header_read);
    edge.stopped().await;
}

/// Every connection fails to open, at once or later.
struct Fails(TcpListener, bool);

impl Listener for Fails {
    type Io = TcpStream;
    type Opening = BoxFuture<'static, io::Result<TcpStream>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let opening = Listener::accept(&self.0).await?;
        let later = self.1;
        Ok(Box::pin(async move {
            let _held = opening;
            if later {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(io::Error::other("handshake"))
        }))
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.0.addr()
    }

    fn reset(io: &TcpStream) {
        TcpListener::reset(io);
    }
}

#[tokio::test]
async fn review_failed_opening() {
    use std::sync::{Arc, Mutex};
    let seen = Arc::new(Mutex::new(Vec::new()));
    let s = Arc::clone(&seen);
    // Other tests panic on threads of their own.
    let here = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            s.lock().unwrap().push(info.to_string());
        }
    }));
    for later in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let edge = Edge::start_on(Fails(listener, later), EdgeLimits::default());
        let mut client = edge.get("/plain").await;
        let rest = client.rest().await;
        eprintln!("later={later} rest={rest:?}");
        edge.stopped().await;
    }
    let _ = std::panic::take_hook();
    let seen = seen.lock().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
