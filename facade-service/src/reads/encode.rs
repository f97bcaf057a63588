//! The forms the log is shown in, encoded piece by piece.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use oncelog::message::{StoredMessage, time::rfc3339};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::ReadBroken;
use crate::http::{accept::Format, page::Page};

/// Pieces of the log that one facade encodes on the blocking pool at a time. Each takes a thread for some
/// milliseconds, and many at once would take the processor from clients that post.
pub(crate) const ENCODED_AT_ONCE_MAX: usize = 2;

/// A piece of fewer bytes is encoded by the task itself: that takes less time than to offload it.
const OFFLOADED_BYTES_MIN: usize = 16 * 1024;

/// Encodes records as the body of an answer. It keeps nothing but what the end needs.
pub(crate) struct Encoder {
    format: Format,
    page: Page,
    /// The messages service's text; unused for NDJSON.
    text: String,
    begun: bool,
    last_sequence: Option<u64>,
}

/// A record, as JSON shows it.
#[derive(Serialize)]
pub(crate) struct RecordJson<'a> {
    pub(crate) uuid: String,
    pub(crate) sequence: u64,
    pub(crate) stored_at: String,
    #[serde(flatten)]
    pub(crate) body: BodyJson<'a>,
}

/// A body, as JSON shows it: what is no text must not be changed in silence.
#[derive(Serialize)]
pub(crate) enum BodyJson<'a> {
    #[serde(rename = "msg")]
    Text(&'a str),
    #[serde(rename = "msg_base64")]
    Binary(String),
}

impl<'a> From<&'a StoredMessage> for RecordJson<'a> {
    fn from(record: &'a StoredMessage) -> Self {
        Self {
            uuid: record.message.id.to_string(),
            sequence: record.receipt.sequence,
            stored_at: rfc3339(record.receipt.stored_at).to_string(),
            body: match std::str::from_utf8(&record.message.body) {
                Ok(text) => BodyJson::Text(text),
                Err(_) => BodyJson::Binary(BASE64_STANDARD.encode(&record.message.body)),
            },
        }
    }
}

impl Encoder {
    /// An encoder for `page`, with the text that ends the answer.
    pub(crate) fn new(format: Format, page: Page, text: String) -> Self {
        Self { format, page, text, begun: false, last_sequence: page.after }
    }

    /// The next piece of the body, and this encoder again. With `slots`, a large piece takes one of them and
    /// is offloaded to the blocking pool: many clients that read must not hold up those that post.
    ///
    /// # Errors
    /// [`ReadBroken::Encode`] if its thread panicked.
    pub(crate) async fn piece(
        mut self,
        records: Vec<StoredMessage>,
        slots: Option<&Semaphore>,
    ) -> Result<(Self, Bytes), ReadBroken> {
        let bytes: usize =
            records.iter().map(|record| size_of_val(record) + record.message.body.len()).sum();
        let encode = move || {
            let piece = self.records(&records);
            (self, piece)
        };
        let Some(slots) = slots.filter(|_| bytes >= OFFLOADED_BYTES_MIN) else {
            return Ok(encode());
        };
        // It is never closed, and without a slot the work would only be less fair.
        let _slot = slots.acquire().await;
        Ok(tokio::task::spawn_blocking(encode).await?)
    }

    fn records(&mut self, records: &[StoredMessage]) -> Bytes {
        let bodies: usize = records.iter().map(|record| record.message.body.len()).sum();
        let mut piece = Vec::with_capacity(bodies + records.len() * 4 + 16);
        for record in records {
            match self.format {
                Format::Json => {
                    piece.extend_from_slice(if self.begun { b"," } else { JSON_START });
                    write_json(&mut piece, &String::from_utf8_lossy(&record.message.body));
                }
                Format::Ndjson => {
                    write_json(&mut piece, &RecordJson::from(record));
                    piece.push(b'\n');
                }
                Format::Text => {
                    let text = String::from_utf8_lossy(&record.message.body);
                    piece.extend_from_slice(text.as_bytes());
                    piece.push(b'\n');
                }
            }
            self.begun = true;
            self.last_sequence = Some(record.receipt.sequence);
        }
        piece.into()
    }

