//! What unit tests share.

use bytes::Bytes;
use oncelog::message::{ContentType, IdSource as _, Message, RandomIds, StreamName};

/// A message with a new id.
pub(crate) fn message(body: impl Into<Bytes>) -> Message {
    Message {
        id: RandomIds.next_id(),
        stream: StreamName::facade(),
        content_type: ContentType::text(),
        body: body.into(),
    }
}
