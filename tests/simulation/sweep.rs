//! Many seeds, several at a time.

use std::{
    collections::BTreeMap, env, fs, num::NonZero, ops::Range, panic, path::PathBuf, sync::Mutex,
    thread, time::Duration,
};

use faultlab::history::Head;

use crate::run::{Run, run};

/// How many seeds a sweep takes, beginning with 0.
const SEEDS: &str = "ONCELOG_SEEDS";

/// The one seed to run, with all its events printed.
const SEED: &str = "ONCELOG_SEED";

/// How many seeds each change is tried with.
const SEEDS_DEFAULT: u64 = 200;

/// The seeds that the environment asks for.
pub(crate) fn seeds() -> Range<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    match number(SEED) {
        Some(seed) => seed..seed + 1,
        None => 0..number(SEEDS).unwrap_or(SEEDS_DEFAULT),
    }
}

/// What many runs came to together.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) runs: u64,
    pub(crate) attempts: usize,
    pub(crate) acknowledged: usize,
    pub(crate) absorbed: usize,
    pub(crate) unknown: usize,
    pub(crate) resolved: usize,
    pub(crate) not_stored: usize,
    pub(crate) conflicts: usize,
    pub(crate) stored: usize,
    pub(crate) reads: usize,
    pub(crate) simulated: Duration,
    pub(crate) faults: BTreeMap<String, u64>,
    /// The seeds that broke a promise, each with what is wrong and how to see it again.
    pub(crate) failures: Vec<String>,
}

impl Total {
    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.attempts += run.account.attempts;
        self.acknowledged += run.account.acknowledged;
        self.absorbed += run.account.absorbed;
        self.unknown += run.account.unknown;
        self.resolved += run.account.resolved;
        self.not_stored += run.account.not_stored;
        self.conflicts += run.account.conflicts;
        self.stored += run.account.stored;
        self.reads += run.history.reads.len();
        self.simulated += run.simulated;
        for (fault, times) in &run.faults {
            *self.faults.entry(fault.clone()).or_default() += times;
        }
        if !run.wrong.is_empty() {
            self.failures.push(report(run));
        }
    }
}

/// Runs all `seeds`, as many at a time as there are processors.
pub(crate) fn sweep(seeds: Range<u64>) -> Total {
    let seeds = Mutex::new(seeds);
    let next = || seeds.lock().unwrap().next();
    let total = Mutex::new(Total::default());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let work = || {
        while let Some(seed) = next() {
            let ended = panic::catch_unwind(|| run(seed));
            let mut total = total.lock().unwrap();
            match ended {
                Ok(run) => total.add(&run),
                Err(_) => total.failures.push(format!("seed {seed} panicked; {}", again(seed))),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap()
}

fn again(seed: u64) -> String {
    format!("see it again: {SEED}={seed} cargo test --test simulation seeds -- --nocapture")
}

/// What is wrong, where its history is kept, and how to see it again.
fn report(run: &Run) -> String {
    let dir = keep(run);
    let wrong = run.wrong.join("\n  ");
    let (seed, dir) = (run.seed, dir.display());
    format!("seed {seed}:\n  {wrong}\n  kept: {dir}\n  {}\n", again(seed))
}

/// Keeps all of a run. `faultlab check` checks it again.
pub(crate) fn keep(run: &Run) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("simulation")
        .join(format!("seed-{}", run.seed));
    fs::create_dir_all(&dir).unwrap();
    run.history.keep(&head(run), &run.log, &dir).unwrap();
    fs::write(dir.join("events.txt"), run.events.text()).unwrap();
    dir
}

/// The history of a run as it is kept.
pub(crate) fn history_lines(run: &Run) -> Vec<u8> {
    let mut lines = Vec::new();
    run.history.write_json_lines(&head(run), &mut lines).unwrap();
    lines
}

fn head(run: &Run) -> Head {
    Head::new(run.seed, concat!("simulation ", env!("CARGO_PKG_VERSION")))
}
