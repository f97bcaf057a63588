//! Every failure, with its status, its code, and what it says of the message.

use std::collections::HashSet;

use axum::response::IntoResponse as _;
use http_body_util::BodyExt as _;
use oncelog::{
    excerpt::Quote,
    message::{AfterTheEnd, InvalidMessageId, MessageId},
};
use serde_json::{Value, json};
use tonic::Status;

use super::*;
use crate::{
    delivery::DeliveryError,
    http::{
        accept::NotAcceptable, body::BodyError, content::InvalidContent, framing::FramingError,
        head::InvalidHead, key::InvalidKey, media_type::WrongMediaType, page::InvalidPage,
    },
    reads::{ReadBroken, Unavailable},
};

const SECOND: Duration = Duration::from_secs(1);

fn id() -> MessageId {
    MessageId::try_from([7; 16]).unwrap()
}

/// The failures of posts and lines: one for each variant of each error.
fn of_posts() -> Vec<(PostError, u16, &'static str, &'static str)> {
    let not_json = InvalidContent::from(serde_json::from_str::<Value>("{").unwrap_err());
    let delivery = |error| PostError::Delivery { id: id(), error };
    let detail = || "why".to_owned();
    let quote = || Quote::of("gzip");
    let overloaded = DeliveryError::Overloaded { reason: detail().into(), wait: SECOND };
    let other = WrongMediaType::Other { found: Quote::of("text/plain"), wanted: "a/b" };
    vec![
        (InvalidKey::Many.into(), 400, "invalid_key", "no"),
        (InvalidKey::Quoted.into(), 400, "invalid_key", "no"),
        (InvalidKey::Characters.into(), 400, "invalid_key", "no"),
        (InvalidKey::Id(InvalidMessageId::Nil).into(), 400, "invalid_key", "no"),
        (InvalidKey::OnUpload.into(), 400, "key_on_upload", "no"),
        (WrongMediaType::Missing("a/b").into(), 415, "unsupported_media_type", "no"),
        (other.into(), 415, "unsupported_media_type", "no"),
        (WrongMediaType::Encoded(quote()).into(), 415, "unsupported_encoding", "no"),
        (BodyError::TooLarge.into(), 413, "body_too_large", "no"),
        (BodyError::Paused(SECOND).into(), 408, "body_timeout", "no"),
        (BodyError::Slow { bytes: 1, time: SECOND }.into(), 408, "body_too_slow", "no"),
        (BodyError::Incomplete.into(), 400, "body_incomplete", "no"),
        (BodyError::Malformed(FramingError::Trailer).into(), 400, "invalid_framing", "no"),
        (BodyError::TooMany.into(), 503, "too_many_bodies", "no"),
        (InvalidContent::Nothing.into(), 400, "invalid_message", "no"),
        (InvalidContent::NotAnObject.into(), 400, "invalid_message", "no"),
        (InvalidContent::ByteOrderMark.into(), 400, "invalid_message", "no"),
        (not_json.into(), 400, "invalid_message", "no"),
        (InvalidContent::Empty.into(), 400, "empty_message", "no"),
        (InvalidContent::Key(InvalidKey::Characters).into(), 400, "invalid_key", "no"),
        (InvalidContent::LineTooLong.into(), 400, "line_too_long", "no"),
        (PostError::Stopping, 503, "stopping", "no"),
        (PostError::OutcomesNotRead, 408, "outcomes_not_read", "no"),
        (delivery(DeliveryError::Conflict), 422, "key_conflict", "no"),
        (delivery(DeliveryError::Invalid(detail().into())), 400, "message_refused", "no"),
        (delivery(DeliveryError::NotStored(detail().into())), 503, "not_stored", "no"),
        (delivery(overloaded), 503, "overloaded", "no"),
        (delivery(DeliveryError::Damaged(detail().into())), 500, "record_damaged", "unknown"),
        (delivery(DeliveryError::Unknown(detail().into())), 504, "outcome_unknown", "unknown"),
    ]
}

