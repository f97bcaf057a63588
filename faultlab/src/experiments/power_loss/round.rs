//! One journal, and some images of it.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use super::{
    Images,
    image::{Fs, Shelf, format, mount},
};
use crate::{
    checker::broken,
    cluster::{Cluster, Programs},
    experiments::CannotRun,
    history::{History, Outcome},
    load::{Client, Ledger, read_records},
    processes::ProcessError,
    programs::{directory, tool},
};

/// Clients that post.
const CLIENTS: u64 = 8;

/// Pause of a client between two posts, at most.
const THINK_MILLIS: u64 = 15;

/// Longest time between two images.
const PAUSE_MILLIS: u64 = 120;

/// What is told of one image.
const TOLD_MAX: usize = 3;

/// What the syncs of the service do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// What they should.
    Real,
    /// Nothing, and they say that they did.
    Skipped,
}

/// What to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) fs: Fs,
    pub(super) sync: Sync,
    pub(super) images: usize,
    pub(super) seed: u64,
}

impl Round {
    /// Adds what it finds to `into`.
    pub(super) async fn run(self, dir: &Path, into: &mut Images) -> Result<(), CannotRun> {
        let shelf = Shelf::new(dir)?;
        let (live, spare) = (dir.join("live"), dir.join("spare"));
        fs::create_dir_all(&live)?;
        fs::create_dir_all(&spare)?;
        let image = shelf.path("image");
        format(&shelf.chamber, self.fs, &image)?;
        mount(&shelf.chamber, self.fs, &image, &live)?;

        let mut programs = Programs::built()?;
        programs.logging.extend(["--segment-size", "64KiB"].map(OsString::from));
        programs.logging = shelf.chamber.inside(&programs.logging);
        let checked = programs.logging.clone();
        let mut judge = Cluster::start(programs.clone(), &spare).await?;
        if self.sync == Sync::Skipped {
            programs.logging = without_syncs(&checked)?;
        }
        let trio = Cluster::start(programs, &live).await?;

        let ledger = Ledger::start();
        let client = trio.client();
        let posting = async {
            let posters = (0..CLIENTS).map(|name| post_on(&ledger, &client, name, self.seed));
            futures_util::future::join_all(posters).await;
        };
        let taking = async {
            let mut rng = fastrand::Rng::with_seed(self.seed);
            for number in 0..self.images {
                wait(&ledger, &mut rng).await;
                let copy = shelf.path(&format!("copy-{number}"));
                let began = ledger.run().now();
                shelf.copy(&image, &copy, &trio.logging)?;
                let history = ledger.at(began, ledger.run().now());
                let at = dir.join("check").join(number.to_string());
                fs::create_dir_all(&at)?;
                mount(&shelf.chamber, self.fs, &copy, &at)?;
                let found = check(&mut judge, &checked, &at, &history).await?;
                judge.logging.kill()?;
                let name = format!("{} image {number} of seed {}", self.fs, self.seed);
                into.note(&name, &history, verified(&shelf, &at, found)?);
                shelf.chamber.run("umount", &[&at])?;
                shelf.chamber.run("rm", &[&copy])?;
            }
            Ok::<(), CannotRun>(())
        };
        let taken = tokio::select! {
            taken = taking => taken,
            () = posting => Ok(()),
        };
        ledger.run().stop();
        taken
    }
}

/// What became of an image.
enum Found {
    /// A service serves it; these promises are broken.
    Served(Vec<String>),
    /// None does.
    Refused(String),
}

impl Images {
    fn note(&mut self, name: &str, history: &History, found: Found) {
        let receipt = |outcome: &Outcome| matches!(outcome, Outcome::Acknowledged { .. });
        let receipts = history.attempts.iter().filter(|attempt| receipt(&attempt.outcome));
        self.acknowledged += receipts.count();
        match found {
            Found::Served(wrong) => {
                self.checked += 1;
                self.broken += usize::from(!wrong.is_empty());
                self.wrong
                    .extend(wrong.iter().take(TOLD_MAX).map(|wrong| format!("{name}: {wrong}")));
            }
            Found::Refused(why) => {
                self.refused += 1;
                self.wrong.push(format!("{name}: {why}"));
            }
        }
    }
}

/// `program` with syncs that succeed and do nothing.
fn without_syncs(program: &[OsString]) -> Result<Vec<OsString>, CannotRun> {
    let mut command: Vec<OsString> = vec![tool("strace")?.into()];
    let flags = [
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-etrace=fdatasync,fsync",
        "-einject=fdatasync,fsync:retval=0",
    ];
    command.extend(flags.map(OsString::from));
    command.extend_from_slice(program);
    Ok(command)
}

/// Posts until the run stops.
async fn post_on(ledger: &Ledger, client: &Client, name: u64, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(CLIENTS).wrapping_add(name));
    let mut number = 0;
    while ledger.run().goes_on() {
        let key = format!("{name}-{number}");
        let message = format!("{key} {}", "x".repeat(rng.usize(1..600)));
        ledger.post(client, &message, Some(&key)).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(0..THINK_MILLIS))).await;
    }
}

/// Waits for any moment, or for the one right after a receipt.
async fn wait(ledger: &Ledger, rng: &mut fastrand::Rng) {
    tokio::time::sleep(Duration::from_millis(rng.u64(0..PAUSE_MILLIS))).await;
    let known = ledger.acknowledged();
    while (rng.bool() || known == 0) && ledger.acknowledged() == known {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets a service recover from what is mounted at `dir`, and judges all it shows.
async fn check(
    judge: &mut Cluster,
    program: &[OsString],
    dir: &Path,
    history: &History,
) -> Result<Found, CannotRun> {
    match judge.replace_logging(program.to_vec(), dir).await {
        Ok(()) => {}
        Err(error @ ProcessError::NotUp { .. }) => return Ok(Found::Refused(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    judge.ready().await?;
    let clock = Ledger::start();
    let read = read_records(&judge.client(), clock.run()).await;
    let Some((_, log)) = read.filter(|(read, _)| read.complete) else {
        return Ok(Found::Refused("it cannot be read".to_owned()));
    };
    let violations = broken(history, &log);
    Ok(Found::Served(violations.iter().map(|violation| format!("{violation:.200?}")).collect()))
}

/// What the check of the journal says of what recovery made of it.
fn verified(shelf: &Shelf, dir: &Path, found: Found) -> Result<Found, CannotRun> {
    let Found::Served(wrong) = found else { return Ok(found) };
    let oncelog = directory()?.join("oncelog");
    let mut command: Vec<OsString> = vec![oncelog.into()];
    command.extend(["journal", "verify", "--data-dir"].map(OsString::from));
    command.push(dir.join("logging").into());
    let command = shelf.chamber.inside(&command);
    let Some((program, args)) = command.split_first() else { return Ok(Found::Served(wrong)) };
    let output = std::process::Command::new(program).args(args).output()?;
    if output.status.success() {
        return Ok(Found::Served(wrong));
    }
    Ok(Found::Refused(String::from_utf8_lossy(&output.stdout).into_owned()))
}
