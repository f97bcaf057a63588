//! One keep-alive connection, which carries one post at a time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    Answer,
    recorder::{NoAnswer, Recorder},
    request::Request,
    schedule::Schedule,
};

/// Room for one answer, which usually arrives in one piece.
const ANSWER_BYTES: usize = 1024;

/// Pause after a failure to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Connection {
    target: SocketAddr,
    request: Request,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(target: SocketAddr, request: Request) -> io::Result<Self> {
        let stream = Some(connect(target).await?);
        Ok(Self { target, request, stream, received: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Posts what is due until the schedule ends. `first` is the number of its first message.
    pub(super) async fn post(
        mut self,
        schedule: Arc<Schedule>,
        recorder: Arc<Recorder>,
        first: u64,
        timeout_after: Duration,
    ) {
        while let Some(due) = schedule.next().await {
            let at = schedule.offset(due.at);
            if due.too_late || !self.is_open().await {
                recorder.unanswered(due.index, at, NoAnswer::NotSent);
                continue;
            }
            let sent = Instant::now();
            schedule.note_sent(sent);
            let exchange = self.exchange(first + due.index);
            match timeout(timeout_after, exchange).await {
                Ok(Ok(answer)) => {
                    if answer.closes {
                        self.stream = None;
                    }
                    recorder.answered(due.index, at, sent - due.at, due.at.elapsed(), answer);
                }
                failed => {
                    self.stream = None;
                    let why = match failed {
                        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                            NoAnswer::NotUnderstood
                        }
                        _ => NoAnswer::Silence,
                    };
                    recorder.unanswered(due.index, at, why);
                }
            }
        }
    }

    /// Connects again if the connection is lost.
    async fn is_open(&mut self) -> bool {
        if self.stream.is_none() {
            match connect(self.target).await {
                Ok(stream) => self.stream = Some(stream),
                Err(_) => tokio::time::sleep(CONNECT_PAUSE).await,
            }
        }
        self.stream.is_some()
    }

    async fn exchange(&mut self, number: u64) -> io::Result<Answer> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all_buf(&mut self.request.with_number(number)).await?;
        self.received.clear();
        loop {
            if stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let parsed = Answer::parse(&self.received);
            match parsed.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
                // The bytes of an answer that was not asked for must not pass as the next one.
                Some((_, length)) if length != self.received.len() => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Some((answer, _)) => return Ok(answer),
                None => {}
            }
        }
    }
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
