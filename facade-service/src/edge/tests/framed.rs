//! Whether the framing that is followed and the framing of the HTTP library are the same.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use oncelog::net::LongLivedShare;
use proptest::{collection::vec, prelude::*, sample};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join, sink};

use super::*;
use crate::edge::{activity::Activity, framed::Framed};

const HEAD_BYTES_MAX: usize = 32 * 1024;

/// A client that sends bytes in pieces of these sizes, again and again.
struct Pieces {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
    sent: usize,
    reads: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        // The library must not always find the next piece.
        if self.reads % 2 == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let size = self.sizes[self.reads / 2 % self.sizes.len()].min(buf.remaining());
        let end = self.bytes.len().min(self.sent + size);
        buf.put_slice(&self.bytes[self.sent..end]);
        self.sent = end;
        Poll::Ready(Ok(()))
    }
}

/// A request, as a service sees it: its body is `None` if that broke off.
type Seen = (String, Option<Vec<u8>>);

/// What the HTTP library makes of the bytes of `io`.
async fn seen(io: impl AsyncRead + AsyncWrite + Unpin) -> Vec<Seen> {
    let requests = Mutex::new(Vec::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let target = format!("{} {}", request.method(), request.uri());
        let body = request.into_body().collect().await.ok();
        let body = body.map(|body| body.to_bytes().to_vec());
        requests.lock().unwrap().push((target, body));
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut library = http1::Builder::new();
    library.half_close(true).max_buf_size(HEAD_BYTES_MAX);
    // An error ends the connection.
    let _ = library.serve_connection(TokioIo::new(io), service).await;
    requests.into_inner().unwrap()
}

/// What is made of `bytes` without the check of their framing, and with it.
fn seen_both_ways(bytes: &[u8], sizes: &[usize]) -> [Vec<Seen>; 2] {
    let io =
        || join(Pieces { bytes: bytes.into(), sizes: sizes.into(), sent: 0, reads: 0 }, sink());
    let limiter = ConnectionLimiter::new(1, LongLivedShare::default());
    let activity = Activity::new(limiter.acquire().now_or_never().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let unchecked = seen(io()).await;
        [unchecked, seen(Framed::new(io(), Arc::new(activity), HEAD_BYTES_MAX)).await]
    })
}

/// A request of which every program makes the same.
fn request() -> impl Strategy<Value = String> {
    let start = sample::select(vec![
        "GET /a HTTP/1.1\r\nHost: a\r\n",
        "\r\nPOST /b HTTP/1.1\r\nhost:a\r\n",
        "POST /c HTTP/1.1\nHost: a\nTe: trailers\n",
        "POST /d HTTP/1.0\r\nConnection: keep-alive\r\n",
        "PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n",
        "GET /f HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
    ]);
    let chunk = sample::select(vec![
        "1\r\na\r\n",
        "A;x=\"y\"\r\n0\r\n\r\n1\r\n\n\n\r\n",
        "0003 ; x\r\nabc\r\n",
    ]);
    let trailers = sample::select(vec!["", "A: b\r\n", "A:\r\nContent-Length: 3\r\n"]);
    let body = prop_oneof![
        Just("\r\n".to_owned()),
        sample::select(vec!["", "a", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"])
            .prop_map(|body| format!("content-length: {}\r\n\r\n{body}", body.len())),
        (vec(chunk, 0..4), trailers).prop_map(|(chunks, trailers)| format!(
            "Transfer-Encoding: chunked\r\n\r\n{}0\r\n{trailers}\r\n",
            chunks.concat()
        )),
    ];
    (start, body)
        // A chunked body of HTTP/1.0 is refused.
        .prop_filter("no chunks", |(start, body)| !(start.contains("1.0") && body.starts_with('T')))
        .prop_map(|(start, body)| format!("{start}{body}"))
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4_usize, 1..40_usize, Just(10_000)], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_requests_are_seen_however_they_arrive(
        requests in vec(request(), 1..6),
        sizes in sizes(),
    ) {
        let [unchecked, checked] = seen_both_ways(requests.concat().as_bytes(), &sizes);
        prop_assert!(checked.iter().all(|(_, body)| body.is_some()), "{checked:?}");
        prop_assert_eq!(checked, unchecked);
    }

    #[test]
    fn what_is_checked_is_what_the_library_reads(
        requests in vec(request(), 1..6),
        sizes in sizes(),
        changes in vec(
            (any::<sample::Index>(), 0..2_usize, prop_oneof![
                sample::select(vec!["", "\r", "\n", "\r\n", "\n\n", ";", " ", ":", "0", "\0", "\x0b", "a"]),
                sample::select(vec!["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"]),
            ]),
            1..4,
        ),
    ) {
        let mut bytes = requests.concat().into_bytes();
        for (at, removed, added) in changes {
            let at = at.index(bytes.len());
            bytes.splice(at..bytes.len().min(at + removed), added.bytes());
        }
        let [unchecked, mut checked] = seen_both_ways(&bytes, &sizes);
        // The check ends what is read. It never makes another request of it.
        if let Some((target, None)) = checked.last() {
            prop_assert_eq!(target, &unchecked[checked.len() - 1].0);
            checked.pop();
        }
        prop_assert!(unchecked.starts_with(&checked), "{unchecked:?}, {checked:?}");
    }
}