/// The failures of reads and of the routes.
fn of_others() -> Vec<(Problem, u16, &'static str, Option<&'static str>)> {
    let read = |error: ReadError| Problem::from(error);
    let head = |error: InvalidHead| Problem::of_head(&error, true);
    let page = |error: InvalidPage| read(error.into());
    let ahead = AfterTheEnd { after: 5, last_sequence: 2 };
    let logging = |status: Status| read(Unavailable::logging(status.into()).into());
    let timed_out = ReadBroken::TimedOut(SECOND);
    let text = || Quote::of("x");
    vec![
        (page(InvalidPage::Unknown(text())), 400, "invalid_page", None),
        (page(InvalidPage::Twice("after")), 400, "invalid_page", None),
        (page(InvalidPage::After(text())), 400, "invalid_page", None),
        (page(InvalidPage::Limit(text())), 400, "invalid_page", None),
        (read(NotAcceptable.into()), 406, "not_acceptable", None),
        (read(ReadError::Id(text())), 400, "invalid_uuid", None),
        (read(ReadError::NotFound(id())), 404, "message_not_found", None),
        (read(ReadError::AfterTheEnd(ahead)), 409, "after_the_end", None),
        (logging(Status::internal("why")), 503, "logging_unavailable", None),
        (logging(Status::unimplemented("why")), 503, "logging_unavailable", None),
        (logging(Status::data_loss("why")), 500, "log_damaged", None),
        (read(Unavailable::Messages(timed_out).into()), 503, "messages_unavailable", None),
        (read(ReadError::TooMany(64)), 503, "too_many_reads", None),
        (head(InvalidHead::NoHost), 400, "invalid_host", Some("no")),
        (head(InvalidHead::ManyHosts), 400, "invalid_host", Some("no")),
        (head(InvalidHead::Host(text())), 400, "invalid_host", Some("no")),
        (head(InvalidHead::Target(text())), 400, "invalid_host", Some("no")),
        (head(InvalidHead::UnknownCoding(text())), 501, "unknown_transfer_coding", Some("no")),
        (head(InvalidHead::ChunkedTwice), 400, "invalid_framing", Some("no")),
        (Problem::of_head(&InvalidHead::NoHost, false), 400, "invalid_host", None),
        (RouteError::NotFound(text()).into(), 404, "not_found", None),
        (RouteError::Method(Quote::of("PUT")).into(), 405, "method_not_allowed", None),
        (RouteError::Panicked.into(), 500, "internal", None),
        (RouteError::PostPanicked.into(), 500, "internal", Some("unknown")),
    ]
}

async fn check(problem: Problem, status: u16, code: &str, stored: Option<&str>) {
    let message = problem.message.clone();
    let (head, body) = problem.into_response().into_parts();
    assert_eq!(head.status, status, "{code}: {message}");
    assert_eq!(head.headers["content-type"], "application/problem+json");
    assert_eq!(head.headers.contains_key("retry-after"), status == 503, "{code}");
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    let known = PROBLEM_TYPES.iter().find(|known| known.code == code).unwrap();
    assert_eq!(body["status"], "failure");
    assert_eq!(body["code"], code, "{message}");
    assert_eq!(body["type"], format!("/problems/{code}"));
    assert_eq!(body["title"], known.title);
    assert_eq!((&body["message"], &body["detail"]), (&json!(message), &json!(message)));
    assert_eq!(body.get("stored").and_then(Value::as_str), stored, "{code}: {message}");
    assert_eq!(body.get("line"), None);
}

#[tokio::test]
async fn every_failure_has_its_status_its_code_and_its_fate() {
    let mut codes = HashSet::new();
    for (error, status, code, stored) in of_posts() {
        check(error.into(), status, code, Some(stored)).await;
        codes.insert(code);
    }
    for (problem, status, code, stored) in of_others() {
        check(problem, status, code, stored).await;
        codes.insert(code);
    }
    let all: HashSet<_> = PROBLEM_TYPES.iter().map(|known| known.code).collect();
    assert_eq!(codes, all);
}

#[test]
fn a_failed_line_has_a_code_too() {
    for (error, _, code, stored) in of_posts() {
        let problem = Problem::from(error);
        let line: Value = serde_json::from_slice(&problem.to_line(7)).unwrap();
        let mut expected = json!({
            "status": "failure", "line": 7, "message": problem.message, "stored": stored,
            "code": code,
        });
        if let Some(id) = problem.id {
            expected["uuid"] = json!(id.to_string());
        }
        assert_eq!(line, expected);
    }
}

#[test]
fn each_kind_of_failure_has_a_code_and_a_title_of_its_own() {
    let codes: HashSet<_> = PROBLEM_TYPES.iter().map(|known| known.code).collect();
    let titles: HashSet<_> = PROBLEM_TYPES.iter().map(|known| known.title).collect();
    assert_eq!((codes.len(), titles.len()), (PROBLEM_TYPES.len(), PROBLEM_TYPES.len()));
    for ProblemType { code, status, .. } in PROBLEM_TYPES {
        assert!(code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{code}");
        assert!(status.is_client_error() || status.is_server_error(), "{code}: {status}");
    }
    assert_eq!(Code::InvalidKey.problem_type().code, "invalid_key");
    assert_eq!(Code::Internal.problem_type().code, "internal");
}

#[test]
fn an_error_keeps_its_source() {
    use std::error::Error as _;
    let error = ReadError::from(Unavailable::logging(Status::internal("why").into()));
    let source = error.source().unwrap();
    assert!(source.is::<ReadBroken>() && source.source().unwrap().is::<Status>());
}
