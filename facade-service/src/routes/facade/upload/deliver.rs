//! Delivers the lines of an upload, in groups as they arrived.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use oncelog::message::{Message, MessageId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    Facade,
    delivery::{BulkAppend, Delivered, DeliveryError},
    http::{
        content::{InvalidContent, parse_line},
        lines::Line,
        problem::{PostError, Problem},
    },
    routes::facade::{
        message,
        receipt::{RECEIPT_BYTES_USUAL, ReplayMark, write_receipt},
    },
};

/// The outcomes of some lines, as lines of the answer: in order, in pieces, as soon as they are known.
pub(super) type Outcomes = mpsc::UnboundedReceiver<Bytes>;

/// Begins the delivery of `lines`, once the budget of all uploads has permits for them.
///
/// Lines enter the queue in the order of these calls. The rest of a delivery is a task of its own:
/// a client that does not read its outcomes holds no permits.
pub(super) async fn start(facade: &Facade, lines: Vec<Line>) -> Outcomes {
    // It holds the outcomes of one group at most.
    let (sender, outcomes) = mpsc::unbounded_channel();
    let (planned, messages) = plan(facade, lines);
    let permits = acquire(facade, &messages, &planned).await;
    let appends = facade.delivery().append_bulk(messages);
    let delivery = deliver(planned, appends, permits, sender);
    tokio::spawn(delivery);
    outcomes
}

/// The outcome of an upload's end before the client's.
pub(super) fn ended(line: u64, error: PostError) -> Outcomes {
    let (sender, outcomes) = mpsc::unbounded_channel();
    let mut piece = Vec::new();
    failure(&mut piece, line, error);
    // The other end is right here.
    let _ = sender.send(piece.into());
    outcomes
}

/// What is known of a line before its delivery.
struct Planned {
    number: u64,
    /// As it arrived.
    bytes: usize,
    message: Result<MessageId, PostError>,
}

fn plan(facade: &Facade, lines: Vec<Line>) -> (Vec<Planned>, Vec<Message>) {
    let bytes = |line: &Line| line.content.as_ref().map_or(0, Bytes::len);
    let mut texts = BytesMut::with_capacity(lines.iter().map(bytes).sum());
    let mut messages = Vec::with_capacity(lines.len());
    let planned = lines
        .iter()
        .map(|line| {
            let message = parse(facade, line, &mut texts).map(|message| {
                let id = message.id;
                messages.push(message);
                id
            });
            Planned { number: line.number, bytes: bytes(line), message }
        })
        .collect();
    (planned, messages)
}

fn parse(facade: &Facade, line: &Line, texts: &mut BytesMut) -> Result<Message, PostError> {
    let content = line.content.as_ref().ok_or(InvalidContent::LineTooLong)?;
    let (text, key) = parse_line(content, texts)?;
    let id = match key {
        Some(key) => key.id()?,
        None => facade.next_id(),
    };
    Ok(message(id, text))
}

/// Of the budget of all uploads: for messages, and for bytes.
type Permits = [Option<OwnedSemaphorePermit>; 2];

async fn acquire(facade: &Facade, messages: &[Message], planned: &[Planned]) -> Permits {
    let taken = planned.iter().filter(|line| line.message.is_ok());
    let bytes: usize = taken.map(|line| line.bytes).sum();
    let budget = facade.upload_budget();
    // Neither is ever closed, and no group is larger than the whole budget.
    let messages = Arc::clone(&budget.messages).acquire_many_owned(messages.len() as u32);
    let messages = messages.await.ok();
    [messages, Arc::clone(&budget.bytes).acquire_many_owned(bytes as u32).await.ok()]
}

async fn deliver(
    planned: Vec<Planned>,
    mut appends: BulkAppend,
    permits: Permits,
    outcomes: mpsc::UnboundedSender<Bytes>,
) {
    let mut planned = planned.into_iter().peekable();
    let (mut answers, mut ended) = (Vec::new().into_iter(), false);
    loop {
        let mut piece = Vec::with_capacity(RECEIPT_BYTES_USUAL * answers.len());
        // As far as answers are known, with the lines that need none.
        while let Some(line) =
            planned.next_if(|line| line.message.is_err() || answers.len() > 0 || ended)
        {
            let error = match line.message {
                Ok(id) => match answers.next() {
                    Some(Ok(delivered)) => {
                        success(&mut piece, id, &delivered);
                        continue;
                    }
                    Some(Err(error)) => PostError::Delivery { id, error },
                    None => PostError::Delivery { id, error: lost() },
                },
                Err(error) => error,
            };
            failure(&mut piece, line.number, error);
        }
        if !piece.is_empty() {
            // The client may be gone: what arrived is delivered all the same.
            let _ = outcomes.send(piece.into());
        }
        if planned.peek().is_none() {
            break;
        }
        match AssertUnwindSafe(appends.next()).catch_unwind().await {
            Ok(Some(known)) => answers = known.into_iter(),
            Ok(None) | Err(_) => ended = true,
        }
    }
    drop(permits);
}

/// A mistake in the delivery. It must not shift the outcomes of other lines.
fn lost() -> DeliveryError {
    DeliveryError::Unknown("the answer was lost in the facade".into())
}

/// Appends the outcome of a line whose message is stored.
fn success(piece: &mut Vec<u8>, id: MessageId, delivered: &Delivered) {
    let mark = if delivered.replayed { ReplayMark::Present } else { ReplayMark::Absent };
    write_receipt(piece, id, delivered.receipt.sequence, mark);
    piece.push(b'\n');
}

/// Appends the outcome of a line that was not acknowledged.
fn failure(piece: &mut Vec<u8>, line: u64, error: PostError) {
    piece.extend(Problem::from(error).to_line(line));
    piece.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use oncelog::message::Receipt;

    use super::*;

    #[test]
    fn an_outcome_is_one_line_of_json() {
        let id: MessageId = "0199c0de-0000-7000-8000-00000000abcd".parse().unwrap();
        let receipt = Receipt { sequence: u64::MAX, stored_at: SystemTime::UNIX_EPOCH };
        let mut piece = Vec::new();
        success(&mut piece, id, &Delivered { receipt, replayed: false });
        assert!(piece.len() <= RECEIPT_BYTES_USUAL, "{} bytes", piece.len());
        success(&mut piece, id, &Delivered { receipt, replayed: true });
        failure(&mut piece, 7, PostError::Stopping);
        let lines: Vec<serde_json::Value> = piece
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        for line in &lines[..2] {
            assert_eq!(line["status"], "success");
            assert_eq!(line["uuid"], id.to_string());
            assert_eq!(line["sequence"], u64::MAX);
        }
        assert!(lines[0].get("replayed").is_none());
        assert_eq!(lines[1]["replayed"], true);
        assert_eq!((&lines[2]["status"], &lines[2]["line"]), (&"failure".into(), &7.into()));
        assert_eq!(lines[2]["code"], "stopping");
    }
}
