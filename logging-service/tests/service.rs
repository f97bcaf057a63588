//! The service over a real socket.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{net::SocketAddr, sync::mpsc, time::Duration};

use logging_service::{
    Execution, OpenStore, Parts, ServeError, console::Console, limits::Limits, serve_incoming,
    settings::StoreKind,
};
use oncelog::{
    limits::CALL_MESSAGES_MAX,
    net::incoming,
    process::exit::Exit,
    wire::{
        STORED_TRAILER,
        v1::{
            self, AppendRequest, LookupRequest, Outcome, ReadRequest, Reason, State, StatusRequest,
            logging_service_client::LoggingServiceClient,
        },
    },
};
use support::{
    clock,
    faulty_store::{Disk, faulty},
    message,
    shared_store::{Answer, shared},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

struct Service {
    url: String,
    client: LoggingServiceClient<Channel>,
    health: HealthClient<Channel>,
    stop: CancellationToken,
    ready: oneshot::Receiver<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

/// Starts a service whose store is opened by `open`.
async fn start(open: impl FnOnce() -> OpenStore + Send + 'static) -> Service {
    start_with(Limits::default(), open).await
}

async fn start_with(limits: Limits, open: impl FnOnce() -> OpenStore + Send + 'static) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let parts = Parts {
        clock: clock(),
        console: Console::off(),
        store: StoreKind::Memory,
        open: Box::new(|| Ok(open())),
        execution: Execution::Threads,
        limits,
    };
    let stop = CancellationToken::new();
    let (is_ready, ready) = oneshot::channel();
    let served = tokio::spawn(serve_incoming(incoming(listener), parts, stop.clone(), move || {
        let _ = is_ready.send(());
    }));
    let url = format!("http://{addr}");
    let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
    let client = LoggingServiceClient::new(channel.clone());
    let health = HealthClient::new(channel);
    Service { url, client, health, stop, ready, served }
}

fn batch(messages: Vec<v1::Message>) -> AppendRequest {
    AppendRequest { messages }
}

fn surely_not_stored(status: &tonic::Status) -> bool {
    status.metadata().get(STORED_TRAILER).is_some_and(|stored| stored == "no")
}

/// The outcomes of an append, with sequences.
async fn append(service: &mut Service, messages: Vec<v1::Message>) -> Vec<(Outcome, u64)> {
    let response = service.client.append(batch(messages)).await.unwrap().into_inner();
    response.receipts.iter().map(|receipt| (receipt.outcome(), receipt.sequence)).collect()
}

#[tokio::test]
async fn append_lookup_and_read_work_over_a_socket() {
    let mut service = start(|| faulty().0).await;
    (&mut service.ready).await.unwrap();
    let messages = vec![message(1, "msg1").into(), message(2, "msg2").into()];
    let first = append(&mut service, messages.clone()).await;
    assert_eq!(first, [(Outcome::Stored, 1), (Outcome::Stored, 2)]);
    let again = append(&mut service, messages.clone()).await;
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

    let status = service.client.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.state(), status.last_sequence, status.durable), (State::Ready, 2, false));
}

