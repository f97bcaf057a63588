//! The media type of a body.

use std::{borrow::Cow, str::FromStr};

use crate::limits::CONTENT_TYPE_BYTES_MAX;

/// 1 to 127 visible ASCII characters or spaces. It is kept for readers and not interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Cow<'static, str>);

/// The one that nearly every message has takes no memory.
const TEXT: &str = "text/plain; charset=utf-8";

impl ContentType {
    /// Plain text in UTF-8.
    pub const fn text() -> Self {
        Self(Cow::Borrowed(TEXT))
    }

    /// The media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The media type, to keep.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl TryFrom<String> for ContentType {
    type Error = InvalidContentType;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| matches!(byte, b' '..=b'~');
        if text == TEXT {
            Ok(Self::text())
        } else if (1..=CONTENT_TYPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(Cow::Owned(text)))
        } else {
            Err(InvalidContentType)
        }
    }
}

impl FromStr for ContentType {
    type Err = InvalidContentType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

/// The text is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a content type is 1 to {CONTENT_TYPE_BYTES_MAX} visible ASCII characters or spaces")]
pub struct InvalidContentType;

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
