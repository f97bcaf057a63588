//! `faultlab clock`: the wall clock of the facade and of the logging service jumps, by hours, by ten
//! years, past the year 2038 and before 2000, while clients post. Nothing may depend on it: order is
//! by sequence, repeats are known for ever, and timeouts are measured by another clock.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Goals, NotRun, Scratch, say};
use crate::{
    checker::{Account, account, broken},
    cluster::{Cluster, Programs},
    history::Attempt,
    load::{Client, Ledger, read_whole},
    programs::{ToolError, under},
};

/// Where the clock stands after each jump, from where it should.
const JUMPS: [&str; 10] = ["+1h", "-1h", "+10y", "-10y", "+12y", "+0", "-26y", "+80y", "-1h", "+0"];

/// The library that shifts the clock, in the places where systems have it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// Clients that post.
const CLIENTS: usize = 6;

/// Longest time from a request to its answer that is no sign of a timer by the wrong clock.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long the clock stands at each place
    #[arg(long, default_value_t = 2000, value_name = "MILLISECONDS")]
    stay: u64,
}

/// The results of the jumps.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Jumps of the clock.
    pub jumps: usize,
    /// Whether the log has times of several years: the clock has really jumped.
    pub seen: bool,
    /// The figures of the posts.
    pub account: Account,
    /// The longest answer.
    pub slowest: Duration,
    /// Descriptions of broken promises.
    pub wrong: Vec<String>,
}

impl Results {
    /// The goals, and whether they were reached.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        goals.note("jumps of the clock", JUMPS.len(), self.jumps, self.jumps == JUMPS.len());
        goals.note("the services saw them", "yes", self.seen, self.seen);
        let Account { acknowledged, absorbed, .. } = self.account;
        goals.note("messages with a receipt", "more than 0", acknowledged, acknowledged > 0);
        goals.note("repeats absorbed", "more than 0", absorbed, absorbed > 0);
        goals.note("promises broken", 0, self.wrong.len(), self.wrong.is_empty());
        let slowest = format!("{:.1?}", self.slowest);
        let in_time = self.slowest < ANSWER_MAX;
        goals.note("slowest answer", format!("below {ANSWER_MAX:?}"), slowest, in_time);
        goals
    }
}

/// Lets the clock jump.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    let results = measure(Duration::from_millis(args.stay)).await?;
    results.wrong.iter().for_each(|wrong| say(wrong));
    Ok(results.goals())
}

/// Lets the clock jump from place to place, and stand at each for `stay`.
///
/// # Errors
/// [`NotRun`]: there is no libfaketime, or the services do not come up.
pub async fn measure(stay: Duration) -> Result<Results, NotRun> {
    let library = LIBRARIES.iter().map(PathBuf::from).find(|library| library.is_file());
    let library = library.ok_or_else(|| NotRun::Missing("libfaketime".to_owned()))?;
    let scratch = Scratch::new("clock")?;
    let clock = scratch.path().join("clock");
    set(&clock, "+0")?;
    let mut programs = Programs::built()?;
    programs.logging = shifted(&library, &clock, &programs.logging)?;
    programs.facade = shifted(&library, &clock, &programs.facade)?;
    let mut cluster = Cluster::start(programs, scratch.path()).await?;

    let ledger = Ledger::start();
    let client = cluster.client();
    let mut results = Results::default();
    let jumping = async {
        for place in JUMPS {
            set(&clock, place)?;
            results.jumps += 1;
            tokio::time::sleep(stay).await;
        }
        ledger.run().stop();
        Ok::<(), NotRun>(())
    };
    let posting =
        futures_util::future::join_all((0..CLIENTS).map(|name| post_on(&ledger, &client, name)));
    let (jumps, _) = tokio::join!(jumping, posting);
    jumps?;
    // Far in the past, and after a restart: what is known stays known.
    set(&clock, "-26y")?;
    cluster.restart_logging().await?;
    cluster.ready().await?;
    ledger.repeat(&client).await;

    let history = ledger.history();
    let took = |attempt: &Attempt| attempt.ended.saturating_sub(attempt.invoked);
    let slowest = history.attempts.iter().map(took).max().unwrap_or_default();
    results.slowest = Duration::from_micros(slowest);
    let years = years(&cluster).await;
    results.seen = years.len() > 2;
    match read_whole(&client, ledger.run()).await {
        None => results.wrong.push("the log cannot be read".to_owned()),
        Some(log) => {
            results.account = account(&history, &log);
            let violations = broken(&history, &log);
            results.wrong.extend(violations.iter().map(|violation| format!("{violation:.200?}")));
        }
    }
    Ok(results)
}

/// The years in which the log says that its messages were stored.
async fn years(cluster: &Cluster) -> std::collections::BTreeSet<String> {
    let log = cluster.client().text().await.unwrap_or_default();
    let times = log.split("\"stored_at\":\"").skip(1);
    times.filter_map(|time| time.get(..4).map(str::to_owned)).collect()
}

/// Sets the clock of the programs that follow the file `clock` to `place`.
fn set(clock: &Path, place: &str) -> io::Result<()> {
    // A rename is atomic: no program reads half of it.
    let next = clock.with_extension("next");
    fs::write(&next, place)?;
    fs::rename(&next, clock)
}

/// `program` with a wall clock that follows the file `clock`.
fn shifted(library: &Path, clock: &Path, program: &[OsString]) -> Result<Vec<OsString>, ToolError> {
    let setting = |name: &str, value: &Path| {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        setting
    };
    let settings = [
        setting("LD_PRELOAD", library),
        setting("FAKETIME_TIMESTAMP_FILE", clock),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        "FAKETIME_NO_CACHE=1".into(),
    ];
    under("env", settings, program)
}

/// Posts until the run stops, and every third message twice.
async fn post_on(ledger: &Ledger, client: &Client, name: usize) {
    let mut number = 0;
    while ledger.run().goes_on() {
        let key = format!("{name}-{number}");
        ledger.post(client, &key, Some(&key)).await;
        if number % 3 == 0 {
            let older = format!("{name}-{}", number / 2);
            ledger.post(client, &older, Some(&older)).await;
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
