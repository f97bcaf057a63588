//! What the service says once a stored record is not what was written.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::time::Duration;

use logging_service::store::journal::disk::SimulatedDisk;
use oncelog::wire::v1::{
    self, AppendRequest, LookupRequest, Outcome, ReadRequest, Reason, State, StatusRequest,
};
use support::{
    id, message,
    served::{Client, Served, append},
};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const SEGMENT: &str = "00000000000000000001.segment";

fn call(numbers: impl IntoIterator<Item = u64>) -> AppendRequest {
    let messages = numbers.into_iter().map(|n| message(n, &text(n)).into()).collect();
    AppendRequest { messages }
}

fn text(number: u64) -> String {
    format!("text {number}.")
}

/// Changes the body of a message that is stored.
fn damage(disk: &SimulatedDisk, number: u64) {
    let (text, bytes) = (text(number), disk.read(SEGMENT).unwrap());
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    disk.flip_bit(SEGMENT, at as u64 * 8);
}

async fn read(client: &Client, follow: bool) -> Status {
    let request = ReadRequest { follow, ..ReadRequest::default() };
    let mut chunks = client.clone().read(request).await.unwrap().into_inner();
    loop {
        match timeout(Duration::from_secs(30), chunks.message()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a damaged log was read to its end"),
            Err(status) => return status,
        }
    }
}

async fn lookup(client: &Client, number: u64) -> Result<u64, Status> {
    let request = LookupRequest { id: id(number).as_bytes().to_vec().into() };
    let found = client.clone().lookup(request).await?.into_inner();
    Ok(found.message.unwrap().sequence)
}

async fn state(client: &Client) -> (State, String) {
    let status = client.clone().status(StatusRequest {}).await.unwrap().into_inner();
    (status.state(), status.reason)
}

#[tokio::test]
async fn damage_is_told_once_and_to_all_that_watch() {
    let disk = SimulatedDisk::new();
    let served = Served::on(&disk).await;
    let client = served.client().await;
    for number in 1..=5 {
        assert_eq!(append(&client, call([number])).await, [(Outcome::Stored, number)]);
    }
    let mut health = HealthClient::new(served.channel().await);
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let mut told = async || watched.message().await.unwrap().unwrap().status();
    assert_eq!(told().await, ServingStatus::Serving);

    damage(&disk, 2);
    damage(&disk, 4);
    assert_eq!(state(&client).await, (State::Ready, String::new()), "nobody has read it");
    let found = lookup(&client, 2).await.unwrap_err();
    assert_eq!(found.code(), Code::DataLoss);
    assert!(found.message().starts_with(&format!("{SEGMENT} is damaged at offset ")), "{found}");
    assert_eq!(told().await, ServingStatus::NotServing);
    for follow in [false, true] {
        let status = read(&client, follow).await;
        assert_eq!((status.code(), status.message()), (Code::DataLoss, found.message()));
    }
    let (damaged, reason) = state(&client).await;
    assert_eq!(damaged, State::Damaged);
    assert!(reason.starts_with(found.message()), "{reason}");
    assert!(!reason.contains("places"), "one place counts once: {reason}");

    lookup(&client, 4).await.unwrap_err();
    assert!(state(&client).await.1.contains("(the first of 2 places)"));
    served.stop().await;
}

#[tokio::test]
async fn a_copy_of_a_damaged_record_gets_no_outcome_it_may_not_have() {
    let disk = SimulatedDisk::new();
    let served = Served::on(&disk).await;
    let client = served.client().await;
    append(&client, call(1..=3)).await;
    damage(&disk, 2);
    // Alone it is compared beside the committer. The others of its call are answered as ever.
    for numbers in [vec![2], vec![1, 2, 3], vec![2, 9]] {
        let response = client.clone().append(call(numbers.clone())).await.unwrap().into_inner();
        for (number, receipt) in numbers.iter().zip(&response.receipts) {
            let expected = match number {
                2 => (Outcome::Rejected, Reason::Damaged),
                9 => (Outcome::Stored, Reason::Unspecified),
                _ => (Outcome::Duplicate, Reason::Unspecified),
            };
            assert_eq!((receipt.outcome(), receipt.reason()), expected, "{receipt:?}");
        }
    }
    let other = v1::Message { body: "another".into(), ..message(2, "").into() };
    let conflict = append(&client, AppendRequest { messages: vec![other] }).await;
    assert_eq!(conflict, [(Outcome::Rejected, 0)]);
    assert_eq!(state(&client).await.0, State::Damaged, "comparing is reading");

    // What is new is stored and found, now and later.
    assert_eq!(append(&client, call([10])).await, [(Outcome::Stored, 5)]);
    assert_eq!(append(&client, call([10])).await, [(Outcome::Duplicate, 5)]);
    assert_eq!(lookup(&client, 10).await.unwrap(), 5);
    served.stop().await;
}
