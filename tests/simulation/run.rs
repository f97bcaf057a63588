//! One run: machines, clients and faults out of one seed, and what the checker says of it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use faultlab::{
    checker::{Account, Violation, account, check},
    history::{History, Record},
    load::{self, Poster, Settled},
};
use logging_service::{open_journal, store::ScanLimit};
use turmoil::Sim;

use crate::{
    client::{Client, Clients, now},
    events::Events,
    links::CLIENTS,
    machines::{FACADES, FacadeMachine, LoggingMachine, settings},
    nemesis::Nemesis,
    panics::counted,
    seed::random,
};

/// How long after the last fault every message must be settled.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Some messages are longer, so that they fill blocks of the disk.
const PADDING_BYTES_MAX: usize = 3000;

/// From one read of the log to the next, on average, so many times the gap between two posts.
const GAPS_A_READ: u32 = 30;

/// What a run came to.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) history: History,
    /// What is surely on the disk in the end.
    pub(crate) log: Vec<Record>,
    pub(crate) events: Events,
    pub(crate) account: Account,
    pub(crate) faults: BTreeMap<String, u64>,
    /// How long it would have taken.
    pub(crate) simulated: Duration,
    /// All that is wrong, one sentence each.
    pub(crate) wrong: Vec<String>,
}

/// How a run is laid out.
struct Plan {
    tick: Duration,
    /// Of the network in good times, in milliseconds.
    latency: Range<u64>,
    attempt_timeout: Duration,
    total_timeout: Duration,
    /// How long faults are brought about.
    faults: Duration,
    posters: usize,
    /// Between two requests of a poster, on average.
    gap: Duration,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut random = random(seed, "plan");
        let ms = Duration::from_millis;
        let attempt_timeout = ms(random.u64(200..2000));
        let least = random.u64(0..5);
        Self {
            tick: ms(5),
            latency: least..least + random.u64(1..60),
            attempt_timeout,
            total_timeout: attempt_timeout * random.u32(2..7),
            faults: ms(random.u64(4000..12_000)),
            posters: random.usize(2..6),
            gap: ms(random.u64(15..200)),
        }
    }

    fn sim<'a>(&self, seed: u64) -> Sim<'a> {
        turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(self.tick)
            .simulation_duration(Duration::from_secs(3600))
            .epoch(SystemTime::UNIX_EPOCH)
            .tcp_capacity(1024)
            .enable_random_order()
            .build()
    }
}

/// What the clients leave behind.
#[derive(Default)]
struct Results {
    settled: RefCell<BTreeMap<usize, Settled>>,
    reads: RefCell<History>,
    audited: Cell<bool>,
    last_read: RefCell<History>,
}

/// Runs `seed` to its end.
pub(crate) fn run(seed: u64) -> Run {
    let (mut run, panics) = counted(|| run_unguarded(seed));
    if panics > 0 {
        run.wrong.push(format!("{panics} panics, told on standard error"));
    }
    run
}

fn run_unguarded(seed: u64) -> Run {
    let plan = Plan::new(seed);
    let events = Events::default();
    let mut sim = plan.sim(seed);
    let logging = LoggingMachine::start(&mut sim, seed, &events);
    let settings = settings(plan.attempt_timeout, plan.total_timeout);
    let facades =
        FACADES.map(|name| FacadeMachine::start(&mut sim, name, seed, settings.clone(), &events));
    let posting = Rc::new(load::Run::simulated(now));
    let results = Rc::new(Results::default());
    start_clients(&mut sim, seed, &plan, &posting, &results);

    let mut nemesis =
        Nemesis::new(seed, Rc::clone(&logging), facades, &plan.latency, plan.faults, &events);
    let end = plan.faults + 4 * SETTLE_TIMEOUT;
    let mut wrong = Vec::new();
    while !results.audited.get() {
        let now = sim.elapsed();
        events.set_now(now);
        if now >= plan.faults && posting.goes_on() {
            posting.stop();
            nemesis.restore();
        }
        nemesis.step(&mut sim);
        logging.clock.advance(plan.tick);
        if let Err(error) = sim.step() {
            wrong.push(format!("a host failed: {error}"));
            break;
        }
        if now > end {
            wrong.push(format!("not settled and read {end:?} after the start"));
            break;
        }
    }
    let simulated = sim.elapsed();
    drop(sim);
    if logging.damaged.get() {
        wrong.push("the journal took itself for damaged".to_owned());
    }
    let results = Rc::into_inner(results).expect("the clients are gone");
    let log = durable_log(&logging).unwrap_or_else(|error| {
        wrong.push(format!("the disk cannot be read: {error}"));
        Vec::new()
    });
    let faults = nemesis.faults;
    assess(
        Run {
            seed,
            history: results.last_read.into_inner(),
            log,
            events,
            account: Account::default(),
            faults,
            simulated,
            wrong,
        },
        results.settled.into_inner(),
        results.reads.into_inner(),
    )
}

