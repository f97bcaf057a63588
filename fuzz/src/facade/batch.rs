//! `POST /facade/batch`.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use serde_json::Value;

use super::{
    model::{Form, id, text_and_key},
    with_fixture,
};

/// The first byte is how long chunks are; the rest are lines.
pub(crate) fn batch(input: &[u8]) {
    let Some((chunk_bytes, upload)) = input.split_first() else { return };
    with_fixture(|fixture| {
        let chunks: Vec<Result<Bytes, std::io::Error>> = upload
            .chunks(usize::from(*chunk_bytes).max(1))
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let request = Request::post("/facade/batch").header("content-type", "application/x-ndjson");
        let answer = fixture.ask(request.body(Body::from_stream(stream::iter(chunks))).unwrap());
        assert_eq!(answer.status, 200);
        let outcomes: Vec<Value> = serde_json::Deserializer::from_slice(&answer.body)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("lines of JSON");
        assert_eq!(outcomes.len(), answer.body.iter().filter(|byte| **byte == b'\n').count());
        let texts = check(upload, &outcomes);
        let stored: Vec<_> =
            fixture.stored().into_iter().map(|(message, _)| message.body).collect();
        assert_eq!(stored, texts);
    });
}

/// Compares each outcome with its line. Returns the texts that must be stored, in order.
fn check(upload: &[u8], outcomes: &[Value]) -> Vec<String> {
    let mut outcomes = outcomes.iter();
    let mut texts = Vec::new();
    let mut named = std::collections::HashMap::new();
    for (number, line) in (1_u64..).zip(upload.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let outcome = outcomes.next().expect("an outcome for each line");
        let message = text_and_key(line, Form::UploadLine).and_then(|(text, key)| match key {
            None => Some((text, None)),
            Some(key) => id(&key).map(|id| (text, Some(id))),
        });
        let is_taken = match message {
            None => false,
            Some((text, None)) => {
                texts.push(text);
                true
            }
            Some((text, Some(id))) => match named.get(&id) {
                None => {
                    named.insert(id, text.clone());
                    texts.push(text);
                    true
                }
                Some(first) => *first == text,
            },
        };
        if is_taken {
            assert_eq!(outcome["status"], "success", "line {number}: {outcome}");
        } else {
            assert_eq!(outcome["status"], "failure", "line {number}: {outcome}");
            assert_eq!(outcome["line"], number, "{outcome}");
            assert_eq!(outcome["stored"], "no", "{outcome}");
        }
    }
    assert_eq!(outcomes.next(), None, "more outcomes than lines");
    texts
}
