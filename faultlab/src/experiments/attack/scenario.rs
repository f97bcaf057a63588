//! One or more attacks at once on services of their own, and the results.

use std::{
    io,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{net::TcpStream, runtime::Builder};

use super::{
    abuse::{Attack, Connections, Port, run_abusers},
    clients::{Latencies, post, post_anew, post_once, post_steadily},
    services::{Services, Usage, watch},
};
use crate::{cluster::Programs, experiments::NotRun};

/// How long, at most, well-behaved clients run alone first.
const ALONE: Duration = Duration::from_secs(5);

/// Large messages in the log before an attack: more than the buffers between two sockets take.
const LARGE_MESSAGES: usize = 16;

/// The size of each, in bytes.
const LARGE_MESSAGE_BYTES: usize = 1_000_000;

/// How often services are asked whether they serve again.
const RECOVERY_POLL: Duration = Duration::from_millis(10);

/// After this time, services that do not serve again are lost.
const LOST: Duration = Duration::from_secs(30);

/// Attacks, each with a number of abusers.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// All at the same time. None: well-behaved clients are alone.
    pub attacks: Vec<(Attack, usize)>,
    /// For how long.
    pub time: Duration,
    /// How many files each service may have open, if that is bounded.
    pub open_files: Option<u32>,
}

/// The results of a scenario.
#[derive(Debug)]
pub struct Results {
    /// Latencies of well-behaved clients on open connections, before the attacks.
    pub alone: Latencies,
    /// The same during the attacks.
    pub steady: Latencies,
    /// Latencies of clients on new connections, during the attacks.
    pub new_clients: Latencies,
    /// Peak usage of the facade.
    pub facade: Usage,
    /// Peak usage of the logging service.
    pub logging: Usage,
    /// What became of the abusers' connections, for each attack.
    pub connections: Vec<(Attack, Connections)>,
    /// From the end of the attacks to the first new client that was served.
    pub recovered: Option<Duration>,
}

impl Results {
    /// Why posts of well-behaved clients were not acknowledged.
    pub fn failures(&self) -> impl Iterator<Item = &String> {
        self.steady.failures.iter().chain(&self.new_clients.failures)
    }

    /// The peak memory of the services.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.facade.resident_bytes.max(self.logging.resident_bytes)
    }
}

impl Scenario {
    /// Starts services, attacks them, and ends them.
    ///
    /// # Errors
    /// The services do not run, or their log could not be filled.
    pub async fn run(&self, programs: Programs) -> Result<Results, NotRun> {
        let dir = tempfile::tempdir()?;
        let services = Services::start(programs, dir.path(), self.open_files).await?;
        let recovering = recovery(&services);
        recovering.await.ok_or_else(|| io::Error::other("the services did not begin to serve"))?;
        fill(&services).await?;
        let alone = post_steadily(services.http, self.time.min(ALONE)).await;
        // A thread of their own: abusers may delay the services, but not the measurement.
        let abusers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let running = self.attacks.iter().map(|&(attack, count)| {
            let target = match attack.port {
                Port::Http => services.http,
                Port::Grpc => services.grpc,
            };
            let connections = abusers.spawn(run_abusers(attack, target, count, self.time));
            async move { Ok::<_, io::Error>((attack, connections.await?)) }
        });
        let (steady, new_clients, facade, logging, connections) = tokio::join!(
            post_steadily(services.http, self.time),
            post_anew(services.http, self.time),
            watch(services.facade.id(), self.time),
            watch(services.logging.id(), self.time),
            try_join_all(running),
        );
        abusers.shutdown_background();
        let recovered = recovery(&services).await;
        Ok(Results {
            alone,
            steady,
            new_clients,
            facade,
            logging,
            connections: connections?,
            recovered,
        })
    }
}

/// Stores the log that attackers ask for and do not read.
async fn fill(services: &Services) -> io::Result<()> {
    let large = format!(r#"{{"msg":"{}"}}"#, "x".repeat(LARGE_MESSAGE_BYTES));
    let mut stream = TcpStream::connect(services.http).await?;
    for _ in 0..LARGE_MESSAGES {
        post(&mut stream, &large).await?;
    }
    Ok(())
}

/// How long it takes until a new client is served; `None` if none is.
async fn recovery(services: &Services) -> Option<Duration> {
    let begun = Instant::now();
    let served = async {
        while post_once(services.http).await.is_err() {
            tokio::time::sleep(RECOVERY_POLL).await;
        }
    };
    tokio::time::timeout(LOST, served).await.ok().map(|()| begun.elapsed())
}