#[tokio::test]
async fn a_bad_message_is_rejected_alone() {
    let mut service = start(|| faulty().0).await;
    (&mut service.ready).await.unwrap();
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
    let receipts = service.client.append(batch(messages)).await.unwrap().into_inner().receipts;
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

#[tokio::test]
async fn empty_and_oversized_batches_are_refused_whole() {
    let mut service = start(|| faulty().0).await;
    (&mut service.ready).await.unwrap();
    let too_many = (0..=CALL_MESSAGES_MAX as u64).map(|n| message(n, "x").into()).collect();
    for messages in [Vec::new(), too_many] {
        let status = service.client.append(batch(messages)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(surely_not_stored(&status));
    }
    let huge: v1::Message = message(1, "x").into();
    let huge = v1::Message { body: vec![0; 5 * 1024 * 1024].into(), ..huge };
    let status = service.client.append(batch(vec![huge])).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    // A hundred times as large in memory as on the wire: refused before it is made.
    let many_and_empty = vec![v1::Message::default(); 2 * 1024 * 1024 - 1];
    let status = service.client.append(batch(many_and_empty)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("elements"), "{}", status.message());
    let status = service.client.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.last_sequence, 0);
}

#[tokio::test]
async fn while_the_log_is_read_calls_are_refused_as_not_stored() {
    let (let_go, held) = mpsc::channel::<()>();
    let mut service = start(move || {
        let _ = held.recv();
        faulty().0
    })
    .await;
    let status = service.client.append(batch(vec![message(1, "a").into()])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(surely_not_stored(&status));
    let status = service.client.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.state(), State::Replaying);
    assert_eq!(health(&mut service).await, ServingStatus::NotServing);
    assert!(service.ready.try_recv().is_err(), "ready before the log was read");

    drop(let_go);
    (&mut service.ready).await.unwrap();
    let outcomes = append(&mut service, vec![message(1, "a").into()]).await;
    assert_eq!(outcomes, [(Outcome::Stored, 1)]);
    assert_eq!(health(&mut service).await, ServingStatus::Serving);
}

async fn health(service: &mut Service) -> ServingStatus {
    let answer = service.health.check(HealthCheckRequest::default()).await.unwrap();
    answer.into_inner().status()
}

#[tokio::test]
async fn a_failed_disk_fails_the_waiters_and_ends_the_service() {
    let (store, switches, _commits) = faulty();
    let mut service = start(|| store).await;
    (&mut service.ready).await.unwrap();
    switches.set(Disk::Fails);
    let status = service.client.append(batch(vec![message(1, "a").into()])).await.unwrap_err();
    assert!(!surely_not_stored(&status), "that is unknown");
    let served = tokio::time::timeout(Duration::from_secs(30), service.served).await.unwrap();
    assert_eq!(served.unwrap().unwrap_err().exit(), Exit::Disk);
}

#[tokio::test]
async fn a_disk_that_fails_during_a_stop_is_not_a_good_end() {
    let (store, switches, commits) = faulty();
    let mut service = start(|| store).await;
    (&mut service.ready).await.unwrap();
    let held = switches.hold_commits();
    let mut client = service.client.clone();
    let appending =
        tokio::spawn(async move { client.append(batch(vec![message(1, "a").into()])).await });
    tokio::task::spawn_blocking(move || commits.recv().unwrap()).await.unwrap();
    service.stop.cancel();
    // Only a stop that has begun is of interest here.
    while service
        .client
        .status(StatusRequest {})
        .await
        .is_ok_and(|status| status.into_inner().state() == State::Ready)
    {}
    switches.set(Disk::Fails);
    drop(held);
    assert!(appending.await.unwrap().is_err());
    let served = tokio::time::timeout(Duration::from_secs(30), service.served).await.unwrap();
    assert_eq!(served.unwrap().unwrap_err().exit(), Exit::Disk);
}

#[tokio::test]
async fn a_full_disk_is_told_in_receipts_and_status() {
    let (store, switches, _commits) = faulty();
    let mut service = start(|| store).await;
    (&mut service.ready).await.unwrap();
    switches.set(Disk::Full);
    let request = batch(vec![message(1, "a").into()]);
    let receipts = service.client.append(request).await.unwrap().into_inner().receipts;
    assert_eq!(
        (receipts[0].outcome(), receipts[0].reason()),
        (Outcome::Rejected, Reason::ReadOnly)
    );
    let status = service.client.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.state(), State::ReadOnly);
    assert!(status.reason.contains("no space"), "{}", status.reason);
}

