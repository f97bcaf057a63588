//! `faultlab scale`: what it takes to check a long run.
//!
//! The run is made up, and a good one: every eighth message is repeated, every hundredth attempt has no
//! known outcome, every hundredth message is looked up, and a reader reads the whole log again and again.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use super::{Goals, NotRun, Scratch, say};
use crate::{
    checker::{SecondChecker, SecondVerdict, Verdict, verdict_of_kept},
    history::{
        Attempt, Event, HISTORY_FILE, Head, Kept, LOG_FILE, Lookup, Outcome, Read, Record, Shown,
    },
    resources::{Resource, Usage},
};

/// Whole reads in the made up run.
const READS: u64 = 20;

const GIB: u64 = 1024 * 1024 * 1024;

/// How long a run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Attempts in the run to check
    #[arg(long, default_value_t = 10_000_000)]
    attempts: u64,

    /// Most gigabytes the checker may use
    #[arg(long, value_name = "GIB", default_value_t = 4)]
    memory: u64,

    /// Most minutes the checker may take
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    minutes: u64,

    /// Ask the second checker, too: it takes several times as long
    #[arg(long)]
    second: bool,
}

/// What one checker took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the question to the verdict.
    pub time: Duration,
    /// Of that, on a core: less than all, if others work here too. Zero where it is not known.
    pub cpu: Duration,
    /// The most memory its process had, in bytes.
    pub memory: u64,
}

impl Cost {
    fn seconds(self) -> String {
        format!("{:.1} s ({:.1} s CPU)", self.time.as_secs_f64(), self.cpu.as_secs_f64())
    }
}

/// Time on a core of the first thread of a process, or of the thread that asks: `of` is its name below
/// `/proc`.
fn on_core(of: &str) -> Duration {
    let text = fs::read_to_string(format!("/proc/{of}/schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Makes up a run, checks it, and says whether that took no more than it may.
pub(super) fn run(args: &Args) -> Result<Goals, NotRun> {
    let dir = Scratch::new("scale")?;
    make_up(args.attempts, dir.path())?;
    say("the run is made up; checking it");
    let (verdict, first) = first_checker(dir.path())?;
    let second = if args.second { Some(second_checker(dir.path())?) } else { None };
    let mut goals = Goals::default();
    let checked = verdict.account.attempts;
    goals.note("attempts checked", args.attempts, checked, checked as u64 == args.attempts);
    let broken = verdict.violations.len();
    goals.note("violations in a good run", 0, broken, broken == 0);
    let (most, minutes) = (args.memory * GIB, Duration::from_secs(args.minutes * 60));
    goals.note("time", format!("{} min", args.minutes), first.seconds(), first.time <= minutes);
    let memory = Resource::Memory.show(first.memory);
    goals.note("memory", format!("{} GiB", args.memory), memory, first.memory <= most);
    if let Some((second_verdict, second)) = second {
        let agrees = second_verdict.agreed(verdict).is_ok();
        goals.note("the second checker agrees", true, agrees, agrees);
        goals.note("time of the second checker", "none", second.seconds(), true);
        let memory = Resource::Memory.show(second.memory);
        goals.note("memory of the second checker", "none", memory, true);
    }
    Ok(goals)
}

/// What the first checker says of the run kept in `dir`, and what that took.
///
/// # Errors
/// It cannot be read.
pub fn first_checker(dir: &Path) -> io::Result<(Verdict, Cost)> {
    let (started, before) = (Instant::now(), on_core("thread-self"));
    let verdict = verdict_of_kept(&Kept::new(dir))?;
    let (time, cpu) = (started.elapsed(), on_core("thread-self").saturating_sub(before));
    let usage = Usage::of(std::process::id()).unwrap_or_default();
    Ok((verdict, Cost { time, cpu, memory: usage.get(Resource::Memory) }))
}

/// What the second checker says of the run kept in `dir`, and what that took.
///
/// # Errors
/// There is no Python, or the run cannot be read.
pub fn second_checker(dir: &Path) -> io::Result<(SecondVerdict, Cost)> {
    let mut checker = SecondChecker::start()?;
    let started = Instant::now();
    let verdict = checker.verdict(dir)?;
    let (time, cpu) = (started.elapsed(), on_core(&checker.pid().to_string()));
    Ok((verdict, Cost { time, cpu, memory: checker.usage().get(Resource::Memory) }))
}

/// Writes a good run of that many attempts into `dir`.
///
/// # Errors
/// It cannot be written.
pub fn make_up(attempts: u64, dir: &Path) -> io::Result<()> {
    let mut history = BufWriter::new(File::create(dir.join(HISTORY_FILE))?);
    let mut log = BufWriter::new(File::create(dir.join(LOG_FILE))?);
    let mut event = |event: Event| -> io::Result<()> {
        serde_json::to_writer(&mut history, &event)?;
        history.write_all(b"\n")
    };
    event(Event::Head(Head::new(0, "made up")))?;
    let mut shown = Shown::default();
    let mut sequence = 0;
    for number in 0..attempts {
        // Clients are told in turn; a message is posted, and its repeat follows.
        let (invoked, ended) = (number * 10, number * 10 + 5);
        let repeat = number % 9 == 8;
        sequence += u64::from(!repeat);
        let uuid = uuid::Uuid::from_u128(u128::from(sequence) << 64 | 0x7a7a).to_string();
        let message = format!("client {} message {sequence}", sequence % 64);
        if !repeat {
            let record = Record { sequence, uuid: uuid.clone(), message: message.clone() };
            shown.push(&record);
            serde_json::to_writer(&mut log, &record)?;
            log.write_all(b"\n")?;
            if sequence.is_multiple_of(100) {
                let (began, ended, uuid) = (ended + 1, ended + 2, uuid.clone());
                event(Event::Lookup(Lookup { uuid, began, ended, found: Some(record) }))?;
            }
        }
        let key = Some(uuid.clone());
        let outcome = if number % 100 == 99 {
            Outcome::Unknown
        } else {
            Outcome::Acknowledged { uuid, sequence, replayed: repeat }
        };
        event(Event::Attempt(Attempt { message, key, invoked, ended, outcome }))?;
        if (number + 1).is_multiple_of((attempts / READS).max(1)) {
            let (began, ended) = (ended + 1, ended + 2);
            event(Event::Read(Read { began, ended, complete: true, shown: shown.clone() }))?;
        }
    }
    history.flush()?;
    log.flush()
}
