//! `POST /facade`.

use axum::body::Body;
use http::{HeaderMap, Request};
use oncelog::message::MessageId;
use serde_json::Value;

use super::{
    Answer, Fixture,
    model::{Form, id, key_of_header, quoted, text_and_key},
    read_request, with_fixture,
};

/// Header lines, an empty line, a body. If no type is named, it is JSON.
pub(crate) fn post(input: &[u8]) {
    with_fixture(|fixture| {
        let (head, body) = read_request(input, Request::post("/facade"));
        let mut request = head.body(Body::from(body.to_vec())).unwrap();
        if !request.headers().contains_key("content-type") {
            request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        }
        let headers = request.headers().clone();
        let answer = fixture.ask(request);
        match expected(&headers, body) {
            Some((text, key)) => accepted(fixture, &answer, &text, key),
            None => {
                answer.is_refusal();
                let json: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(json["stored"], "no");
                assert!(fixture.stored().is_empty(), "refused and stored: {json}");
            }
        }
    });
}

/// A key as it was meant, and its id.
type Named = (String, MessageId);

fn expected(headers: &HeaderMap, body: &[u8]) -> Option<(String, Option<Named>)> {
    let kind = headers.get("content-type")?.as_bytes();
    let kind = kind.split(|byte| *byte == b';').next()?.trim_ascii();
    let encoding = headers.get("content-encoding").map_or(&b"identity"[..], |v| v.as_bytes());
    if !kind.eq_ignore_ascii_case(b"application/json")
        || !encoding.eq_ignore_ascii_case(b"identity")
    {
        return None;
    }
    let keys: Vec<_> = headers.get_all("idempotency-key").iter().collect();
    let named = match keys[..] {
        [] => None,
        [value] => {
            let key = key_of_header(value.as_bytes())?;
            let id = id(&key)?;
            Some((key, id))
        }
        _ => return None,
    };
    Some((text_and_key(body, Form::Post)?.0, named))
}

fn accepted(fixture: &Fixture, answer: &Answer, text: &str, key: Option<Named>) {
    assert_eq!(answer.status, 200, "{}", answer.body.escape_ascii());
    let stored = fixture.stored();
    let [(message, place)] = &stored[..] else { panic!("{} messages", stored.len()) };
    assert_eq!(message.body, text.as_bytes());
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["uuid"], message.id.to_string());
    assert_eq!(json["sequence"], place.sequence);
    let Some((key, id)) = key else { return };
    assert_eq!(message.id, id);
    let mut spellings = vec![quoted(&key), id.to_string()];
    if !key.starts_with('"') {
        spellings.push(key);
    }
    for spelling in spellings {
        let body = serde_json::json!({ "msg": text }).to_string();
        let request = Request::post("/facade")
            .header("content-type", "application/json")
            .header("idempotency-key", &spelling);
        let again = fixture.ask(request.body(Body::from(body)).unwrap());
        assert_eq!((again.status, &again.body), (200, &answer.body), "{spelling}");
        assert_eq!(again.headers["idempotency-replayed"], "true");
    }
    assert_eq!(fixture.stored().len(), 1);
}
