//! `faultlab storm`: many clients that wait while the logging service is away, and what arrives there.
//!
//! - [`Args`], [`run`]: the big run
//! - [`Weather`], [`Found`]: what is measured, and how
//! - `counter`: counts the calls on the wire, right before the logging service
//!
//! Two things are counted at the logging service: calls, and copies of messages, which are the bytes of
//! all calls divided by those that one message usually takes. A message that is in six calls is there in
//! six copies.

mod counter;
mod found;

use std::{io, process::ExitCode, time::Duration};

use self::counter::{Arrived, Backend, Counter};
pub use self::found::{Found, Harm};
use super::{Goals, Scratch, conclude, show};
use crate::{
    cluster::{Cluster, ClusterError, Programs},
    nemesis::Link,
    open_loop::{Arrivals, Audit, Fate, Measured, Plan, Unreadable},
    proxy::Cut,
};

/// How much, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds of each outage
    #[arg(long, default_value_t = 30)]
    duration: u64,

    /// Clients, each of which posts when its last post is answered
    #[arg(long, default_value_t = 1000)]
    clients: usize,

    /// What the failing calls follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures, and prints the figures beside the goals.
pub async fn run(args: Args) -> ExitCode {
    conclude(measure(&args).await)
}

async fn measure(args: &Args) -> Result<Goals, StormError> {
    let dir = Scratch::new("storm")?;
    let trio = Cluster::start(Programs::built()?, dir.path()).await?;
    let weather = Weather {
        outage: Duration::from_secs(args.duration),
        clients: args.clients,
        seed: args.seed,
        calm: Duration::from_secs(5),
    };
    let found = weather.run(&trio).await?;
    show(&found);
    Ok(found.goals())
}

/// A storm.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// How long the logging service is away: first silent, then down, then failing every other call.
    pub outage: Duration,
    /// Clients, each of which posts when its last post is answered.
    pub clients: usize,
    /// What the failing calls follow from.
    pub seed: u64,
    /// How long clients post before and after each kind of harm.
    pub calm: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum StormError {
    /// The services do not run.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is no program, no directory, no connection.
    #[error(transparent)]
    System(#[from] io::Error),
    /// There is nothing to judge.
    #[error(transparent)]
    Log(#[from] Unreadable),
}

impl Weather {
    /// Does each kind of harm to the logging service of `trio`, whose log is empty, one after the other.
    ///
    /// # Errors
    /// [`StormError`]: nothing was measured.
    pub async fn run(&self, trio: &Cluster) -> Result<Found, StormError> {
        let counter = Counter::start(trio.link(Link::Logging).target(), self.seed).await?;
        trio.link(Link::Logging).retarget(counter.address());
        trio.link(Link::Logging).cut(Cut::End);
        trio.ready().await?;
        let plan = |duration, first| Plan {
            slice: Duration::from_millis(100),
            first,
            ..Plan::new(trio.facade_address(), Arrivals::Closed, duration, self.clients)
        };
        counter.take();
        let calm = plan(self.calm, 0).run().await?;
        let bytes_per_message =
            counter.take().body_bytes as f64 / calm.count(Fate::Accepted).max(1) as f64;
        let mut harms = Vec::new();
        let kinds =
            [("silent", Backend::Silent), ("down", Backend::Down), ("half fails", Backend::Fails)];
        for (name, backend) in kinds {
            let first = harms.last().map_or(calm.end(), |harm: &Harm| harm.measured.end());
            let posting = tokio::spawn({
                let plan = plan(self.calm + self.outage + self.calm, first);
                async move { plan.run().await }
            });
            tokio::time::sleep(self.calm).await;
            counter.take();
            counter.set(backend);
            if backend == Backend::Down {
                trio.link(Link::Logging).cut(Cut::Reset { after_bytes: 0 });
            }
            tokio::time::sleep(self.outage).await;
            let arrived = counter.take();
            counter.set(Backend::Well);
            let measured = posting.await.map_err(io::Error::other)??;
            harms.push(self.harm(name, backend, arrived, measured, bytes_per_message));
            trio.ready().await?;
        }
        let all: Vec<&Measured> =
            [&calm].into_iter().chain(harms.iter().map(|harm| &harm.measured)).collect();
        let audit = Audit::of(&trio.client(), &all).await?;
        Ok(Found { harms, bytes_per_message, audit })
    }

    fn harm(
        &self,
        name: &'static str,
        backend: Backend,
        arrived: Arrived,
        measured: Measured,
        bytes_per_message: f64,
    ) -> Harm {
        let slices =
            |time: Duration| (time.as_millis() / measured.slice.as_millis().max(1)) as usize;
        let (begin, end) = (slices(self.calm), slices(self.calm + self.outage));
        // One message of each client was under way when it began. Those sent in the first slices may
        // have been answered before: to count them would hide copies.
        let during = measured.slices.iter().take(end).skip(begin + 2);
        let sent: u64 =
            during.map(|slice| slice.accepted.count() + slice.refused + slice.other).sum();
        let posted = self.clients as u64 + sent;
        let healed = measured.slices.iter().skip(end).position(|slice| slice.accepted.count() > 0);
        let recovery = match backend {
            Backend::Silent | Backend::Down => {
                let slices = healed.and_then(|at| u32::try_from(at + 1).ok());
                Some(slices.map_or(Duration::MAX, |slices| measured.slice * slices))
            }
            Backend::Fails | Backend::Well => None,
        };
        let copies = arrived.body_bytes as f64 / bytes_per_message.max(1.0);
        Harm { name, posted, arrived, copies, measured, recovery }
    }
}
