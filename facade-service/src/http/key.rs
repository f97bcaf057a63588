//! The `Idempotency-Key`: the client's name for a message.
//!
//! The IETF draft makes it a Structured Field string (RFC 8941), so quoted; many clients send it
//! bare. Both forms are the same key.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use oncelog::{
    limits::IDEMPOTENCY_KEY_BYTES_MAX,
    message::{InvalidMessageId, MessageId, StreamName},
};

/// The header that carries it.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key<'a>(Cow<'a, str>);

/// Why there is no usable key. Nothing was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidKey {
    #[error("there is more than one Idempotency-Key; send one")]
    Many,
    #[error(
        "the Idempotency-Key starts with a quote and is no quoted string; write it bare, or in \
         quotes with \\\" and \\\\ inside and nothing behind"
    )]
    Quoted,
    #[error("an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters")]
    Characters,
    #[error("the Idempotency-Key is no message id: {0}")]
    Id(#[from] InvalidMessageId),
    /// In an upload only.
    #[error("one Idempotency-Key cannot name many messages; give each line its own \"key\"")]
    OnUpload,
}

impl<'a> Key<'a> {
    /// The key of a request, if it has one.
    pub(crate) fn from_headers(headers: &'a HeaderMap) -> Result<Option<Self>, InvalidKey> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(InvalidKey::Many);
        }
        let value = value.to_str().map_err(|_| InvalidKey::Characters)?.trim_ascii();
        let key = match value.strip_prefix('"') {
            Some(rest) => unquote(rest)?,
            None => Cow::Borrowed(value),
        };
        Self::try_from(key).map(Some)
    }

    /// The id of the message this key names.
    pub(crate) fn id(&self) -> Result<MessageId, InvalidKey> {
        Ok(MessageId::from_key(&StreamName::facade(), &self.0)?)
    }
}

impl<'a> TryFrom<Cow<'a, str>> for Key<'a> {
    type Error = InvalidKey;

    fn try_from(key: Cow<'a, str>) -> Result<Self, InvalidKey> {
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(InvalidKey::Characters)
        }
    }
}

// `rest` is what follows the opening quote.
fn unquote(rest: &str) -> Result<Cow<'_, str>, InvalidKey> {
    let Some(body) = rest.strip_suffix('"') else { return Err(InvalidKey::Quoted) };
    if !body.contains(['"', '\\']) {
        return Ok(Cow::Borrowed(body));
    }
    let mut key = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return Err(InvalidKey::Quoted),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                Some(_) | None => return Err(InvalidKey::Quoted),
            },
            plain => key.push(plain),
        }
    }
    Ok(Cow::Owned(key))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(values: &[&[u8]]) -> Result<Option<String>, InvalidKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        Key::from_headers(&headers).map(|key| key.map(|key| key.0.into_owned()))
    }

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        for (value, expected) in [
            (&b"order-7"[..], "order-7"),
            (b"\"order-7\"", "order-7"),
            (b"  \"order-7\"  ", "order-7"),
            (br#""a\"b\\c""#, "a\"b\\c"),
            (br#"a\b"#, "a\\b"),
            (b"a\"b", "a\"b"),
            (b"a;b=c,d", "a;b=c,d"),
        ] {
            assert_eq!(key(&[value]), Ok(Some(expected.to_owned())));
        }
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn a_key_has_1_to_255_visible_characters() {
        let longest = [b'k'; 255];
        assert_eq!(key(&[&longest]), Ok(Some("k".repeat(255))));
        let quoted_longest = [b"\"", &longest[..], b"\""].concat();
        assert_eq!(key(&[&quoted_longest]), Ok(Some("k".repeat(255))));
        for wrong in [&b""[..], b"\"\"", &[b'k'; 256], b"two words", b"\"two words\"", b"\xc3\xa9"]
        {
            assert_eq!(key(&[wrong]), Err(InvalidKey::Characters), "{wrong:?}");
        }
    }

    #[test]
    fn a_broken_quoted_string_is_not_guessed_at() {
        for wrong in [
            &b"\""[..],
            b"\"open",
            b"\"a\";p=1",
            b"\"a\", \"b\"",
            b"\"a\\\"",
            b"\"a\\n\"",
            b"\"a\"b\"",
        ] {
            assert_eq!(key(&[wrong]), Err(InvalidKey::Quoted), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn there_is_one_key_and_it_is_not_nil() {
        assert_eq!(key(&[b"a", b"a"]), Err(InvalidKey::Many));
        let nil = Key(Cow::Borrowed("00000000-0000-0000-0000-000000000000"));
        assert_eq!(nil.id(), Err(InvalidKey::Id(InvalidMessageId::Nil)));
    }
}
