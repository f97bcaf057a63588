//! Reads the lines of an upload.

use axum::body::Body;
use oncelog::limits::{HTTP_BODY_BYTES_MAX, UPLOAD_LINES_TOGETHER_MAX};
use tokio_util::sync::CancellationToken;

use crate::{
    app::Facade,
    http::{
        body::{BodyError, next_chunk},
        lines::{Line, Splitter},
        problem::PostError,
    },
};

/// What an upload brings.
#[derive(Debug)]
pub(super) enum Item {
    /// Lines that arrived together, to be delivered.
    Lines(Vec<Line>),
    /// The end, before the client's: no line from `line` on was taken.
    Ended { line: u64, error: PostError },
}

/// An upload under way.
pub(super) struct Upload {
    /// `None` once nothing more is read from it.
    body: Option<Body>,
    splitter: Splitter,
    /// Why it ended, until that was told.
    ended: Option<PostError>,
    facade: Facade,
    stop: CancellationToken,
}

impl Upload {
    /// An upload of `body`. Once `stop` is cancelled, no more of it is read.
    pub(super) fn new(body: Body, facade: Facade, stop: CancellationToken) -> Self {
        Self { body: Some(body), splitter: Splitter::default(), ended: None, facade, stop }
    }

    pub(super) fn facade(&self) -> &Facade {
        &self.facade
    }

    /// The next lines, or `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Item> {
        loop {
            let lines = self.splitter.next(UPLOAD_LINES_TOGETHER_MAX, HTTP_BODY_BYTES_MAX);
            if !lines.is_empty() {
                return Some(Item::Lines(lines));
            }
            if self.body.is_none() {
                let error = self.ended.take()?;
                return Some(Item::Ended { line: self.splitter.open_line(), error });
            }
            self.fill().await;
        }
    }

    /// Reads the next chunk. Waiting for it counts as a pause of the client; the time in which
    /// nobody asks for it does not.
    pub(super) async fn fill(&mut self) {
        let Some(body) = &mut self.body else { return };
        let pause = self.facade.limits().body_read;
        let chunk = self.stop.run_until_cancelled(next_chunk(body, pause)).await;
        match chunk {
            Some(Ok(Some(chunk))) => return self.splitter.push(chunk),
            Some(Ok(None)) => self.splitter.finish(),
            // A line whose end did not arrive is not taken: it may be cut in half.
            Some(Err(BodyError::Cut)) => {}
            Some(Err(error)) => self.ended = Some(error.into()),
            None => self.ended = Some(PostError::Stopping),
        }
        self.body = None;
    }
}
