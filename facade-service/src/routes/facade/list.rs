//! `GET /facade`: the log and the messages service's text, as one body.

use std::{collections::VecDeque, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{CONTENT_TYPE, VARY};
use tokio::time::timeout;

use crate::{
    Facade,
    http::{
        accept::Format,
        page::Page,
        problem::{Problem, ReadError},
    },
    reads::{
        Buffered, Encoder, ListPlace, ListsFull, LogReader, Piece, ReadBroken, Unavailable, buffer,
    },
};

/// How long a read waits for its turn: as many as may be open take some milliseconds each.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Answers once both services have begun to answer, and a page of the log is there or all of it. If the log
/// breaks off later, the connection is broken too: what looks whole is whole.
///
/// A page is sent when its read has ended. The read of a longer list goes on while the client takes it; then
/// it has one of the places of lists.
pub(crate) async fn list(
    State(facade): State<Facade>,
    request: Request,
) -> Result<Response, Problem> {
    let page = Page::from_query(request.uri().query()).map_err(ReadError::from)?;
    let format = Format::from_headers(request.headers()).map_err(ReadError::from)?;
    let (buffered, place) = read(&facade, page, format).await?;
    let headers = [(CONTENT_TYPE, format.content_type()), (VARY, "accept")];
    let progress = place.as_ref().map(|place| Extension(place.progress.clone()));
    let body = Body::from_stream(pieces(facade, buffered, place));
    let response = (headers, body).into_response();
    Ok(match progress {
        Some(progress) => (progress, response).into_response(),
        None => response,
    })
}

/// Reads the first page, and finds a place if there is more.
async fn read(
    facade: &Facade,
    page: Page,
    format: Format,
) -> Result<(Buffered, Option<ListPlace>), ReadError> {
    let limits = &facade.limits().reads;
    let turn = timeout(TURN_WAIT_MAX, facade.page_reads().acquire()).await;
    let _turn = turn.map_err(|_| ReadError::TooMany(limits.pages))?;
    let reads = facade.reads();
    let (log, text) = match format {
        Format::Json | Format::Text => {
            let (log, text) = tokio::join!(reads.read(page), reads.text());
            (log?, text?)
        }
        Format::Ndjson => (reads.read(page).await?, String::new()),
    };
    let encoder = Encoder::new(format, page, text);
    let (budget, encode_slots) = (facade.page_budget(), facade.encode_slots());
    let buffered = buffer(log, encoder, page.limit, limits.page_bytes, budget, encode_slots).await;
    let buffered = buffered.map_err(Unavailable::logging)?;
    if buffered.rest.is_none() {
        return Ok((buffered, None));
    }
    let place = facade.lists().enter().await;
    let place = place.map_err(|ListsFull { max }| ReadError::TooMany(max))?;
    Ok((buffered, Some(place)))
}

/// What is left of an answer.
struct Answer {
    facade: Facade,
    buffered: VecDeque<Piece>,
    /// The piece that was taken last. It counts until the next one is wanted.
    sent: Option<Piece>,
    rest: Option<(LogReader, Encoder)>,
    place: Option<ListPlace>,
}

/// The pieces of an answer. One is read when the one before it is on its way: memory does not grow with the
/// log.
fn pieces(
    facade: Facade,
    buffered: Buffered,
    place: Option<ListPlace>,
) -> impl Stream<Item = Result<Bytes, ReadBroken>> {
    let Buffered { pieces, rest } = buffered;
    let answer = Answer { facade, buffered: pieces.into(), sent: None, rest, place };
    stream::try_unfold(answer, async |mut answer| {
        let evicted = answer.place.as_ref().map(|place| place.progress.clone());
        let next = async {
            let next = answer.next().await?;
            Ok(next.map(|bytes| (bytes, answer)))
        };
        let next = match evicted {
            Some(list) => tokio::select! {
                biased;
                () = list.evicted() => Err(ReadBroken::Evicted),
                next = next => next,
            },
            None => next.await,
        };
        next.inspect_err(|broken| match broken {
            ReadBroken::Evicted => tracing::debug!("a list was broken off: {broken}"),
            ReadBroken::Status(_)
            | ReadBroken::TimedOut(_)
            | ReadBroken::Contract(_)
            | ReadBroken::Encode(_) => {
                tracing::warn!("an answer was broken off: the log broke off: {broken}");
            }
        })
    })
}

impl Answer {
    /// The next piece, or `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ReadBroken> {
        self.sent = self.buffered.pop_front();
        if let Some(piece) = &self.sent {
            return Ok(Some(piece.bytes.clone()));
        }
        let Some((mut log, encoder)) = self.rest.take() else { return Ok(None) };
        let Some(records) = log.next().await? else {
            // The read has ended: what is left needs no place.
            self.place = None;
            return Ok(Some(encoder.end()));
        };
        let (encoder, piece) = encoder.piece(records, self.facade.encode_slots()).await?;
        self.rest = Some((log, encoder));
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{StatusCode, header::RETRY_AFTER};
    use oncelog::message::RandomIds;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Options, Upstreams};

    #[tokio::test(start_paused = true)]
    async fn one_read_too_many_is_refused_with_retry_after() {
        let options = Options::new(Arc::new(RandomIds));
        let facade = Facade::new(Upstreams::unreachable(), options, CancellationToken::new());
        let all = facade.limits().reads.pages as u32;
        let readers = facade.page_reads().acquire_many(all).await.unwrap();
        let page = async || read(&facade, Page::default(), Format::Ndjson).await.map(|_| ());
        let refused = page().await.unwrap_err();
        assert!(matches!(refused, ReadError::TooMany(16)), "{refused}");
        let response = Problem::from(refused).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        drop(readers);
        let asked = page().await.unwrap_err();
        assert!(matches!(asked, ReadError::Unavailable(_)), "{asked}");
    }
}
