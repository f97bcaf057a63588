//! A messages service that does what a test tells it.

use std::net::SocketAddr;

use oncelog::wire::v1::{
    GetMessagesRequest, GetMessagesResponse,
    messages_service_server::{MessagesService, MessagesServiceServer},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, transport::Server};

#[derive(Clone, Default)]
pub(crate) struct FakeMessages {
    answers: watch::Sender<Messages>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Messages {
    #[default]
    Answer,
    Fail,
    Stall,
}

impl FakeMessages {
    pub(crate) fn set(&self, messages: Messages) {
        self.answers.send_replace(messages);
    }

    pub(crate) async fn serve(&self) -> SocketAddr {
        let service = MessagesServiceServer::new(self.clone());
        super::serve_grpc(Server::builder().add_service(service)).await
    }
}

#[tonic::async_trait]
impl MessagesService for FakeMessages {
    async fn get_messages(
        &self,
        _: Request<GetMessagesRequest>,
    ) -> Result<Response<GetMessagesResponse>, Status> {
        let mut answers = self.answers.subscribe();
        let now = *answers.wait_for(|now| *now != Messages::Stall).await.unwrap();
        if now == Messages::Fail {
            return Err(Status::internal("the fake was told to fail"));
        }
        Ok(Response::new(GetMessagesResponse { text: "not implemented yet".to_owned() }))
    }
}
