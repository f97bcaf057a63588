//! `faultlab power-loss`: what a machine finds on its disk after the power was cut.
//!
//! The journal is on a file system in a file. While clients post, that file is copied as it is at a
//! moment: what the kernel holds in memory only is not in it, as after a power loss. The copy is
//! mounted, a logging service recovers from it, and everything acknowledged before the copy must be
//! there. The same without syncs is the control, and must show losses.
//!
//! What it does not show: what a disk loses that has a cache of its own and acknowledges too early.

mod image;
mod round;
mod thin;

pub use self::image::Fs;
use self::round::{Round, Sync};
pub use self::thin::{Thin, thin};
use super::{Goals, NotRun, Scratch, say};

/// Images of one journal; then a new one begins, so that first segments are seen often.
const IMAGES_PER_ROUND: usize = 25;

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images to take and check
    #[arg(long, default_value_t = 300, value_name = "NUMBER")]
    images: usize,

    /// Images of the control, which writes without syncs
    #[arg(long, default_value_t = 15, value_name = "NUMBER")]
    control: usize,

    /// Real failures of a sync
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    thin: usize,

    /// Only this file system; without it, all in turn
    #[arg(long, value_enum)]
    fs: Option<Fs>,

    /// Where the random moments come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The results over all images.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// Recovered from and checked.
    pub checked: usize,
    /// Messages that had a receipt before their image was taken, over all images.
    pub acknowledged: usize,
    /// Images that lack one of them, or hold what they must not.
    pub broken: usize,
    /// Images that the service or the check of the journal refused.
    pub refused: usize,
    /// What is wrong, image by image.
    pub wrong: Vec<String>,
}

/// The results of a run.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// With the service as it is.
    pub real: Images,
    /// With a service whose syncs do nothing.
    pub control: Images,
    /// On a device that runs out of space in the middle of a sync.
    pub thin: Thin,
}

impl Results {
    /// The goals, and whether they were reached.
    #[must_use]
    pub fn goals(&self, images: usize) -> Goals {
        let mut goals = Goals::default();
        let Self { real, control, thin } = self;
        goals.note("images checked", images, real.checked, real.checked >= images);
        let known = real.acknowledged;
        goals.note("receipts looked for in them", "more than 0", known, known > 0);
        goals.note("images with a loss or a phantom", 0, real.broken, real.broken == 0);
        goals.note("images refused", 0, real.refused, real.refused == 0);
        let seen = control.broken + control.refused;
        let least = format!("more than 0 of {}", control.checked + control.refused);
        goals.note("control without syncs: images with a loss", least, seen, seen > 0);
        goals.note("real failures of a sync", "at least 1", thin.failures, thin.failures > 0);
        let wrong = thin.wrong.len();
        goals.note("wrong after a real failure of a sync", 0, wrong, wrong == 0);
        goals
    }
}

/// Takes and checks images.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    let systems = match args.fs {
        Some(fs) => vec![fs],
        None => vec![Fs::Ext4, Fs::Ext4Writeback, Fs::Xfs],
    };
    let mut found = Results::default();
    let mut rounds = 0;
    while found.real.checked + found.real.refused < args.images {
        let fs = systems[rounds % systems.len()];
        let left = args.images - found.real.checked - found.real.refused;
        let images = left.min(IMAGES_PER_ROUND);
        rounds += 1;
        let round = Round { fs, sync: Sync::Real, images, seed: args.seed + rounds as u64 };
        take(round, &mut found.real, &mut say).await?;
        say(&format!("{fs}: {} images, {} broken", found.real.checked, found.real.broken));
    }
    let round =
        Round { fs: systems[0], sync: Sync::Skipped, images: args.control, seed: args.seed };
    // The control exists to lose messages.
    take(round, &mut found.control, &mut |_| {}).await?;
    for _ in 0..args.thin {
        found.thin.add(thin().await?);
    }
    found.thin.wrong.iter().for_each(|wrong| say(wrong));
    Ok(found.goals(args.images))
}

/// A few images of one file system and of the control, for a test.
///
/// # Errors
/// [`NotRun`]: not as root, not with loop devices.
pub async fn sample(images: usize, control: usize) -> Result<(Images, Images), NotRun> {
    let (mut real, mut without) = (Images::default(), Images::default());
    let round = Round { fs: Fs::Ext4, sync: Sync::Real, images, seed: 1 };
    take(round, &mut real, &mut |_| {}).await?;
    let round = Round { fs: Fs::Ext4, sync: Sync::Skipped, images: control, seed: 1 };
    take(round, &mut without, &mut |_| {}).await?;
    Ok((real, without))
}

async fn take(
    round: Round,
    into: &mut Images,
    progress: &mut dyn FnMut(&str),
) -> Result<(), NotRun> {
    let scratch = Scratch::new("power-loss")?;
    let before = into.wrong.len();
    round.run(scratch.path(), into).await?;
    into.wrong.iter().skip(before).for_each(|wrong| progress(wrong));
    Ok(())
}
