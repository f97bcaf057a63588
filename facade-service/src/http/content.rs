//! The JSON that brings a message.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use oncelog::excerpt::shorten;
use serde::Deserialize;

use super::key::{InvalidKey, Key};

/// Text that is no longer is detached from its request: a slice would keep the connection's whole read
/// buffer for as long as the message waits.
const DETACHED_BYTES_MAX: usize = 4096;

/// Why a body or line brings no message. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidContent {
    #[error("there is no content; send {{\"msg\":\"some text\"}}")]
    Nothing,
    #[error("not a JSON object; send {{\"msg\":\"some text\"}}")]
    NotAnObject,
    #[error("it begins with a byte order mark; send UTF-8 without one")]
    ByteOrderMark,
    #[error("not the JSON of a message: {0}; send {{\"msg\":\"some text\"}}")]
    Json(ParseError),
    #[error("msg is empty; there is nothing to store")]
    Empty,
    /// In a line only.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// In a line only.
    #[error("the line is longer than {} bytes", oncelog::limits::HTTP_BODY_BYTES_MAX)]
    LineTooLong,
}

/// What a parser says of JSON. It repeats names of fields, and may repeat values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ParseError(String);

/// Characters of what a parser says.
const PARSE_ERROR_CHARS_MAX: usize = 120;

impl From<serde_json::Error> for InvalidContent {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(ParseError(shorten(&error.to_string(), PARSE_ERROR_CHARS_MAX)))
    }
}

// An unknown field may be a typo of a known one: refused, not dropped in silence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Post<'a> {
    #[serde(borrow)]
    msg: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    msg: Cow<'a, str>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
}

/// The text of a `{"msg":"text"}`.
pub(crate) fn parse_post(body: &Bytes) -> Result<Bytes, InvalidContent> {
    check_object(body)?;
    let Post { msg } = serde_json::from_slice(body)?;
    text(body, msg, Bytes::copy_from_slice)
}

/// The text and the key of a `{"msg":"text","key":"key"}`; the key may be absent. A short text is
/// copied into `buffer`, which many lines share.
pub(crate) fn parse_line<'a>(
    line: &'a Bytes,
    buffer: &mut BytesMut,
) -> Result<(Bytes, Option<Key<'a>>), InvalidContent> {
    check_object(line)?;
    let Line { msg, key } = serde_json::from_slice(line)?;
    let key = key.map(Key::try_from).transpose()?;
    let copy = |text: &[u8]| {
        buffer.extend_from_slice(text);
        buffer.split().freeze()
    };
    Ok((text(line, msg, copy)?, key))
}

/// How UTF-8, UTF-16 and UTF-32 may begin. A sender of JSON must not add it (RFC 8259, 8.1), and a reader that
/// skipped it would take for a message what others refuse.
const BYTE_ORDER_MARKS: [&[u8]; 4] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"];

// serde would take ["text"] for a struct with one field.
fn check_object(json: &[u8]) -> Result<(), InvalidContent> {
    if BYTE_ORDER_MARKS.iter().any(|mark| json.starts_with(mark)) {
        return Err(InvalidContent::ByteOrderMark);
    }
    match json.trim_ascii_start().first() {
        None => Err(InvalidContent::Nothing),
        // What is not an object but starts like one is for the parser to tell.
        Some(b'[' | b'"' | b't' | b'f' | b'n' | b'0'..=b'9' | b'-') => {
            Err(InvalidContent::NotAnObject)
        }
        Some(_) => Ok(()),
    }
}

fn text(
    json: &Bytes,
    msg: Cow<'_, str>,
    copy: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Bytes, InvalidContent> {
    match msg {
        msg if msg.is_empty() => Err(InvalidContent::Empty),
        Cow::Owned(text) => Ok(Bytes::from(text)),
        Cow::Borrowed(text) if text.len() > DETACHED_BYTES_MAX && text.len() > json.len() / 2 => {
            Ok(json.slice_ref(text.as_bytes()))
        }
        Cow::Borrowed(text) => Ok(copy(text.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(json: &[u8]) -> Result<Bytes, String> {
        parse_post(&Bytes::copy_from_slice(json)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_text_is_taken_as_it_was_meant() {
        let long = "x".repeat(10_000);
        for (json, text) in [
            (r#"{"msg":"hello"}"#, "hello"),
            (" \n{ \"msg\" : \"a\" } \r\n", "a"),
            (r#"{"msg":"a\"b\\c\n\u00e9\u0000\ud83d\ude00"}"#, "a\"b\\c\né\0😀"),
            (r#"{"msg":"é😀"}"#, "é😀"),
            (r#"{"\u006dsg":"escaped name"}"#, "escaped name"),
            (&format!(r#"{{"msg":"{long}"}}"#), &long),
            (&format!(r#"{{"msg":"{long}"{}}}"#, " ".repeat(50_000)), &long),
        ] {
            assert_eq!(post(json.as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn what_brings_no_message_is_refused_with_a_reason() {
        let deep = "[".repeat(100_000);
        let deep_field = format!(r#"{{"msg":{deep}"#);
        for (json, reason) in [
            (&b""[..], "no content"),
            (b" \n", "no content"),
            (b"{}", "missing field `msg`"),
            (br#"{"msg":""}"#, "empty"),
            (br#"{"msg":1}"#, "expected a string at line 1 column 8"),
            (br#"{"msg":null}"#, "expected a string"),
            (br#"{"msg":["a"]}"#, "expected a string"),
            (br#"{"msg":{"a":1}}"#, "expected a string"),
            (br#"{"mgs":"a"}"#, "unknown field `mgs`"),
            (br#"{"msg":"a","key":"b"}"#, "unknown field `key`"),
            (br#"{"msg":"a","msg":"b"}"#, "duplicate field"),
            (br#"{"msg":"a"} x"#, "trailing characters"),
            (br#"{"msg":"a""#, "EOF"),
            (b"{'msg':'a'}", "column 2"),
            (br#"["a"]"#, "not a JSON object"),
            (br#""a""#, "not a JSON object"),
            (b"null", "not a JSON object"),
            (b"NaN", "expected value"),
            (b"msg=a", "expected value"),
            (b"\xef\xbb\xbf{\"msg\":\"a\"}", "byte order mark"),
            (b"\xff\xfe{\0", "byte order mark"),
            (b"\xfe\xff\0{", "byte order mark"),
            (b"{\"msg\":\"\xff\"}", "column 9"),
            (br#"{"msg":"\ud800"}"#, "column"),
            (b"{\"msg\":\"a\nb\"}", "control character"),
            (deep.as_bytes(), "not a JSON object"),
            (deep_field.as_bytes(), "expected a string"),
        ] {
            let refused = post(json).expect_err("was taken");
            assert!(refused.contains(reason), "{refused:?} has no {reason:?}");
        }
    }

    #[test]
    fn a_line_may_name_its_key() {
        let line = |json: &str| {
            parse_line(&Bytes::copy_from_slice(json.as_bytes()), &mut BytesMut::new()).is_ok()
        };
        assert!(line(r#"{"msg":"a"}"#) && line(r#"{"key":"k-1","msg":"a"}"#));
        assert!(line(r#"{"msg":"a","key":null}"#));
        assert!(!line(r#"{"msg":"a","key":""}"#) && !line(r#"{"msg":"a","key":"two words"}"#));
        assert!(!line(r#"{"msg":"a","key":7}"#) && !line(r#"{"msg":"a","kay":"k"}"#));
    }
}
