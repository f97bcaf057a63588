//! Between bytes and messages: Protobuf, with a bound on what a few bytes can become.

use std::any::TypeId;

use bytes::Buf;
use prost::{
    Message,
    encoding::{DecodeContext, WireType, decode_key, skip_field},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use super::{surely_not_stored, v1};
use crate::limits::GRPC_ELEMENTS_MAX;

/// The codec of all generated clients and servers.
///
/// An element of a list costs two bytes on the wire and over a hundred in memory, so the limit on
/// bytes alone would let one call take hundreds of mebibytes. Here elements are counted before any
/// of them is made.
#[derive(Default)]
pub(super) struct BoundedCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(self.0.decoder())
    }
}

/// Decodes messages of at most [`GRPC_ELEMENTS_MAX`] elements.
pub(super) struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default + 'static> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The message is in one piece. If it ever were not, the limit on bytes would still hold.
        if elements(buffer.chunk()) > GRPC_ELEMENTS_MAX {
            let words = format!("the message has more than {GRPC_ELEMENTS_MAX} elements");
            return Err(if is_request::<U>() {
                surely_not_stored(Status::resource_exhausted(words))
            } else {
                // As for too many bytes: the other side has done what was asked, and says so.
                Status::out_of_range(words)
            });
        }
        let decoded = self.0.decode(buffer);
        if is_request::<U>() { decoded.map_err(surely_not_stored) } else { decoded }
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// Whether servers decode `U`, which comes before a method runs: what fails then has stored nothing. Of a
/// response that cannot be decoded nothing is known.
fn is_request<U: 'static>() -> bool {
    [
        TypeId::of::<v1::AppendRequest>(),
        TypeId::of::<v1::ReadRequest>(),
        TypeId::of::<v1::LookupRequest>(),
        TypeId::of::<v1::StatusRequest>(),
        TypeId::of::<v1::GetMessagesRequest>(),
    ]
    .contains(&TypeId::of::<U>())
}

/// How many fields of `message` have a length, as elements of lists do. What comes after a mistake
/// does not count: decoding ends there, too.
fn elements(mut message: &[u8]) -> usize {
    let mut elements = 0;
    while !message.is_empty() {
        let Ok((tag, kind)) = decode_key(&mut message) else { break };
        if skip_field(kind, tag, &mut message, DecodeContext::default()).is_err() {
            break;
        }
        elements += usize::from(kind == WireType::LengthDelimited);
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted_without_being_made() {
        let request = v1::AppendRequest { messages: vec![v1::Message::default(); 7] };
        assert_eq!(elements(&request.encode_to_vec()), 7);
        assert_eq!(elements(b""), 0);
        let status = v1::StatusResponse { last_sequence: 5, ..v1::StatusResponse::default() };
        assert_eq!(elements(&status.encode_to_vec()), 0);
    }

    #[test]
    fn what_comes_after_a_mistake_does_not_count() {
        for mistake in [&b"\x0a\x80"[..], b"\x0a\x05a", b"\x02\x00\x0a\x00", b"\x0f\x0a\x00"] {
            assert_eq!(elements(&[b"\x0a\x00", mistake].concat()), 1, "{mistake:?}");
        }
    }
}
