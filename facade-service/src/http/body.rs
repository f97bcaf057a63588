//! Reads request bodies, with a limit on their size and on their pauses.

use std::{error::Error, io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use oncelog::limits::HTTP_BODY_BYTES_MAX;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::framing::FramingError;

/// Why a body could not be read. Nothing was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(
        "the body is larger than {HTTP_BODY_BYTES_MAX} bytes; send messages one by one, or many \
         as lines to /facade/batch"
    )]
    TooLarge,
    #[error("no byte of the body arrived for {0:?}; send the request again")]
    Paused(Duration),
    #[error(
        "the body arrives too slowly: {bytes} bytes in {:.1} s; send the request again",
        time.as_secs_f32()
    )]
    Slow { bytes: usize, time: Duration },
    #[error("the body broke off; send the request again")]
    Incomplete,
    #[error("the request is not framed as HTTP/1.1: {0}; nothing behind that is read")]
    Malformed(FramingError),
    #[error("too many large bodies are arriving; send the request again")]
    TooMany,
}

/// A body, all of it.
#[derive(Debug)]
pub(crate) struct WholeBody {
    pub(crate) bytes: Bytes,
    /// Given back once the body is dropped.
    _budget: Option<OwnedSemaphorePermit>,
}

/// How a body may arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Longest time between two pieces.
    pub(crate) pause: Duration,
    /// Longest time for all of the largest body.
    pub(crate) whole: Duration,
}

impl BodyLimits {
    /// How long `bytes` of a body may take: their part of the time, and a pause.
    fn time_for(self, bytes: usize) -> Duration {
        let part = bytes as f64 / HTTP_BODY_BYTES_MAX as f64;
        self.whole.min(self.pause + self.whole.mul_f64(part))
    }
}

/// Reads all of `body`. Stops as soon as it is too large, even if it does not say so beforehand.
///
/// A small body arrives together with its head and is passed on as it is, without a copy, a timer
/// or a part of `budget`, which has one permit a byte.
pub(crate) async fn read_whole(
    mut body: Body,
    limits: BodyLimits,
    budget: &Arc<Semaphore>,
) -> Result<WholeBody, BodyError> {
    if body.size_hint().lower() > HTTP_BODY_BYTES_MAX as u64 {
        return Err(BodyError::TooLarge);
    }
    let first = next_chunk(&mut body, limits.pause).await?.unwrap_or_default();
    if body.is_end_stream() {
        check_size(first.len())?;
        return Ok(WholeBody { bytes: first, _budget: None });
    }
    read_rest(first, &mut body, limits, budget).await
}

async fn read_rest(
    first: Bytes,
    body: &mut Body,
    limits: BodyLimits,
    budget: &Arc<Semaphore>,
) -> Result<WholeBody, BodyError> {
    let begun = Instant::now();
    // It grows with what arrives, not with what the client announces.
    let mut whole = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    let mut next = Some(first);
    while let Some(chunk) = next {
        check_size(whole.len() + chunk.len())?;
        let more = Arc::clone(budget).try_acquire_many_owned(chunk.len() as u32);
        let more = more.map_err(|_| BodyError::TooMany)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&chunk);
        let time = limits.time_for(whole.len());
        next = timeout_at(begun + time, next_chunk(body, limits.pause))
            .await
            .unwrap_or(Err(BodyError::Slow { bytes: whole.len(), time }))?;
    }
    Ok(WholeBody { bytes: whole.freeze(), _budget: taken })
}

fn check_size(bytes: usize) -> Result<(), BodyError> {
    if bytes > HTTP_BODY_BYTES_MAX { Err(BodyError::TooLarge) } else { Ok(()) }
}

/// The next piece of `body`, or `None` at its end.
pub(crate) async fn next_chunk(
    body: &mut Body,
    pause: Duration,
) -> Result<Option<Bytes>, BodyError> {
    loop {
        match tokio::time::timeout(pause, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                // No trailer has a meaning here.
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => return Ok(None),
            Err(_) => return Err(BodyError::Paused(pause)),
        }
    }
}

