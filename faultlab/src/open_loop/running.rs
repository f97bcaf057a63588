//! A run under way.

use std::{
    io,
    sync::Arc,
    thread::{self, Thread},
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    Arrivals, Counts, Measured, Plan, connection::Connection, recorder::Recorder,
    schedule::Schedule,
};

/// Connections that post until all that is due is sent. They are cut when this is dropped.
#[derive(Debug)]
pub struct Running {
    posting: JoinSet<()>,
    recorder: Arc<Recorder>,
    pacer: Pacer,
}

/// The thread that says when a message is due. There is none in a closed loop.
#[derive(Debug)]
struct Pacer {
    schedule: Arc<Schedule>,
    thread: Option<Thread>,
}

impl Running {
    pub(super) fn new(plan: &Plan, opened: Vec<Connection>, start: Instant) -> io::Result<Self> {
        let pacer = Pacer::start(Schedule::new(start, plan), plan)?;
        let recorder = Arc::new(Recorder::new(plan.first, plan.slice));
        let mut posting = JoinSet::new();
        for connection in opened {
            let (schedule, recorder) = (Arc::clone(&pacer.schedule), Arc::clone(&recorder));
            posting.spawn(connection.post(schedule, recorder, plan.first, plan.timeout));
        }
        Ok(Self { posting, recorder, pacer })
    }

    /// How many messages ended in which way until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.recorder.counts()
    }

    /// Lets nothing more be sent. Answers that are under way are waited for.
    pub fn stop(&self) {
        self.pacer.stop();
    }

    /// Whether it was ended early.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.pacer.schedule.is_stopped()
    }

    /// Returns once every message that was due is answered or given up. It may be dropped and called
    /// again.
    ///
    /// # Errors
    /// A connection ended in a panic.
    pub async fn settled(&mut self) -> io::Result<()> {
        while let Some(ended) = self.posting.join_next().await {
            ended.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// The figures, once it is [`settled`](Self::settled).
    #[must_use]
    pub fn measured(&self) -> Measured {
        let schedule = &self.pacer.schedule;
        self.recorder.measured(schedule.messages(), schedule.sending_took())
    }
}

impl Pacer {
    fn start(schedule: Schedule, plan: &Plan) -> io::Result<Self> {
        let schedule = Arc::new(schedule);
        let thread = match plan.arrivals {
            Arrivals::Open { .. } => {
                let (paced, connections) = (Arc::clone(&schedule), plan.connections);
                let thread = thread::Builder::new().name("pacer".to_owned());
                Some(thread.spawn(move || paced.pace(connections))?.thread().clone())
            }
            Arrivals::Closed => None,
        };
        Ok(Self { schedule, thread })
    }

    fn stop(&self) {
        self.schedule.stop();
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}
