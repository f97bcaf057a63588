//! The media type of a body.

use std::{borrow::Cow, fmt, str::FromStr};

use super::text::{Interner, checked_text};
use crate::limits::CONTENT_TYPE_BYTES_MAX;

/// The media type of plain text in UTF-8.
const TEXT: &str = "text/plain; charset=utf-8";

checked_text! {
    /// 1 to 127 visible ASCII characters or spaces. It is kept for readers and not interpreted.
    ContentType: CONTENT_TYPE_BYTES_MAX bytes of b' '..=b'~', interned in 16 buckets;

    /// Plain text in UTF-8.
    text = TEXT;

    /// The text is no media type.
    #[error("a content type is 1 to {CONTENT_TYPE_BYTES_MAX} visible ASCII characters or spaces")]
    InvalidContentType;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_fits_one_header_line() {
        assert!("application/json; charset=utf-8".parse::<ContentType>().is_ok());
        for wrong in
            [String::new(), "x".repeat(128), "text/plain\r\nx: y".to_owned(), "tëxt".to_owned()]
        {
            assert!(wrong.parse::<ContentType>().is_err(), "{wrong:?}");
        }
    }
}
