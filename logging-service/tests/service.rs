//! The service over a real socket.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{sync::mpsc, time::Duration};

use logging_service::{OpenStore, limits::Limits};
use oncelog::{
    limits::CALL_MESSAGES_MAX,
    process::exit::Exit,
    wire::{
        LAST_SEQUENCE_METADATA, STORED_TRAILER,
        v1::{
            self, AppendRequest, LookupRequest, Outcome, ReadRequest, Reason, Receipt, State,
            StatusRequest, StatusResponse,
        },
    },
};
use support::{
    message,
    scripted_store::{Answer, scripted},
    served,
    served::{Client, Served, parts},
};
use tokio::task::JoinHandle;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Sends one call with `messages`.
async fn send(mut client: Client, messages: Vec<v1::Message>) -> Result<Vec<Receipt>, Status> {
    let sent = client.append(AppendRequest { messages }).await;
    sent.map(|response| response.into_inner().receipts)
}

struct Service {
    served: Served,
    client: Client,
    health: HealthClient<Channel>,
}

impl Service {
    async fn of(served: Served) -> Self {
        let channel = served.channel().await;
        Self { served, client: Client::new(channel.clone()), health: HealthClient::new(channel) }
    }

    async fn send(&self, messages: Vec<v1::Message>) -> Result<Vec<Receipt>, Status> {
        send(self.client.clone(), messages).await
    }

    /// The outcomes of an append, with sequences.
    async fn append(&self, messages: Vec<v1::Message>) -> Vec<(Outcome, u64)> {
        served::append(&self.client, AppendRequest { messages }).await
    }

    /// Begins a call with one message. Returns once the store is to commit it.
    async fn begin_append(
        &self,
        commits: mpsc::Receiver<()>,
    ) -> JoinHandle<Result<Vec<Receipt>, Status>> {
        let client = self.client.clone();
        let appending = tokio::spawn(async move { send(client, one()).await });
        tokio::task::spawn_blocking(move || commits.recv().unwrap()).await.unwrap();
        appending
    }

    async fn status(&self) -> StatusResponse {
        self.client.clone().status(StatusRequest {}).await.unwrap().into_inner()
    }

    async fn health(&mut self) -> ServingStatus {
        let answer = self.health.check(HealthCheckRequest::default()).await.unwrap();
        answer.into_inner().status()
    }
}

/// A service whose store is opened by `open`, once it is ready.
async fn start(open: impl FnOnce() -> OpenStore + Send + 'static) -> Service {
    start_with(Limits::default(), open).await
}

async fn start_with(limits: Limits, open: impl FnOnce() -> OpenStore + Send + 'static) -> Service {
    Service::of(Served::start(parts(limits, open)).await).await
}

/// A service that reads its log until the sender is dropped.
async fn start_held() -> (Service, mpsc::Sender<()>) {
    let (let_go, held) = mpsc::channel();
    let open = move || {
        let _ = held.recv();
        scripted().0
    };
    (Service::of(Served::begin(parts(Limits::default(), open)).await).await, let_go)
}

fn one() -> Vec<v1::Message> {
    vec![message(1, "a").into()]
}

fn surely_not_stored(status: &Status) -> bool {
    status.metadata().get(STORED_TRAILER).is_some_and(|stored| stored == "no")
}

#[tokio::test]
async fn append_lookup_and_read_work_over_a_socket() {
    let mut service = start(|| scripted().0).await;
    let messages = vec![message(1, "msg1").into(), message(2, "msg2").into()];
    let first = service.append(messages.clone()).await;
    assert_eq!(first, [(Outcome::Stored, 1), (Outcome::Stored, 2)]);
    let again = service.append(messages.clone()).await;
    assert_eq!(again, [(Outcome::Duplicate, 1), (Outcome::Duplicate, 2)]);

    let lookup = LookupRequest { id: messages[1].id.clone() };
    let found = service.client.lookup(lookup).await.unwrap().into_inner().message.unwrap();
    assert_eq!((found.sequence, found.message), (2, Some(messages[1].clone())));
    let unknown = LookupRequest { id: vec![9; 16].into() };
    assert_eq!(service.client.lookup(unknown).await.unwrap_err().code(), Code::NotFound);

    let read = ReadRequest { stream: "facade".to_owned(), ..ReadRequest::default() };
    let mut chunks = service.client.read(read).await.unwrap().into_inner();
    let chunk = chunks.message().await.unwrap().unwrap();
    let bodies: Vec<_> = chunk.messages.into_iter().map(|m| m.message.unwrap().body).collect();
    assert_eq!(bodies, ["msg1", "msg2"]);
    assert!(chunks.message().await.unwrap().is_none());

    let status = service.status().await;
    assert_eq!((status.state(), status.last_sequence, status.durable), (State::Ready, 2, false));
}

