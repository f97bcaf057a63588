//! Looking at journals that no process has open.

use std::sync::Arc;

use logging_service::store::journal::{
    InspectError, OpenError, disk::SimulatedDisk, repair::plan, verify::verify,
};

use crate::{
    damage::{closed_journal, frames, segments},
    helper::*,
    repairs::{BATCHES, look, plan_for},
};

#[test]
fn a_sound_journal_needs_no_repair() {
    let disk = closed_journal(&BATCHES);
    let report = look(&disk);
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.records(), report.last_sequence, report.lost_records), (45, 45, 0));
    let frames: u64 = report.segments.iter().map(|segment| segment.frames).sum();
    assert_eq!((frames, report.segments.len()), (8, segments(&disk).len()));
    assert!(report.to_string().ends_with("The journal is sound."), "{report}");
    let before = disk.contents();
    let plan = plan_for(&disk);
    assert!(!plan.is_needed());
    plan.apply("unused", options(2048), &mut |_| {}).unwrap();
    assert_eq!(disk.contents(), before);
}

#[test]
fn an_unfinished_write_is_reported_and_needs_no_repair() {
    let disk = closed_journal(&[1..=3, 4..=6]);
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let last = frames(&whole)[1].clone();
    disk.put(FIRST_SEGMENT, &whole[..last.end - 5]);
    let report = look(&disk);
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.unfinished.as_ref().unwrap().offset, last.start as u64);
    assert!(report.to_string().contains("was never acknowledged"), "{report}");
    assert!(!plan_for(&disk).is_needed());
}

#[test]
fn all_damage_is_listed_and_not_only_the_first() {
    let disk = closed_journal(&BATCHES);
    let names = segments(&disk);
    for (name, at) in [(&names[0], 100), (&names[0], 1000), (&names[1], 500)] {
        disk.flip_bit(name, at * 8);
    }
    disk.put("40.segment", b"?");
    let report = look(&disk);
    let places: Vec<_> = report.damage.iter().map(|damage| damage.file.clone()).collect();
    assert_eq!(places, ["40.segment", &names[0], &names[0], &names[1]], "{report}");
    assert!(report.to_string().ends_with("damaged in 4 places."), "{report}");
    assert!(report.records() > 0);
}

#[test]
fn an_id_that_was_stored_twice_is_damage() {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    commit(&mut opened.journal, 1..=3).unwrap();
    commit(&mut opened.journal, 2..=2).unwrap();
    drop(opened);
    let report = look(&disk);
    assert_eq!(report.damage.len(), 1, "{report}");
    assert!(report.damage[0].problem.contains("the id of record 4 was stored before"), "{report}");
}

#[test]
fn a_journal_in_use_is_neither_looked_at_nor_repaired() {
    let disk = SimulatedDisk::new();
    let opened = open(&disk).unwrap();
    assert!(matches!(
        verify(&disk, &mut |_| {}),
        Err(InspectError::Open(OpenError::Locked { .. }))
    ));
    let planned = plan(Arc::new(disk.clone()), &mut |_| {});
    assert!(matches!(planned, Err(InspectError::Open(OpenError::Locked { .. }))));
    drop(opened);
    let planned = plan_for(&disk);
    assert!(matches!(open(&disk), Err(OpenError::Locked { .. })), "a plan must stay true");
    drop(planned);
}
