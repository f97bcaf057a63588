//! The bytes of one post.

use std::net::SocketAddr;

use super::Plan;

/// A whole request, made once. Only the number in it changes.
#[derive(Debug, Clone)]
pub(super) struct Request {
    bytes: Vec<u8>,
    number_at: usize,
}

impl Request {
    /// A post of a text of `text_bytes` to `target`.
    pub(super) fn new(target: SocketAddr, text_bytes: usize) -> Self {
        let text_bytes = text_bytes.max(Plan::TEXT_BYTES_MIN);
        let (before, after) = (r#"{"msg":""#, r#""}"#);
        let head = format!(
            "POST /facade HTTP/1.1\r\nhost: {target}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            before.len() + text_bytes + after.len()
        );
        let number_at = head.len() + before.len();
        let text = "x".repeat(text_bytes);
        Self { bytes: [&*head, before, &*text, after].concat().into_bytes(), number_at }
    }

    /// The request for message `number`.
    pub(super) fn with_number(&mut self, mut number: u64) -> &[u8] {
        let digits = &mut self.bytes[self.number_at..self.number_at + Plan::TEXT_BYTES_MIN];
        for digit in digits.iter_mut().rev() {
            // A remainder of ten fits.
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_begins_with_the_number_and_has_the_length_asked_for() {
        let mut request = Request::new("127.0.0.1:5000".parse().unwrap(), 20);
        let text = String::from_utf8(request.with_number(1_234).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"msg":"000000001234xxxxxxxx"}"#);
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let next = String::from_utf8(request.with_number(7).to_vec()).unwrap();
        assert!(next.ends_with(r#"{"msg":"000000000007xxxxxxxx"}"#));
    }
}
