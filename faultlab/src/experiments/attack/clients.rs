//! Well-behaved clients that measure their latencies.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep_until, timeout},
};

use crate::open_loop::Latencies;

/// Posts a second, whatever the answers take.
const RATE: u32 = 100;

/// Connections that share the posts: so many that one slow answer does not hold up the next ones.
const CONNECTIONS: u32 = 8;

/// Pause between two new clients.
const NEW_CLIENT_PAUSE: Duration = Duration::from_millis(250);

/// A post that takes longer has failed.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// The posts of well-behaved clients.
#[derive(Debug, Clone, Default)]
pub struct Posts {
    /// Of each acknowledged post, from the moment it was due.
    pub latencies: Latencies,
    /// Of each other post, the reason.
    pub failures: Vec<String>,
}

impl Posts {
    fn add(&mut self, begun: Instant, posted: io::Result<()>) {
        match posted {
            Ok(()) => self.latencies.note(begun.elapsed()),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

/// Posts at a steady rate for `time`, over a few connections that stay open. Each time counts from
/// when the post was due, so that a late one hides none behind it.
pub async fn post_steadily(facade: SocketAddr, time: Duration) -> Posts {
    let begin = Instant::now();
    let connections = (0..CONNECTIONS).map(async |number| {
        let mut posts = Posts::default();
        let mut connection = None;
        for post in (number..).step_by(CONNECTIONS as usize) {
            let due = begin + Duration::from_secs(1) * post / RATE;
            if due >= begin + time {
                break;
            }
            sleep_until(due.into()).await;
            let posted = post_on(&mut connection, facade).await;
            posts.add(due, posted);
        }
        posts
    });
    let mut all = Posts::default();
    for posts in join_all(connections).await {
        all.latencies.add(&posts.latencies);
        all.failures.extend(posts.failures);
    }
    all
}

/// For `time`, connects again and again, each time to post once. Each time counts from before the
/// connection.
pub async fn post_anew(facade: SocketAddr, time: Duration) -> Posts {
    let begin = Instant::now();
    let mut posts = Posts::default();
    while begin.elapsed() < time {
        let begun = Instant::now();
        let posted = post_on(&mut None, facade).await;
        posts.add(begun, posted);
        tokio::time::sleep(NEW_CLIENT_PAUSE).await;
    }
    posts
}

/// One post over a connection of its own.
///
/// # Errors
/// It was not acknowledged.
pub async fn post_once(facade: SocketAddr) -> io::Result<()> {
    post_on(&mut None, facade).await
}

/// Closes the connection if it fails.
async fn post_on(connection: &mut Option<TcpStream>, facade: SocketAddr) -> io::Result<()> {
    let post = async {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(facade).await?,
        };
        stream.set_nodelay(true)?;
        post(&mut stream, r#"{"msg":"a message of a client that behaves"}"#).await?;
        io::Result::Ok(stream)
    };
    let posted =
        timeout(POST_TIMEOUT, post).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    *connection = Some(posted?);
    Ok(())
}

/// One post on an open connection.
///
/// # Errors
/// It was not acknowledged.
pub async fn post(stream: &mut TcpStream, json: &str) -> io::Result<()> {
    let request = format!(
        "POST /facade HTTP/1.1\r\nhost: facade\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    );
    stream.write_all(request.as_bytes()).await?;
    // An acknowledgement is short and its body ends with the only brace.
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }
}