#[tokio::test]
async fn a_bad_message_is_rejected_alone() {
    let service = start(|| scripted().0).await;
    let good: v1::Message = message(1, "good").into();
    let bad = [
        v1::Message { id: vec![1; 15].into(), ..good.clone() },
        v1::Message { id: vec![0; 16].into(), ..good.clone() },
        v1::Message { id: Vec::new().into(), ..good.clone() },
        v1::Message { stream: "No Such Name".into(), ..good.clone() },
        v1::Message { content_type: "".into(), ..good.clone() },
        v1::Message { body: vec![0; 1024 * 1024 + 1].into(), ..good.clone() },
    ];
    let mut messages = bad.to_vec();
    messages.insert(3, good.clone());
    let receipts = service.send(messages).await.unwrap();
    assert_eq!(receipts.len(), bad.len() + 1);
    for (nth, receipt) in receipts.iter().enumerate() {
        if nth == 3 {
            assert_eq!((receipt.outcome(), receipt.sequence), (Outcome::Stored, 1));
        } else {
            assert_eq!((receipt.outcome(), receipt.reason()), (Outcome::Rejected, Reason::Invalid));
            assert!(receipt.detail.starts_with("not stored: "), "{}", receipt.detail);
        }
    }
    assert_eq!(receipts[0].id, vec![1; 15]);
}

/// A refusal says what is wrong and repeats nothing of it.
#[tokio::test]
async fn refusals_of_long_fields_are_short() {
    const REFUSAL_BYTES_MAX: usize = 256;
    let service = start(|| scripted().0).await;
    let long = || "x\u{1}".repeat(250_000);
    let good: v1::Message = message(7, "good").into();
    for long in [
        v1::Message { id: long().into(), ..good.clone() },
        v1::Message { stream: long().into(), ..good.clone() },
        v1::Message { content_type: long().into(), ..good.clone() },
    ] {
        let [receipt] = service.send(vec![long]).await.unwrap().try_into().unwrap();
        assert_eq!(receipt.reason(), Reason::Invalid);
        assert!(receipt.detail.len() < REFUSAL_BYTES_MAX, "{}", receipt.detail);
    }
    let mut client = service.client.clone();
    let read = ReadRequest { stream: long(), ..ReadRequest::default() };
    let lookup = LookupRequest { id: long().into() };
    for refused in [
        client.read(read).await.map(drop).unwrap_err(),
        client.lookup(lookup).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().len() < REFUSAL_BYTES_MAX, "{}", refused.message());
    }
}

#[tokio::test]
async fn empty_and_oversized_batches_are_refused_whole() {
    let service = start(|| scripted().0).await;
    let too_many = (0..=CALL_MESSAGES_MAX as u64).map(|n| message(n, "x").into()).collect();
    for messages in [Vec::new(), too_many] {
        let status = service.send(messages).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(surely_not_stored(&status));
    }
    let huge: v1::Message = message(1, "x").into();
    let huge = v1::Message { body: vec![0; 5 * 1024 * 1024].into(), ..huge };
    let status = service.send(vec![huge]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(surely_not_stored(&status));
    // A hundred times as large in memory as on the wire: refused before it is made.
    let many_and_empty = vec![v1::Message::default(); 2 * 1024 * 1024 - 1];
    let status = service.send(many_and_empty).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(surely_not_stored(&status));
    assert!(status.message().contains("elements"), "{}", status.message());
    let status = service.status().await;
    assert_eq!(status.last_sequence, 0);
}

#[tokio::test]
async fn while_the_log_is_read_calls_are_refused_as_not_stored() {
    let (mut service, let_go) = start_held().await;
    let status = service.send(one()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(surely_not_stored(&status));
    let ahead = ReadRequest { after: u64::MAX, ..ReadRequest::default() };
    let status = service.client.read(ahead).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "its end is not known yet");
    let status = service.status().await;
    assert_eq!(status.state(), State::Replaying);
    assert_eq!(service.health().await, ServingStatus::NotServing);
    assert!(service.served.ready.try_recv().is_err(), "ready before the log was read");

    drop(let_go);
    (&mut service.served.ready).await.unwrap();
    let outcomes = service.append(one()).await;
    assert_eq!(outcomes, [(Outcome::Stored, 1)]);
    assert_eq!(service.health().await, ServingStatus::Serving);
}

#[tokio::test]
async fn a_failed_disk_fails_the_waiters_and_ends_the_service() {
    let (store, script, _commits) = scripted();
    let service = start(|| store).await;
    script.cycle([Answer::Fails]);
    let status = service.send(one()).await.unwrap_err();
    assert!(!surely_not_stored(&status), "that is unknown");
    assert_eq!(service.served.ended().await.unwrap_err().exit(), Exit::Disk);
}

#[tokio::test]
async fn a_disk_that_fails_during_a_stop_is_not_a_good_end() {
    let (store, script, commits) = scripted();
    let mut service = start(|| store).await;
    let held = script.hold_commits();
    let appending = service.begin_append(commits).await;
    service.served.stop.cancel();
    // Only a stop that has begun is of interest here.
    while service
        .client
        .status(StatusRequest {})
        .await
        .is_ok_and(|status| status.into_inner().state() == State::Ready)
    {}
    script.cycle([Answer::Fails]);
    drop(held);
    assert!(appending.await.unwrap().is_err());
    assert_eq!(service.served.ended().await.unwrap_err().exit(), Exit::Disk);
}

#[tokio::test]
async fn a_full_disk_is_told_in_receipts_and_status() {
    let (store, script, _commits) = scripted();
    let service = start(|| store).await;
    script.cycle([Answer::NoSpace]);
    let receipt = &service.send(one()).await.unwrap()[0];
    assert_eq!((receipt.outcome(), receipt.reason()), (Outcome::Rejected, Reason::ReadOnly));
    let status = service.status().await;
    assert_eq!(status.state(), State::ReadOnly);
    assert!(status.reason.contains("no space"), "{}", status.reason);
}

#[tokio::test]
async fn a_call_of_unknown_outcome_is_not_called_not_stored() {
    let (store, script, _) = scripted();
    let limits = Limits { commit_attempts: 2, ..Limits::default() };
    let mut service = start_with(limits, || store).await;
    script.answer([Answer::LostRequest, Answer::LostRequest]);
    let status = service.send(one()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!surely_not_stored(&status), "it may be stored");
    // The service goes on.
    let again = service.append(one()).await;
    assert_eq!(again, [(Outcome::Stored, 1)]);
    // Without a leader the receipt says that nothing was stored.
    script.answer([Answer::NoLeader]);
    let receipt = &service.send(vec![message(2, "b").into()]).await.unwrap()[0];
    assert_eq!((receipt.outcome(), receipt.reason()), (Outcome::Rejected, Reason::Overloaded));
    assert_eq!(service.health().await, ServingStatus::Serving);
}

#[tokio::test]
async fn a_reader_ahead_of_the_log_is_told_its_last_sequence() {
    let mut service = start(|| scripted().0).await;
    for last_sequence in ["0", "1", "2"] {
        for (follow, after) in [(false, 5), (true, 5), (true, 3), (false, u64::MAX)] {
            let ahead = ReadRequest { after, follow, limit: 1, ..ReadRequest::default() };
            let status = service.client.read(ahead).await.unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange);
            assert_eq!(status.metadata().get(LAST_SEQUENCE_METADATA).unwrap(), last_sequence);
            let words = format!("the log ends at sequence {last_sequence}, and {after} is after");
            assert!(status.message().starts_with(&words), "{}", status.message());
        }
        let after = last_sequence.parse().unwrap();
        let at_the_end = ReadRequest { after, ..ReadRequest::default() };
        let mut nothing_new = service.client.read(at_the_end).await.unwrap().into_inner();
        assert!(nothing_new.message().await.unwrap().is_none());
        service.send(vec![message(after + 1, "x").into()]).await.unwrap();
    }
}

