//! What must hold for any content of a data directory.

use std::sync::Arc;

use logging_service::store::{
    ReadError, ScanLimit, Store as _,
    journal::{
        InspectError, Journal, OpenError,
        disk::SimulatedDisk,
        repair,
        verify::{VerifyReport, verify},
    },
};
use oncelog::message::{Message, StoredMessage};

use super::{
    base::{Written, message, options, time},
    forge::holds,
};

/// What is known about the records.
pub(super) enum Promise {
    /// Checksums may have been made right over anything.
    Nothing,
    /// Only these were ever written, in these frames, and no checksum was renewed.
    OnlyOriginals(Vec<StoredMessage>, Vec<Written>),
}

impl Promise {
    fn is_strict(&self) -> bool {
        matches!(self, Self::OnlyOriginals(..))
    }
}

/// Files that mark an interrupted repair.
const REPAIR: &str = "REPAIR";

/// A longer gap, which only a forged frame can claim, takes long to write in segments this small.
const LOST_MAX: u64 = 1 << 36;

/// Checks everything about `disk` that is promised, and leaves it as it was.
pub(super) fn check(disk: &SimulatedDisk, promise: &Promise) {
    let before = disk.contents();
    let report = look(disk);
    assert_eq!(disk.contents(), before, "verify changed something");
    let opened = open(&disk.snapshot(), disk, &report, promise);
    let planned = repaired(&disk.snapshot(), opened.as_deref(), promise);
    assert_eq!(disk.contents(), before);
    if promise.is_strict() {
        assert_eq!(planned, Some(opened.is_none()), "whether there is anything to repair");
    }
}

fn look(disk: &SimulatedDisk) -> Result<VerifyReport, InspectError> {
    verify(disk, &mut |progress| assert!(progress.done_bytes <= progress.total_bytes))
}

fn try_open(disk: &SimulatedDisk) -> Result<Journal, OpenError> {
    Journal::open(Arc::new(disk.clone()), options(), &mut |_, _| {}, &mut |_| {})
}

/// Opens the journal, or is refused with nothing changed. Returns what is in it.
fn open(
    disk: &SimulatedDisk,
    files: &SimulatedDisk,
    report: &Result<VerifyReport, InspectError>,
    promise: &Promise,
) -> Option<Vec<StoredMessage>> {
    let before = disk.contents();
    match try_open(disk) {
        Ok(journal) => {
            // Where there was no journal, one begins.
            let nothing = VerifyReport::default();
            let report = match report {
                Err(InspectError::NoJournal) => &nothing,
                report => report.as_ref().expect("what opens can be verified"),
            };
            assert_eq!(report.last_sequence, journal.last_sequence());
            let records = records(&journal, files, promise);
            drop(journal);
            nothing_whole_is_left_out(files, records.len() as u64, promise);
            goes_on(disk, &records, promise);
            if promise.is_strict() {
                assert!(report.is_sound(), "it opens, and yet:\n{report}");
                assert_eq!(report.records(), records.len() as u64);
            }
            Some(records)
        }
        Err(error) => {
            assert_eq!(disk.contents(), before, "something was changed: {error}");
            refused(&error, &before, report);
            None
        }
    }
}

/// What is whole and in its place proves everything before it, so none of it may be missing.
fn nothing_whole_is_left_out(disk: &SimulatedDisk, last_sequence: u64, promise: &Promise) {
    let Promise::OnlyOriginals(_, frames) = promise else { return };
    for frame in frames.iter().filter(|frame| frame.last > last_sequence) {
        assert!(!frame.is_whole(disk), "{last_sequence} records were read, but not {frame:?}");
    }
}

fn refused(
    error: &OpenError,
    files: &[(String, Vec<u8>)],
    report: &Result<VerifyReport, InspectError>,
) {
    match (error, report) {
        (OpenError::Damaged(damage), report) => {
            let file = files.iter().find(|(name, _)| *name == damage.file);
            let (_, content) = file.unwrap_or_else(|| panic!("no such file: {damage}"));
            assert!(damage.offset <= content.len() as u64, "{damage}");
            match report {
                Ok(report) => assert!(report.damage.contains(damage), "{damage} and not\n{report}"),
                Err(InspectError::Open(OpenError::UnsupportedVersion { .. })) => {}
                Err(other) => panic!("{damage}, but verify says {other}"),
            }
        }
        (
            OpenError::UnsupportedVersion { file, version },
            Err(InspectError::Open(OpenError::UnsupportedVersion { file: same, version: also })),
        ) => assert_eq!((file, version), (same, also)),
        (OpenError::RepairUnfinished, Err(InspectError::Open(OpenError::RepairUnfinished))) => {}
        (error, report) => panic!("refused with {error:?}, verify says {report:?}"),
    }
}

