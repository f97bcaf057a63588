//! The machines of a run, and the services that start on them again and again.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use facade_service::delivery::Jitter;
use facade_service::{Facade, Upstreams, settings::Settings};
use logging_service::{
    Execution, OpenStoreError, Parts, ServeError,
    console::Console,
    limits::Limits,
    open_journal, serve_incoming,
    settings::StoreKind,
    store::journal::{Options, disk::SimulatedDisk},
};
use oncelog::{clock::SimulatedClock, process::exit::Exit};
use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use crate::{
    events::Events,
    network::{Listener, channel},
    seed::{SeededIds, random},
    sockets::Sockets,
};

pub(crate) const LOGGING: &str = "logging";
pub(crate) const FACADES: [&str; 2] = ["facade-0", "facade-1"];
pub(crate) const FACADE_PORT: u16 = 5000;
const LOGGING_PORT: u16 = 5001;

/// Less than a step of the simulated clock: messages arrive when one begins.
const BEFORE_STOP: Duration = Duration::from_millis(2);

/// The process of a machine, from start to end, and again.
#[derive(Default)]
pub(crate) struct Process {
    sockets: Sockets,
    /// What the current life ends by at once.
    kill: RefCell<CancellationToken>,
    /// What the current life ends by in good order.
    stop: RefCell<CancellationToken>,
}

impl Process {
    /// One life. `None` if it was killed.
    async fn live<T>(&self, service: impl AsyncFnOnce(CancellationToken) -> T) -> Option<T> {
        let (kill, stop) = (CancellationToken::new(), CancellationToken::new());
        *self.kill.borrow_mut() = kill.clone();
        *self.stop.borrow_mut() = stop.clone();
        let asked = CancellationToken::new();
        let stopping = async {
            stop.cancelled().await;
            // By then what arrived with the word to stop has been dealt with. The order within one
            // moment is up to the dice of the runtime.
            tokio::time::sleep(BEFORE_STOP).await;
            asked.cancel();
            std::future::pending().await
        };
        let ended = kill
            .run_until_cancelled(async {
                tokio::select! {
                    biased;
                    ended = service(asked.clone()) => ended,
                    () = stopping => unreachable!("it waits for ever"),
                }
            })
            .await;
        self.sockets.end();
        ended
    }

    /// Ends it at once. Its machine tells the peers.
    pub(crate) fn kill(&self) {
        self.kill.borrow().cancel();
    }

    /// Ends it in good order.
    pub(crate) fn stop(&self) {
        self.stop.borrow().cancel();
    }

    /// The power of `machine` fails: its peers are told nothing.
    pub(crate) fn lose_power(&self, sim: &mut Sim<'_>, machine: &str) {
        self.sockets.end();
        sim.crash(machine);
    }
}

/// The machine of the logging service.
pub(crate) struct LoggingMachine {
    pub(crate) process: Rc<Process>,
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: SimulatedClock,
    /// Says that the journal is damaged, which no fault of a run may bring about.
    pub(crate) damaged: Cell<bool>,
    segment_bytes: u64,
    salts: Arc<Mutex<fastrand::Rng>>,
    events: Events,
}

impl LoggingMachine {
    /// A machine with an empty disk, registered with `sim`.
    pub(crate) fn start(sim: &mut Sim<'_>, seed: u64, events: &Events) -> Rc<Self> {
        let mut random = random(seed, "logging machine");
        let machine = Rc::new(Self {
            process: Rc::default(),
            disk: SimulatedDisk::new(),
            clock: SimulatedClock::at(Duration::from_secs(1_700_000_000)),
            damaged: Cell::new(false),
            // Small, so that a run has several.
            segment_bytes: random.u64(2..64) * 1024,
            salts: Arc::new(Mutex::new(random)),
            events: events.clone(),
        });
        let started = Rc::clone(&machine);
        sim.host(LOGGING, move || {
            let machine = Rc::clone(&started);
            async move { machine.serve().await }
        });
        machine
    }

