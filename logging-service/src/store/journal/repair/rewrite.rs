//! Writing the log anew.

use std::{collections::HashSet, io, ops::RangeInclusive, sync::Arc};

use oncelog::message::Message;

use super::{
    RepairError, Repaired, Rewrite,
    salvage::{Salvage, Sink},
    steps::Steps,
};
use crate::store::{
    CommitError,
    journal::{
        Options,
        appender::{Appender, Draft},
        disk::Disk,
        encode_batch,
        error::Progress,
        frame::{HEADER_BYTES, Header, Kind},
        segment,
        survey::survey,
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
    let steps = match written.and_then(|()| new_files(&**disk).map_err(RepairError::Write)) {
        Ok(new) => Steps { backups, new },
        Err(error) => {
            // They are in nobody's way, so it does no harm if this fails as well.
            let _ = remove_new(&**disk);
            return Err(error);
        }
    };
    steps.prepare(&**disk).map_err(RepairError::Write)?;
    let done = Steps::commit(&**disk).and_then(|()| steps.finish(&**disk));
    done.map_err(RepairError::Interrupted)?;
    Ok(Repaired { backups: steps.backups, lost: plan.lost })
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
    let replaced = plan.segments.iter().filter(|sequence| **sequence >= plan.from);
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
    let appender =
        Appender::begin(Arc::clone(disk), options, plan.before, NEW_SUFFIX).map_err(failed)?;
    let mut writer = Writer { appender, buffer: Vec::new(), failure: None };
    let mut salvage = Salvage::of_known_damage(plan.from, plan.before);
    let end = survey(
        &**disk,
        &plan.segments,
        &mut |event| {
            let flow = salvage.event(event, &mut writer);
            if writer.failure.is_some() { std::ops::ControlFlow::Break(()) } else { flow }
        },
        progress,
    )?;
    salvage.finish(&end, &mut writer);
    writer.mark();
    match writer.failure {
        Some(error) => Err(failed(error)),
        None => Ok(()),
    }
}

fn failed(error: CommitError) -> RepairError {
    let (CommitError::NoSpace(error) | CommitError::Failed(error)) = error;
    RepairError::Write(error)
}

/// A sink that writes new segments.
struct Writer {
    appender: Appender,
    buffer: Vec<u8>,
    failure: Option<CommitError>,
}

impl Writer {
    /// Writes the frame in the buffer, unless a frame before it could not be written.
    fn write(&mut self, kind: Kind, stored_at: i64, count: u32) {
        if self.failure.is_none() {
            let draft = Draft { kind, stored_at, count, buffer: &mut self.buffer };
            self.failure = self.appender.write(draft).err();
        }
    }

    fn empty(&mut self) {
        self.buffer.clear();
        self.buffer.resize(HEADER_BYTES, 0);
    }

    /// Closes the log, so that damage to its end is told from an unfinished write.
    fn mark(&mut self) {
        if self.failure.is_none() {
            self.failure = self.appender.sync().err();
        }
        self.empty();
        self.write(Kind::Mark, 0, 0);
        if self.failure.is_none() {
            self.failure = self.appender.sync().err();
        }
    }

    fn gap(&mut self, sequences: RangeInclusive<u64>) {
        let mut left = sequences.end() - sequences.start() + 1;
        while left > 0 {
            let count = u32::try_from(left).unwrap_or(u32::MAX);
            self.empty();
            self.write(Kind::Lost, 0, count);
            left -= u64::from(count);
        }
    }
}

impl Sink for Writer {
    fn records(&mut self, header: &Header, messages: &[Message]) {
        // No more and no larger records than in the frame they come from, so they fit.
        let first_sequence = self.appender.link.next_sequence;
        match (
            encode_batch(&mut self.buffer, first_sequence, messages),
            u32::try_from(messages.len()),
        ) {
            (Some(_), Ok(count)) => self.write(Kind::Data, header.stored_at, count),
            (None, _) | (_, Err(_)) => {
                let error = io::ErrorKind::FileTooLarge.into();
                self.failure.get_or_insert(CommitError::Failed(error));
            }
        }
    }

    fn lost(&mut self, sequences: RangeInclusive<u64>) {
        self.gap(sequences);
    }

    fn was_lost(&mut self, sequences: RangeInclusive<u64>) {
        self.gap(sequences);
    }
}
