//! Making a damaged journal usable again, on a person's word.
//!
//! What a person with a damaged journal wants: to go on, to keep every record that can still be
//! read, to know exactly what is lost, to be able to go back, and that nothing that was told to
//! others becomes wrong. So:
//!
//! - Segments in front of the first damage are not touched. From there on the log is written anew,
//!   because each frame repeats the checksum of the one before it.
//! - Every record that passes its checks is kept, also out of frames that are damaged elsewhere,
//!   with its id, body and time, and with its **sequence**: receipts, offsets and earlier reads
//!   stay true. Sequences whose records are lost are never used again. A frame of its own kind
//!   says that they are lost, so that a gap is known to be one for ever.
//! - The old files are kept under backup names. Nothing is deleted.
//!
//! ```text
//! plan    scrub ─ events ─▶ Salvage ─ records, losses ─▶ Count      what would be kept
//! apply   scrub ─ events ─▶ Salvage ─ records, losses ─▶ Rewriter   *.segment.new, synced
//!         REPAIR.new, synced ─ rename ─▶ REPAIR                     here the repair happens
//!         *.segment ─▶ *.segment.backup-name, then *.segment.new ─▶ *.segment
//!         REPAIR is removed
//! ```
//!
//! A repair has one moment in which it happens. A crash before it leaves the damaged journal as it
//! was, with new files beside the old ones that are ignored. A crash after it leaves a repair that
//! only needs to be finished: opening is refused until then, and repairing again does it.

mod explain;
mod renames;
mod rewrite;
mod salvage;

use std::{io, ops::RangeInclusive, sync::Arc};

use oncelog::message::Message;

pub(super) use self::renames::is_unfinished;
use self::{
    renames::Renames,
    salvage::{Loss, Salvage, Sink, Start},
};
use super::{
    disk::{Disk, DiskLock},
    error::{Damage, InspectError, OpenError, Progress},
    frame::Header,
    scrub::{Event, Tail, scrub, segment_names},
    verify::must_exist,
};

/// What a repair would do. The journal stays locked as long as the plan is there, so that it does
/// what it says.
pub struct RepairPlan {
    disk: Arc<dyn Disk>,
    lock: Box<dyn DiskLock>,
    task: Task,
}

enum Task {
    /// The journal can be opened as it is.
    Nothing { foreign: Vec<Damage> },
    /// An earlier repair was interrupted.
    Finish(Renames),
    /// Write the log anew from some segment on.
    Rewrite(Rewrite),
}

struct Rewrite {
    segments: Vec<u64>,
    /// The first segment that is replaced.
    from: Start,
    damage: Vec<Damage>,
    foreign: Vec<Damage>,
    kept_records: u64,
    lost: Vec<RangeInclusive<u64>>,
    approximate_times: u64,
    unfinished_end: bool,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Files that were kept under another name: the old name and the new one.
    pub backups: Vec<(String, String)>,
    /// Sequences whose records are lost.
    pub lost: Vec<RangeInclusive<u64>>,
}

/// Why a repair did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The name for the backup cannot be used.
    #[error(
        "{0:?} cannot name the backup: write 1 to 64 letters, digits and '-', and a name that was \
         not used before. Nothing was changed"
    )]
    BackupName(String),
    /// The new files could not be written.
    #[error("cannot write the new segments: {0}. The journal is as it was")]
    Write(io::Error),
    /// The journal could not be read any more.
    #[error(transparent)]
    Read(#[from] OpenError),
    /// The files could not all be exchanged.
    #[error(
        "the repair was interrupted: {0}. The old files are kept. Run `oncelog journal repair` \
         again to finish it"
    )]
    Interrupted(io::Error),
}

/// Finds out what can be kept of the journal on `disk`, and changes nothing. The journal is locked as
/// long as the plan is there.
///
/// # Errors
/// [`InspectError`] if there is none, or it is in use, cannot be read, or is of a later version.
pub fn plan(
    disk: Arc<dyn Disk>,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairPlan, InspectError> {
    // Before the lock, which may make a file.
    must_exist(&*disk)?;
    let lock = disk.lock().map_err(OpenError::from)?;
    if let Some(renames) = Renames::read(&*disk)? {
        return Ok(RepairPlan { disk, lock, task: Task::Finish(renames) });
    }
    let (segments, foreign) = segment_names(&*disk)?;
    let mut count = Count::default();
    let mut salvage = Salvage::looking_for_damage();
    let mut listener = |event: Event<'_, '_>| salvage.event(event, &mut count);
    let end = scrub(&*disk, &segments, &mut listener, progress)?;
    salvage.finish(&end, &mut count)?;
    let task = match salvage.rewrite_from {
        None => Task::Nothing { foreign },
        Some(from) => Task::Rewrite(Rewrite {
            segments,
            from,
            damage: salvage.damage,
            foreign,
            kept_records: count.kept,
            lost: count.lost,
            approximate_times: salvage.approximate_times,
            unfinished_end: end.tail != Tail::Clean,
        }),
    };
    Ok(RepairPlan { disk, lock, task })
}

impl RepairPlan {
    /// Whether there is anything to do.
    pub fn is_needed(&self) -> bool {
        match &self.task {
            Task::Nothing { .. } => false,
            Task::Finish(_) | Task::Rewrite(_) => true,
        }
    }

    /// Sequences whose records will be lost.
    pub fn lost(&self) -> &[RangeInclusive<u64>] {
        match &self.task {
            Task::Nothing { .. } | Task::Finish(_) => &[],
            Task::Rewrite(rewrite) => &rewrite.lost,
        }
    }

    /// Does it. The old files are kept as `<name>.backup-<backup_name>`. An interrupted repair that
    /// is only finished keeps the name it was begun with.
    ///
    /// Returns when everything is durable. A crash leaves the journal as it was, or a repair that the
    /// next one finishes; in both cases every old file is kept.
    ///
    /// # Errors
    /// [`RepairError`], which says whether the journal is as it was.
    pub fn apply(
        self,
        backup_name: &str,
        options: super::Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Repaired, RepairError> {
        let Self { disk, lock: _lock, task } = self;
        match task {
            Task::Nothing { .. } => Ok(Repaired { backups: Vec::new(), lost: Vec::new() }),
            Task::Finish(renames) => {
                renames.finish(&*disk).map_err(RepairError::Interrupted)?;
                Ok(Repaired { backups: renames.backups, lost: Vec::new() })
            }
            Task::Rewrite(plan) => rewrite::apply(&disk, plan, backup_name, options, progress),
        }
    }
}

/// A sink that only counts.
#[derive(Default)]
struct Count {
    kept: u64,
    lost: Vec<RangeInclusive<u64>>,
}

impl Sink for Count {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn records(&mut self, _: &Header, messages: &[Message]) {
        self.kept += messages.len() as u64;
    }

    fn lost(&mut self, sequences: RangeInclusive<u64>, loss: Loss) {
        match (loss, self.lost.last_mut()) {
            (Loss::Earlier, _) => {}
            (Loss::New, Some(last)) if last.end() + 1 == *sequences.start() => {
                *last = *last.start()..=*sequences.end();
            }
            (Loss::New, _) => self.lost.push(sequences),
        }
    }
}
