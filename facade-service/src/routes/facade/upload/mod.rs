//! `POST /facade/batch`: many messages, one a line; one outcome a line, in the same order.
//!
//! The upload is read by a task of its own, so that lines that arrived are delivered even if the
//! client breaks off. Outcomes flow back while lines still arrive, so a client must read while it
//! sends: once its unread outcomes fill the buffers between, no more lines are read, and after the
//! time for a stalled answer the connection is closed. Lines with a key can be sent again as they were.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_TYPE, EXPECT},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use self::{
    deliver::Outcomes,
    read::{Item, Upload},
};
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

/// Outcomes of one upload that may wait for the client to read them, in pieces as they became known
/// together.
const PIECES_WAITING_MAX: usize = 16;

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
    let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::spawn(run(upload, sender));
    let outcomes = ReceiverStream::new(receiver).map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(outcomes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

fn check(headers: &HeaderMap) -> Result<(), PostError> {
    media_type::expect(headers, NDJSON)?;
    if headers.contains_key(IDEMPOTENCY_KEY) { Err(InvalidKey::OnUpload.into()) } else { Ok(()) }
}

/// Passes on the outcomes of `upload`, in order.
async fn run(upload: Upload, sender: mpsc::Sender<Bytes>) {
    // Each group that waits in here has at least one permit of a line.
    let (started, groups) = mpsc::channel(upload.facade().limits().uploads.in_flight);
    tokio::join!(start_all(upload, started), pass_on(groups, sender));
}

/// Lines under way, whose outcomes come in order.
struct Started {
    outcomes: Outcomes,
    /// One permit a line, of those that an upload may have under way.
    _permits: Option<OwnedSemaphorePermit>,
}

/// Begins the delivery of line after line, with at most as many under way as an upload may have.
async fn start_all(mut upload: Upload, started: mpsc::Sender<Started>) {
    let in_flight = Arc::new(Semaphore::new(upload.facade().limits().uploads.in_flight));
    while let Some(item) = upload.next().await {
        let lines = match &item {
            Item::Lines(lines) => lines.len(),
            Item::Ended { .. } => 1,
        };
        // It is never closed, and no group has more lines than there are permits.
        let permits = Arc::clone(&in_flight).acquire_many_owned(lines as u32).await.ok();
        let outcomes = match item {
            Item::Lines(lines) => deliver::start(upload.facade(), lines).await,
            Item::Ended { line, error } => deliver::ended(line, error),
        };
        // The other end is there until this one is gone.
        let _ = started.send(Started { outcomes, _permits: permits }).await;
    }
}

async fn pass_on(mut groups: mpsc::Receiver<Started>, sender: mpsc::Sender<Bytes>) {
    let mut listening = true;
    while let Some(mut group) = groups.recv().await {
        while let Some(piece) = group.outcomes.recv().await {
            // The client is gone: what arrived is delivered all the same.
            listening = listening && sender.send(piece).await.is_ok();
        }
    }
    if !listening {
        tracing::info!("the client of an upload left before its last outcome");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use oncelog::{
        message::{Message, Outcome, RandomIds, Receipt},
        wire::v1::{AppendRequest, AppendResponse},
    };
    use tokio_util::sync::CancellationToken;
    use tonic::Status;

    use super::*;
    use crate::{
        Options, Upstreams,
        delivery::{Delivery, DeliveryOptions},
    };

    /// A facade whose log counts its messages.
    fn facade(stored: &Arc<AtomicUsize>) -> Facade {
        let stored = Arc::clone(stored);
        let log = tower::service_fn(move |request: AppendRequest| {
            let receipts = request.messages.into_iter().map(|message| {
                let message = Message::try_from(message).unwrap();
                let sequence = stored.fetch_add(1, Ordering::SeqCst) as u64 + 1;
                let receipt = Receipt { sequence, stored_at: std::time::SystemTime::now() };
                Outcome::Stored(receipt).into_receipt(message.id.as_bytes().to_vec().into())
            });
            std::future::ready(Ok::<_, Status>(AppendResponse { receipts: receipts.collect() }))
        });
        let delivery = Delivery::start(log, DeliveryOptions::default());
        let upstreams = Upstreams { delivery, ..Upstreams::unreachable() };
        Facade::new(upstreams, Options::new(Arc::new(RandomIds)), CancellationToken::new())
    }

    #[tokio::test]
    async fn lines_that_arrived_are_delivered_when_the_client_left() {
        let stored = Arc::new(AtomicUsize::new(0));
        let facade = facade(&stored);
        let count = facade.limits().uploads.in_flight * 3;
        let lines = "{\"msg\":\"a\"}\n".repeat(count);
        let upload = Upload::new(lines.into(), facade);
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        run(upload, sender).await;
        assert_eq!(stored.load(Ordering::SeqCst), count);
    }
}
