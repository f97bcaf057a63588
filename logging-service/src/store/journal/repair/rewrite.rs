//! Writing the log anew.

use std::{
    collections::HashSet,
    io,
    ops::{ControlFlow, RangeInclusive},
    sync::Arc,
};

use oncelog::message::Message;

use super::{
    RepairError, Repaired, Rewrite,
    renames::Renames,
    salvage::{Loss, Salvage, Sink},
};
use crate::store::{
    CommitError,
    journal::{
        Options,
        disk::Disk,
        error::Progress,
        frame::{Header, Kind},
        frame_builder::FrameBuilder,
        scrub::{Event, scrub},
        segment,
        writer::Writer,
    },
};

/// What new segments are called until they take their places.
const NEW_SUFFIX: &str = ".new";

pub(super) fn apply(
    disk: &Arc<dyn Disk>,
    plan: Rewrite,
    backup_name: &str,
    options: Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Repaired, RepairError> {
    let backups = backups(&**disk, &plan, backup_name)?;
    remove_new(&**disk).map_err(RepairError::Write)?;
    let written = write(disk, &plan, options, progress);
    let renames = match written.and_then(|()| new_files(&**disk).map_err(RepairError::Write)) {
        Ok(new) => Renames { backups, new },
        Err(error) => {
            // The journal ignores them, so it does no harm if this fails as well.
            let _ = remove_new(&**disk);
            return Err(error);
        }
    };
    renames.prepare(&**disk).map_err(RepairError::Write)?;
    let done = Renames::commit(&**disk).and_then(|()| renames.finish(&**disk));
    done.map_err(RepairError::Interrupted)?;
    Ok(Repaired { backups: renames.backups, lost: plan.lost })
}

/// The files that are replaced, and the names they are kept under.
fn backups(
    disk: &dyn Disk,
    plan: &Rewrite,
    backup_name: &str,
) -> Result<Vec<(String, String)>, RepairError> {
    let refused = || RepairError::BackupName(backup_name.to_owned());
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=64).contains(&backup_name.len()) || !backup_name.chars().all(allowed) {
        return Err(refused());
    }
    let files: HashSet<_> = disk.list().map_err(RepairError::Write)?.into_iter().collect();
    let replaced = plan.segments.iter().filter(|sequence| **sequence >= plan.from.first_sequence);
    replaced
        .map(|sequence| {
            let name = segment::name(*sequence);
            let backup = format!("{name}.backup-{backup_name}");
            if files.contains(&backup) { Err(refused()) } else { Ok((name, backup)) }
        })
        .collect()
}

/// The new files, and the names they are to get.
fn new_files(disk: &dyn Disk) -> io::Result<Vec<(String, String)>> {
    let mut files: Vec<_> = disk
        .list()?
        .into_iter()
        .filter_map(|file| {
            let name = file.strip_suffix(NEW_SUFFIX)?.to_owned();
            matches!(segment::parse_name(&name), segment::Named::Segment(_)).then_some((file, name))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// Removes what an interrupted repair may have left.
fn remove_new(disk: &dyn Disk) -> io::Result<()> {
    for (file, _) in new_files(disk)? {
        disk.remove(&file)?;
    }
    disk.sync_dir()
}

fn write(
    disk: &Arc<dyn Disk>,
    plan: &Rewrite,
    options: Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), RepairError> {
    let writer =
        Writer::begin(Arc::clone(disk), options, plan.from.before, NEW_SUFFIX).map_err(failed)?;
    let mut rewriter = Rewriter { writer, frame: FrameBuilder::new(), failure: None };
    let mut salvage = Salvage::from(plan.from);
    let mut listener = |event: Event<'_, '_>| {
        let goes_on = salvage.event(event, &mut rewriter);
        match rewriter.failure {
            None => goes_on,
            Some(_) => ControlFlow::Break(()),
        }
    };
    let end = scrub(&**disk, &plan.segments, &mut listener, progress)?;
    salvage.finish(&end, &mut rewriter)?;
    rewriter.finish().map_err(failed)
}

fn failed(error: CommitError) -> RepairError {
    RepairError::Write(error.into_io())
}

/// A sink that writes new segments.
struct Rewriter {
    writer: Writer,
    frame: FrameBuilder,
    /// Why a frame could not be written. None is written after it.
    failure: Option<CommitError>,
}

impl Rewriter {
    fn write(&mut self) {
        if self.failure.is_none() {
            self.failure = self.writer.write(&mut self.frame).err();
        }
    }

    /// Makes everything durable, and then seals it.
    fn finish(mut self) -> Result<(), CommitError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.writer.sync()?;
        self.frame.empty(Kind::Mark, 0);
        self.writer.write(&mut self.frame)?;
        self.writer.sync()
    }
}

impl Sink for Rewriter {
    fn records(&mut self, header: &Header, messages: &[Message]) {
        let first_sequence = self.writer.chain.next_sequence;
        self.frame.records(first_sequence, header.stored_at, messages);
        self.write();
    }

    fn lost(&mut self, sequences: RangeInclusive<u64>, _: Loss) {
        let mut left = sequences.end() - sequences.start() + 1;
        while left > 0 {
            let count = u32::try_from(left).unwrap_or(u32::MAX);
            self.frame.empty(Kind::Lost, count);
            self.write();
            left -= u64::from(count);
        }
    }
}
