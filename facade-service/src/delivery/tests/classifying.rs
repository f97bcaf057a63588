//! Every code and every error type, and what it means.

use std::io;

use tonic::{Code, ConnectError, Status};
use tower::{BoxError, timeout::error::Elapsed};

use oncelog::wire::STORED_TRAILER;

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
    (Code::ResourceExhausted, (Unknown, Retry), (Refused, Split)),
    (Code::FailedPrecondition, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Aborted, (Unknown, Retry), (NeverReached, Retry)),
    (Code::OutOfRange, (Unknown, Split), (NeverReached, Split)),
    (Code::Unimplemented, (Refused, GiveUp), (Refused, GiveUp)),
    (Code::Internal, (Unknown, Retry), (Refused, Split)),
    (Code::Unavailable, (Unknown, Retry), (NeverReached, Retry)),
    (Code::DataLoss, (Unknown, Retry), (NeverReached, Retry)),
    (Code::Unauthenticated, (Refused, GiveUp), (Refused, GiveUp)),
];

fn judge(error: impl Into<BoxError>) -> Meaning {
    let verdict = classify(&*error.into());
    (verdict.fate, verdict.remedy)
}

#[test]
fn every_code_has_its_meaning_with_and_without_the_trailer() {
    for (code, alone, with_trailer) in CODES {
        assert_eq!(judge(Status::new(code, "")), alone, "{code:?}");
        assert_eq!(judge(stored_nothing(Status::new(code, ""))), with_trailer, "{code:?}");
    }
}

/// The contract, whose table says what each status means for an append.
const CONTRACT: &str = include_str!("../../../../proto/oncelog/v1/logging.proto");

/// What the table says of a status, with or without the trailer: `stored` and `repeat`.
fn in_contract(status: &str, trailer: &str) -> (&'static str, &'static str) {
    let rows = CONTRACT.lines().filter_map(|line| line.trim().strip_prefix("// | "));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let mut found = rows.filter_map(|row| {
        let [statuses, when, stored, repeat, ..] = row[..] else { return None };
        let is_meant = statuses.split(", ").any(|named| named == status);
        (is_meant && (when == "any" || when == trailer)).then_some((stored, repeat))
    });
    let first = found.next().unwrap_or_else(|| panic!("{status}, trailer {trailer}: no row"));
    assert_eq!(found.next(), None, "{status}, trailer {trailer}: two rows");
    first
}

#[test]
fn every_status_means_what_the_contract_says() {
    for (code, alone, with_trailer) in CODES.into_iter().skip(1) {
        let mut status = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() && !status.is_empty() {
                status.push('_');
            }
            status.push(letter.to_ascii_uppercase());
        }
        for (trailer, (fate, remedy)) in [("none", alone), ("no", with_trailer)] {
            let stored = if fate == Unknown { "unknown" } else { "no" };
            let repeat = match remedy {
                Retry => "unchanged",
                Split => "in parts",
                GiveUp => "never",
            };
            assert_eq!(in_contract(&status, trailer), (stored, repeat), "{status} {trailer}");
        }
    }
}

#[test]
fn an_error_is_judged_by_its_type_and_never_by_its_text() {
    let mut other_trailer = Status::unavailable("");
    other_trailer.metadata_mut().insert(STORED_TRAILER, "maybe".parse().unwrap());
    // HTTP/2 INADEQUATE_SECURITY becomes PERMISSION_DENIED, for one.
    let mut broken_connection = Status::permission_denied("");
    broken_connection.set_source(std::sync::Arc::new(io::Error::other("reset")));
    let only_text = Status::unavailable("tcp connect error: Connection refused");
    let unknown: [BoxError; 6] = [
        other_trailer.into(),
        broken_connection.into(),
        only_text.into(),
        Status::from_error("broken pipe".into()).into(),
        Elapsed::new().into(),
        ContractBroken::Id.into(),
    ];
    for error in unknown {
        let text = error.to_string();
        assert_eq!(judge(error), (Unknown, Retry), "{text}");
    }
    assert_eq!(judge(unreachable_status()), (NeverReached, Retry));
}

#[test]
fn errors_are_told_in_words_an_operator_can_act_on() {
    let slow = io::Error::new(io::ErrorKind::TimedOut, "deadline has elapsed");
    let slow = Status::from_error(Box::new(ConnectError(slow.into())));
    let full = Status::resource_exhausted("512 calls are waiting");
    let told: [(BoxError, &str); 6] = [
        (Elapsed::new().into(), "no answer within 2s"),
        (
            unreachable_status().into(),
            "logging-service is not reachable: Connection refused (os error 111)",
        ),
        (slow.into(), "logging-service is not reachable: connecting took too long"),
        (Status::unavailable("").into(), "logging-service answered Unavailable"),
        (full.into(), "logging-service answered ResourceExhausted: 512 calls are waiting"),
        (
            ContractBroken::Count { messages: 2, receipts: 1 }.into(),
            "logging-service answered 2 messages with 1 receipts",
        ),
    ];
    for (error, words) in told {
        assert_eq!(describe(&*error, ATTEMPT_TIMEOUT), words);
    }
}
