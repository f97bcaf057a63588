//! The messages service over a real socket.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::time::Duration;

use http::uri::PathAndQuery;
use messages_service::{TEXT, serve};
use oncelog::{
    net::{self, DRAIN_TIMEOUT},
    wire::{
        STORED_TRAILER,
        v1::{
            GetMessagesRequest, GetMessagesResponse, messages_service_client::MessagesServiceClient,
        },
    },
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_stream::{StreamExt as _, pending};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, client::Grpc, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::{
    v1::{
        self, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

struct Service {
    channel: Channel,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), messages_service::ServeError>>,
}

async fn start() -> Service {
    let listener = net::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(net::incoming(listener), stop.clone()));
    let endpoint = Channel::from_shared(format!("http://{addr}")).unwrap();
    Service { channel: endpoint.connect().await.unwrap(), stop, serving }
}

fn ask(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn it_answers_not_implemented_yet() {
    let service = start().await;
    let mut client = MessagesServiceClient::new(service.channel);
    let response = client.get_messages(GetMessagesRequest {}).await.unwrap();
    assert_eq!(response.into_inner().text, "not implemented yet");
    assert_eq!(TEXT, "not implemented yet");
}

#[tokio::test]
async fn health_knows_the_server_and_its_service_and_no_other() {
    let service = start().await;
    let mut client = HealthClient::new(service.channel);
    for name in ["", "oncelog.v1.MessagesService"] {
        let response = client.check(ask(name)).await.unwrap().into_inner();
        assert_eq!(response.status(), ServingStatus::Serving, "{name:?}");
    }
    let error = client.check(ask("oncelog.v1.LoggingService")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_stop_is_told_to_watchers_and_then_ends_the_service() {
    let service = start().await;
    let mut client = HealthClient::new(service.channel);
    let mut statuses = client.watch(ask("")).await.unwrap().into_inner();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let started = Instant::now();
    service.stop.cancel();
    assert_eq!(statuses.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(statuses.next().await.is_none());
    service.serving.await.unwrap().unwrap();
    assert!(started.elapsed() < DRAIN_TIMEOUT, "the watch held up the stop");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_closed_after_the_drain() {
    let service = start().await;
    let mut client = ServerReflectionClient::new(service.channel);
    let endless = pending::<v1::ServerReflectionRequest>();
    let mut answers = client.server_reflection_info(endless).await.unwrap().into_inner();

    let stopped = Instant::now();
    service.stop.cancel();
    service.serving.await.unwrap().unwrap();
    assert!(stopped.elapsed() >= DRAIN_TIMEOUT);
    let end = tokio::time::timeout(Duration::from_secs(1), answers.message()).await;
    assert!(end.expect("the connection is still open").is_err());
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    let service = start().await;

    let list = MessageRequest::ListServices(String::new());
    let answer = question(service.channel.clone(), list).await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "oncelog.v1.MessagesService",
            "grpc.reflection.v1.ServerReflection"
        ]
    );

    use v1alpha::{
        server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest::FileContainingSymbol,
        server_reflection_response::MessageResponse::FileDescriptorResponse,
    };
    let find = FileContainingSymbol("oncelog.v1.MessagesService.GetMessages".to_owned());
    let find =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(find) };
    let mut client = ServerReflectionClient::new(service.channel);
    let answers = client.server_reflection_info(tokio_stream::once(find)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    assert!(matches!(answer.message_response, Some(FileDescriptorResponse(_))), "{answer:?}");
}

/// What reflection answers, if it answers.
async fn question(
    channel: Channel,
    question: MessageRequest,
) -> Option<v1::ServerReflectionResponse> {
    let question =
        v1::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(question)).await.unwrap();
    answers.into_inner().message().await.unwrap()
}

#[tokio::test]
async fn a_reflection_question_longer_than_any_name_is_refused() {
    let service = start().await;
    for (name, known) in [("oncelog.v1.MessagesService", true), (&*"x".repeat(64 * 1024), false)] {
        let ask = MessageRequest::FileContainingSymbol(name.to_owned());
        let answer = question(service.channel.clone(), ask).await;
        assert_eq!(answer.is_some(), known, "{answer:?}");
    }
}

#[tokio::test]
async fn a_call_is_one_message_within_the_limit() {
    let service = start().await;
    let messages = |bodies: &[usize]| {
        let message = |&bytes| v1alpha::ServerReflectionRequest {
            host: "x".repeat(bytes),
            message_request: None,
        };
        tokio_stream::iter(bodies.iter().map(message).collect::<Vec<_>>())
    };
    for (bodies, expected) in [
        (&[][..], Code::Unimplemented),
        (&[0, 0], Code::Unimplemented),
        (&[5 * 1024 * 1024], Code::ResourceExhausted),
    ] {
        let mut client = Grpc::new(service.channel.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/oncelog.v1.MessagesService/GetMessages");
        let codec = ProstCodec::<_, GetMessagesResponse>::default();
        let request = Request::new(messages(bodies));
        let refused = client.client_streaming(request, path, codec).await.unwrap_err();
        assert_eq!(refused.code(), expected, "{refused:?}");
        assert_eq!(refused.metadata().get(STORED_TRAILER).unwrap(), "no");
    }
}