    /// How the journal is kept.
    pub(crate) fn options(&self) -> Options {
        let salts = Arc::clone(&self.salts);
        Options {
            segment_bytes: self.segment_bytes,
            salts: Arc::new(move || salts.lock().unwrap().u64(..)),
            ..Options::default()
        }
    }

    /// One life of the service. However it ends, the machine stays, for the next one.
    async fn serve(&self) -> turmoil::Result {
        let listener = Listener::bind(LOGGING_PORT, &self.process.sockets).await?;
        let (disk, options) = (self.disk.clone(), self.options());
        let open = move || {
            open_journal(Arc::new(disk), options)
                .map_err(|source| OpenStoreError::Journal { dir: "simulated".into(), source })
        };
        let parts = Parts {
            clock: Arc::new(self.clock.clone()),
            console: Console::off(),
            store: StoreKind::Journal,
            open: Box::new(open),
            execution: Execution::Tasks,
            limits: Limits::default(),
        };
        let ready = || self.events.tell("logging is ready");
        let serve = async |stop| serve_incoming(listener.incoming(), parts, stop, ready).await;
        match self.process.live(serve).await {
            Some(Ok(())) => self.events.tell("logging has stopped"),
            Some(Err(error)) => self.ended_early(&error),
            None => {}
        }
        Ok(())
    }

    fn ended_early(&self, error: &ServeError) {
        self.events.tell(format!("logging has ended: {error}"));
        self.damaged.set(self.damaged.get() || error.exit() == Exit::Damaged);
    }
}

/// The machine of a facade.
pub(crate) struct FacadeMachine {
    name: &'static str,
    seed: u64,
    starts: Cell<u64>,
    settings: Settings,
    pub(crate) process: Rc<Process>,
    events: Events,
}

impl FacadeMachine {
    /// A machine registered with `sim`.
    pub(crate) fn start(
        sim: &mut Sim<'_>,
        name: &'static str,
        seed: u64,
        settings: Settings,
        events: &Events,
    ) -> Rc<Self> {
        let machine = Rc::new(Self {
            name,
            seed,
            starts: Cell::new(0),
            settings,
            process: Rc::default(),
            events: events.clone(),
        });
        let started = Rc::clone(&machine);
        sim.host(name, move || {
            let machine = Rc::clone(&started);
            async move { machine.serve().await }
        });
        machine
    }

    async fn serve(&self) -> turmoil::Result {
        self.starts.set(self.starts.get() + 1);
        let part = |what: &str| {
            random(self.seed, &format!("{what} of {} start {}", self.name, self.starts.get()))
        };
        let sockets = &self.process.sockets;
        let listener = Listener::bind(FACADE_PORT, sockets).await?;
        let jitter = Jitter::seeded(part("jitter").u64(..));
        let (events, name) = (self.events.clone(), self.name);
        let connecting = move || events.tell(format!("{name} connects to logging"));
        let upstreams = Upstreams::connect_with(&self.settings, jitter, |endpoint| {
            channel(endpoint, sockets.clone(), connecting.clone())
        });
        let ids = Arc::new(SeededIds::new(part("ids")));
        let options = facade_service::Options {
            offload_encoding: false,
            ..facade_service::Options::new(ids)
        };
        let serve = async |stop| {
            facade_service::serve(listener, Facade::new(upstreams, options, stop)).await
        };
        if let Some(ended) = self.process.live(serve).await {
            ended?;
            self.events.tell(format!("{name} has stopped"));
        }
        Ok(())
    }
}

/// The settings of a facade in a run.
pub(crate) fn settings(attempt_timeout: Duration, total_timeout: Duration) -> Settings {
    let url = |host: &str, port: u16| format!("http://{host}:{port}").parse().unwrap();
    Settings {
        listen: ([0, 0, 0, 0], FACADE_PORT).into(),
        logging_url: url(LOGGING, LOGGING_PORT),
        // It is not asked anything here.
        messages_url: url(LOGGING, 5002),
        attempt_timeout,
        total_timeout,
    }
}
