//! Reads the lines of an upload.

use axum::body::Body;
use oncelog::limits::HTTP_BODY_BYTES_MAX;
use tokio_util::sync::CancellationToken;

use crate::{
    Facade,
    http::{
        body::next_chunk,
        lines::{Line, Splitter},
        problem::PostError,
    },
    limits::UPLOAD_LINES_TOGETHER_MAX,
};

/// Lines that arrived together, to be delivered. Or the end, before the client's: from which line on
/// none was taken, and why.
pub(super) type Item = Result<Vec<Line>, (u64, PostError)>;

/// An upload under way.
pub(super) struct Upload {
    /// `None` once nothing more is read from it.
    body: Option<Body>,
    splitter: Splitter,
    /// Why it ended, until that was told.
    ended: Option<PostError>,
    /// What is left of the body of an upload that ended because its client reads no outcomes.
    rest: Option<Body>,
    /// Cancelled once the client has left too many outcomes unread: no more of the body is read. A stop of
    /// the facade cancels it, too.
    pub(super) unread: CancellationToken,
    pub(super) facade: Facade,
}

impl Upload {
    /// An upload of `body` to `facade`. Once that stops, no more of the body is read.
    pub(super) fn new(body: Body, facade: Facade) -> Self {
        let unread = facade.stop().child_token();
        let splitter = Splitter::default();
        Self { body: Some(body), splitter, ended: None, rest: None, unread, facade }
    }

    /// The next lines, or `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Item> {
        loop {
            let lines = self.splitter.next(UPLOAD_LINES_TOGETHER_MAX, HTTP_BODY_BYTES_MAX);
            if !lines.is_empty() {
                return Some(Ok(lines));
            }
            if self.body.is_none() {
                return Some(Err((self.splitter.open_line(), self.ended.take()?)));
            }
            self.fill().await;
        }
    }

    /// Reads the next chunk. Only the time in here counts as a pause of the client.
    pub(super) async fn fill(&mut self) {
        let Some(body) = &mut self.body else { return };
        let pause = self.facade.limits().edge.body_read;
        let chunk = self.unread.run_until_cancelled(next_chunk(body, pause)).await;
        match chunk {
            Some(Ok(Some(chunk))) => return self.splitter.push(chunk),
            Some(Ok(None)) => self.splitter.finish(),
            // A line whose end did not arrive is not taken: it may be cut in half. The client may have
            // closed its sending half only, and still read.
            Some(Err(error)) => self.ended = Some(error.into()),
            None if self.facade.stop().is_cancelled() => self.ended = Some(PostError::Stopping),
            None => {
                self.ended = Some(PostError::OutcomesNotRead);
                self.rest = self.body.take();
            }
        }
        self.body = None;
    }

    /// Reads past what is left for a client that reads only when it has sent everything.
    pub(super) async fn read_past(self) {
        let Some(mut body) = self.rest else { return };
        let edge = &self.facade.limits().edge;
        let read_past =
            async { while let Ok(Some(_)) = next_chunk(&mut body, edge.body_read).await {} };
        // Whether it ended in time or not, there is nothing more to do.
        let stopped = self.facade.stop().run_until_cancelled(read_past);
        let _ = tokio::time::timeout(edge.response_stall, stopped).await;
    }
}
