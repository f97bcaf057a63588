//! Reads the lines of an upload.

use axum::body::Body;
use oncelog::limits::HTTP_BODY_BYTES_MAX;

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
    pub(super) facade: Facade,
}

impl Upload {
    /// An upload of `body` to `facade`. Once that stops, no more of the body is read.
    pub(super) fn new(body: Body, facade: Facade) -> Self {
        Self { body: Some(body), splitter: Splitter::default(), ended: None, facade }
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
        let chunk = self.facade.stop().run_until_cancelled(next_chunk(body, pause)).await;
        match chunk {
            Some(Ok(Some(chunk))) => return self.splitter.push(chunk),
            Some(Ok(None)) => self.splitter.finish(),
            // A line whose end did not arrive is not taken: it may be cut in half. The client may have
            // closed its sending half only, and still read.
            Some(Err(error)) => self.ended = Some(error.into()),
            None => self.ended = Some(PostError::Stopping),
        }
        self.body = None;
    }
}
