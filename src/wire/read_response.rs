//! A piece of a read of the log.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{self, DecodeContext, WireType, skip_field},
};

use super::{in_field, v1::StoredMessage};

/// Number of the only field, which is repeated.
const MESSAGES: u32 = 1;

/// What a `Read` streams, as the contract describes it.
///
/// It can hold messages that are encoded already, so that what many readers get is encoded once. What
/// arrives is in [`messages`](Self::messages) alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadResponse {
    /// Messages that are encoded already. On the wire they come first.
    encoded: Bytes,
    /// Messages, in log order.
    pub messages: Vec<StoredMessage>,
}

impl ReadResponse {
    /// A response with these messages.
    pub fn new(messages: Vec<StoredMessage>) -> Self {
        Self { encoded: Bytes::new(), messages }
    }

    /// A response with what [`ReadResponse::encode`] made.
    pub fn encoded(encoded: Bytes) -> Self {
        Self { encoded, messages: Vec::new() }
    }

    /// These messages as a response has them on the wire.
    pub fn encode(messages: Vec<StoredMessage>) -> Bytes {
        Self::new(messages).encode_to_vec().into()
    }
}

impl Message for ReadResponse {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.encoded);
        encoding::message::encode_repeated(MESSAGES, &self.messages, buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        kind: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            MESSAGES => {
                encoding::message::merge_repeated(kind, &mut self.messages, buffer, context)
                    .map_err(|error| in_field(error, "ReadResponse", "messages"))
            }
            _ => skip_field(kind, tag, buffer, context),
        }
    }

    fn encoded_len(&self) -> usize {
        self.encoded.len() + encoding::message::encoded_len_repeated(MESSAGES, &self.messages)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::alike::{Spoiling, assert_read_alike};

    /// What the generator makes of the contract.
    #[derive(Clone, PartialEq, Message)]
    struct Generated {
        #[prost(message, repeated, tag = "1")]
        messages: Vec<StoredMessage>,
    }

    impl From<ReadResponse> for Generated {
        fn from(read: ReadResponse) -> Self {
            Self { messages: read.messages }
        }
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_or_refused_as_the_generated_code_does(
            sequences in proptest::collection::vec(any::<u64>(), 0..5),
            spoiling: Spoiling,
        ) {
            let messages = sequences.into_iter().map(numbered).collect();
            let bytes = [ReadResponse::encode(messages).to_vec(), vec![0x2a, 1, 7]].concat();
            assert_read_alike::<ReadResponse, Generated>("ReadResponse", bytes, spoiling);
        }
    }

    fn numbered(sequence: u64) -> StoredMessage {
        StoredMessage { sequence, ..StoredMessage::default() }
    }

    #[test]
    fn what_was_encoded_before_is_the_same_on_the_wire() {
        let messages = vec![numbered(1), numbered(300)];
        let plain = ReadResponse::new(messages.clone());
        let encoded = ReadResponse::encoded(ReadResponse::encode(messages));
        assert_eq!(encoded.encoded_len(), plain.encoded_len());
        assert_eq!(encoded.encode_to_vec(), plain.encode_to_vec());
        assert_eq!(ReadResponse::decode(&encoded.encode_to_vec()[..]).unwrap(), plain);
    }

    #[test]
    fn what_a_later_version_adds_is_skipped() {
        let with_another_field = [&[0x10, 0x05], &ReadResponse::encode(vec![numbered(7)])[..]];
        let decoded = ReadResponse::decode(&with_another_field.concat()[..]).unwrap();
        assert_eq!(decoded.messages, [numbered(7)]);
    }
}
