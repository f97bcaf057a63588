//! The one list of all failures.

use http::StatusCode;

/// What clients are told of one kind of failure, whichever request it ends. Neither code nor status of
/// a kind ever changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// Names the failure for programs: a word in snake case.
    pub code: &'static str,
    /// The status of its response, unless a line of an upload failed.
    pub status: StatusCode,
    /// Names the failure for people.
    pub title: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $status:ident, $title:literal;)+) => {
        /// A kind of failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $code,)+
        }

        /// Every kind of failure, in the order of the documentation.
        pub const PROBLEM_TYPES: &[ProblemType] = &[
            $(ProblemType { code: $name, status: StatusCode::$status, title: $title },)+
        ];
    };
}

codes! {
    /// The Idempotency-Key, or the key of a line, cannot be used.
    InvalidKey = "invalid_key", BAD_REQUEST, "The idempotency key cannot be used";
    /// An upload has a key for all of its lines.
    KeyOnUpload = "key_on_upload", BAD_REQUEST, "An upload has no key of its own";
    /// There is no Content-Type, or another one is expected.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE,
        "The content type is not taken here";
    /// The body is compressed.
    UnsupportedEncoding = "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE,
        "The content encoding is not taken";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body paused for too long.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, "The body did not arrive in time";
    /// The body arrives, but too slowly.
    BodyTooSlow = "body_too_slow", REQUEST_TIMEOUT, "The body arrives too slowly";
    /// The body ended before its announced end.
    BodyIncomplete = "body_incomplete", BAD_REQUEST, "The body broke off";
    /// Another program could read the request, or where it ends, in another way.
    InvalidFraming = "invalid_framing", BAD_REQUEST, "The request is not framed as HTTP/1.1";
    /// There is no Host, more than one, or no valid one.
    InvalidHost = "invalid_host", BAD_REQUEST, "The request has no valid Host";
    UnknownTransferCoding = "unknown_transfer_coding", NOT_IMPLEMENTED,
        "The transfer coding is not known";
    /// The budget has nothing left for another body that arrives in pieces.
    TooManyBodies = "too_many_bodies", SERVICE_UNAVAILABLE, "Too many large bodies are arriving";
    /// The body or line is empty, no JSON, or other JSON than a message.
    InvalidMessage = "invalid_message", BAD_REQUEST, "The content is no message in JSON";
    /// The text of a message is empty.
    EmptyMessage = "empty_message", BAD_REQUEST, "The message is empty";
    /// Only a line of an upload.
    LineTooLong = "line_too_long", BAD_REQUEST, "The line is too long";
    /// The log refuses the message for what it is.
    MessageRefused = "message_refused", BAD_REQUEST, "The log refuses the message";
    KeyConflict = "key_conflict", UNPROCESSABLE_ENTITY, "The key is in use by another message";
    /// Surely not stored: the logging service took no attempt.
    NotStored = "not_stored", SERVICE_UNAVAILABLE, "The message was not stored";
    /// Surely not stored: too many messages wait.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too many messages are waiting";
    /// Stored once or not at all.
    OutcomeUnknown = "outcome_unknown", GATEWAY_TIMEOUT, "Whether the message is stored is unknown";
    /// A record with this id is stored and cannot be compared with the message before a repair.
    RecordDamaged = "record_damaged", INTERNAL_SERVER_ERROR,
        "The record with this id is damaged";
    /// Only a line of an upload: it and the lines after it were not taken.
    Stopping = "stopping", SERVICE_UNAVAILABLE, "The facade is stopping";
    /// Only a line of an upload: it and the lines after it were not taken.
    OutcomesNotRead = "outcomes_not_read", REQUEST_TIMEOUT, "The outcomes were not read in time";
    /// The query names no part of the log.
    InvalidPage = "invalid_page", BAD_REQUEST, "The query is not understood";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, "No acceptable form can be had";
    InvalidUuid = "invalid_uuid", BAD_REQUEST, "This is not the uuid of a message";
    MessageNotFound = "message_not_found", NOT_FOUND, "No message with this uuid is stored";
    /// The page begins after the end of the log.
    AfterTheEnd = "after_the_end", CONFLICT, "The position is after the end of the log";
    /// Too many reads of the log are being answered.
    TooManyReads = "too_many_reads", SERVICE_UNAVAILABLE, "Too many clients are reading the log";
    LoggingUnavailable = "logging_unavailable", SERVICE_UNAVAILABLE, "The log cannot be read";
    /// What is stored is not what was written. Not 503: it does not pass.
    LogDamaged = "log_damaged", INTERNAL_SERVER_ERROR, "The log is damaged";
    MessagesUnavailable = "messages_unavailable", SERVICE_UNAVAILABLE,
        "The messages service does not answer";
    /// There is nothing at this path.
    NotFound = "not_found", NOT_FOUND, "There is no such resource";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not possible here";
    /// A mistake in the facade.
    Internal = "internal", INTERNAL_SERVER_ERROR, "The facade made a mistake";
}

impl Code {
    /// Whether nothing more is read from the connection: where its next request begins is not sure, or not
    /// everywhere the same.
    pub(super) fn ends_connection(self) -> bool {
        matches!(self, Self::InvalidFraming | Self::InvalidHost | Self::UnknownTransferCoding)
    }

    /// What clients are told of it.
    pub(crate) fn problem_type(self) -> &'static ProblemType {
        // One line of the list above makes both, so each kind has its entry.
        &PROBLEM_TYPES[self as usize]
    }
}
