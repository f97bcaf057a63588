//! Runs services beside each other: if one ends, all end, in order.

use std::{error::Error, future::Future};

use oncelog::process::exit::Exit;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type BoxError = Box<dyn Error + Send + Sync>;

/// A service that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) service: &'static str,
    pub(super) exit: Exit,
    pub(super) source: BoxError,
}

/// A service in a task of its own.
pub(super) struct Service {
    name: &'static str,
    stop: CancellationToken,
    ended: CancellationToken,
    task: JoinHandle<Result<(), (Exit, BoxError)>>,
}

impl Service {
    /// Starts `serve` with the token that will stop it.
    pub(super) fn start<Serve, Serving>(name: &'static str, serve: Serve) -> Self
    where
        Serve: FnOnce(CancellationToken) -> Serving,
        Serving: Future<Output = Result<(), (Exit, BoxError)>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let ended = CancellationToken::new();
        // Cancelled by a panic too.
        let ends = ended.clone().drop_guard();
        let serving = serve(stop.clone());
        let task = tokio::spawn(async move {
            let _ends = ends;
            serving.await
        });
        Self { name, stop, ended, task }
    }

    /// Waits until it has ended by itself or by its stop.
    async fn join(self) -> Result<(), Failure> {
        let (exit, source) = match self.task.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(panic) => (Exit::Failure, panic.into()),
        };
        Err(Failure { service: self.name, exit, source })
    }
}

/// Runs `services` until `stop`, or until one of them ends. Then stops them one after the other,
/// each when the one before has ended.
///
/// # Errors
/// The first [`Failure`], in the order of `services`.
pub(super) async fn supervise<const N: usize>(
    services: [Service; N],
    stop: CancellationToken,
) -> Result<(), Failure> {
    let ends = services.each_ref().map(|service| Box::pin(service.ended.cancelled()));
    let mut result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ((), index, _) = futures_util::future::select_all(ends) => Err(Failure {
            service: services[index].name,
            exit: Exit::Failure,
            source: "it ended without a reason".into(),
        }),
    };
    let mut reason_known = false;
    for service in services {
        service.stop.cancel();
        if let Err(failure) = service.join().await
            && !reason_known
        {
            reason_known = true;
            result = Err(failure);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// Ends a while after its stop.
    fn obedient(name: &'static str, log: &Log) -> Service {
        let log = Arc::clone(log);
        Service::start(name, |stop| async move {
            stop.cancelled().await;
            log.lock().unwrap().push("stop");
            tokio::task::yield_now().await;
            log.lock().unwrap().push(name);
            Ok(())
        })
    }

    #[tokio::test]
    async fn each_is_stopped_when_the_one_before_has_ended() {
        let (log, stop) = (Log::default(), CancellationToken::new());
        let services = ["facade", "logging", "messages"].map(|name| obedient(name, &log));
        stop.cancel();
        supervise(services, stop).await.unwrap();
        let expected = ["stop", "facade", "stop", "logging", "stop", "messages"];
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_failure_stops_the_others_and_is_told() {
        let log = Log::default();
        let failing = Service::start("logging", |_| async { Err((Exit::Disk, "no disk".into())) });
        let services = [obedient("facade", &log), failing, obedient("messages", &log)];
        let failure = supervise(services, CancellationToken::new()).await.unwrap_err();
        assert_eq!((failure.service, failure.exit), ("logging", Exit::Disk));
        assert_eq!(failure.source.to_string(), "no disk");
        assert_eq!(*log.lock().unwrap(), ["stop", "facade", "stop", "messages"]);
    }

    #[tokio::test]
    async fn a_panic_and_an_end_without_reason_are_failures() {
        let log = Log::default();
        let panicking = Service::start("logging", |_| async { panic!("a mistake") });
        let failure = supervise([obedient("facade", &log), panicking], CancellationToken::new());
        let failure = failure.await.unwrap_err();
        assert_eq!((failure.service, failure.exit), ("logging", Exit::Failure));
        assert!(failure.source.to_string().contains("a mistake"), "{failure:?}");

        let ending = Service::start("logging", |_| async { Ok(()) });
        let failure = supervise([obedient("facade", &log), ending], CancellationToken::new());
        assert_eq!(failure.await.unwrap_err().service, "logging");
    }
}
