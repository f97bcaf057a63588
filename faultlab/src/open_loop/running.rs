//! A run under way.

use std::{
    io,
    sync::Arc,
    thread::{self, Thread},
};

use futures_util::future::join_all;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Arrivals, Counts, Measured, Plan, connection::Connection, recorder::Recorder,
    schedule::Schedule,
};

/// Connections that post until all that is due is sent. It ends early when this is dropped.
#[derive(Debug)]
pub struct Running {
    posting: Vec<JoinHandle<()>>,
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
        let posting = opened.into_iter().map(|connection| {
            let (schedule, recorder) = (Arc::clone(&pacer.schedule), Arc::clone(&recorder));
            tokio::spawn(connection.post(schedule, recorder, plan.first, plan.timeout))
        });
        Ok(Self { posting: posting.collect(), recorder, pacer })
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

    /// Returns once every message that was due is answered or given up.
    ///
    /// # Errors
    /// A connection ended in a panic.
    pub async fn finish(mut self) -> io::Result<Measured> {
        for ended in join_all(&mut self.posting).await {
            ended.map_err(io::Error::other)?;
        }
        let schedule = &self.pacer.schedule;
        Ok(self.recorder.measured(schedule.messages(), schedule.sending_took()))
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
