//! Whatever the service does, the answer is the truth about what it stored.

use std::time::Duration;

use proptest::prelude::*;
use tonic::Status;

use super::support::*;
use crate::delivery::{Delivery, DeliveryError, DeliveryOptions, Jitter};

/// Longer than any script can keep a message on its way.
const AFTERWARDS: Duration = Duration::from_secs(120);

fn step() -> impl Strategy<Value = Step> {
    let delay = (0_u64..3_000).prop_map(Duration::from_millis);
    prop_oneof![
        2 => delay.clone().prop_map(Step::Answer),
        3 => Just(Step::Unreachable),
        1 => Just(Step::Hang),
        1 => Just(Step::StoreAndHang),
        2 => (0_u64..40_000).prop_map(|ms| Step::HangAndStoreLater(Duration::from_millis(ms))),
        1 => Just(Step::StoreAndFail(Status::unknown("broken"))),
        1 => Just(Step::StoreAndFail(Status::out_of_range("response too large"))),
        1 => Just(Step::Fail(Status::unavailable("draining"))),
        1 => Just(Step::Fail(stored_nothing(Status::resource_exhausted("too large")))),
        1 => Just(Step::Fail(Status::invalid_argument("refused"))),
        1 => Just(Step::Fail(Status::permission_denied("refused"))),
        1 => Just(Step::Fail(Status::out_of_range("response too large"))),
        1 => Just(Step::Tell(oncelog::message::Outcome::Rejected(
            oncelog::message::Rejection::ReadOnly("no space".to_owned())
        ))),
    ]
}

#[derive(Debug, Clone)]
struct Client {
    id: u128,
    arrives_ms: u64,
    leaves_after_ms: Option<u64>,
}

fn client() -> impl Strategy<Value = Client> {
    // Few ids, so that some are used twice.
    (1_u128..8, 0_u64..20_000, prop::option::weighted(0.2, 0_u64..16_000))
        .prop_map(|(id, arrives_ms, leaves_after_ms)| Client { id, arrives_ms, leaves_after_ms })
}

/// Runs the clients against the script. Returns each one's answer, none if it left.
async fn run(log: &FakeLog, clients: &[Client], seed: u64) -> Vec<Option<Answered>> {
    let options = DeliveryOptions { jitter: Jitter::seeded(seed), ..options() };
    let delivery = Delivery::start(log.clone(), options);
    let one = async |client: &Client| {
        tokio::time::sleep(Duration::from_millis(client.arrives_ms)).await;
        let asked = tokio::time::Instant::now();
        let timeout_after = client.leaves_after_ms.map_or(AFTERWARDS, Duration::from_millis);
        let answer = tokio::time::timeout(timeout_after, delivery.append(message(client.id))).await;
        assert!(asked.elapsed() <= Duration::from_secs(15));
        answer.ok()
    };
    let answers = futures_util::future::join_all(clients.iter().map(one)).await;
    tokio::time::sleep(AFTERWARDS).await;
    answers
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        // A failing script is a test worth writing down by hand.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_answer_is_true_now_and_later(
        script in prop::collection::vec(step(), 0..24),
        clients in prop::collection::vec(client(), 1..12),
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (log, answers) = runtime.block_on(async {
            let log = FakeLog::scripted(script);
            let answers = run(&log, &clients, seed).await;
            (log, answers)
        });
        let seen = log.seen();
        for places in seen.stored.values() {
            prop_assert_eq!(places.len(), 1);
        }
        for (client, answer) in clients.iter().zip(&answers) {
            let alone = clients.iter().filter(|other| other.id == client.id).count() == 1;
            let stored = seen.stored.get(&client.id).map(|places| places[0]);
            match answer {
                Some(Ok(delivered)) => {
                    prop_assert_eq!(Some(delivered.receipt.sequence), stored);
                    prop_assert!(!(alone && delivered.replayed), "no other client stored it");
                }
                Some(Err(
                    DeliveryError::NotStored(_)
                    | DeliveryError::Overloaded { .. }
                    | DeliveryError::Invalid(_),
                )) => {
                    // Another client with the same id may have stored the message.
                    prop_assert!(!alone || stored.is_none());
                }
                Some(Err(DeliveryError::Conflict | DeliveryError::Damaged(_))) => {
                    prop_assert!(false, "no such step");
                }
                Some(Err(DeliveryError::Unknown(_))) | None => {}
            }
        }
    }
}
