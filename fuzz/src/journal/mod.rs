//! Data directories with any content.

mod base;
mod checker;
mod edit;
mod forge;

use arbitrary::{Result, Unstructured};
use logging_service::store::journal::disk::{Disk as _, SimulatedDisk};

use self::{
    base::base,
    checker::{Promise, check},
    edit::edit,
    forge::{Forgery, forge},
};
use crate::memory;

/// Recovery reads through a window of this size at the most.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Names that mean something, in a directory where none of the files is what it seems.
const NAMES: [&str; 12] = [
    "00000000000000000001.segment",
    "00000000000000000002.segment",
    "00000000000000000005.segment",
    "00000000000000000000.segment",
    "00000000004294967297.segment",
    "18446744073709551615.segment",
    "1.segment",
    "00000000000000000001.segment.new",
    "00000000000000000001.segment.backup-fuzz",
    "REPAIR",
    "REPAIR.new",
    "LOCK",
];

/// Files with any content, under names that a journal gives or nearly so.
pub(crate) fn bytes(input: &[u8]) {
    let disk = SimulatedDisk::new();
    // An input that ends too soon fills fewer files.
    let _ = fill(&disk, &mut Unstructured::new(input));
    checked(&disk, &Promise::Nothing);
}

fn fill(disk: &SimulatedDisk, choices: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..choices.int_in_range(1..=4)? {
        let name = *choices.choose(&NAMES)?;
        let forged = Forgery::from_choice(choices.arbitrary()?);
        let len = choices.int_in_range(0..=1024)?;
        let mut content = choices.bytes(usize::min(len, choices.len()))?.to_vec();
        forge(&mut content, forged);
        disk.put(name, &content);
    }
    Ok(())
}

/// A valid journal, changed.
pub(crate) fn edits(input: &[u8]) {
    let mut choices = Unstructured::new(input);
    let base = base(&mut choices);
    let mut renewed = false;
    while !choices.is_empty() && edit(&base.disk, &mut choices, &mut renewed).is_ok() {}
    let promise =
        if renewed { Promise::Nothing } else { Promise::OnlyOriginals(base.stored, base.frames) };
    checked(&base.disk, &promise);
}

fn checked(disk: &SimulatedDisk, promise: &Promise) {
    // The disk is in memory, too: itself, its copies, what of it is read, and what repair writes.
    let used: usize = disk.contents().iter().map(|(_, content)| content.len() + 4096).sum();
    memory::within(2 * WINDOW_BYTES + 32 * used, || check(disk, promise));
    assert!(disk.lock().is_ok(), "the lock was not given back");
}
