//! What a failed attempt means: the only place that reads its error. The contract,
//! `proto/oncelog/v1/logging.proto`, has the same in a table, and a test compares the two.
//!
//! Decided by type through the chain of causes, never by text. When in doubt the outcome is unknown:
//! a wrong "not stored" makes a client send the message again under another id, while "unknown" only
//! costs a repetition that the log deduplicates.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use tonic::{Code, ConnectError, Status};
use tower::{BoxError, timeout::error::Elapsed};

use oncelog::wire::STORED_TRAILER;

/// A failed attempt: its error, and what an operator reads of it. Clones share the error.
#[derive(Debug, Clone)]
pub(super) struct AttemptFailure {
    description: Arc<str>,
    error: Arc<dyn Error + Send + Sync>,
}

impl AttemptFailure {
    pub(super) fn new(error: BoxError, attempt_timeout: Duration) -> Self {
        let description = describe(&*error, attempt_timeout).into();
        Self { description, error: error.into() }
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Error for AttemptFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The error itself: the `Arc` around it would hide its type.
        Some(&*self.error)
    }
}

/// What became of the messages of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The log did not see it, now or later.
    NeverReached,
    /// The log saw it and surely stored nothing.
    Refused,
    /// It may have been taken, or may be taken later.
    Unknown,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same once more.
    Retry,
    /// Never the same again: this very content fails. A part of the call may pass.
    Split,
    /// Nothing that could be done from here.
    GiveUp,
}

/// The judgement on one failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) fate: Fate,
    pub(super) remedy: Remedy,
}

impl Verdict {
    const UNKNOWN: Self = Self { fate: Fate::Unknown, remedy: Remedy::Retry };
    const NEVER_REACHED: Self = Self { fate: Fate::NeverReached, remedy: Remedy::Retry };
    const TOO_LARGE: Self = Self { fate: Fate::Unknown, remedy: Remedy::Split };
    const INVALID: Self = Self { fate: Fate::Refused, remedy: Remedy::Split };
    const REFUSED: Self = Self { fate: Fate::Refused, remedy: Remedy::GiveUp };
}

/// Judges the error of one attempt.
pub(super) fn classify(error: &(dyn Error + 'static)) -> Verdict {
    // No connection, so nothing was sent on one.
    if cause::<ConnectError>(error).is_some() {
        return Verdict::NEVER_REACHED;
    }
    match cause::<Status>(error) {
        Some(status) => classify_status(status),
        // A timeout of ours stops the waiting, not the work: the attempt may be stored afterwards.
        // Receipts that break the contract say nothing either.
        None => Verdict::UNKNOWN,
    }
}

fn classify_status(status: &Status) -> Verdict {
    // Made on this side out of a broken connection. Its code tells how it broke, not what the
    // logging service had done by then. (A refused stream is promised to be untouched; counting it as
    // unknown costs nothing but a repetition.)
    if status.source().is_some() {
        return Verdict::UNKNOWN;
    }
    let stored_nothing = status.metadata().get(STORED_TRAILER).is_some_and(|stored| stored == "no");
    let verdict = match status.code() {
        // Fails in the same way every time, and before anything is stored.
        Code::InvalidArgument => Verdict::INVALID,
        // The logging service itself: over its limit on requests, or nothing that it can decode. Without
        // the trailer, something on the way.
        Code::ResourceExhausted | Code::Internal if stored_nothing => Verdict::INVALID,
        // Another service is at this address, or one that does not let us in.
        Code::Unimplemented | Code::Unauthenticated | Code::PermissionDenied => Verdict::REFUSED,
        // Over a limit on this side: the response came after everything was stored.
        Code::OutOfRange => Verdict::TOO_LARGE,
        // A timeout on the way, or the connection closed while the call was on it.
        Code::Cancelled
        // Made by proxies and by HTTP/2 as well, before or after sending.
        | Code::Unavailable
        | Code::ResourceExhausted
        // Failed in the middle of something.
        | Code::Unknown
        | Code::Internal
        | Code::DataLoss
        | Code::DeadlineExceeded
        // `Append` does not answer with these, so the contract does not say what they mean.
        | Code::Ok
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted => Verdict::UNKNOWN,
    };
    match verdict.fate {
        Fate::Unknown if stored_nothing => Verdict { fate: Fate::NeverReached, ..verdict },
        Fate::Unknown | Fate::NeverReached | Fate::Refused => verdict,
    }
}

/// The error of one attempt in the words of an operator.
pub(super) fn describe(error: &(dyn Error + 'static), attempt_timeout: Duration) -> String {
    if cause::<Elapsed>(error).is_some() {
        return format!("no answer within {attempt_timeout:?}");
    }
    if let Some(connect) = cause::<ConnectError>(error) {
        return format!("logging-service is not reachable: {}", root(connect));
    }
    match cause::<Status>(error) {
        Some(status) => match status.source() {
            Some(source) => format!("the connection to logging-service failed: {}", root(source)),
            None if status.message().is_empty() => {
                format!("logging-service answered {:?}", status.code())
            }
            None => format!("logging-service answered {:?}: {}", status.code(), status.message()),
        },
        None => error.to_string(),
    }
}

/// What lies at the bottom of it, which is what an operator can act on.
fn root(error: &(dyn Error + 'static)) -> String {
    let Some(root) = causes(error).last() else { return error.to_string() };
    // A timeout of the connector hides in an error of the system without a number.
    let timed_out = cause::<io::Error>(error)
        .is_some_and(|io| io.kind() == io::ErrorKind::TimedOut && io.raw_os_error().is_none());
    if timed_out { "connecting took too long".to_owned() } else { root.to_string() }
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
