//! The life of the service: open the log, serve it, stop in good order.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::Stream;
use oncelog::{
    clock::{Clock, SystemClock},
    grpc::{BodyBudget, BrokenContract, Health, add_standard_services, grpc_server, serve_grpc},
    net::incoming,
    process::exit::Exit,
    wire::v1::logging_service_server::SERVICE_NAME,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{self, server::Connected};

use crate::{
    console::Console,
    execution::Execution,
    grpc::{self, Grpc},
    limits::{InvalidLimits, Limits},
    log::{Log, OpenStore, State},
    open::{OpenStoreError, open},
    readiness::Readiness,
    settings::{Settings, StoreKind},
};

/// How long replies may still travel after the disk failed, before the process ends.
const FAILED_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What the service is made of, apart from its connections and its stop signal.
pub struct Parts {
    /// The wall clock of receipts.
    pub clock: Arc<dyn Clock>,
    /// Where stored messages are shown.
    pub console: Console,
    /// What kind of store `open` opens.
    pub store: StoreKind,
    /// Opens the store and checks all of it.
    pub open: Box<dyn FnOnce() -> Result<OpenStore, OpenStoreError> + Send>,
    /// What runs `open`, the committer, and reads.
    pub execution: Execution,
    /// What clients can fill or use up.
    pub limits: Limits,
}

/// Why the service ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store could not be opened. Nothing was changed.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// The disk failed while serving. What was acknowledged is safe; start the service again.
    #[error("stopped: {0}; what was acknowledged is safe, start the service again")]
    Failed(String),
    /// No start would find the files that were written. The log says how they could be saved.
    #[error(
        "stopped: {0}; the next start may not find what was stored: start it with the files that \
         were saved as the error before this says"
    )]
    Orphaned(String),
    /// Limits that cannot work.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The server could not go on.
    #[error("cannot serve gRPC: {0}")]
    Transport(#[from] transport::Error),
    /// A broken build.
    #[error(transparent)]
    Contract(#[from] BrokenContract),
}

impl ServeError {
    /// The code the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open(error) => error.exit(),
            Self::Failed(_) | Self::Orphaned(_) => Exit::Disk,
            Self::Limits(_) => Exit::Usage,
            Self::Thread(_) | Self::Transport(_) | Self::Contract(_) => Exit::Failure,
        }
    }
}

/// Serves on `listener` with `settings` until `stop`. Calls `ready` once work is accepted, which is
/// after the whole journal was read and checked. A stop before that leaves the reading to the end of
/// the process, which it survives as it survives a crash.
///
/// Cancel safety: dropping the future leaves connections, committer and console running; cancel `stop` and
/// wait instead.
///
/// # Errors
/// [`ServeError`] says whether to start again.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let addr = listener.local_addr()?;
    let parts = Parts {
        clock: Arc::new(SystemClock),
        console: Console::start(std::io::stdout(), settings.bodies)?,
        store: settings.store,
        open: Box::new(move || open(&settings)),
        execution: Execution::Threads,
        limits: Limits::default(),
    };
    serve_incoming(incoming(listener), parts, stop, || ready(addr)).await
}

