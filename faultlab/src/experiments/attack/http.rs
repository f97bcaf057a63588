//! Abuse of the facade's port.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::abuse::{Attack, Port, disconnect, send_repeatedly, until_closed};

/// A head has to be complete after this time.
const HEAD_TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));

/// A body that comes too slowly, or not at all, is refused after ten seconds. The client may read the
/// refusal for another one.
const BODY_TIMEOUT: Option<Duration> = Some(Duration::from_secs(12));

/// What is too large is refused at once. The client may read the refusal for a moment.
const REFUSAL_TIMEOUT: Option<Duration> = Some(Duration::from_secs(3));

/// A response that the client does not read ends after this time.
const RESPONSE_TIMEOUT: Option<Duration> = Some(Duration::from_secs(122));

/// The same, once the buffers between the two sockets are full.
const PIPELINE_TIMEOUT: Option<Duration> = Some(Duration::from_secs(140));

/// The largest body the facade takes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How often a client that does not read looks whether its connection is still there.
const POLL: Duration = Duration::from_millis(200);

const HALF_A_SECOND: Duration = Duration::from_millis(500);

const JSON: &str = "application/json";

const HTTP: Port = Port::Http;

/// All attacks.
pub const ATTACKS: &[Attack] = &[
    // Heads that do not come, or are too large.
    HTTP.attack("http: no byte at all", 500, HEAD_TIMEOUT, |stream| Box::pin(until_closed(stream))),
    HTTP.attack("http: a head, byte by byte", 500, HEAD_TIMEOUT, |stream| {
        let opening = b"GET /healthz HTTP/1.1\r\nx-slow: ".to_vec();
        Box::pin(send_repeatedly(stream, opening, b"a".to_vec(), Duration::from_secs(1)))
    }),
    HTTP.attack("http: 100,000 header lines", 10, REFUSAL_TIMEOUT, |stream| {
        Box::pin(large_head(stream, b"x-line: 1\r\n", 100_000))
    }),
    HTTP.attack("http: a header of 10 MB", 10, REFUSAL_TIMEOUT, |stream| {
        Box::pin(large_head(stream, &[b'a'; 1000], 10_000))
    }),
    // Bodies that do not come to an end, or are too large.
    HTTP.attack("http: a body, byte by byte", 500, BODY_TIMEOUT, |stream| {
        let head = post_head("/facade", JSON, "content-length: 1000");
        Box::pin(send_repeatedly(stream, head, b" ".to_vec(), HALF_A_SECOND))
    }),
    HTTP.attack("http: a body that stops", 500, BODY_TIMEOUT, |stream| {
        let head = post_head("/facade", JSON, "content-length: 1000");
        Box::pin(send_repeatedly(stream, head, b"{".to_vec(), Duration::from_secs(3600)))
    }),
    HTTP.attack("http: a body of 1 GiB", 20, REFUSAL_TIMEOUT, |stream| {
        let head = post_head("/facade", JSON, "content-length: 1073741824");
        Box::pin(send_repeatedly(stream, head, vec![b' '; 64 * 1024], Duration::from_millis(1)))
    }),
    HTTP.attack("http: chunks without end", 20, REFUSAL_TIMEOUT, |stream| {
        let head = post_head("/facade", JSON, "transfer-encoding: chunked");
        let chunk = [b"4000\r\n", &[b' '; 0x4000][..], b"\r\n"].concat();
        Box::pin(send_repeatedly(stream, head, chunk, Duration::from_millis(1)))
    }),
    // It may take as long as it likes, and is the first to be evicted when connections are short.
    HTTP.attack("http: an upload, byte by byte", 500, None, |stream| {
        let head = post_head("/facade/batch", "application/x-ndjson", "content-length: 1000000");
        Box::pin(send_repeatedly(stream, head, b" ".to_vec(), HALF_A_SECOND))
    }),
    // Bodies that come as they should and are costly to parse or store.
    HTTP.attack("http: bodies as large as may be", 2, None, |stream| {
        Box::pin(post(stream, message_of(BODY_BYTES_MAX), "200"))
    }),
    HTTP.attack("http: bodies a byte too large", 10, None, |stream| {
        Box::pin(post(stream, message_of(BODY_BYTES_MAX + 1), "413"))
    }),
    HTTP.attack("http: JSON of 100,000 levels", 10, None, |stream| {
        let json = [br#"{"msg":"#, "[".repeat(100_000).as_bytes()].concat();
        Box::pin(post(stream, json, "400"))
    }),
    HTTP.attack("http: a megabyte of escapes", 4, None, |stream| {
        let json = [br#"{"msg":""#, r"\ud83d\ude00".repeat(80_000).as_bytes()].concat();
        Box::pin(post(stream, json, "400"))
    }),
    // Clients that send requests and do not read the responses.
    HTTP.attack("http: the log, never read", 200, RESPONSE_TIMEOUT, |stream| {
        Box::pin(read_nothing(stream))
    }),
    // It may, until another reader wants its place.
    HTTP.attack("http: the log, read byte by byte", 200, None, |stream| {
        Box::pin(read_slowly(stream))
    }),
    HTTP.attack("http: requests without end, none read", 4, PIPELINE_TIMEOUT, |stream| {
        Box::pin(pipeline(stream))
    }),
    HTTP.attack("http: connections that come and go", 100, None, |stream| {
        Box::pin(disconnect(stream))
    }),
    IDLE,
];

/// More than all connections that the facade keeps.
pub const IDLE: Attack =
    HTTP.attack("http: 10,000 idle connections", 10_000, Some(Duration::from_secs(31)), |stream| {
        Box::pin(idle(stream))
    });

/// The head of a post whose body is framed as `framing` says.
fn post_head(path: &str, media_type: &str, framing: &str) -> Vec<u8> {
    let lines = format!("host: facade\r\ncontent-type: {media_type}\r\n{framing}\r\n\r\n");
    format!("POST {path} HTTP/1.1\r\n{lines}").into_bytes()
}

async fn large_head(stream: TcpStream, piece: &[u8], times: usize) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        writer.write_all(b"GET /healthz HTTP/1.1\r\nx-first: ").await?;
        for _ in 0..times {
            writer.write_all(piece).await?;
        }
        writer.write_all(b"\r\n\r\n").await
    };
    let mut nowhere = tokio::io::sink();
    let closed = tokio::io::copy(&mut reader, &mut nowhere);
    // The response may come before all is sent, and the end after that.
    let (_, closed) = tokio::join!(send, closed);
    closed.map(|_| ())
}

