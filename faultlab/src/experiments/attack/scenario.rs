//! One or more attacks at once on services of their own, and the results.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{net::TcpStream, runtime::Builder};

use super::{
    abuse::{Attack, Connections, Port, run_abusers},
    clients::{Posts, post, post_anew, post_once, post_steadily},
};
use crate::{
    cluster::{Cluster, Programs},
    experiments::NotRun,
    resources::Usage,
};

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
    /// Posts of well-behaved clients on open connections, before the attacks.
    pub alone: Posts,
    /// The same during the attacks.
    pub steady: Posts,
    /// Posts of clients on new connections, during the attacks.
    pub new_clients: Posts,
    /// Peak usage of a service.
    pub usage: Usage,
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
}

impl Scenario {
    /// Starts services, attacks them, and ends them.
    ///
    /// # Errors
    /// The services do not run, or their log could not be filled.
    pub async fn run(&self, mut programs: Programs) -> Result<Results, NotRun> {
        let dir = tempfile::tempdir()?;
        if let Some(files) = self.open_files {
            let limited = format!(r#"ulimit -n {files}; exec "$@""#);
            for program in [&mut programs.facade, &mut programs.logging, &mut programs.messages] {
                program.splice(..0, ["sh", "-c", &limited, "sh"].map(OsString::from));
            }
        }
        let cluster = Cluster::start_direct(programs, dir.path()).await?;
        let facade = cluster.facade_address();
        let recovering = recovery(facade);
        recovering.await.ok_or_else(|| io::Error::other("the services did not begin to serve"))?;
        fill(facade).await?;
        let alone = post_steadily(facade, self.time.min(ALONE)).await;
        // A thread of their own: abusers may delay the services, but not the measurement.
        let abusers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let running = self.attacks.iter().map(|&(attack, count)| {
            let target = match attack.port {
                Port::Http => facade,
                Port::Grpc => cluster.logging_address(),
            };
            let connections = abusers.spawn(run_abusers(attack, target, count, self.time));
            async move { Ok::<_, io::Error>((attack, connections.await?)) }
        });
        let watch = cluster.watch();
        let (steady, new_clients, connections) = tokio::join!(
            post_steadily(facade, self.time),
            post_anew(facade, self.time),
            try_join_all(running),
        );
        abusers.shutdown_background();
        let (usage, recovered) = (watch.most(), recovery(facade).await);
        let connections = connections?;
        Ok(Results { alone, steady, new_clients, usage, connections, recovered })
    }
}

/// Stores the log that attackers ask for and do not read.
async fn fill(facade: SocketAddr) -> io::Result<()> {
    let large = format!(r#"{{"msg":"{}"}}"#, "x".repeat(LARGE_MESSAGE_BYTES));
    let mut stream = TcpStream::connect(facade).await?;
    for _ in 0..LARGE_MESSAGES {
        post(&mut stream, &large).await?;
    }
    Ok(())
}

/// How long it takes until a new client is served; `None` if none is.
async fn recovery(facade: SocketAddr) -> Option<Duration> {
    let begun = Instant::now();
    let served = async {
        while post_once(facade).await.is_err() {
            tokio::time::sleep(RECOVERY_POLL).await;
        }
    };
    tokio::time::timeout(LOST, served).await.ok().map(|()| begun.elapsed())
}