/// Reads everything, in order; each record must be on disk with its right checksum.
fn records(journal: &Journal, disk: &SimulatedDisk, promise: &Promise) -> Vec<StoredMessage> {
    let reader = journal.reader();
    let mut all: Vec<StoredMessage> = Vec::new();
    loop {
        let after = all.last().map_or(0, |stored| stored.receipt.sequence);
        match reader.scan(after, ScanLimit { messages: 3, bytes: 100 }) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => all.extend(more),
            Err(ReadError::Damaged { .. }) if !promise.is_strict() => break,
            Err(error) => panic!("what opens can be read: {error}"),
        }
    }
    assert!(all.is_sorted_by(|one, next| one.receipt.sequence < next.receipt.sequence));
    let files = disk.contents();
    for StoredMessage { receipt, message } in &all {
        let sequence = receipt.sequence;
        assert!(sequence <= journal.last_sequence());
        let found = files
            .iter()
            .any(|(_, file)| holds(file, sequence, message.id.as_bytes(), &message.body));
        assert!(found, "record {sequence} is on no disk: {message:?}");
    }
    if let Promise::OnlyOriginals(originals, _) = promise {
        assert!(originals.starts_with(&all), "these are not the first records that were written");
    }
    all
}

/// Something can be appended and is there after the next start, with everything before it.
fn goes_on(disk: &SimulatedDisk, earlier: &[StoredMessage], promise: &Promise) {
    let mut journal = try_open(disk).expect("it was just opened");
    let batch: Vec<Message> = (1_000_000..1_000_003).map(|n| message(n, 20)).collect();
    let last = journal.last_sequence();
    let committed = journal.commit(&batch, time(0)).expect("the disk works");
    assert_eq!(committed.first_sequence, last + 1);
    let ours = committed.addresses.into_iter().map(|at| journal.reader().get(at).unwrap());
    let ours: Vec<StoredMessage> = ours.collect();
    drop(journal);
    disk.crash(1);
    let journal = try_open(disk).expect("what was just written can be read");
    let mut expected = earlier.to_vec();
    expected.extend(ours);
    if promise.is_strict() {
        let both = Promise::OnlyOriginals(expected.clone(), Vec::new());
        assert_eq!(records(&journal, disk, &both), expected);
    }
    assert_eq!(journal.last_sequence(), last + 3);
}

/// Whether a file only looks like one of a journal, so that it is for a person to move away: its
/// number is not one of 20 digits that a log can reach.
fn is_foreign(name: &str) -> bool {
    let number = name.strip_suffix(".segment").map(|digits| (digits.len(), digits.parse::<u64>()));
    number.is_some_and(|(len, number)| len != 20 || number.is_ok_and(|number| number > 1 << 48))
}

/// Repairs, after which it opens. Returns whether there was anything to do, or `None` if it could
/// not be told.
fn repaired(
    disk: &SimulatedDisk,
    opened: Option<&[StoredMessage]>,
    promise: &Promise,
) -> Option<bool> {
    let before = disk.contents();
    let foreign: Vec<_> = before.into_iter().filter(|(name, _)| is_foreign(name)).collect();
    for (name, _) in &foreign {
        disk.delete(name);
    }
    let before = disk.contents();
    let plan = repair::plan(Arc::new(disk.clone()), &mut |_| {});
    assert_eq!(disk.contents(), before, "a plan changed something");
    let interrupted = before.iter().any(|(name, _)| name == REPAIR);
    let plan = match plan {
        Ok(plan) => plan,
        Err(InspectError::NoJournal) => return foreign.is_empty().then_some(false),
        Err(InspectError::Open(OpenError::UnsupportedVersion { .. })) if !promise.is_strict() => {
            return None;
        }
        Err(InspectError::Open(OpenError::Damaged(_))) if interrupted => return None,
        Err(error) => panic!("no plan: {error}"),
    };
    let (needed, _) = (plan.is_needed(), plan.to_string());
    let lost: u64 = plan.lost().iter().map(|range| range.end() - range.start() + 1).sum();
    if lost > LOST_MAX && !promise.is_strict() {
        return None;
    }
    let applied = plan.apply("again", options(), &mut |_| {});
    applied.unwrap_or_else(|error| panic!("not repaired: {error}"));
    let Ok(journal) = try_open(disk) else {
        // The renames of an interrupted repair are believed: no other program writes that file.
        assert!(interrupted, "it does not open after a repair: {:?}", look(disk));
        return None;
    };
    let records = kept(&journal, disk, promise);
    if let Some(opened) = opened.filter(|_| promise.is_strict()) {
        assert_eq!(records, opened);
    }
    drop(journal);
    if promise.is_strict() {
        assert!(look(disk).unwrap().is_sound());
    }
    foreign.is_empty().then_some(needed)
}

/// What a repair kept: originals in their places, with gaps.
fn kept(journal: &Journal, disk: &SimulatedDisk, promise: &Promise) -> Vec<StoredMessage> {
    let records = records(journal, disk, &Promise::Nothing);
    if let Promise::OnlyOriginals(originals, _) = promise {
        for StoredMessage { receipt, message } in &records {
            let original = &originals[receipt.sequence as usize - 1];
            assert_eq!(&original.message, message);
        }
    }
    records
}