    /// The last piece of the body.
    pub(crate) fn end(&self) -> Bytes {
        let mut piece = Vec::new();
        match self.format {
            Format::Json => {
                if !self.begun {
                    piece.extend_from_slice(JSON_START);
                }
                piece.extend_from_slice(b"],\"message\":");
                write_json(&mut piece, &self.text);
                if self.page.is_part() {
                    piece.extend_from_slice(b",\"next_after\":");
                    write_json(&mut piece, &self.last_sequence.unwrap_or(0));
                }
                piece.push(b'}');
            }
            Format::Ndjson => {}
            Format::Text => {
                piece.extend_from_slice(self.text.as_bytes());
                piece.push(b'\n');
            }
        }
        piece.into()
    }
}

const JSON_START: &[u8] = b"{\"logs\":[";

fn write_json(piece: &mut Vec<u8>, value: &impl Serialize) {
    // Writing plain fields into memory cannot fail.
    let _ = serde_json::to_writer(piece, value);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use oncelog::message::{ContentType, Message, MessageId, Receipt, StreamName};

    use super::*;

    fn record(sequence: u64, body: &'static [u8]) -> StoredMessage {
        StoredMessage {
            receipt: Receipt {
                sequence,
                stored_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            },
            message: Message {
                id: MessageId::try_from([7; 16]).unwrap(),
                stream: StreamName::facade(),
                content_type: ContentType::text(),
                body: Bytes::from_static(body),
            },
        }
    }

    fn encode(format: Format, page: Page, pieces: &[&[StoredMessage]]) -> String {
        let mut encoder = Encoder::new(format, page, "not \"implemented\" yet".to_owned());
        let mut body: Vec<u8> = pieces.iter().flat_map(|piece| encoder.records(piece)).collect();
        body.extend_from_slice(&encoder.end());
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn json_is_one_value_however_many_pieces_it_comes_in() {
        let records = [record(1, b"a\"\n\x01"), record(4, b"\xff"), record(9, "é".as_bytes())];
        let whole = r#"{"logs":["a\"\n\u0001","�","é"],"message":"not \"implemented\" yet"}"#;
        for pieces in [vec![&records[..]], vec![&records[..1], &[], &records[1..]]] {
            assert_eq!(encode(Format::Json, Page::default(), &pieces), whole);
        }
        let page = Page { after: None, limit: Some(3) };
        let paged = encode(Format::Json, page, &[&records]);
        assert!(paged.ends_with(r#"yet","next_after":9}"#), "{paged}");
    }

    #[test]
    fn an_empty_log_is_shown_too() {
        let page = Page { after: Some(5), limit: None };
        assert_eq!(
            encode(Format::Json, page, &[]),
            r#"{"logs":[],"message":"not \"implemented\" yet","next_after":5}"#
        );
        assert_eq!(encode(Format::Ndjson, page, &[]), "");
        assert_eq!(encode(Format::Text, page, &[]), "not \"implemented\" yet\n");
    }

    #[test]
    fn ndjson_shows_what_is_no_text_in_base64() {
        let shown =
            encode(Format::Ndjson, Page::default(), &[&[record(1, b"a\n"), record(2, b"\xff\0")]]);
        assert_eq!(
            shown,
            "{\"uuid\":\"07070707-0707-0707-0707-070707070707\",\"sequence\":1,\
             \"stored_at\":\"1970-01-01T00:00:01.500000000Z\",\"msg\":\"a\\n\"}\n\
             {\"uuid\":\"07070707-0707-0707-0707-070707070707\",\"sequence\":2,\
             \"stored_at\":\"1970-01-01T00:00:01.500000000Z\",\"msg_base64\":\"/wA=\"}\n"
        );
    }
}
