//! Every failure, as a client gets it: problem details after RFC 9457.
//!
//! | member | says |
//! |---|---|
//! | `status` | `"failure"`. RFC 9457 has a number here, and lets a reader ignore a member of another type; the number is the status of the response |
//! | `line` | of an upload: the line that failed |
//! | `message`, `detail` | what happened, and what a client can do, in words that may change |
//! | `uuid` | the id of the message, once it has one |
//! | `stored` | whether the message may be stored all the same: `no` or `unknown`; nothing was sent if it is absent |
//! | `last_sequence` | of `after_the_end`: the last sequence of the log |
//! | `code` | the kind of failure, for programs: see [`PROBLEM_TYPES`] |
//! | `type` | a reference that names the same kind: `/problems/` and the code. Nothing is served there |
//! | `title` | the same kind for people |
//!
//! A line of an upload has no response of its own, and no `type`, `title` and `detail`: a client that reads
//! lines knows them by their code.

mod codes;
mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use oncelog::{excerpt::shorten, message::MessageId};
use serde::Serialize;

use super::json::{json, to_json};

pub use self::codes::{PROBLEM_TYPES, ProblemType};
pub(crate) use self::{
    codes::Code,
    error::{PostError, ReadError, RouteError},
};

/// Problem details in JSON.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The shortest time that a client is asked to wait: the smallest that the header can say.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// Characters of a message. What clients sent is cut before, where it is quoted; no failure may be long because
/// one was forgotten, or another program sent it.
const MESSAGE_CHARS_MAX: usize = 480;

/// Whether a message that was not acknowledged may be stored all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stored {
    No,
    Unknown,
}

/// A failure, as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    code: Code,
    message: String,
    id: Option<MessageId>,
    /// The end of the log, if the failure is to be after it.
    last_sequence: Option<u64>,
    stored: Option<Stored>,
    /// How long a client had better wait before it comes again, if that is known.
    wait: Duration,
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence: Option<u64>,
    code: &'static str,
    #[serde(flatten)]
    details: Option<DetailsJson<'a>>,
}

#[derive(Serialize)]
struct DetailsJson<'a> {
    r#type: String,
    title: &'static str,
    detail: &'a str,
}

impl Problem {
    fn new(code: Code, message: String, stored: Option<Stored>) -> Self {
        let message = shorten(&message, MESSAGE_CHARS_MAX);
        Self { code, message, id: None, last_sequence: None, stored, wait: Duration::ZERO }
    }

    /// The failure of line `line` of an upload.
    pub(crate) fn to_line(&self, line: u64) -> Vec<u8> {
        to_json(&self.members(Some(line), None))
    }

    fn members<'a>(
        &'a self,
        line: Option<u64>,
        details: Option<DetailsJson<'a>>,
    ) -> ProblemJson<'a> {
        ProblemJson {
            status: "failure",
            line,
            message: &self.message,
            uuid: self.id.map(|id| id.to_string()),
            stored: self.stored,
            last_sequence: self.last_sequence,
            code: self.code.problem_type().code,
            details,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let ProblemType { code, status, title } = *self.code.problem_type();
        let r#type = format!("/problems/{code}");
        let details = DetailsJson { r#type, title, detail: &self.message };
        let mut response = json(status, to_json(&self.members(None, Some(details))));
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        if status == http::StatusCode::SERVICE_UNAVAILABLE {
            // Whole seconds, upwards: a client that comes too early is refused again.
            let seconds = self.wait.max(RETRY_AFTER_MIN).as_millis().div_ceil(1000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code.ends_connection() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
