//! Capacity, a busy hour, overload, and the time after it.

use std::{fmt, time::Duration};

use crate::{
    cluster::Cluster,
    experiments::NotRun,
    open_loop::{Arrivals, Audit, Measured, Plan},
};

/// Until all connections are open, and the last of the messages before are answered.
const OPENING: Duration = Duration::from_secs(3);

/// The share of the capacity at which the service is busy and not overloaded.
pub(super) const BUSY: f64 = 0.8;

/// The phases of a run.
#[derive(Debug, Clone)]
pub struct Course {
    /// Each connection sends as fast as it is answered, to find the capacity. The first half of this
    /// time is not counted.
    pub capacity: Duration,
    /// Connections for all but the overload: enough for full batches.
    pub calm_connections: usize,
    /// At 80 % of the capacity, before and after.
    pub busy: Duration,
    /// At `factor` times the capacity.
    pub overload: Duration,
    /// How many times the capacity is sent in overload.
    pub factor: f64,
    /// Connections for the overload: more than can be under way at once. With the others there must not
    /// be more than the facade serves.
    pub connections: usize,
    /// Bytes of each message.
    pub text_bytes: usize,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            capacity: Duration::from_secs(10),
            calm_connections: 2500,
            busy: Duration::from_secs(15),
            overload: Duration::from_secs(60),
            factor: 5.0,
            connections: 6000,
            text_bytes: 100,
        }
    }
}

/// The results of a run.
#[derive(Debug)]
pub struct Results {
    /// Messages stored a second when nothing but the service is waited for.
    pub capacity: f64,
    /// How many times the capacity was to be sent.
    pub factor: f64,
    /// The capacity run.
    pub closed: Measured,
    /// At 80 % of the capacity.
    pub busy: Measured,
    /// In overload.
    pub overload: Measured,
    /// At 80 % again, beginning when the overload ends.
    pub after: Measured,
    /// The log in the end.
    pub audit: Audit,
    /// The most memory that the facade has held, in bytes.
    pub facade_memory: u64,
    /// The most memory that the logging service has held, in bytes.
    pub logging_memory: u64,
}

impl Course {
    /// Goes through all phases with `cluster`, which has an empty log.
    ///
    /// # Errors
    /// [`NotRun`]: nothing was measured.
    pub async fn run(&self, cluster: &Cluster) -> Result<Results, NotRun> {
        let target = cluster.facade_address();
        let half = self.capacity / 2;
        let plan = |arrivals, duration, connections, first| Plan {
            text_bytes: self.text_bytes,
            slice: Duration::from_millis(100),
            first,
            ..Plan::new(target, arrivals, duration, connections)
        };
        let closed = |first| plan(Arrivals::Closed, half, self.calm_connections, first);
        let warming = closed(0).run().await?;
        let closed = closed(warming.end()).run().await?;
        let capacity = closed.accepted_per_second();
        let open = |share: f64, duration, connections, first| {
            let arrivals = Arrivals::Open { per_second: (share * capacity).max(1.0) };
            plan(arrivals, duration, connections, first)
        };
        let calm = |first| open(BUSY, self.busy, self.calm_connections, first);
        let busy = calm(closed.end()).run().await?;
        let overload = open(self.factor, self.overload, self.connections, busy.end());
        let overload = Plan { starts_in: OPENING, ..overload };
        let first = busy.end() + overload.messages();
        // Its connections open while the overload ends, and not before: idle ones would be closed.
        let after = async {
            tokio::time::sleep(self.overload).await;
            Plan { starts_in: OPENING, ..calm(first) }.run().await
        };
        let (overload, after) = tokio::try_join!(overload.run(), after)?;
        let runs = [&warming, &closed, &busy, &overload, &after];
        let audit = Audit::of(&cluster.client(), &runs).await?;
        let [facade_memory, logging_memory] =
            [cluster.facade.peak_memory()?, cluster.logging.peak_memory()?];
        let factor = self.factor;
        Ok(Results {
            capacity,
            factor,
            closed,
            busy,
            overload,
            after,
            audit,
            facade_memory,
            logging_memory,
        })
    }
}

impl Results {
    /// From the end of the overload to the end of the last slice in which a message was refused or
    /// as slow as `slow`.
    #[must_use]
    pub fn recovery(&self, slow: Duration) -> Duration {
        let normal = |slice: &crate::open_loop::Slice| {
            slice.refused + slice.other == 0 && slice.accepted.quantile(0.99) <= slow
        };
        let abnormal = self.after.slices.iter().rposition(|slice| !normal(slice));
        let slices = abnormal.map_or(0, |last| last + 1);
        self.after.slice * u32::try_from(slices).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "capacity  {}", self.closed)?;
        writeln!(f, "80 %      {}", self.busy)?;
        writeln!(f, "overload  {}", self.overload)?;
        writeln!(f, "after     {}", self.after)?;
        writeln!(f, "log       {}", self.audit)
    }
}
