//! `POST /facade/batch`: many messages, one a line; one outcome a line, in the same order.
//!
//! The upload is read by a task of its own, so that lines that arrived are delivered even if the
//! client breaks off. Outcomes flow back while lines still arrive, and a client had better read while it
//! sends. For one that reads later some megabytes of outcomes wait here. Once they are full no more lines are
//! read, and after half of the time for a stalled answer the upload ends: its last outcome says from which
//! line on none was taken, and what the client still sends is read past, so that it comes to reading.
//! Lines with a key can be sent again as they were.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use http::{
    HeaderMap,
    header::{CONTENT_TYPE, EXPECT},
};
use oncelog::net::PEER_TARGET;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use self::{read::Upload, unread::Outcomes};
use crate::{
    Facade,
    http::{
        key::{IDEMPOTENCY_KEY, InvalidKey},
        media_type::{self, NDJSON},
        problem::{PostError, Problem},
    },
};

mod deliver;
mod read;
mod unread;

/// Answers at once; each line of the answer is the outcome of one line of the upload.
pub(crate) async fn upload(
    State(facade): State<Facade>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    check(&head.headers)?;
    let mut upload = Upload::new(body, facade);
    if head.headers.contains_key(EXPECT) {
        // Reading is what sends the `100 Continue` this client waits for. After a final answer it
        // would not send its body.
        upload.fill().await;
    }
    let (outcomes, pieces) = unread::outcomes(&upload.facade);
    tokio::spawn(run(upload, outcomes));
    let pieces = UnboundedReceiverStream::new(pieces);
    let outcomes = pieces.map(|piece| Ok::<_, std::convert::Infallible>(piece.bytes));
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(outcomes)).into_response())
}

fn check(headers: &HeaderMap) -> Result<(), PostError> {
    media_type::expect(headers, NDJSON)?;
    if headers.contains_key(IDEMPOTENCY_KEY) { Err(InvalidKey::OnUpload.into()) } else { Ok(()) }
}

/// Passes on the outcomes of `upload`, in order.
async fn run(upload: Upload, outcomes: Outcomes) {
    // Half of the time for a stalled answer: the other half is left to tell the client.
    let unread_max = upload.facade.limits().edge.response_stall / 2;
    let unread = upload.unread.clone();
    // Each group that waits in here has at least one permit of a line.
    let (started, groups) = mpsc::channel(upload.facade.limits().uploads.in_flight);
    tokio::join!(start_all(upload, started), pass_on(groups, outcomes, unread, unread_max));
}

/// Lines under way, whose outcomes come in order.
struct Started {
    outcomes: deliver::Outcomes,
    /// One permit a line, of those that an upload may have under way.
    _permits: Option<OwnedSemaphorePermit>,
}

/// Begins the delivery of line after line, with at most as many under way as an upload may have.
async fn start_all(mut upload: Upload, started: mpsc::Sender<Started>) {
    let in_flight = Arc::new(Semaphore::new(upload.facade.limits().uploads.in_flight));
    while let Some(item) = upload.next().await {
        let lines = item.as_ref().map_or(1, Vec::len);
        // It is never closed, and no group has more lines than there are permits.
        let permits = Arc::clone(&in_flight).acquire_many_owned(lines as u32).await.ok();
        let outcomes = match item {
            Ok(lines) => deliver::start(&upload.facade, lines).await,
            Err((line, error)) => deliver::ended(line, error),
        };
        // The other end is there until this one is gone.
        let _ = started.send(Started { outcomes, _permits: permits }).await;
    }
    // This ends the answer.
    drop(started);
    upload.read_past().await;
}

/// Passes on outcomes as they become known. If there is no room for one within `unread_max`, `unread` is
/// cancelled, and what follows is the end.
async fn pass_on(
    mut groups: mpsc::Receiver<Started>,
    outcomes: Outcomes,
    unread: CancellationToken,
    unread_max: Duration,
) {
    let mut listening = true;
    while let Some(mut group) = groups.recv().await {
        while let Some(piece) = group.outcomes.recv().await {
            // If the client is gone, what arrived is delivered all the same.
            if !listening {
                continue;
            }
            let mut room = None;
            if !unread.is_cancelled() {
                room = timeout(unread_max, outcomes.room(piece.len())).await.ok();
            }
            let room = room.unwrap_or_else(|| {
                unread.cancel();
                outcomes.room_for_the_last()
            });
            listening = outcomes.send(piece, room);
        }
    }
    if !listening {
        tracing::warn!(target: PEER_TARGET, "the client of an upload left before its last outcome");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options, Upstreams,
        delivery::tests::support::{FakeLog, start},
    };
    use oncelog::message::RandomIds;

    #[tokio::test]
    async fn lines_that_arrived_are_delivered_when_the_client_left() {
        let log = FakeLog::scripted([]);
        let upstreams = Upstreams { delivery: start(&log), ..Upstreams::unreachable() };
        let options = Options::new(Arc::new(RandomIds));
        let facade = Facade::new(upstreams, options, CancellationToken::new());
        let count = facade.limits().uploads.in_flight * 3;
        let lines = "{\"msg\":\"a\"}\n".repeat(count);
        let upload = Upload::new(lines.into(), facade);
        let (outcomes, pieces) = unread::outcomes(&upload.facade);
        drop(pieces);
        run(upload, outcomes).await;
        assert_eq!(log.seen().stored.len(), count);
    }
}