#[tokio::test]
async fn limits_that_cannot_work_end_the_service_at_once() {
    let limits = Limits { scans_at_once: 0, ..Limits::default() };
    let served = Served::begin(parts(limits, || unreachable!("nothing is opened"))).await;
    assert_eq!(served.ended().await.unwrap_err().exit(), Exit::Usage);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_ends_followers() {
    let (store, script, commits) = scripted();
    let mut service = start(|| store).await;
    let follow = ReadRequest { follow: true, ..ReadRequest::default() };
    let mut follower = service.client.read(follow).await.unwrap().into_inner();

    let held = script.hold_commits();
    let appending = service.begin_append(commits).await;
    service.served.stop.cancel();
    drop(held);
    let receipts = appending.await.unwrap().unwrap();
    assert_eq!(receipts[0].outcome(), Outcome::Stored);
    let end = loop {
        match follower.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a follower must be told to come back"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    service.served.ended().await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_log_to_be_read() {
    let (service, _hold) = start_held().await;
    service.served.stop.cancel();
    service.served.stop().await;
}

#[tokio::test]
async fn a_follower_that_has_all_it_asked_for_ends_without_an_error() {
    let mut service = start(|| scripted().0).await;
    service.append(vec![message(1, "a").into(), message(2, "b").into()]).await;
    let follow = ReadRequest { follow: true, limit: 2, ..ReadRequest::default() };
    let mut follower = service.client.read(follow).await.unwrap().into_inner();
    assert_eq!(follower.message().await.unwrap().unwrap().messages.len(), 2);
    assert!(follower.message().await.unwrap().is_none());
}

#[tokio::test]
async fn followers_are_refused_past_their_limit_until_one_leaves() {
    let limits = Limits { followers: 20, ..Limits::default() };
    let mut service = start_with(limits, || scripted().0).await;
    service.append(vec![message(1, "msg1").into()]).await;
    let follow = ReadRequest { follow: true, ..ReadRequest::default() };
    // As many as one connection takes.
    let mut client = service.served.client().await;
    let mut followers = Vec::new();
    for _ in 0..limits.followers {
        let mut chunks = client.read(follow.clone()).await.unwrap().into_inner();
        assert_eq!(chunks.message().await.unwrap().unwrap().messages.len(), 1);
        followers.push(chunks);
    }
    let refused = service.client.read(follow.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    // Reads that end have permits of their own.
    let mut all = service.client.read(ReadRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.message().await.unwrap().unwrap().messages.len(), 1);
    followers.pop();
    let accepted = async {
        while service.client.read(follow.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), accepted).await.unwrap();
}