#[tokio::test]
async fn a_call_of_unknown_outcome_is_not_called_not_stored() {
    let (store, script) = shared();
    let limits = Limits { commit_attempts: 2, ..Limits::default() };
    let mut service = start_with(limits, || store).await;
    (&mut service.ready).await.unwrap();
    script.answer([Answer::LostRequest, Answer::LostRequest]);
    let request = batch(vec![message(1, "a").into()]);
    let status = service.client.append(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!surely_not_stored(&status), "it may be stored");
    // The service goes on.
    let again = append(&mut service, vec![message(1, "a").into()]).await;
    assert_eq!(again, [(Outcome::Stored, 1)]);
    // Without a leader the receipt says that nothing was stored.
    script.answer([Answer::NoLeader]);
    let request = batch(vec![message(2, "b").into()]);
    let receipts = service.client.append(request).await.unwrap().into_inner().receipts;
    assert_eq!(
        (receipts[0].outcome(), receipts[0].reason()),
        (Outcome::Rejected, Reason::Overloaded)
    );
    assert_eq!(health(&mut service).await, ServingStatus::Serving);
}

#[tokio::test]
async fn limits_that_cannot_work_end_the_service_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let parts = Parts {
        clock: clock(),
        console: Console::off(),
        store: StoreKind::Memory,
        open: Box::new(|| unreachable!("nothing is opened")),
        execution: Execution::Threads,
        limits: Limits { scans_at_once: 0, ..Limits::default() },
    };
    let served = serve_incoming(incoming(listener), parts, CancellationToken::new(), || {}).await;
    assert_eq!(served.unwrap_err().exit(), Exit::Usage);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_ends_followers() {
    let (store, switches, commits) = faulty();
    let mut service = start(|| store).await;
    (&mut service.ready).await.unwrap();
    let follow = ReadRequest { follow: true, ..ReadRequest::default() };
    let mut follower = service.client.read(follow).await.unwrap().into_inner();

    let held = switches.hold_commits();
    let mut client = service.client.clone();
    let appending =
        tokio::spawn(async move { client.append(batch(vec![message(1, "a").into()])).await });
    tokio::task::spawn_blocking(move || commits.recv().unwrap()).await.unwrap();
    service.stop.cancel();
    drop(held);
    let receipts = appending.await.unwrap().unwrap().into_inner().receipts;
    assert_eq!(receipts[0].outcome(), Outcome::Stored);
    let end = loop {
        match follower.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a follower must be told to come back"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    let served = tokio::time::timeout(Duration::from_secs(30), service.served).await.unwrap();
    served.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_log_to_be_read() {
    let (_hold, held) = mpsc::channel::<()>();
    let service = start(move || {
        let _ = held.recv();
        faulty().0
    })
    .await;
    service.stop.cancel();
    let served = tokio::time::timeout(Duration::from_secs(10), service.served).await.unwrap();
    served.unwrap().unwrap();
}

#[tokio::test]
async fn a_follower_that_has_all_it_asked_for_ends_without_an_error() {
    let mut service = start(|| faulty().0).await;
    (&mut service.ready).await.unwrap();
    append(&mut service, vec![message(1, "a").into(), message(2, "b").into()]).await;
    let follow = ReadRequest { follow: true, limit: 2, ..ReadRequest::default() };
    let mut follower = service.client.read(follow).await.unwrap().into_inner();
    assert_eq!(follower.message().await.unwrap().unwrap().messages.len(), 2);
    assert!(follower.message().await.unwrap().is_none());
}

#[tokio::test]
async fn followers_are_refused_past_their_limit_until_one_leaves() {
    let limits = Limits { followers: 20, ..Limits::default() };
    let mut service = start_with(limits, || faulty().0).await;
    (&mut service.ready).await.unwrap();
    append(&mut service, vec![message(1, "msg1").into()]).await;
    let follow = ReadRequest { follow: true, ..ReadRequest::default() };
    // As many as one connection takes.
    let mut client = LoggingServiceClient::connect(service.url.clone()).await.unwrap();
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
