//! Every code and every error type, and what it means.

use std::io;

use tonic::{Code, ConnectError, Status};
use tower::{BoxError, timeout::error::Elapsed};

use super::support::{stored_nothing, unreachable_status};
use crate::delivery::{
    ATTEMPT_TIMEOUT,
    call::ContractBroken,
    classify::{
        Fate::{self, NeverReached, Refused, Unknown},
        Remedy::{self, GiveUp, Retry, Split},
        classify, describe,
    },
};

pub(crate) type Meaning = (Fate, Remedy);

/// Each code, what it means alone, and what it means with the trailer that nothing was stored.
pub(crate) const CODES: [(Code, Meaning, Meaning); 17] = [
    (Code::Ok, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Cancelled, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Unknown, (Unknown, Retry), (NeverReached, Retry)),
    (Code::InvalidArgument, (Refused, Split), (Refused, Split)),
    (Code::DeadlineExceeded, (Unknown, Retry), (NeverReached, Retry)),
    (Code::NotFound, (Unknown, Retry), (NeverReached, Retry)),
    (Code::AlreadyExists, (Unknown, Retry), (NeverReached, Retry)),
    (Code::PermissionDenied, (Refused, GiveUp), (Refused, GiveUp)),
    (Code::ResourceExhausted, (Unknown, Retry), (NeverReached, Retry)),
    (Code::FailedPrecondition, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Aborted, (Unknown, Retry), (NeverReached, Retry)),
    (Code::OutOfRange, (Unknown, Split), (NeverReached, Split)),
    (Code::Unimplemented, (Refused, GiveUp), (Refused, GiveUp)),
    (Code::Internal, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Unavailable, (Unknown, Retry), (NeverReached, Retry)),
    (Code::DataLoss, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Unauthenticated, (Refused, GiveUp), (Refused, GiveUp)),
];

fn judge(error: impl Into<BoxError>) -> Meaning {
    let verdict = classify(&*error.into());
    (verdict.fate, verdict.remedy)
}

fn words(error: impl Into<BoxError>) -> String {
    describe(&*error.into(), ATTEMPT_TIMEOUT)
}

#[test]
fn every_code_has_its_meaning_with_and_without_the_trailer() {
    for (code, alone, with_trailer) in CODES {
        assert_eq!(judge(Status::new(code, "")), alone, "{code:?}");
        assert_eq!(judge(stored_nothing(Status::new(code, ""))), with_trailer, "{code:?}");
    }
}

#[test]
fn a_trailer_with_another_value_means_nothing() {
    let mut status = Status::unavailable("");
    status.metadata_mut().insert(oncelog::wire::STORED_TRAILER, "maybe".parse().unwrap());
    assert_eq!(judge(status), (Unknown, Retry));
}

#[test]
fn a_definite_code_from_a_broken_connection_is_not_definite() {
    // HTTP/2 INADEQUATE_SECURITY becomes PERMISSION_DENIED, for one.
    let mut status = Status::permission_denied("");
    status.set_source(std::sync::Arc::new(io::Error::other("reset")));
    assert_eq!(judge(status), (Unknown, Retry));
}

#[test]
fn only_a_failed_connect_is_never_reached() {
    assert_eq!(judge(unreachable_status()), (NeverReached, Retry));
    assert_eq!(judge(Status::from_error("broken pipe".into())), (Unknown, Retry));
    let text = "tcp connect error: Connection refused";
    assert_eq!(judge(Status::unavailable(text)), (Unknown, Retry), "text is not evidence");
}

#[test]
fn timeouts_and_broken_contracts_are_unknown() {
    assert_eq!(judge(Elapsed::new()), (Unknown, Retry));
    assert_eq!(judge(ContractBroken::Id), (Unknown, Retry));
}

#[test]
fn errors_are_told_in_words_an_operator_can_act_on() {
    assert_eq!(words(Elapsed::new()), "no answer within 2s");
    assert_eq!(
        words(unreachable_status()),
        "logging-service is not reachable: Connection refused (os error 111)"
    );
    let slow = io::Error::new(io::ErrorKind::TimedOut, "deadline has elapsed");
    assert_eq!(
        words(Status::from_error(Box::new(ConnectError(slow.into())))),
        "logging-service is not reachable: connecting took too long"
    );
    assert_eq!(words(Status::unavailable("")), "logging-service answered Unavailable");
    assert_eq!(
        words(Status::resource_exhausted("512 calls are waiting")),
        "logging-service answered ResourceExhausted: 512 calls are waiting"
    );
    assert_eq!(
        words(ContractBroken::Count { messages: 2, receipts: 1 }),
        "logging-service answered 2 messages with 1 receipts"
    );
}
