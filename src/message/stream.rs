//! The name of a stream.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::limits::STREAM_NAME_BYTES_MAX;

/// 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamName(Cow<'static, str>);

/// The one that nearly every message has takes no memory.
const FACADE: &str = "facade";

impl StreamName {
    /// The stream that the facade writes to and reads from.
    pub const fn facade() -> Self {
        Self(Cow::Borrowed(FACADE))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, to keep.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidStreamName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if name == FACADE {
            Ok(Self::facade())
        } else if (1..=STREAM_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(InvalidStreamName)
        }
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name.to_owned())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no stream name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stream name is 1 to {STREAM_NAME_BYTES_MAX} of a-z, 0-9, '.', '_' and '-'")]
pub struct InvalidStreamName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_facade_is_a_stream_name() {
        assert_eq!("facade".parse(), Ok(StreamName::facade()));
    }

    #[test]
    fn a_stream_name_is_short_and_plain() {
        let long = "s".repeat(STREAM_NAME_BYTES_MAX);
        assert!(
            [long.as_str(), "facade", "a", "orders.v1_eu-west"]
                .iter()
                .all(|name| name.parse::<StreamName>().is_ok())
        );
        let too_long = "s".repeat(STREAM_NAME_BYTES_MAX + 1);
        for wrong in [too_long.as_str(), "", "Orders", "a b", "a/b", "ü", "a\0"] {
            assert_eq!(wrong.parse::<StreamName>(), Err(InvalidStreamName), "{wrong:?}");
        }
    }
}
