//! The forms a stored message is printed in.

use std::{
    io::{self, Write},
    str::FromStr,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use oncelog::{
    message::{StoredMessage, time::rfc3339},
    printable::{escaped_json, push_escaped},
};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Escaped, so that a message is a line, whatever is in it.
    Text,
    /// The bytes of the message, and a line break.
    Raw,
    Ndjson,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "ndjson" => Ok(Self::Ndjson),
            _ => Err("write text or ndjson"),
        }
    }
}

#[derive(Serialize)]
struct Record<'a> {
    uuid: String,
    sequence: u64,
    stored_at: String,
    stream: &'a str,
    content_type: &'a str,
    #[serde(flatten)]
    body: Body<'a>,
}

// A body that is no text cannot be a JSON string.
#[derive(Serialize)]
enum Body<'a> {
    #[serde(rename = "msg")]
    Text(&'a str),
    #[serde(rename = "msg_base64")]
    Bytes(String),
}

/// JSON in which no character could steer a terminal or end a line either. JSON itself escapes control
/// characters of ASCII only.
struct PrintableJson;

impl Formatter for PrintableJson {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        out.write_all(escaped_json(fragment).as_bytes())
    }
}

/// Prints messages.
pub(super) struct Printer<W> {
    out: W,
    format: Format,
    line: String,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, format: Format) -> Self {
        Self { out, format, line: String::new() }
    }

    pub(super) fn print(&mut self, stored: &StoredMessage) -> io::Result<()> {
        let body = &stored.message.body;
        match self.format {
            Format::Text => {
                self.line.clear();
                push_escaped(&mut self.line, body);
                self.out.write_all(self.line.as_bytes())?;
            }
            Format::Raw => self.out.write_all(body)?,
            Format::Ndjson => {
                let mut json = Serializer::with_formatter(&mut self.out, PrintableJson);
                Record::from(stored).serialize(&mut json)?;
            }
        }
        self.out.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'a> From<&'a StoredMessage> for Record<'a> {
    fn from(stored: &'a StoredMessage) -> Self {
        let message = &stored.message;
        Self {
            uuid: message.id.to_string(),
            sequence: stored.receipt.sequence,
            stored_at: rfc3339(stored.receipt.stored_at).to_string(),
            stream: message.stream.as_str(),
            content_type: message.content_type.as_str(),
            body: match str::from_utf8(&message.body) {
                Ok(text) => Body::Text(text),
                Err(_) => Body::Bytes(BASE64_STANDARD.encode(&message.body)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use oncelog::message::{ContentType, Message, MessageId, Receipt};

    use super::*;

    fn stored(body: &'static [u8], stored_at: SystemTime) -> StoredMessage {
        StoredMessage {
            receipt: Receipt { sequence: 7, stored_at },
            message: Message {
                id: MessageId::try_from([1; 16]).unwrap(),
                stream: "facade".parse().unwrap(),
                content_type: ContentType::text(),
                body: body.into(),
            },
        }
    }

    fn print(format: Format, body: &'static [u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_001);
        Printer::new(&mut out, format).print(&stored(body, time)).unwrap();
        out
    }

    #[test]
    fn text_is_escaped_and_raw_is_not() {
        assert_eq!(print(Format::Text, b"a\x1b\xff\\\n"), b"a\\u{1b}\\xff\\\\\\n\n");
        assert_eq!(print(Format::Raw, b"a\x1b\xff\\\n"), b"a\x1b\xff\\\n\n");
    }

    #[test]
    fn ndjson_has_everything_of_a_record() {
        let head = r#"{"uuid":"01010101-0101-0101-0101-010101010101","sequence":7,"stored_at":"1970-01-01T00:00:01.500000001Z","stream":"facade","content_type":"text/plain; charset=utf-8","#;
        let text = |body| String::from_utf8(print(Format::Ndjson, body)).unwrap();
        assert_eq!(text(b"a\n\x1b\""), format!("{head}\"msg\":\"a\\n\\u001b\\\"\"}}\n"));
        let steering = "\u{7f}\u{9b}é\u{2028}\u{202e}\u{feff}";
        let escaped = r"\u007f\u009bé\u2028\u202e\ufeff";
        assert_eq!(text(steering.as_bytes()), format!("{head}\"msg\":\"{escaped}\"}}\n"));
        assert_eq!(text(b"\xff\0"), format!("{head}\"msg_base64\":\"/wA=\"}}\n"));
    }
}
