//! Message parts that no longer keep the buffer they arrived in.

use bytes::{Bytes, BytesMut};

/// Copies one part of each item into a buffer that the items share, and nothing else does.
///
/// A slice of a received buffer keeps all of that buffer in memory. Items that outlive the request they came
/// with, in a queue for instance, are detached from it first. The new buffer is let go of once all of the
/// parts are.
pub fn detach<T>(items: &mut [T], part: impl Fn(&mut T) -> &mut Bytes) {
    let bytes = items.iter_mut().map(|item| part(item).len()).sum();
    let mut copied = BytesMut::with_capacity(bytes);
    for item in &mut *items {
        copied.extend_from_slice(part(item));
    }
    let mut copied = copied.freeze();
    for item in items {
        let part = part(item);
        *part = copied.split_to(part.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detached_parts_keep_their_content_and_no_buffer() {
        let request = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut parts = [0, 7, 1, 1024].map(|bytes| request.slice(..bytes));
        let before = parts.clone().map(|part| part.to_vec());
        detach(&mut parts, |part| part);
        assert!(parts.iter().eq(before.iter()));
        assert!(request.is_unique(), "the request is kept in memory");
    }
}
