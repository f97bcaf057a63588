//! The name of a stream.

use std::{borrow::Cow, fmt, str::FromStr};

use super::text::{Interner, checked_text};
use crate::limits::STREAM_NAME_BYTES_MAX;

/// The name of the stream that the facade writes to and reads from.
const FACADE: &str = "facade";

checked_text! {
    /// 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`.
    ///
    /// Names that were seen before are interned, up to 32,768: they are cloned and read from the wire without
    /// taking memory.
    StreamName: STREAM_NAME_BYTES_MAX bytes of
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-', interned in 1024 buckets;

    /// The stream that the facade writes to and reads from.
    facade = FACADE;

    /// The text is no stream name.
    #[error("a stream name is 1 to {STREAM_NAME_BYTES_MAX} of a-z, 0-9, '.', '_' and '-'")]
    InvalidStreamName;
}

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

    #[test]
    fn a_name_that_was_seen_before_takes_no_memory() {
        let names: Vec<String> = (0..10_000).map(|number| format!("orders.{number}")).collect();
        for name in &names {
            let kept = name.parse::<StreamName>().unwrap().into_text();
            assert!(matches!(kept, Cow::Borrowed(_)), "{name} did not fit");
            assert!(std::ptr::eq(kept.as_ref(), StreamName::known(name.as_bytes()).unwrap()));
        }
        assert_eq!(StreamName::known(b"not-seen-yet"), None);
        assert!("Not valid".parse::<StreamName>().is_err());
        assert_eq!(StreamName::known(b"Not valid"), None);
    }
}
