//! `Append`: checks each message, and answers each with one receipt.

use bytes::Bytes;
use oncelog::{
    limits::CALL_MESSAGES_MAX,
    message::{Message, Outcome, Rejection, detach},
    wire::{
        surely_not_stored,
        v1::{self, AppendRequest, AppendResponse},
    },
};
use tonic::Status;

use super::status::append_status;
use crate::log::{AppendError, Log, State};

pub(super) async fn append(log: &Log, request: AppendRequest) -> Result<AppendResponse, Status> {
    let messages = request.messages;
    if messages.is_empty() || messages.len() > CALL_MESSAGES_MAX {
        return Err(surely_not_stored(Status::invalid_argument(format!(
            "a batch has 1 to {CALL_MESSAGES_MAX} messages, this one has {}; nothing was stored",
            messages.len()
        ))));
    }
    if *log.state().borrow() == State::Draining {
        return Err(append_status(AppendError::Draining));
    }
    let (ids, messages) = detached(messages);
    let mut valid = Vec::with_capacity(messages.len());
    let checked: Vec<Result<(), Rejection>> = messages
        .into_iter()
        .map(|message| checked_message(message).map(|message| valid.push(message)))
        .collect();
    let outcomes = if valid.is_empty() {
        Vec::new()
    } else {
        log.append(valid).await.map_err(append_status)?
    };
    let sent = ids.len();
    let mut outcomes = outcomes.into_iter();
    let receipt = |(id, checked): (Bytes, Result<(), Rejection>)| {
        let outcome = match checked {
            Ok(()) => outcomes.next(),
            Err(rejection) => Some(Outcome::Rejected(rejection)),
        };
        outcome.map(|outcome| outcome.into_receipt(id))
    };
    let receipts: Vec<_> = ids.into_iter().zip(checked).filter_map(receipt).collect();
    assert!(receipts.len() == sent && outcomes.next().is_none(), "one receipt for each message");
    Ok(AppendResponse { receipts })
}

/// A message that keeps the rules.
fn checked_message(message: v1::Message) -> Result<Message, Rejection> {
    Message::try_from(message).map_err(|error| Rejection::Invalid(format!("not stored: {error}")))
}

/// The ids as they were sent, and the messages. Parts of the request's buffer would keep all of that in
/// memory, for as long as a message waits for the committer, and its id until the end of the call. So the
/// ids are detached together, and the bodies together, which are let go of together.
fn detached(mut messages: Vec<v1::Message>) -> (Vec<Bytes>, Vec<v1::Message>) {
    detach(&mut messages, |message| &mut message.id);
    detach(&mut messages, |message| &mut message.body);
    let ids = messages.iter().map(|message| message.id.clone()).collect();
    (ids, messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_message_nor_its_id_keeps_the_request_it_came_in() {
        let request = Bytes::from(vec![b'x'; 64 * 1024]);
        let sent = [1, 0, 16].map(|len| v1::Message {
            id: request.slice(..len),
            body: request.slice(..1024),
            ..<_>::default()
        });
        let (ids, messages) = detached(sent.to_vec());
        assert!(ids.iter().eq(sent.iter().map(|message| &message.id)), "{ids:?}");
        assert_eq!(messages, sent);
        drop(sent);
        assert!(request.is_unique(), "the request is kept in memory");
    }
}