/// Serves any stream of connections with any parts: what [`serve`] does, for tests and simulations.
///
/// # Errors
/// As [`serve`].
pub async fn serve_incoming<I, IO, IE>(
    incoming: I,
    parts: Parts,
    stop: CancellationToken,
    ready: impl FnOnce(),
) -> Result<(), ServeError>
where
    I: Stream<Item = Result<IO, IE>> + Send + 'static,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    IE: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    parts.limits.validate()?;
    let readiness = Arc::new(Readiness::default());
    let stop_server = CancellationToken::new();
    let health = Health::new(&[SERVICE_NAME], stop_server.clone());
    let service = Grpc::new(Arc::clone(&readiness), parts.store, parts.limits, stop_server.clone());
    let bodies = BodyBudget::default();
    let service = bodies.guard(grpc::server(service));
    let router = grpc_server().add_service(service);
    let router = add_standard_services(router, &health, &bodies)?;
    let mut serving = tokio::spawn(serve_grpc(router, incoming, stop_server.clone()));

    let (opening, opened) = oneshot::channel();
    parts.execution.detach("open", move || {
        // After a stop, the receiver is gone.
        let _ = opening.send((parts.open)());
    })?;
    let opened = tokio::select! {
        // A fixed order here and below, so that a simulation repeats itself.
        biased;
        opened = opened => opened.unwrap_or(Err(OpenStoreError::Panicked)),
        () = stop.cancelled() => {
            stop_server.cancel();
            return finish(Ended::Stopped, serving).await;
        }
    };
    let opened: OpenStore = match opened {
        Ok(opened) => opened,
        Err(error) => {
            serving.abort();
            return Err(error.into());
        }
    };
    let log =
        Log::start(opened, parts.clock, parts.console.clone(), parts.execution, parts.limits)?;
    readiness.open(log.clone());
    health.set_serving(true);
    ready();

    let ended = run(&log, &health, &stop, &mut serving).await;
    log.drain();
    health.set_serving(false);
    stop_server.cancel();
    let result = finish(ended, serving).await;
    log.close().await;
    // The last seal may have failed, too.
    let result = result.and_then(|()| match &*log.state().borrow() {
        State::Failed(reason) => Err(ServeError::Failed(reason.clone())),
        State::Orphaned(reason) => Err(ServeError::Orphaned(reason.clone())),
        State::Ready | State::ReadOnly(_) | State::Draining => Ok(()),
    });
    // Waiting for a slow console blocks a worker for a moment; no task needs it any more.
    parts.console.flush();
    result
}

/// Why serving came to its end.
enum Ended {
    Stopped,
    Failed(String),
    Server(Result<Result<(), transport::Error>, tokio::task::JoinError>),
}

type Serving = JoinHandle<Result<(), transport::Error>>;

async fn run(log: &Log, health: &Health, stop: &CancellationToken, serving: &mut Serving) -> Ended {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ended::Stopped,
        reason = failed(log.state()) => Ended::Failed(reason),
        result = serving => Ended::Server(result),
        never = unhealthy(log, health) => match never {},
    }
}

/// Lets the health say so once the log is orphaned or damage is found, which it is then to its end.
async fn unhealthy(log: &Log, health: &Health) -> Infallible {
    let (mut state, mut damage) = (log.state(), log.damage());
    let orphaned = state.wait_for(|state| matches!(state, State::Orphaned(_)));
    let damaged = damage.wait_for(Option::is_some);
    // Without a log nothing can be found any more.
    let is_found = tokio::select! {
        biased;
        orphaned = orphaned => orphaned.is_ok(),
        damaged = damaged => damaged.is_ok(),
    };
    if is_found {
        health.set_serving(false);
    }
    std::future::pending().await
}

/// Returns when the log has failed, with the reason.
async fn failed(mut state: watch::Receiver<State>) -> String {
    let failed = state.wait_for(|state| matches!(state, State::Failed(_))).await;
    match failed.map(|state| state.clone()) {
        Ok(State::Failed(reason)) => reason,
        // Without a log there is nothing left that could fail.
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

/// Lets the server finish what is under way.
async fn finish(ended: Ended, serving: Serving) -> Result<(), ServeError> {
    match ended {
        Ended::Stopped => flatten(serving.await),
        Ended::Failed(reason) => {
            // Every caller has been told by now; its answer needs a moment to leave.
            let _ = tokio::time::timeout(FAILED_DRAIN_TIMEOUT, serving).await;
            Err(ServeError::Failed(reason))
        }
        Ended::Server(result) => flatten(result),
    }
}

fn flatten(
    served: Result<Result<(), transport::Error>, tokio::task::JoinError>,
) -> Result<(), ServeError> {
    match served {
        Ok(result) => Ok(result?),
        Err(error) => Err(std::io::Error::other(error).into()),
    }
}
