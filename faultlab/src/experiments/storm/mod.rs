//! `faultlab storm`: many clients wait while the logging service is away; what arrives there is counted.
//!
//! - [`Args`], `run`: the big run
//! - [`Storm`], [`Results`]: what is measured, and how
//! - `counter`: counts the calls on the wire, right before the logging service
//!
//! Two things are counted at the logging service: calls, and copies of messages, which are the bytes of
//! all calls divided by those that one message usually takes. A message that is in six calls is there in
//! six copies.

mod counter;
mod results;

use std::{io, time::Duration};

use self::counter::{Arrived, Backend, Counter};
pub use self::results::{Phase, Results};
use super::{Goals, NotRun, Scratch, show};
use crate::{
    cluster::{Cluster, Programs},
    nemesis::Link,
    open_loop::{Arrivals, Audit, Fate, Measured, Plan},
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

/// Measures, and shows the results.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    let dir = Scratch::new("storm")?;
    let cluster = Cluster::start(Programs::built()?, dir.path()).await?;
    let storm = Storm {
        outage: Duration::from_secs(args.duration),
        clients: args.clients,
        seed: args.seed,
        calm: Duration::from_secs(5),
    };
    let results = storm.run(&cluster).await?;
    show(&results);
    Ok(results.goals())
}

/// A retry storm: outages of the logging service under many clients.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// How long the logging service is away: first silent, then down, then failing every other call.
    pub outage: Duration,
    /// Clients, each of which posts when its last post is answered.
    pub clients: usize,
    /// What the failing calls follow from.
    pub seed: u64,
    /// How long clients post before and after each kind of phase.
    pub calm: Duration,
}

impl Storm {
    /// Does each kind of harm to the logging service of `cluster`, whose log is empty, one after the other.
    ///
    /// # Errors
    /// [`NotRun`]: nothing was measured.
    pub async fn run(&self, cluster: &Cluster) -> Result<Results, NotRun> {
        let counter = Counter::start(cluster.link(Link::Logging).target(), self.seed).await?;
        cluster.link(Link::Logging).retarget(counter.address());
        cluster.link(Link::Logging).cut(Cut::End);
        cluster.ready().await?;
        let plan = |duration, first| Plan {
            slice: Duration::from_millis(100),
            first,
            ..Plan::new(cluster.facade_address(), Arrivals::Closed, duration, self.clients)
        };
        counter.take();
        let calm = plan(self.calm, 0).run().await?;
        let bytes_per_message =
            counter.take().body_bytes as f64 / calm.count(Fate::Accepted).max(1) as f64;
        let mut phases = Vec::new();
        let kinds =
            [("silent", Backend::Silent), ("down", Backend::Down), ("half fails", Backend::Fails)];
        for (name, backend) in kinds {
            let first = phases.last().map_or(calm.end(), |phase: &Phase| phase.measured.end());
            let posting = tokio::spawn({
                let plan = plan(self.calm + self.outage + self.calm, first);
                async move { plan.run().await }
            });
            tokio::time::sleep(self.calm).await;
            counter.take();
            counter.set(backend);
            if backend == Backend::Down {
                cluster.link(Link::Logging).cut(Cut::Reset { after_bytes: 0 });
            }
            tokio::time::sleep(self.outage).await;
            let arrived = counter.take();
            counter.set(Backend::Well);
            let measured = posting.await.map_err(io::Error::other)??;
            phases.push(self.phase(name, backend, arrived, measured, bytes_per_message));
            cluster.ready().await?;
        }
        let all: Vec<&Measured> =
            [&calm].into_iter().chain(phases.iter().map(|phase| &phase.measured)).collect();
        let audit = Audit::of(&cluster.client(), &all).await?;
        Ok(Results { phases, bytes_per_message, audit })
    }

    fn phase(
        &self,
        name: &'static str,
        backend: Backend,
        arrived: Arrived,
        measured: Measured,
        bytes_per_message: f64,
    ) -> Phase {
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
        Phase { name, posted, arrived, copies, measured, recovery }
    }
}
