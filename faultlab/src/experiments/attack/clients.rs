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

/// Posts a second, whatever the answers take.
const RATE: u32 = 100;

/// Connections that share the posts: so many that one slow answer does not hold up the next ones.
const CONNECTIONS: u32 = 8;

/// Pause between two new clients.
const NEW_CLIENT_PAUSE: Duration = Duration::from_millis(250);

/// A post that takes longer has failed.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Latencies of acknowledged posts, and the failures of the others.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// Of each acknowledged post, from the moment it was due.
    times: Vec<Duration>,
    /// Of each other post, the reason.
    pub failures: Vec<String>,
}

impl Latencies {
    /// How many were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.times.len()
    }

    /// The latency at this quantile.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let index = (times.len() as f64 * part) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    fn add(&mut self, begun: Instant, posted: io::Result<()>) {
        match posted {
            Ok(()) => self.times.push(begun.elapsed()),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

/// Posts at a steady rate for `time`, over a few connections that stay open. Each time counts from
/// when the post was due, so that a late one hides none behind it.
pub async fn post_steadily(facade: SocketAddr, time: Duration) -> Latencies {
    let begin = Instant::now();
    let connections = (0..CONNECTIONS).map(async |number| {
        let mut latencies = Latencies::default();
        let mut connection = None;
        for post in (number..).step_by(CONNECTIONS as usize) {
            let due = begin + Duration::from_secs(1) * post / RATE;
            if due >= begin + time {
                break;
            }
            sleep_until(due.into()).await;
            let posted = post_on(&mut connection, facade).await;
            latencies.add(due, posted);
        }
        latencies
    });
    let mut all = Latencies::default();
    for latencies in join_all(connections).await {
        all.times.extend(latencies.times);
        all.failures.extend(latencies.failures);
    }
    all
}

/// For `time`, connects again and again, each time to post once. Each time counts from before the
/// connection.
pub async fn post_anew(facade: SocketAddr, time: Duration) -> Latencies {
    let begin = Instant::now();
    let mut latencies = Latencies::default();
    while begin.elapsed() < time {
        let begun = Instant::now();
        let posted = post_on(&mut None, facade).await;
        latencies.add(begun, posted);
        tokio::time::sleep(NEW_CLIENT_PAUSE).await;
    }
    latencies
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_time_that_was_measured() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let latencies = Latencies { times, failures: Vec::new() };
        assert_eq!(latencies.quantile(0.5), Duration::from_millis(51));
        assert_eq!(latencies.quantile(0.99), Duration::from_millis(100));
        assert_eq!(Latencies::default().quantile(0.99), Duration::ZERO);
    }
}
