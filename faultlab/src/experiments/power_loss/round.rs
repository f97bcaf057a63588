//! One journal, and some images of it.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use super::{
    Images,
    image::{Fs, ImageStore, format, mount},
};
use crate::{
    checker::broken,
    cluster::{Cluster, Programs},
    experiments::NotRun,
    history::History,
    load::{Client, Ledger, read_whole},
    processes::ProcessError,
    programs::{Program, traced},
};

/// Clients that post.
const CLIENTS: u64 = 8;

/// Pause of a client between two posts, at most.
const THINK_MILLIS: u64 = 15;

/// Longest time between two images.
const PAUSE_MILLIS: u64 = 120;

/// Violations that are reported for one image.
const TOLD_MAX: usize = 3;

/// What the syncs of the service do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// They work.
    Real,
    /// They do nothing and report success.
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
    pub(super) async fn run(self, dir: &Path, into: &mut Images) -> Result<(), NotRun> {
        let store = ImageStore::new(dir)?;
        let (live, spare) = (dir.join("live"), dir.join("spare"));
        fs::create_dir_all(&live)?;
        fs::create_dir_all(&spare)?;
        let image = store.path("image");
        format(&store.namespace, self.fs, &image)?;
        mount(&store.namespace, self.fs, &image, &live)?;

        let mut programs = Programs::built()?;
        programs.logging.extend(["--segment-size", "64KiB"].map(OsString::from));
        programs.logging = store.namespace.inside(&programs.logging);
        let checked = programs.logging.clone();
        let mut checker = Cluster::start(programs.clone(), &spare).await?;
        if self.sync == Sync::Skipped {
            // They succeed and do nothing.
            let harm = ["-etrace=fdatasync,fsync", "-einject=fdatasync,fsync:retval=0"];
            programs.logging = traced(["-o", "/dev/null"].into_iter().chain(harm), &checked)?;
        }
        let cluster = Cluster::start(programs, &live).await?;

        let ledger = Ledger::start();
        let client = cluster.client();
        let posting = async {
            let posters = (0..CLIENTS).map(|name| post_on(&ledger, &client, name, self.seed));
            futures_util::future::join_all(posters).await;
        };
        let taking = async {
            let mut rng = fastrand::Rng::with_seed(self.seed);
            for number in 0..self.images {
                wait(&ledger, &mut rng).await;
                let copy = store.path(&format!("copy-{number}"));
                let began = ledger.run().now();
                store.copy(&image, &copy, &cluster.logging)?;
                let history = ledger.at(began, ledger.run().now());
                let at = dir.join("check").join(number.to_string());
                fs::create_dir_all(&at)?;
                mount(&store.namespace, self.fs, &copy, &at)?;
                let found = check(&mut checker, &checked, &at, &history).await?;
                checker.logging.kill()?;
                let name = format!("{} image {number} of seed {}", self.fs, self.seed);
                into.note(&name, &history, verified(&store, &at, found)?);
                store.namespace.run("umount", &[&at])?;
                store.namespace.run("rm", &[&copy])?;
            }
            Ok::<(), NotRun>(())
        };
        let taken = tokio::select! {
            taken = taking => taken,
            () = posting => Ok(()),
        };
        ledger.run().stop();
        taken
    }
}

/// The result of one image.
enum ImageResult {
    /// A service serves it; these promises are broken.
    Served(Vec<String>),
    /// No service does.
    Refused(String),
}

impl Images {
    fn note(&mut self, name: &str, history: &History, found: ImageResult) {
        let receipts = history.attempts.iter().filter(|attempt| attempt.outcome.is_receipt());
        self.acknowledged += receipts.count();
        match found {
            ImageResult::Served(wrong) => {
                self.checked += 1;
                self.broken += usize::from(!wrong.is_empty());
                self.wrong
                    .extend(wrong.iter().take(TOLD_MAX).map(|wrong| format!("{name}: {wrong}")));
            }
            ImageResult::Refused(why) => {
                self.refused += 1;
                self.wrong.push(format!("{name}: {why}"));
            }
        }
    }
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

/// Lets a service recover from what is mounted at `dir`, and checks all it shows.
async fn check(
    checker: &mut Cluster,
    program: &[OsString],
    dir: &Path,
    history: &History,
) -> Result<ImageResult, NotRun> {
    match checker.replace_logging(program.to_vec(), dir).await {
        Ok(()) => {}
        Err(error @ ProcessError::NotUp { .. }) => {
            return Ok(ImageResult::Refused(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    checker.ready().await?;
    let clock = Ledger::start();
    let Some(log) = read_whole(&checker.client(), clock.run()).await else {
        return Ok(ImageResult::Refused("it cannot be read".to_owned()));
    };
    let violations = broken(history, &log);
    Ok(ImageResult::Served(
        violations.iter().map(|violation| format!("{violation:.200?}")).collect(),
    ))
}

/// Checks the journal that recovery has left.
fn verified(store: &ImageStore, dir: &Path, found: ImageResult) -> Result<ImageResult, NotRun> {
    let ImageResult::Served(wrong) = found else { return Ok(found) };
    let mut command: Vec<OsString> = vec![Program::Cli.path()?.into()];
    command.extend(["journal", "verify", "--data-dir"].map(OsString::from));
    command.push(dir.join("logging").into());
    let output = store.namespace.output(&command)?;
    if output.status.success() {
        return Ok(ImageResult::Served(wrong));
    }
    Ok(ImageResult::Refused(String::from_utf8_lossy(&output.stdout).into_owned()))
}