/// A message that makes a body of `bytes`.
fn message_of(bytes: usize) -> Vec<u8> {
    let (begin, end) = (br#"{"msg":""#, br#""}"#);
    [&begin[..], &vec![b'x'; bytes - begin.len() - end.len()], end].concat()
}

/// Posts `json` once. A response with another status than `status` is a panic: it is wrong.
async fn post(mut stream: TcpStream, json: Vec<u8>, status: &str) -> io::Result<()> {
    let head = post_head("/facade", JSON, &format!("content-length: {}", json.len()));
    stream.write_all(&head).await?;
    stream.write_all(&json).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    let expected = format!("HTTP/1.1 {status}");
    assert!(answer == expected.as_bytes(), "{} instead of {expected}", answer.escape_ascii());
    Ok(())
}

/// Asks for the whole log and reads none of it, as a frozen client would.
async fn read_nothing(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /facade HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    loop {
        // Empty lines before a request mean nothing. On a closed connection they fail.
        stream.write_all(b"\r\n").await?;
        sleep(POLL).await;
    }
}

async fn read_slowly(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /facade HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    loop {
        stream.read_u8().await?;
        sleep(POLL).await;
    }
}

async fn pipeline(mut stream: TcpStream) -> io::Result<()> {
    let requests = b"GET /nowhere HTTP/1.1\r\nhost: facade\r\n\r\n".repeat(20);
    loop {
        stream.write_all(&requests).await?;
        sleep(Duration::from_millis(5)).await;
    }
}

async fn idle(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: facade\r\n\r\n").await?;
    until_closed(stream).await
}
