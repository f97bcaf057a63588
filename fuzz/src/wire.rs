//! What arrives in a gRPC message.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use oncelog::{
    limits::{CONTENT_TYPE_BYTES_MAX, MESSAGE_BODY_BYTES_MAX, STREAM_NAME_BYTES_MAX},
    message::{Message, MessageId, Outcome, StoredMessage, StreamName},
    wire::v1,
};

use crate::memory;

pub(crate) fn run(input: &[u8]) {
    let Some((which, input)) = input.split_first() else { return };
    let input = Bytes::copy_from_slice(input);
    // The smallest message costs two bytes on the wire and this much in memory, twice while the
    // list of them grows.
    let cap = 64 * 1024 + input.len() * size_of::<v1::StoredMessage>() * 2;
    memory::within(cap, || match which % 6 {
        0 => append_request(input),
        1 => append_response(input),
        2 => read_request(input),
        3 => read_response(input),
        4 => lookup_request(input),
        _ => status_response(input),
    });
}

/// Decodes, and checks that what was decoded survives the way there and back.
fn decode<M: prost::Message + Default + PartialEq>(input: Bytes) -> Option<M> {
    let decoded = M::decode(input).ok()?;
    let encoded = decoded.encode_to_vec();
    assert_eq!(encoded.len(), decoded.encoded_len());
    let again = M::decode(&encoded[..]).expect("what was encoded can be decoded");
    assert!(again == decoded, "a message changed on its way");
    Some(decoded)
}

fn append_request(input: Bytes) {
    let Some(request) = decode::<v1::AppendRequest>(input) else { return };
    for sent in request.messages {
        message(sent);
    }
}

/// The rules of the contract, said once more.
fn keeps_the_rules(sent: &v1::Message) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    sent.id.len() == 16
        && sent.id.iter().any(|byte| *byte != 0)
        && (1..=STREAM_NAME_BYTES_MAX).contains(&sent.stream.len())
        && sent.stream.chars().all(plain)
        && (1..=CONTENT_TYPE_BYTES_MAX).contains(&sent.content_type.len())
        && sent.content_type.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        && sent.body.len() <= MESSAGE_BODY_BYTES_MAX
}

fn message(sent: v1::Message) -> Option<Message> {
    let expected = keeps_the_rules(&sent);
    match Message::try_from(sent.clone()) {
        Ok(message) => {
            assert!(expected, "taken: {sent:?}");
            assert_eq!(v1::Message::from(message.clone()), sent);
            Some(message)
        }
        Err(error) => {
            assert!(!expected, "refused, {error}: {sent:?}");
            None
        }
    }
}

fn append_response(input: Bytes) {
    let Some(response) = decode::<v1::AppendResponse>(input) else { return };
    for receipt in response.receipts {
        let (id, code) = (receipt.id.clone(), receipt.outcome());
        let Ok(outcome) = Outcome::try_from(receipt.clone()) else { continue };
        if let Outcome::Stored(receipt) | Outcome::Duplicate(receipt) = outcome {
            assert!(receipt.sequence > 0, "{receipt:?}");
        }
        let again = outcome.clone().into_receipt(id);
        assert_eq!(again.outcome(), code);
        assert_eq!(Outcome::try_from(again), Ok(outcome));
    }
}

fn read_request(input: Bytes) {
    let Some(request) = decode::<v1::ReadRequest>(input) else { return };
    if let Ok(stream) = request.stream.parse::<StreamName>() {
        assert_eq!(stream.as_str(), request.stream);
        assert_eq!(stream.as_str().parse(), Ok(stream));
    }
}

fn read_response(input: Bytes) {
    let Some(response) = decode::<v1::ReadResponse>(input) else { return };
    for sent in response.messages {
        let inner = sent.message.clone().unwrap_or_default();
        let Ok(stored) = StoredMessage::try_from(sent) else { continue };
        assert_eq!(message(inner).as_ref(), Some(&stored.message));
        assert!(stored.receipt.sequence > 0);
        // Asked for by the facade, which shows it.
        let _ = stored.receipt.stored_at.duration_since(UNIX_EPOCH);
        assert_eq!(StoredMessage::try_from(v1::StoredMessage::from(stored.clone())), Ok(stored));
    }
}

fn lookup_request(input: Bytes) {
    let Some(request) = decode::<v1::LookupRequest>(input) else { return };
    if let Ok(id) = MessageId::try_from(&request.id[..]) {
        assert_eq!(id.as_bytes()[..], request.id);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

fn status_response(input: Bytes) {
    let Some(status) = decode::<v1::StatusResponse>(input) else { return };
    let _ = status.state();
}
