//! The rules of the facade, in an independent implementation.

use std::fmt;

use oncelog::message::{MessageId, StreamName};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

/// An object as it was written, with names that are there twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What a message is sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The body of a post, whose key is in a header.
    Post,
    /// A line of an upload, which may have a key.
    UploadLine,
}

/// The text of a message and its key, if `json` is one in this form.
pub(super) fn text_and_key(json: &[u8], form: Form) -> Option<(String, Option<String>)> {
    let Pairs(pairs) = serde_json::from_slice(json).ok()?;
    let (mut text, mut key) = (None, None);
    for (name, value) in pairs {
        let place = match name.as_str() {
            "msg" => &mut text,
            "key" if form == Form::UploadLine => &mut key,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let Some(Value::String(text)) = text else { return None };
    let key = match key {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key),
        Some(_) => return None,
    };
    (!text.is_empty()).then_some((text, key))
}

/// The id that a key is to have, if it is one.
pub(super) fn id(key: &str) -> Option<MessageId> {
    let allowed = |c: char| ('!'..='~').contains(&c);
    if key.is_empty() || key.len() > 255 || !key.chars().all(allowed) {
        return None;
    }
    match uuid::Uuid::try_parse(key) {
        Ok(uuid) if uuid.is_nil() => None,
        Ok(uuid) => MessageId::try_from(*uuid.as_bytes()).ok(),
        Err(_) => MessageId::from_key(&StreamName::facade(), key).ok(),
    }
}

/// The key that a header says: bare, or a string of a structured field.
pub(super) fn key_of_header(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let Some(mut rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut key = String::new();
    loop {
        let next = rest.chars().next()?;
        rest = &rest[next.len_utf8()..];
        match next {
            '"' => return rest.is_empty().then_some(key),
            '\\' => {
                let escaped = rest.chars().next().filter(|c| "\"\\".contains(*c))?;
                rest = &rest[1..];
                key.push(escaped);
            }
            plain => key.push(plain),
        }
    }
}

/// A key as a string of a structured field.
pub(super) fn quoted(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}
