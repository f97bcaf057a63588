//! The message on the wire, coded by hand: it is what nearly all bytes between the services are.
//!
//! Generated code would make two strings for each message that comes and goes, for a stream and a
//! content type that were nearly always seen before.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError,
    encoding::{
        self, DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, key_len,
        skip_field,
    },
};

use super::in_field;
use crate::message::{ContentType, StreamName};

const ID: u32 = 1;
const STREAM: u32 = 2;
const CONTENT_TYPE: u32 = 3;
const BODY: u32 = 4;

/// `oncelog.v1.Message`. Nothing in it is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// The id: 16 bytes, or it is none.
    pub id: Bytes,
    /// The name of the stream.
    pub stream: Cow<'static, str>,
    /// The media type of the body.
    pub content_type: Cow<'static, str>,
    /// The body.
    pub body: Bytes,
}

impl Message {
    fn fields(&self) -> [(u32, &[u8]); 4] {
        [
            (ID, &self.id),
            (STREAM, self.stream.as_bytes()),
            (CONTENT_TYPE, self.content_type.as_bytes()),
            (BODY, &self.body),
        ]
    }
}

impl prost::Message for Message {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for (tag, value) in self.fields() {
            if !value.is_empty() {
                encode_key(tag, WireType::LengthDelimited, buf);
                encode_varint(value.len() as u64, buf);
                buf.put_slice(value);
            }
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        let (merged, field) = match tag {
            ID => (encoding::bytes::merge(wire_type, &mut self.id, buf, context), "id"),
            STREAM => {
                (merge_text(&mut self.stream, StreamName::known, wire_type, buf, context), "stream")
            }
            CONTENT_TYPE => (
                merge_text(&mut self.content_type, ContentType::known, wire_type, buf, context),
                "content_type",
            ),
            BODY => (encoding::bytes::merge(wire_type, &mut self.body, buf, context), "body"),
            _ => return skip_field(wire_type, tag, buf, context),
        };
        merged.map_err(|error| in_field(error, "Message", field))
    }

    fn encoded_len(&self) -> usize {
        let len = |(tag, value): (u32, &[u8])| match value.len() {
            0 => 0,
            bytes => key_len(tag) + encoded_len_varint(bytes as u64) + bytes,
        };
        self.fields().into_iter().map(len).sum()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads a text into memory of its own, unless it is `known` already.
fn merge_text(
    text: &mut Cow<'static, str>,
    known: impl Fn(&[u8]) -> Option<&'static str>,
    wire_type: WireType,
    buf: &mut impl Buf,
    context: DecodeContext,
) -> Result<(), DecodeError> {
    // Known texts are short: their length is one byte.
    let found = match (wire_type, buf.chunk().split_first()) {
        (WireType::LengthDelimited, Some((len @ 1..=127, rest))) => {
            rest.get(..usize::from(*len)).and_then(known)
        }
        _ => None,
    };
    if let Some(known) = found {
        buf.advance(1 + known.len());
        *text = Cow::Borrowed(known);
        return Ok(());
    }
    let mut read = String::new();
    encoding::string::merge(wire_type, &mut read, buf, context)?;
    *text = Cow::Owned(read);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::wire::alike::{Spoiling, assert_read_alike};

    /// What the generator makes of the contract.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    struct Generated {
        #[prost(bytes = "bytes", tag = "1")]
        id: Bytes,
        #[prost(string, tag = "2")]
        stream: String,
        #[prost(string, tag = "3")]
        content_type: String,
        #[prost(bytes = "bytes", tag = "4")]
        body: Bytes,
    }

    impl From<Message> for Generated {
        fn from(Message { id, stream, content_type, body }: Message) -> Self {
            Self { id, stream: stream.into_owned(), content_type: content_type.into_owned(), body }
        }
    }

    fn text(usual: &'static str) -> impl Strategy<Value = Cow<'static, str>> {
        prop_oneof![Just(Cow::Borrowed(usual)), ".{0,200}".prop_map(Cow::Owned)]
    }

    prop_compose! {
        fn any_message()(
            id in proptest::collection::vec(any::<u8>(), 0..20),
            stream in text("facade"),
            content_type in text("text/plain; charset=utf-8"),
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) -> Message {
            Message { id: id.into(), stream, content_type, body: body.into() }
        }
    }

    proptest! {
        #[test]
        fn it_is_written_and_read_as_the_generated_code_does(message in any_message()) {
            let generated = Generated::from(message.clone());
            let bytes = message.encode_to_vec();
            prop_assert_eq!(&bytes, &generated.encode_to_vec());
            prop_assert_eq!(message.encoded_len(), bytes.len());
            prop_assert_eq!(Message::decode(&bytes[..]).unwrap(), message);
        }

        #[test]
        fn anything_is_read_or_refused_as_the_generated_code_does(
            message in any_message(),
            spoiling: Spoiling,
        ) {
            let bytes = [message.encode_to_vec(), message.encode_to_vec(), vec![0x2a, 1, 7]].concat();
            assert_read_alike::<Message, Generated>("Message", bytes, spoiling);
        }
    }

    #[test]
    fn texts_that_were_seen_before_take_no_memory() {
        let read = |stream: &'static str, content_type: &'static str| {
            let message = Message {
                stream: stream.into(),
                content_type: content_type.into(),
                ..Message::default()
            };
            let read = Message::decode(&message.encode_to_vec()[..]).unwrap();
            assert_eq!(read, message);
            [read.stream, read.content_type].map(|text| matches!(text, Cow::Borrowed(_)))
        };
        assert_eq!(read("facade", "text/plain; charset=utf-8"), [true; 2]);
        assert_eq!(read("not.seen.before", "not/seen-before"), [false; 2]);
        let _ = "seen.before".parse::<StreamName>().unwrap();
        let _ = "seen/before".parse::<ContentType>().unwrap();
        assert_eq!(read("seen.before", "seen/before"), [true; 2]);
    }
}
