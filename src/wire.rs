//! The contract on the wire: types generated from `proto/`, and their descriptors.
//!
//! Only the edges use these; everything inside speaks [`crate::message`].

mod codec;
mod message;
mod read_response;

/// Package `oncelog.v1`.
#[allow(missing_docs, clippy::all, unreachable_pub, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("oncelog.v1");

    pub use super::{message::Message, read_response::ReadResponse};
}

/// The encoded `FileDescriptorSet` of `proto/` and its imports, as server reflection serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/oncelog_descriptor.bin"));

/// Trailer that says whether a failed call stored anything: `no` if surely not. Absent means unknown.
pub const STORED_TRAILER: &str = "oncelog-stored";
