//! The messages service: a stub that answers `not implemented yet`.
//!
//! In reading order: [`run`], [`settings`], [`serve`], and the one call it answers.

pub mod settings;

use std::error::Error;

use futures_util::Stream;
use oncelog::{
    grpc::{self, BodyBudget, BrokenContract, Health},
    net,
    process::{self, Started, exit::Exit},
    wire::v1::{
        GetMessagesRequest, GetMessagesResponse,
        messages_service_server::{MessagesService, MessagesServiceServer, SERVICE_NAME},
    },
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::server::Connected};

use self::settings::{Args, Settings};

/// What the service answers.
pub const TEXT: &str = "not implemented yet";

/// Listens and serves as `args` say, until Ctrl-C, SIGTERM or SIGHUP.
///
/// # Errors
/// Tells standard error what is wrong, and returns the code to exit with.
pub async fn run(args: Args) -> Result<(), Exit> {
    let Started { listener, addr, stop, .. } =
        process::start(args, |settings: &Settings| settings.listen).await?;
    process::announce(addr);
    let served = serve(net::incoming(listener), stop).await;
    served.map_err(|error| error.exit().because(error))
}

/// Serves the connections of `incoming` until `stop`, then lets calls under way finish, for at most
/// [`DRAIN_TIMEOUT`](oncelog::net::DRAIN_TIMEOUT).
///
/// # Errors
/// [`ServeError`]: it could not start.
pub async fn serve<I, IO, IE>(incoming: I, stop: CancellationToken) -> Result<(), ServeError>
where
    I: Stream<Item = Result<IO, IE>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    IE: Into<Box<dyn Error + Send + Sync>>,
{
    let health = Health::new(&[SERVICE_NAME], stop.clone());
    let bodies = BodyBudget::default();
    let messages = bodies.guard(MessagesServiceServer::new(Messages));
    let router = grpc::grpc_server().add_service(messages);
    let router = grpc::add_standard_services(router, &health, &bodies)?;
    health.set_serving(true);
    Ok(grpc::serve_grpc(router, incoming, stop).await?)
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server refused its setup.
    #[error("cannot serve: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The build is broken.
    #[error(transparent)]
    Contract(#[from] BrokenContract),
}

impl ServeError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Server(_) => Exit::Unavailable,
            Self::Contract(_) => Exit::Failure,
        }
    }
}

struct Messages;

#[tonic::async_trait]
impl MessagesService for Messages {
    async fn get_messages(
        &self,
        _: Request<GetMessagesRequest>,
    ) -> Result<Response<GetMessagesResponse>, Status> {
        Ok(Response::new(GetMessagesResponse { text: TEXT.to_owned() }))
    }
}
