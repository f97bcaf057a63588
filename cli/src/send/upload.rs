//! Many messages over one connection.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use oncelog::limits::{HTTP_BODY_BYTES_MAX, UPLOAD_IN_FLIGHT_MAX};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    client::{FacadeClient, NoAnswer, encode_line},
    input::{InputError, Line, Lines},
    report::Report,
};

/// A pause of the input after which an upload ends; the next line begins another. Well below the
/// time a facade waits for more of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Text that was sent and has no answer yet. All of it is kept, to be named if the connection
/// breaks.
const WINDOW_BYTES_MAX: usize = 8 * HTTP_BODY_BYTES_MAX;

/// What a line takes of the window at least, so that the number of lines is bounded too.
const WINDOW_BYTES_PER_LINE_MIN: usize = WINDOW_BYTES_MAX / UPLOAD_IN_FLIGHT_MAX;

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The input pauses; everything sent was answered.
    Idle,
    /// The input is at its end; everything sent was answered.
    Finished,
    /// The connection broke, or Ctrl-C. What is not known was reported, and the rest of the input not sent.
    Broken,
}

/// What happened to the input, in its order.
enum Event {
    /// The line goes out now; it keeps its part of the window until it is answered.
    Sent(Line, OwnedSemaphorePermit),
    /// A line that cannot be sent.
    Skipped(InputError),
}

/// Sends lines until the input pauses or ends, and reports every answer.
pub(super) async fn run(
    client: &FacadeClient,
    lines: &mut Lines,
    report: &mut Report,
    interrupted: &CancellationToken,
) -> Ended {
    let first = loop {
        match interrupted.run_until_cancelled(lines.recv()).await {
            Some(Some(Ok(line))) => break line,
            Some(Some(Err(error))) => report.input_error(&error),
            // Nothing is under way: Ctrl-C is as good an end as any.
            Some(None) | None => return Ended::Finished,
        }
    };
    let mut feed = Feed { lines, first_unsent: first.number, next: Some(first), ended: false };
    let (body, chunks) = mpsc::channel(1);
    // Bounded by the window; lines that cannot be sent are small.
    let (events, mut sent) = mpsc::unbounded_channel();
    let mut oldest = None;

    let result = {
        let feeding = feed.run(body, events);
        let answering =
            report_answers(client, ReceiverStream::new(chunks), &mut sent, &mut oldest, report);
        tokio::pin!(feeding, answering);
        tokio::select! {
            // While lines are still sent, only a broken connection ends the answers.
            result = &mut answering => result,
            () = interrupted.cancelled() => Err(NoAnswer::Interrupted),
            () = &mut feeding => interrupted
                .run_until_cancelled(answering)
                .await
                .unwrap_or(Err(NoAnswer::Interrupted)),
        }
    };
    match result {
        Ok(()) if feed.ended => Ended::Finished,
        Ok(()) => Ended::Idle,
        Err(error) => {
            let mut unanswered = Vec::from_iter(oldest);
            while let Ok(event) = sent.try_recv() {
                match event {
                    Event::Sent(line, _) => unanswered.push(line),
                    Event::Skipped(error) => report.input_error(&error),
                }
            }
            report.unanswered(&unanswered, &error);
            if error.is_not_stored() {
                let first = unanswered.first().map_or(feed.first_unsent, |line| line.number);
                report.not_sent_from(Some(first));
            } else {
                report.not_sent_from((!feed.ended).then_some(feed.first_unsent));
            }
            Ended::Broken
        }
    }
}

/// The sending side. It can be dropped at any point and still knows what was not sent.
struct Feed<'a> {
    lines: &'a mut Lines,
    next: Option<Line>,
    first_unsent: u64,
    ended: bool,
}

impl Feed<'_> {
    /// Sends lines to `body` until the input pauses or ends, or `body` is closed.
    async fn run(
        &mut self,
        body: mpsc::Sender<Result<Bytes, Infallible>>,
        events: mpsc::UnboundedSender<Event>,
    ) {
        let window = Arc::new(Semaphore::new(WINDOW_BYTES_MAX));
        while let Some(line) = &self.next {
            let bytes = line.text.len().clamp(WINDOW_BYTES_PER_LINE_MIN, WINDOW_BYTES_MAX);
            let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
            let Ok(window) = Arc::clone(&window).acquire_many_owned(permits).await else { return };
            let chunk = encode_line(line);
            self.first_unsent = line.number + 1;
            let Some(line) = self.next.take() else { return };
            // Noted before it is sent: a line whose fate is unknown is never forgotten.
            if events.send(Event::Sent(line, window)).is_err()
                || body.send(Ok(chunk)).await.is_err()
            {
                return;
            }
            self.next = self.next_line(&events).await;
        }
    }

    async fn next_line(&mut self, events: &mpsc::UnboundedSender<Event>) -> Option<Line> {
        loop {
            match timeout(IDLE_TIMEOUT, self.lines.recv()).await {
                Ok(Some(Ok(line))) => return Some(line),
                Ok(Some(Err(error))) => events.send(Event::Skipped(error)).ok()?,
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Err(_) => return None,
            }
        }
    }
}

/// Reports an answer for each line in `sent`. After an error, `oldest` is the first line without an
/// answer, if it had been taken from `sent`; the lines still in `sent` have no answer either.
async fn report_answers(
    client: &FacadeClient,
    body: ReceiverStream<Result<Bytes, Infallible>>,
    sent: &mut mpsc::UnboundedReceiver<Event>,
    oldest: &mut Option<Line>,
    report: &mut Report,
) -> Result<(), NoAnswer> {
    let mut answers = client.upload(body).await?;
    while let Some(event) = sent.recv().await {
        match event {
            Event::Skipped(error) => report.input_error(&error),
            Event::Sent(line, _window) => {
                let line = oldest.insert(line);
                let Some(answer) = answers.next(&line.key).await? else {
                    return Err(NoAnswer::Ended("it was closed early".to_owned()));
                };
                report.answer(line, &answer);
                *oldest = None;
            }
        }
    }
    answers.end().await;
    Ok(())
}
