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
//! A repair has one moment in which it happens. Before it, new files are written beside the old
//! ones; a crash leaves the damaged journal as it was. Then a list of renames becomes durable in
//! the file `REPAIR`. After that a crash leaves a repair that only needs to be finished: opening
//! is refused until then, and repairing again does it.

mod renames;
mod rewrite;
mod salvage;

use std::{fmt, io, ops::RangeInclusive, sync::Arc};

use self::{
    renames::Renames,
    salvage::{Salvage, Sink},
};
use super::{
    chain::ChainTail,
    disk::{Disk, DiskLock},
    error::{Damage, OpenError, Progress},
    frame::Header,
    scrub::{Tail, scrub, segment_names},
    segment,
};
use oncelog::message::Message;

pub(super) use self::renames::is_unfinished;

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
    /// First sequence of the first segment that is replaced, and the log before it.
    from: u64,
    before: ChainTail,
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

/// Finds out what can be kept of the journal on `disk`, and changes nothing.
///
/// # Errors
/// [`OpenError`] if the journal is in use, cannot be read, or is of a later version.
pub fn plan(
    disk: Arc<dyn Disk>,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairPlan, OpenError> {
    let lock = disk.lock()?;
    if let Some(renames) = Renames::read(&*disk)? {
        return Ok(RepairPlan { disk, lock, task: Task::Finish(renames) });
    }
    let (segments, foreign) = segment_names(&*disk)?;
    let mut count = Count::default();
    let mut salvage = Salvage::looking_for_damage();
    let end = scrub(&*disk, &segments, &mut |event| salvage.event(event, &mut count), progress)?;
    salvage.finish(&end, &mut count);
    let task = match salvage.first_damage() {
        None => Task::Nothing { foreign },
        Some((from, before)) => Task::Rewrite(Rewrite {
            segments,
            from,
            before,
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

    fn lost(&mut self, sequences: RangeInclusive<u64>) {
        match self.lost.last_mut() {
            Some(last) if last.end() + 1 == *sequences.start() => {
                *last = *last.start()..=*sequences.end();
            }
            Some(_) | None => self.lost.push(sequences),
        }
    }

    fn was_lost(&mut self, _: RangeInclusive<u64>) {}
}

impl fmt::Debug for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepairPlan({self})")
    }
}

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Task::Nothing { foreign } => {
                f.write_str("There is nothing to repair.")?;
                explain_foreign(f, foreign)
            }
            Task::Finish(_) => f.write_str(
                "An earlier repair was interrupted after all new files were written. It will be \
                 finished.",
            ),
            Task::Rewrite(rewrite) => rewrite.explain(f),
        }
    }
}

impl Rewrite {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damage {
            writeln!(f, "{damage}")?;
        }
        match self.from {
            ..=1 => f.write_str("The whole log will be written anew. ")?,
            from => write!(
                f,
                "Segments before {} stay as they are. From there on the log will be written anew. ",
                segment::name(from)
            )?,
        }
        writeln!(
            f,
            "The old files are kept, under names that end in the name of the backup. {} records of \
             them are readable and keep their sequences, ids, bodies and times.",
            self.kept_records
        )?;
        let lost: u64 = self.lost.iter().map(|range| range.end() - range.start() + 1).sum();
        if lost == 0 {
            f.write_str("No record is known to be lost.")?;
        } else {
            write!(f, "{lost} records are lost, with sequences")?;
            for (index, range) in self.lost.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                if range.start() == range.end() {
                    write!(f, "{comma} {}", range.start())?;
                } else {
                    write!(f, "{comma} {} to {}", range.start(), range.end())?;
                }
            }
            f.write_str(
                ". These sequences are never used again. The ids of lost records are unknown: if a \
                 client sends one of them again, it is stored as new.",
            )?;
        }
        if self.approximate_times > 0 {
            write!(
                f,
                "\nThe times of {} records are unreadable: they get the time of the record before \
                 them.",
                self.approximate_times
            )?;
        }
        if self.unfinished_end {
            f.write_str("\nAn unfinished write at the end is dropped. It was never acknowledged.")?;
        }
        explain_foreign(f, &self.foreign)
    }
}

fn explain_foreign(f: &mut fmt::Formatter<'_>, foreign: &[Damage]) -> fmt::Result {
    for Damage { file, .. } in foreign {
        write!(
            f,
            "\n{file:?} is not a file of this journal and keeps it from being opened: move it away."
        )?;
    }
    Ok(())
}
