//! The bytes of one post.

use std::net::SocketAddr;

use bytes::{Buf, Bytes};

use super::Plan;

/// A whole request, made once. Only the number in it changes; what follows the number is shared by
/// all clones, however long it is.
#[derive(Debug, Clone)]
pub(super) struct Request {
    head: Vec<u8>,
    rest: Bytes,
}

impl Request {
    /// A post of a text of `text_bytes` to `target`.
    pub(super) fn new(target: SocketAddr, text_bytes: usize) -> Self {
        let text_bytes = text_bytes.max(Plan::TEXT_BYTES_MIN);
        let (before, after) = (r#"{"msg":""#, r#""}"#);
        let number = "0".repeat(Plan::TEXT_BYTES_MIN);
        let head = format!(
            "POST /facade HTTP/1.1\r\nhost: {target}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{before}{number}",
            before.len() + text_bytes + after.len()
        );
        let filling = "x".repeat(text_bytes - Plan::TEXT_BYTES_MIN);
        Self { head: head.into_bytes(), rest: (filling + after).into() }
    }

    /// The request for message `number`, to be written at once.
    pub(super) fn with_number(&mut self, mut number: u64) -> impl Buf {
        let digits_at = self.head.len() - Plan::TEXT_BYTES_MIN;
        for digit in self.head[digits_at..].iter_mut().rev() {
            // A remainder of ten fits.
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.head.as_slice().chain(&*self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_begins_with_the_number_and_has_the_length_asked_for() {
        let mut request = Request::new("127.0.0.1:5000".parse().unwrap(), 20);
        let mut text = |number| {
            let mut request = request.with_number(number);
            String::from_utf8(request.copy_to_bytes(request.remaining()).to_vec()).unwrap()
        };
        let first = text(1_234);
        let (head, body) = first.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"msg":"000000001234xxxxxxxx"}"#);
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(text(7).ends_with(r#"{"msg":"000000000007xxxxxxxx"}"#));
    }
}
