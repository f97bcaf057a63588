//! Reads request bodies, with a limit on their size and on their pauses.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use oncelog::limits::HTTP_BODY_BYTES_MAX;

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
    #[error("the body broke off; send the request again")]
    Cut,
}

/// Reads all of `body`. Stops as soon as it is too large, even if it does not say so beforehand.
///
/// A small body arrives together with its head and is passed on as it is, without a copy or a
/// timer.
pub(crate) async fn read_whole(mut body: Body, pause: Duration) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > HTTP_BODY_BYTES_MAX as u64 {
        return Err(BodyError::TooLarge);
    }
    let Some(first) = next_chunk(&mut body, pause).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= HTTP_BODY_BYTES_MAX {
        return Ok(first);
    }
    // It grows with what arrives, not with what the client announces.
    let mut whole = BytesMut::from(first);
    while let Some(chunk) = next_chunk(&mut body, pause).await? {
        if whole.len() + chunk.len() > HTTP_BODY_BYTES_MAX {
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&chunk);
    }
    if whole.len() > HTTP_BODY_BYTES_MAX { Err(BodyError::TooLarge) } else { Ok(whole.freeze()) }
}

/// The next piece of `body`, or `None` at its end.
pub(crate) async fn next_chunk(
    body: &mut Body,
    pause: Duration,
) -> Result<Option<Bytes>, BodyError> {
    loop {
        match tokio::time::timeout(pause, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                // Trailers say nothing to us.
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
            Ok(Some(Err(_))) => return Err(BodyError::Cut),
            Ok(None) => return Ok(None),
            Err(_) => return Err(BodyError::Paused(pause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn chunked(sizes: &[usize]) -> Body {
        let chunks: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_the_limit_and_not_one_byte_larger() {
        let max = HTTP_BODY_BYTES_MAX;
        for (sizes, fits) in [
            (vec![max], true),
            (vec![max + 1], false),
            (vec![max / 2, max / 2], true),
            (vec![max, 1], false),
            (vec![1; 100], true),
        ] {
            let whole = read_whole(chunked(&sizes), PAUSE).await;
            let expected = fits.then(|| sizes.iter().sum::<usize>()).ok_or(BodyError::TooLarge);
            assert_eq!(whole.map(|body| body.len()), expected);
        }
        let declared = Body::from(vec![0; max + 1]);
        assert_eq!(read_whole(declared, PAUSE).await, Err(BodyError::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_given_up() {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let body = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
        assert_eq!(read_whole(body, PAUSE).await, Err(BodyError::Paused(PAUSE)));
    }
}
