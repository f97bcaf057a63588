//! The stream `facade` over HTTP: post, upload, list, lookup.

pub(super) mod list;
pub(super) mod post;
mod receipt;
pub(super) mod record;
pub(super) mod upload;

use bytes::Bytes;
use oncelog::message::{ContentType, Message, MessageId, StreamName};

/// A message of the stream `facade`: the text that `msg` was.
fn message(id: MessageId, body: Bytes) -> Message {
    Message { id, stream: StreamName::facade(), content_type: ContentType::text(), body }
}
