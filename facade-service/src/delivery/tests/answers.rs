//! Which receipt becomes which answer, given what earlier attempts may have done.

use tonic::Status;

use super::support::*;
use crate::delivery::{Delivered, DeliveryError};
use oncelog::{
    message::{Outcome, Rejection},
    wire::v1,
};

async fn answer_to(script: impl IntoIterator<Item = Step>) -> (Answered, usize) {
    let log = FakeLog::scripted(script);
    let answer = start(&log).append(message(7)).await;
    let calls = log.call_ids().len();
    (answer, calls)
}

fn receipt_of(id: u128, outcome: Outcome) -> v1::Receipt {
    outcome.into_receipt(bytes::Bytes::copy_from_slice(&id.to_be_bytes()))
}

fn ambiguous() -> Step {
    Step::Fail(Status::unknown("the connection broke"))
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_a_replay_unless_an_attempt_may_have_stored_it() {
    let duplicate = || Step::Tell(Outcome::Duplicate(receipt(3)));
    let delivered = |replayed| Ok(Delivered { receipt: receipt(3), replayed });
    assert_eq!(answer_to([duplicate()]).await.0, delivered(true));
    assert_eq!(answer_to([Step::Unreachable, duplicate()]).await.0, delivered(true));
    assert_eq!(answer_to([ambiguous(), duplicate()]).await.0, delivered(false));
    assert_eq!(answer_to([ambiguous(), Step::Unreachable, duplicate()]).await.0, delivered(false));
}

#[tokio::test(start_paused = true)]
async fn a_stored_message_is_never_a_replay() {
    for before in [vec![], vec![Step::Unreachable], vec![ambiguous()]] {
        let stored = Step::Tell(Outcome::Stored(receipt(3)));
        let (answer, _) = answer_to(before.into_iter().chain([stored])).await;
        assert_eq!(answer, Ok(Delivered { receipt: receipt(3), replayed: false }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_not_stored_unless_an_attempt_is_ambiguous() {
    for rejection in
        [Rejection::ReadOnly("no space".to_owned()), Rejection::Overloaded("no space".to_owned())]
    {
        let rejected = || Step::Tell(Outcome::Rejected(rejection.clone()));
        let not_stored = Err(DeliveryError::NotStored("no space".into()));
        let unknown = Err(DeliveryError::Unknown("no space".into()));
        assert_eq!(answer_to([rejected()]).await, (not_stored.clone(), 1));
        assert_eq!(answer_to([Step::Unreachable, rejected()]).await, (not_stored, 2));
        assert_eq!(answer_to([ambiguous(), rejected()]).await, (unknown, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_beside_a_damaged_record_is_not_sent_again() {
    let damaged =
        || Step::Tell(Outcome::Rejected(Rejection::Damaged("file is damaged at 7".to_owned())));
    let unknown = Err(DeliveryError::Damaged("file is damaged at 7".into()));
    assert_eq!(answer_to([damaged()]).await, (unknown.clone(), 1));
    let ambiguous = Step::Fail(Status::unavailable("gone"));
    assert_eq!(answer_to([ambiguous, damaged()]).await, (unknown, 2));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_message_is_refused_with_the_reason_of_the_log() {
    let invalid = Outcome::Rejected(Rejection::Invalid("bad stream".to_owned()));
    let refused = Err(DeliveryError::Invalid("bad stream".into()));
    assert_eq!(answer_to([Step::Tell(invalid)]).await, (refused, 1));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_refusal_of_the_call_is_not_retried() {
    for status in [
        Status::permission_denied("no"),
        Status::unauthenticated("no"),
        Status::unimplemented("no"),
    ] {
        let (answer, calls) = answer_to([Step::Fail(status.clone())]).await;
        assert!(matches!(answer, Err(DeliveryError::NotStored(_))), "{answer:?}");
        assert_eq!(calls, 1);
        let (answer, _) = answer_to([ambiguous(), Step::Fail(status)]).await;
        assert!(matches!(answer, Err(DeliveryError::Unknown(_))), "{answer:?}");
    }
    for status in [
        Status::invalid_argument("empty"),
        stored_nothing(Status::resource_exhausted("4 MiB")),
        stored_nothing(Status::internal("not decoded")),
    ] {
        let (answer, calls) = answer_to([Step::Fail(status)]).await;
        assert!(matches!(answer, Err(DeliveryError::Invalid(_))), "{answer:?}");
        assert_eq!(calls, 1);
    }
    let (answer, calls) = answer_to([Step::Fail(Status::out_of_range("4 MiB"))]).await;
    assert!(matches!(answer, Err(DeliveryError::Unknown(_))), "{answer:?}");
    assert_eq!(calls, 1);
}

#[tokio::test(start_paused = true)]
async fn receipts_that_break_the_contract_are_asked_for_again() {
    let good = || receipt_of(7, Outcome::Stored(receipt(1)));
    let broken = [
        vec![],
        vec![good(), good()],
        vec![v1::Receipt { id: good().id, ..v1::Receipt::default() }],
        vec![v1::Receipt { sequence: 0, ..good() }],
        vec![v1::Receipt { stored_at: None, ..good() }],
        vec![v1::Receipt { id: bytes::Bytes::from_static(b"another"), ..good() }],
    ];
    for receipts in broken {
        let respond = Step::Respond(v1::AppendResponse { receipts });
        let duplicate = Step::Tell(Outcome::Duplicate(receipt(3)));
        let (answer, calls) = answer_to([respond.clone(), duplicate]).await;
        assert_eq!(answer, Ok(Delivered { receipt: receipt(3), replayed: false }), "{respond:?}");
        assert_eq!(calls, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn neighbours_in_a_call_get_their_own_answers() {
    let log = FakeLog::scripted([Step::Answer(std::time::Duration::from_secs(1)), {
        let receipts = vec![
            receipt_of(2, Outcome::Stored(receipt(2))),
            receipt_of(3, Outcome::Conflict),
            receipt_of(4, Outcome::Rejected(Rejection::Invalid("bad".to_owned()))),
            receipt_of(5, Outcome::Duplicate(receipt(1))),
        ];
        Step::Respond(v1::AppendResponse { receipts })
    }]);
    let (delivery, first) = busy(&log).await;
    let waiters: Vec<_> = (2..6).map(|id| append(&delivery, message(id))).collect();
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for waiter in waiters {
        answers.push(waiter.await.unwrap());
    }
    assert_eq!(
        answers,
        [
            Ok(Delivered { receipt: receipt(2), replayed: false }),
            Err(DeliveryError::Conflict),
            Err(DeliveryError::Invalid("bad".into())),
            Ok(Delivered { receipt: receipt(1), replayed: true }),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_the_failure_of_the_last_attempt_as_its_source() {
    let status = stored_nothing(Status::unavailable("replaying"));
    let (answer, _) = answer_to(vec![Step::Fail(status); 1_000]).await;
    let error = answer.unwrap_err();
    let text = "not stored: no attempt reached the logging service: \
                logging-service answered Unavailable: replaying";
    assert_eq!(error.to_string(), text);
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |it| it.source());
    let status = causes.last().unwrap().downcast_ref::<Status>().unwrap();
    assert_eq!(status.message(), "replaying");
}