fn start_clients(
    sim: &mut Sim<'_>,
    seed: u64,
    plan: &Plan,
    posting: &Rc<load::Run>,
    results: &Rc<Results>,
) {
    let timeout = plan.total_timeout + Duration::from_secs(1);
    let (posters, gap) = (plan.posters, plan.gap);
    let poster_seed = random(seed, "posters").u64(..);
    for (nth, machine) in CLIENTS.into_iter().enumerate() {
        let (posting, results) = (Rc::clone(posting), Rc::clone(results));
        sim.client(machine, async move {
            for name in (nth..posters).step_by(CLIENTS.len()) {
                let (posting, results) = (Rc::clone(&posting), Rc::clone(&results));
                tokio::task::spawn_local(async move {
                    let poster = Poster::new(name, Clients::new(timeout), &posting, poster_seed);
                    let poster = poster.with_gap(gap).with_padding(PADDING_BYTES_MAX);
                    let settled = poster.work().await.settle(SETTLE_TIMEOUT, 1).await;
                    results.settled.borrow_mut().insert(name, settled);
                });
            }
            let reading =
                read_on(random(seed, machine), gap, timeout, posting, Rc::clone(&results));
            tokio::task::spawn_local(reading);
            if nth == 0 {
                audit(posters, timeout, &results).await;
            }
            // The run ends when the audit does.
            std::future::pending().await
        });
    }
}

/// Reads the whole log again and again until the faults are over.
async fn read_on(
    mut random: fastrand::Rng,
    gap: Duration,
    timeout: Duration,
    posting: Rc<load::Run>,
    results: Rc<Results>,
) {
    let clients = Clients::new(timeout);
    while posting.goes_on() {
        tokio::time::sleep(gap.mul_f64(f64::from(2 * GAPS_A_READ) * random.f64())).await;
        let read = clients.read().await;
        results.reads.borrow_mut().reads.extend(read);
    }
}

/// Reads the whole log once every client has settled.
async fn audit(posters: usize, timeout: Duration, results: &Results) {
    let pause = Duration::from_millis(100);
    while results.settled.borrow().len() < posters {
        tokio::time::sleep(pause).await;
    }
    let mut client = Client::new(FACADES[0], timeout);
    loop {
        match client.read().await {
            Some(read) if read.complete => {
                results.last_read.borrow_mut().reads.push(read);
                results.audited.set(true);
                return;
            }
            Some(_) | None => tokio::time::sleep(pause).await,
        }
    }
}

/// What a power loss would leave now.
fn durable_log(logging: &LoggingMachine) -> Result<Vec<Record>, String> {
    let disk = Arc::new(logging.disk.snapshot());
    let opened = open_journal(disk, logging.options()).map_err(|error| error.to_string())?;
    let reader = opened.store.reader();
    let mut log: Vec<Record> = Vec::new();
    loop {
        let after = log.last().map_or(0, |record| record.sequence);
        let limit = ScanLimit { messages: 1000, bytes: usize::MAX };
        if after == opened.store.last_sequence() {
            return Ok(log);
        }
        let records = reader.scan(after, limit).map_err(|error| error.to_string())?;
        log.extend(records.into_iter().map(|stored| Record {
            sequence: stored.receipt.sequence,
            uuid: stored.message.id.to_string(),
            message: String::from_utf8_lossy(&stored.message.body).into_owned(),
        }));
    }
}

/// Puts together what the clients saw, and checks it. One run may be too short to show
/// anything; many together may not.
fn assess(mut run: Run, settled: BTreeMap<usize, Settled>, reads: History) -> Run {
    for settled in settled.into_values() {
        run.history.merge(settled.history);
        run.wrong.extend(settled.unresolved.iter().map(|violation| format!("{violation:?}")));
    }
    if let Some(last) = run.history.reads.first()
        && last.shown.count() != run.log.len() as u64
    {
        let (shown, stored) = (last.shown.count(), run.log.len());
        run.wrong.push(format!("the last read shows {shown} records, the disk has {stored}"));
    }
    run.history.merge(reads);
    let violations = check(&run.history, &run.log);
    let proven = |violation: &&Violation| !matches!(violation, Violation::Vacuous { .. });
    run.wrong.extend(violations.iter().filter(proven).map(|violation| format!("{violation:?}")));
    run.account = account(&run.history, &run.log);
    run
}
