//! The standard health service (`grpc.health.v1`), for all services of a server at once.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health as HealthService, HealthServer},
};

/// The health of a server. Clones are the health of the same server.
///
/// The whole server (`""`) and each of its services always have the same status. It is `NOT_SERVING` at
/// first, whenever [`Health::set_serving`] says so, and for good once the server is told to stop. A stop
/// also ends every `Watch`, which would hold up the drain otherwise.
#[derive(Debug, Clone)]
pub struct Health {
    names: &'static [&'static str],
    serving: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Health {
    /// The health of a server with the gRPC services `names`, not serving yet.
    pub fn new(names: &'static [&'static str], stop: CancellationToken) -> Self {
        Self { names, serving: watch::Sender::new(false), stop }
    }

    /// Sets the status of all services. Without effect after the stop.
    pub fn set_serving(&self, serving: bool) {
        self.serving.send_if_modified(|now| std::mem::replace(now, serving) != serving);
    }

    /// The gRPC service that tells this health.
    pub fn service(&self) -> HealthServer<impl HealthService + use<>> {
        HealthServer::new(self.clone())
    }

    /// The names of the gRPC services whose health this is.
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn knows(&self, name: &str) -> bool {
        name.is_empty() || self.names.contains(&name)
    }

    fn status(&self, serving: bool) -> ServingStatus {
        if serving && !self.stop.is_cancelled() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl HealthService for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("this server has no such service"));
        }
        Ok(Response::new(response(self.status(*self.serving.borrow()))))
    }

    type WatchStream = Statuses;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Statuses>, Status> {
        let known = self.knows(&request.get_ref().service);
        let watch = (self.clone(), self.serving.subscribe(), None);
        // Each status that differs from the last one sent, until the stop.
        let statuses = stream::unfold(watch, move |(health, mut serving, sent)| async move {
            loop {
                let stopping = health.stop.is_cancelled();
                let status = if known {
                    health.status(*serving.borrow_and_update())
                } else {
                    // The protocol wants an unknown name to be watched, not refused: it may appear.
                    ServingStatus::ServiceUnknown
                };
                if sent != Some(status) {
                    return Some((Ok(response(status)), (health, serving, Some(status))));
                }
                if stopping {
                    return None;
                }
                tokio::select! {
                    // A fixed order, so that a simulation repeats itself.
                    biased;
                    () = health.stop.cancelled() => {}
                    changed = serving.changed() => changed.ok()?,
                }
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tonic::Code;

    use super::*;

    const NAMES: &[&str] = &["oncelog.v1.LoggingService"];

    fn ask(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest { service: service.to_owned() })
    }

    async fn check(health: &Health, service: &str) -> ServingStatus {
        health.check(ask(service)).await.unwrap().into_inner().status()
    }

    #[tokio::test]
    async fn all_names_change_together() {
        let health = Health::new(NAMES, CancellationToken::new());
        for (serving, expected) in
            [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)]
        {
            health.set_serving(serving);
            assert_eq!(check(&health, "").await, expected);
            assert_eq!(check(&health, NAMES[0]).await, expected);
        }
        let error = health.check(ask("oncelog.v1.Unknown")).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
    }

    #[tokio::test]
    async fn a_server_that_was_stopped_never_serves_again() {
        let stop = CancellationToken::new();
        let health = Health::new(NAMES, stop.clone());
        health.set_serving(true);
        stop.cancel();
        health.set_serving(true);
        assert_eq!(check(&health, "").await, ServingStatus::NotServing);
    }

    #[tokio::test]
    async fn a_watch_tells_each_change_once_and_ends_at_the_stop() {
        let stop = CancellationToken::new();
        let health = Health::new(NAMES, stop.clone());
        let mut statuses = health.watch(ask(NAMES[0])).await.unwrap().into_inner();
        let mut next = async || statuses.next().await.map(|response| response.unwrap().status());

        assert_eq!(next().await, Some(ServingStatus::NotServing));
        health.set_serving(true);
        assert_eq!(next().await, Some(ServingStatus::Serving));
        health.set_serving(true);
        assert!(next().now_or_never().is_none(), "told twice");
        stop.cancel();
        assert_eq!(next().await, Some(ServingStatus::NotServing));
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn a_watch_of_an_unknown_service_says_so_and_waits() {
        let stop = CancellationToken::new();
        let health = Health::new(NAMES, stop.clone());
        let mut statuses = health.watch(ask("oncelog.v1.Unknown")).await.unwrap().into_inner();
        let first = statuses.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
        assert!(statuses.next().now_or_never().is_none());
        stop.cancel();
        assert!(statuses.next().await.is_none());
    }
}
