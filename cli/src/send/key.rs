//! Idempotency keys, as the facade takes them.

use std::{fmt, str::FromStr};

use oncelog::{
    limits::IDEMPOTENCY_KEY_BYTES_MAX,
    message::{IdSource as _, MessageId, RandomIds, StreamName},
};
use serde::Serialize;

/// Digits of the largest line number, and the dash before them.
const LINE_NUMBER_BYTES_MAX: usize = 21;

/// 1 to 255 visible ASCII characters that name a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Key(String);

impl Key {
    /// A new, unique key: the id of the message itself.
    pub(super) fn new() -> Self {
        Self(RandomIds.next_id().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id this key stands for.
    pub(super) fn id(&self) -> Option<MessageId> {
        MessageId::from_key(&StreamName::facade(), &self.0).ok()
    }

    /// The key as a header: a quoted string, because a bare one must not start with a quote.
    pub(super) fn to_header(&self) -> String {
        format!("\"{}\"", self.0.replace('\\', r"\\").replace('"', r#"\""#))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, IDEMPOTENCY_KEY_BYTES_MAX)?;
        let key = Self(text.to_owned());
        if key.id().is_some() { Ok(key) } else { Err("the nil UUID names no message".to_owned()) }
    }
}

/// What the keys of all lines start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPrefix(String);

impl KeyPrefix {
    pub(super) fn key(&self, line: u64) -> Key {
        Key(format!("{}-{line}", self.0))
    }
}

impl FromStr for KeyPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, IDEMPOTENCY_KEY_BYTES_MAX - LINE_NUMBER_BYTES_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

fn check(text: &str, bytes_max: usize) -> Result<(), String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=bytes_max).contains(&text.len()) {
        Ok(())
    } else {
        Err(format!("must have 1 to {bytes_max} visible ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_the_id() {
        let key = Key::new();
        assert_eq!(key.id().unwrap().to_string(), key.as_str());
        assert_ne!(key, Key::new());
    }

    #[test]
    fn a_key_may_hold_quotes() {
        assert_eq!("order-7".parse::<Key>().unwrap().to_header(), r#""order-7""#);
        assert_eq!(r#""a\b"#.parse::<Key>().unwrap().to_header(), r#""\"a\\b""#);
    }

    #[test]
    fn what_no_facade_takes_is_refused_early() {
        let nil = "00000000-0000-0000-0000-000000000000";
        for wrong in ["", "two words", "é", "a\nb", &"x".repeat(256), nil] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
        assert!("x".repeat(255).parse::<Key>().is_ok());
        let longest: KeyPrefix = "x".repeat(234).parse().unwrap();
        assert!(longest.key(u64::MAX).to_string().parse::<Key>().is_ok());
        assert!("x".repeat(235).parse::<KeyPrefix>().is_err());
    }
}