/// Why reading failed.
fn broken(error: &axum::Error) -> BodyError {
    let mut sources = std::iter::successors(error.source(), |error| (*error).source());
    let Some(error) = sources.find_map(|error| error.downcast_ref::<io::Error>()) else {
        return BodyError::Incomplete;
    };
    if let Some(framing) = error.get_ref().and_then(|error| error.downcast_ref::<FramingError>()) {
        return BodyError::Malformed(*framing);
    }
    if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) {
        BodyError::Malformed(FramingError::Chunks)
    } else {
        BodyError::Incomplete
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const LIMITS: BodyLimits =
        BodyLimits { pause: Duration::from_secs(1), whole: Duration::from_secs(10) };

    fn chunked(sizes: &[usize]) -> Body {
        let chunks: Vec<Result<Bytes, io::Error>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    async fn read(body: Body) -> Result<usize, BodyError> {
        let budget = Arc::new(Semaphore::new(HTTP_BODY_BYTES_MAX));
        let whole = read_whole(body, LIMITS, &budget).await.map(|body| body.bytes.len());
        assert_eq!(budget.available_permits(), HTTP_BODY_BYTES_MAX, "permits were lost");
        whole
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_the_limit_and_not_one_byte_larger() {
        let max = HTTP_BODY_BYTES_MAX;
        for (sizes, fits) in [
            (vec![], true),
            (vec![max], true),
            (vec![max + 1], false),
            (vec![max / 2, max / 2], true),
            (vec![max, 1], false),
            (vec![1; 100], true),
        ] {
            let expected = fits.then(|| sizes.iter().sum::<usize>()).ok_or(BodyError::TooLarge);
            assert_eq!(read(chunked(&sizes)).await, expected);
        }
        assert_eq!(read(Body::from(vec![0; max])).await, Ok(max));
        assert_eq!(read(Body::from(vec![0; max + 1])).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn bodies_that_arrive_together_share_their_budget() {
        let budget = Arc::new(Semaphore::new(100));
        let first = read_whole(chunked(&[30, 30]), LIMITS, &budget).await.unwrap();
        let refused = read_whole(chunked(&[30, 30]), LIMITS, &budget).await;
        assert_eq!(refused.map(|body| body.bytes.len()), Err(BodyError::TooMany));
        assert!(read_whole(Body::from(vec![0; 1000]), LIMITS, &budget).await.is_ok());
        drop(first);
        assert!(read_whole(chunked(&[30, 30]), LIMITS, &budget).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_or_trickles_is_given_up() {
        let byte = || Ok::<_, io::Error>(Bytes::from_static(b"{"));
        let pausing = stream::iter([byte()]).chain(stream::pending());
        assert_eq!(read(Body::from_stream(pausing)).await, Err(BodyError::Paused(LIMITS.pause)));
        let trickling = stream::repeat_with(byte).then(async |byte| {
            tokio::time::sleep(LIMITS.pause / 2).await;
            byte
        });
        let trickling = Body::from_stream(Box::pin(trickling));
        let begun = Instant::now();
        assert!(matches!(read(trickling).await, Err(BodyError::Slow { bytes: 1..5, .. })));
        assert!(begun.elapsed() < LIMITS.pause * 2, "given up after {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_may_take_its_time() {
        let pieces = 16;
        let piece = Bytes::from(vec![b'x'; HTTP_BODY_BYTES_MAX / pieces]);
        let steady = stream::iter(vec![piece; pieces]).then(async |piece| {
            tokio::time::sleep(LIMITS.whole / 17).await;
            Ok::<_, io::Error>(piece)
        });
        assert_eq!(read(Body::from_stream(Box::pin(steady))).await, Ok(HTTP_BODY_BYTES_MAX));
    }
}
