//! One or more attacks at once on services of their own, and what came of it.

use std::{
    io,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{net::TcpStream, runtime::Builder};

use super::{
    abuse::{Attack, Fate, Port, besiege},
    good::{Service, come_anew, post, post_once, post_steadily},
    usage::{Usage, watch},
    victims::Victims,
};
use crate::cluster::Programs;

/// For how long, at most, clients that behave are alone first.
const ALONE: Duration = Duration::from_secs(5);

/// Large messages in the log before an attack: more than the buffers between two sockets take.
const LARGE_MESSAGES: usize = 16;

/// The size of each, in bytes.
const LARGE_MESSAGE_BYTES: usize = 1_000_000;

/// Pause between two looks whether services serve again.
const RECOVERY_POLL: Duration = Duration::from_millis(10);

/// After this time, services that do not serve again are lost.
const LOST: Duration = Duration::from_secs(30);

/// Attacks, each with a number of abusers.
#[derive(Debug, Clone)]
pub struct Assault {
    /// All at the same time. None: clients that behave are alone.
    pub attacks: Vec<(Attack, usize)>,
    /// For how long.
    pub time: Duration,
    /// How many files each service may have open, if that is bounded.
    pub open_files: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub struct Finding {
    /// How clients that behave were served over connections they had, before the attacks.
    pub alone: Service,
    /// How they were served during the attacks.
    pub steady: Service,
    /// How clients were served that came for the first time.
    pub newcomers: Service,
    /// What the facade took at most.
    pub facade: Usage,
    /// What the logging service took at most.
    pub logging: Usage,
    /// How the abusers of each attack fared.
    pub fates: Vec<(Attack, Fate)>,
    /// From the end of the attacks to the first new client that was served.
    pub recovered: Option<Duration>,
}

impl Finding {
    /// Why posts of clients that behave were not acknowledged.
    pub fn failures(&self) -> impl Iterator<Item = &String> {
        self.steady.failures.iter().chain(&self.newcomers.failures)
    }

    /// The most memory that one of the services took.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.facade.resident_bytes.max(self.logging.resident_bytes)
    }
}

impl Assault {
    /// Starts services, attacks them, and ends them.
    ///
    /// # Errors
    /// They do not run, or could not be filled.
    pub async fn run(&self, programs: Programs) -> io::Result<Finding> {
        let dir = tempfile::tempdir()?;
        let victims = Victims::start(programs, dir.path(), self.open_files).await;
        let victims = victims.map_err(io::Error::other)?;
        let recovering = recovery(&victims);
        recovering.await.ok_or_else(|| io::Error::other("the services did not begin to serve"))?;
        fill(&victims).await?;
        let alone = post_steadily(victims.http, self.time.min(ALONE)).await;
        // A thread of their own: abusers may keep services waiting, but not those who measure.
        let abusers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sieges = self.attacks.iter().map(|&(attack, count)| {
            let target = match attack.port {
                Port::Http => victims.http,
                Port::Grpc => victims.grpc,
            };
            let siege = abusers.spawn(besiege(attack, target, count, self.time));
            async move { Ok::<_, io::Error>((attack, siege.await?)) }
        });
        let (steady, newcomers, facade, logging, fates) = tokio::join!(
            post_steadily(victims.http, self.time),
            come_anew(victims.http, self.time),
            watch(victims.facade.id(), self.time),
            watch(victims.logging.id(), self.time),
            try_join_all(sieges),
        );
        abusers.shutdown_background();
        let recovered = recovery(&victims).await;
        Ok(Finding { alone, steady, newcomers, facade, logging, fates: fates?, recovered })
    }
}

/// Stores what a reader who stops reading leaves behind.
async fn fill(victims: &Victims) -> io::Result<()> {
    let large = format!(r#"{{"msg":"{}"}}"#, "x".repeat(LARGE_MESSAGE_BYTES));
    let mut stream = TcpStream::connect(victims.http).await?;
    for _ in 0..LARGE_MESSAGES {
        post(&mut stream, &large).await?;
    }
    Ok(())
}

/// How long it takes until a new client is served; `None` if none is.
async fn recovery(victims: &Victims) -> Option<Duration> {
    let begun = Instant::now();
    let served = async {
        while post_once(victims.http).await.is_err() {
            tokio::time::sleep(RECOVERY_POLL).await;
        }
    };
    tokio::time::timeout(LOST, served).await.ok().map(|()| begun.elapsed())
}
