//! A network that repeats, delays and reorders calls, and a service that does not care.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use fastrand::Rng;
use futures_util::future::join_all;
use logging_service::store::journal::disk::SimulatedDisk;
use oncelog::wire::v1::{AppendRequest, LookupRequest, Outcome, ReadRequest};
use support::{
    message,
    served::{Client, Served, append},
};
use tokio::task::JoinSet;
use tonic::Code;

/// A call with these messages.
fn call(numbers: impl IntoIterator<Item = u64>) -> AppendRequest {
    let messages = numbers.into_iter().map(|n| message(n, &format!("message {n}")).into());
    AppendRequest { messages: messages.collect() }
}

async fn clients(service: &Served, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| service.client())).await
}

/// What each copy of a call was answered, by the number of its message.
type Answers = HashMap<u64, Vec<(Outcome, u64)>>;

/// Of the copies of each call one was stored, and all have its sequence.
fn assert_one_stored_and_all_agree(answers: &Answers) {
    for (number, copies) in answers {
        let stored = copies.iter().filter(|(outcome, _)| *outcome == Outcome::Stored).count();
        assert_eq!(stored, 1, "message {number}: {copies:?}");
        let others = copies.iter().filter(|(outcome, _)| *outcome == Outcome::Duplicate).count();
        assert_eq!(stored + others, copies.len(), "message {number}: {copies:?}");
        assert!(copies.iter().all(|(_, sequence)| *sequence == copies[0].1), "{copies:?}");
    }
    let sequences: HashSet<u64> = answers.values().map(|copies| copies[0].1).collect();
    assert_eq!(sequences.len(), answers.len(), "two messages have one sequence");
}

/// Sends each of `numbers` one to five times at once, over all clients, in a random order.
fn send_copies(
    rng: &mut Rng,
    clients: &[Client],
    numbers: std::ops::Range<u64>,
    answered: &Arc<AtomicUsize>,
) -> JoinSet<(u64, (Outcome, u64))> {
    let mut copies: Vec<u64> =
        numbers.flat_map(|number| std::iter::repeat_n(number, rng.usize(1..=5))).collect();
    rng.shuffle(&mut copies);
    let mut sent = JoinSet::new();
    for (nth, number) in copies.into_iter().enumerate() {
        let (client, answered) = (clients[nth % clients.len()].clone(), Arc::clone(answered));
        sent.spawn(async move {
            let receipts = append(&client, call([number])).await;
            answered.fetch_add(1, Ordering::SeqCst);
            (number, receipts[0])
        });
    }
    sent
}

async fn answers_of(mut sent: JoinSet<(u64, (Outcome, u64))>) -> Answers {
    let mut answers = Answers::new();
    while let Some(copy) = sent.join_next().await {
        let (number, answer) = copy.unwrap();
        answers.entry(number).or_default().push(answer);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_a_call_wait_for_one_commit() {
    let disk = SimulatedDisk::new();
    let service = Served::on(&disk).await;
    let clients = clients(&service, 2).await;
    let mut rng = Rng::with_seed(12);
    for round in 0..20 {
        let (answered, numbers) = (Arc::new(AtomicUsize::new(0)), round * 20..(round + 1) * 20);
        let held = disk.hold_syncs();
        let sent = send_copies(&mut rng, &clients, numbers.clone(), &answered);
        let held = tokio::task::spawn_blocking(move || {
            held.wait_for_one();
            held
        })
        .await
        .unwrap();
        // Later calls on the same connections are answered, and see nothing of it.
        for number in numbers {
            let id = message(number, "").id.as_bytes().to_vec().into();
            let mut client = clients[number as usize % 2].clone();
            let found = client.lookup(LookupRequest { id }).await;
            assert_eq!(found.unwrap_err().code(), Code::NotFound, "message {number}");
        }
        assert_eq!(service.last_sequence().await, round * 20);
        assert_eq!(answered.load(Ordering::SeqCst), 0, "answered before it was durable");
        drop(held);
        assert_one_stored_and_all_agree(&answers_of(sent).await);
        assert_eq!(service.last_sequence().await, (round + 1) * 20);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_calls_in_any_order_are_stored_once_after_a_restart() {
    let (disk, mut rng) = (SimulatedDisk::new(), Rng::with_seed(13));
    let service = Served::on(&disk).await;
    let connections = clients(&service, 8).await;
    let sent = send_copies(&mut rng, &connections, 0..300, &Arc::default());
    let answers = answers_of(sent).await;
    assert_one_stored_and_all_agree(&answers);
    for first in (1000..4000).step_by(100) {
        append(&connections[0], call(first..first + 100)).await;
    }

    // Copies that the network kept all the while, let go in a random order.
    let mut late: Vec<u64> = (0..300).collect();
    rng.shuffle(&mut late);
    let (before, after) = late.split_at(150);
    let is_absorbed = async |client: &Client, number: u64| {
        let sequence = answers[&number][0].1;
        let found = append(client, call([number])).await;
        assert_eq!(found, [(Outcome::Duplicate, sequence)], "message {number}");
    };
    for number in before {
        is_absorbed(&connections[*number as usize % 8], *number).await;
    }
    drop(connections);
    service.stop().await;
    disk.crash(13);

    let service = Served::on(&disk).await;
    let client = service.client().await;
    for number in after {
        is_absorbed(&client, *number).await;
    }
    let other = AppendRequest { messages: vec![message(0, "other").into()] };
    assert_eq!(append(&client, other).await, [(Outcome::Conflict, 0)]);
    assert_eq!(stored(client).await, 3300);
    service.stop().await;
}

/// Reads everything: sequences without a gap, and no id twice. Returns how many there are.
async fn stored(mut client: Client) -> usize {
    let mut chunks = client.read(ReadRequest::default()).await.unwrap().into_inner();
    let mut ids = HashSet::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        for stored in chunk.messages {
            assert!(ids.insert(stored.message.unwrap().id), "twice");
            assert_eq!(stored.sequence, ids.len() as u64);
        }
    }
    ids.len()
}
