//! The contract on the wire: types generated from `proto/`, two made by hand, and their descriptors.
//!
//! Only the edges use these; everything inside speaks [`crate::message`].

#[cfg(test)]
mod alike;
mod codec;
mod convert;
mod message;
mod read_response;
mod status;

use prost::DecodeError;

pub use self::{
    convert::{InvalidMessage, InvalidReceipt},
    status::{LAST_SEQUENCE_METADATA, STORED_TRAILER, surely_not_stored},
};

/// Package `oncelog.v1`.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, unreachable_pub, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("oncelog.v1");

    pub use super::{message::Message, read_response::ReadResponse};
}

/// The encoded `FileDescriptorSet` of `proto/` and its imports, as server reflection serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/oncelog_descriptor.bin"));

/// Says in which field of which message an error is, as generated code does.
fn in_field(mut error: DecodeError, message: &'static str, field: &'static str) -> DecodeError {
    error.push(message, field);
    error
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::{FileDescriptorSet, field_descriptor_proto::Type};

    use super::*;

    #[test]
    fn what_is_coded_by_hand_has_the_fields_of_the_contract() {
        let contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let fields = |message: &str| -> Vec<_> {
            let messages = contract.file.iter().filter(|file| file.package() == "oncelog.v1");
            let mut messages = messages.flat_map(|file| &file.message_type);
            let found = messages.find(|found| found.name() == message).unwrap();
            let field = |field: &prost_types::FieldDescriptorProto| {
                (field.number(), field.name().to_owned(), field.r#type())
            };
            found.field.iter().map(field).collect()
        };
        let expected = [
            (1, "id".to_owned(), Type::Bytes),
            (2, "stream".to_owned(), Type::String),
            (3, "content_type".to_owned(), Type::String),
            (4, "body".to_owned(), Type::Bytes),
        ];
        assert_eq!(fields("Message"), expected);
        assert_eq!(fields("ReadResponse"), [(1, "messages".to_owned(), Type::Message)]);
    }
}
