//! Repairing damaged journals.

use std::sync::Arc;

use futures_util::StreamExt as _;
use logging_service::{
    Execution,
    console::Console,
    limits::Limits,
    log::{Log, ReadRange},
    open_journal,
    store::{
        ScanLimit, Store as _,
        journal::{
            InspectError, OpenError,
            disk::{Disk, Fault, RealDisk, SimulatedDisk},
            repair::{RepairError, RepairPlan, Repaired, plan},
            verify::{VerifyReport, verify},
        },
    },
};
use oncelog::{
    clock::SystemClock,
    message::{AfterTheEnd, StoredMessage},
};

use crate::{
    damage::{closed_journal, frames, segments},
    helper::*,
};

pub(crate) fn look(disk: &SimulatedDisk) -> VerifyReport {
    let before = disk.contents();
    let report = verify(disk, &mut |_| {}).unwrap();
    assert_eq!(disk.contents(), before, "looking has changed something");
    report
}

pub(crate) fn plan_for(disk: &SimulatedDisk) -> RepairPlan {
    let before = disk.contents();
    let plan = plan(Arc::new(disk.clone()), &mut |_| {}).unwrap();
    assert_eq!(disk.contents(), before, "planning has changed something");
    plan
}

fn repair(disk: &SimulatedDisk, backup: &str) -> Result<Repaired, RepairError> {
    plan_for(disk).apply(backup, options(2048), &mut |_| {})
}

fn lost_sequences(repaired: &Repaired) -> Vec<u64> {
    repaired.lost.iter().cloned().flatten().collect()
}

/// Checks that the journal holds messages 1 to `last` at their sequences, but for the `lost` ones,
/// and goes on after them.
fn assert_holds_all_but(disk: &SimulatedDisk, last: u64, lost: &[u64]) -> Vec<StoredMessage> {
    let report = look(disk);
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.lost_records, lost.len() as u64);
    let mut opened = open(disk).unwrap();
    let all = read_all(&opened.journal);
    let expected: Vec<_> = (1..=last).filter(|n| !lost.contains(n)).collect();
    assert_eq!(all.iter().map(|stored| stored.receipt.sequence).collect::<Vec<_>>(), expected);
    for stored in &all {
        assert_eq!(stored.message, message(stored.receipt.sequence));
    }
    assert_finds_each(&opened, &all);
    let reader = opened.journal.reader();
    for after in 0..last {
        let next = reader.scan(after, ScanLimit { messages: 1, bytes: 1 }).unwrap();
        let expected = expected.iter().find(|n| **n > after);
        assert_eq!(next.first().map(|stored| stored.receipt.sequence), expected.copied());
    }
    assert_eq!(opened.journal.last_sequence(), last);
    assert_eq!(commit(&mut opened.journal, last + 1..=last + 2).unwrap().first_sequence, last + 1);
    drop(opened);
    assert_eq!(open(disk).unwrap().records.len(), all.len() + 2);
    all
}

pub(crate) const BATCHES: [std::ops::RangeInclusive<u64>; 7] =
    [1..=4, 5..=9, 10..=14, 15..=20, 21..=21, 22..=40, 41..=45];

#[test]
fn a_repair_after_any_flipped_bit_loses_at_most_the_record_it_is_in() {
    let disk = closed_journal(&BATCHES);
    let (mut repaired_journals, mut lossless) = (0, 0);
    for (name, bytes) in disk.contents() {
        for bit in (0..bytes.len() as u64 * 8).step_by(13) {
            let flipped = disk.snapshot();
            flipped.flip_bit(&name, bit);
            let planned = plan_for(&flipped);
            if !planned.is_needed() {
                continue;
            }
            assert!(verify(&flipped, &mut |_| {}).is_err(), "the plan holds the lock");
            let text = planned.to_string();
            let promised: Vec<u64> = planned.lost().iter().cloned().flatten().collect();
            let repaired = planned.apply("1", options(2048), &mut |_| {}).unwrap();
            let lost = lost_sequences(&repaired);
            assert_eq!(lost, promised);
            assert!(lost.len() <= 1, "bit {bit} of {name}: {text}");
            for sequence in &lost {
                assert!(text.contains(&format!(" {sequence}")), "{text}");
            }
            assert_holds_all_but(&flipped, 45, &lost);
            for (old, backup) in &repaired.backups {
                let mut expected = disk.read(old).unwrap();
                if *old == name {
                    expected[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
                }
                assert_eq!(flipped.read(backup).unwrap(), expected, "the backup differs");
            }
            repaired_journals += 1;
            lossless += u64::from(lost.is_empty());
        }
    }
    assert!(repaired_journals > 1500 && lossless > 300, "{repaired_journals}, {lossless}");
}

#[test]
fn records_keep_their_sequences_when_others_before_them_are_lost() {
    let disk = closed_journal(&BATCHES);
    let names = segments(&disk);
    assert_eq!(names.len(), 3, "{names:?}");
    disk.delete(&names[1]);
    let lost: Vec<u64> = (21..=40).collect();
    let plan = plan_for(&disk);
    let text = plan.to_string();
    assert!(text.contains(&format!("{} records are lost", lost.len())), "{text}");
    let kept = text.contains(&format!("Segments before {} stay as they are", names[2]));
    assert!(kept, "{text}");
    let repaired = plan.apply("2024-01-01", options(2048), &mut |_| {}).unwrap();
    assert_eq!(lost_sequences(&repaired), lost);
    assert_eq!(repaired.backups, [(names[2].clone(), format!("{}.backup-2024-01-01", names[2]))]);
    assert_holds_all_but(&disk, 45, &lost);
}

#[test]
fn sequences_that_are_lost_stay_so_after_another_repair() {
    let disk = closed_journal(&BATCHES);
    let names = segments(&disk);
    disk.delete(&names[1]);
    let first = lost_sequences(&repair(&disk, "1").unwrap());
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let second = frames(&whole)[0].start as u64 + 64 + 20;
    disk.flip_bit(FIRST_SEGMENT, second * 8);
    let again = repair(&disk, "2").unwrap();
    assert_eq!(lost_sequences(&again), [1]);
    let mut all = vec![1];
    all.extend(first);
    assert_holds_all_but(&disk, 45, &all);
}

#[test]
fn a_damaged_end_that_was_sealed_keeps_its_sequences() {
    let disk = closed_journal(&[1..=3, 4..=6]);
    let mut bytes = disk.read(FIRST_SEGMENT).unwrap();
    let last = frames(&bytes)[1].clone();
    bytes[last].fill(0);
    disk.put(FIRST_SEGMENT, &bytes);
    let repaired = repair(&disk, "1").unwrap();
    assert_eq!(repaired.lost, [4..=6]);
    assert_holds_all_but(&disk, 6, &[4, 5, 6]);
}

#[tokio::test]
async fn a_reader_goes_on_from_what_a_repair_could_not_save() {
    let disk = closed_journal(&[1..=3, 4..=6]);
    let mut bytes = disk.read(FIRST_SEGMENT).unwrap();
    let last = frames(&bytes)[1].clone();
    bytes[last].fill(0);
    disk.put(FIRST_SEGMENT, &bytes);
    repair(&disk, "1").unwrap();
    let opened = open_journal(Arc::new(disk), options(64 * 1024)).unwrap();
    let (clock, limits) = (Arc::new(SystemClock), Limits::default());
    let log = Log::start(opened, clock, Console::off(), Execution::Threads, limits).unwrap();
    let read = |after| log.read(ReadRange { after, ..ReadRange::default() });
    for after in 4..=6 {
        assert!(read(after).unwrap().next().await.is_none(), "nothing is stored after {after}");
    }
    assert_eq!(read(7).err(), Some(AfterTheEnd { after: 7, last_sequence: 6 }));
    let _ = log.append(messages(7..=7)).await.unwrap();
    let chunk = read(5).unwrap().next().await.unwrap().unwrap();
    assert_eq!(chunk.records().first().unwrap().receipt.sequence, 7);
}

#[test]
fn records_behind_an_unreadable_header_keep_all_but_their_time() {
    let disk = closed_journal(&[1..=3, 4..=6, 7..=9]);
    let bytes = disk.read(FIRST_SEGMENT).unwrap();
    disk.flip_bit(FIRST_SEGMENT, (frames(&bytes)[1].start as u64 + 42) * 8);
    let planned = plan_for(&disk);
    let text = planned.to_string();
    assert!(text.contains("The times of 3 records are unreadable"), "{text}");
    planned.apply("1", options(2048), &mut |_| {}).unwrap();
    let all = assert_holds_all_but(&disk, 9, &[]);
    let times: Vec<_> = all.iter().map(|stored| stored.receipt.stored_at).collect();
    assert_eq!(times[2..7], [time(1), time(1), time(1), time(1), time(7)]);
}

#[test]
fn any_kind_of_damage_can_be_repaired() {
    let sound = closed_journal(&BATCHES);
    let names = segments(&sound);
    let damaged = |damage: &dyn Fn(&SimulatedDisk)| {
        let disk = sound.snapshot();
        damage(&disk);
        disk
    };
    let content = |name: &str| sound.read(name).unwrap();
    let disks = [
        damaged(&|disk| disk.put(&names[0], b"")),
        damaged(&|disk| disk.put(&names[1], &[0; 2048])),
        damaged(&|disk| disk.put(&names[1], &[0xff; 2048])),
        damaged(&|disk| disk.put(&names[1], &content(&names[1])[..700])),
        damaged(&|disk| disk.delete(&names[0])),
        damaged(&|disk| disk.put(&names[1], &content(&names[2]))),
        damaged(&|disk| disk.put("00000000000000000046.segment", &content(&names[2]))),
        damaged(&|disk| disk.put("00000000000000000099.segment", b"")),
        damaged(&|disk| {
            let bytes = content(&names[0]);
            let frames = frames(&bytes);
            let (one, two) = (frames[0].clone(), frames[1].clone());
            disk.put(
                &names[0],
                &[&bytes[..64], &bytes[two.clone()], &bytes[one], &bytes[two.end..]].concat(),
            );
        }),
    ];
    for (index, disk) in disks.iter().enumerate() {
        let refused = open(disk).map(drop).expect_err("it is not damaged");
        assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
        assert!(!look(disk).is_sound());
        let repaired = repair(disk, "1").unwrap_or_else(|error| panic!("{index}: {error}"));
        let last = if index == 7 { 98 } else { 45 };
        assert_holds_all_but(disk, last, &lost_sequences(&repaired));
        assert!(!plan_for(disk).is_needed());
    }
}

#[test]
fn an_empty_segment_before_the_damage_is_written_anew_as_well() {
    let disk = SimulatedDisk::new();
    drop(open(&disk).unwrap());
    disk.put("00000000000000000005.segment", b"");
    let repaired = repair(&disk, "1").unwrap();
    assert_eq!(repaired.backups.len(), 2);
    assert_holds_all_but(&disk, 4, &[1, 2, 3, 4]);
}

#[test]
fn a_crash_in_a_repair_leaves_the_old_journal_or_one_to_finish() {
    let damaged = closed_journal(&BATCHES);
    damaged.flip_bit(&segments(&damaged)[0], 700 * 8);
    let old = damaged.contents();
    let (mut as_before, mut to_finish) = (0, 0);
    for n in 0.. {
        for seed in 0..6 {
            let disk = damaged.snapshot();
            disk.inject(n, Fault::Crash);
            let done = plan(Arc::new(disk.clone()), &mut |_| {})
                .is_ok_and(|plan| plan.apply("1", options(2048), &mut |_| {}).is_ok());
            if disk.fault_is_pending() {
                assert!(done && as_before > 50 && to_finish > 10, "{as_before}, {to_finish}");
                return;
            }
            disk.crash(seed);
            match open(&disk).map(drop) {
                Err(OpenError::Damaged(_)) => {
                    assert!(
                        old.iter().all(|(name, bytes)| disk.read(name).as_ref() == Some(bytes))
                    );
                    as_before += 1;
                }
                Err(OpenError::RepairUnfinished) => {
                    assert!(matches!(
                        verify(&disk, &mut |_| {}),
                        Err(InspectError::Open(OpenError::RepairUnfinished))
                    ));
                    assert!(plan_for(&disk).to_string().contains("will be finished"));
                    to_finish += 1;
                }
                Ok(()) => {}
                Err(error) => panic!("{error}"),
            }
            let planned = plan_for(&disk);
            planned.apply("2", options(2048), &mut |_| {}).unwrap();
            let names = disk.list().unwrap();
            assert!(names.iter().any(|name| name.contains(".segment.backup-")), "no backup");
            assert!(!names.iter().any(|name| name == "REPAIR"));
            let report = look(&disk);
            assert_eq!((report.lost_records, report.last_sequence), (1, 45));
            disk.crash(seed);
            assert_eq!(open(&disk).unwrap().records.len(), 44);
        }
    }
}

#[test]
fn a_repair_that_fails_says_whether_the_journal_is_as_it_was() {
    let damaged = closed_journal(&BATCHES);
    damaged.flip_bit(FIRST_SEGMENT, 700 * 8);
    let old = damaged.contents();
    let mut interrupted = 0;
    for n in 0.. {
        let disk = damaged.snapshot();
        let planned = plan_for(&disk);
        disk.inject(n, Fault::Fail(std::io::ErrorKind::StorageFull));
        match planned.apply("1", options(2048), &mut |_| {}) {
            Ok(_) if disk.fault_is_pending() => {
                return assert!(interrupted > 3, "only {interrupted}");
            }
            Ok(_) => {}
            Err(RepairError::Interrupted(_)) => interrupted += 1,
            Err(RepairError::Write(_) | RepairError::Read(_)) => {
                assert!(old.iter().all(|(name, bytes)| disk.read(name).as_ref() == Some(bytes)));
                assert!(matches!(open(&disk).map(drop), Err(OpenError::Damaged(_))));
            }
            Err(error @ RepairError::BackupName(_)) => panic!("{error}"),
        }
        let planned = plan_for(&disk);
        planned.apply("2", options(2048), &mut |_| {}).unwrap();
        assert_eq!(open(&disk).unwrap().records.len(), 44);
    }
}

#[test]
fn a_name_for_the_backup_is_plain_and_new() {
    let disk = closed_journal(&BATCHES);
    disk.flip_bit(FIRST_SEGMENT, 700 * 8);
    disk.put(&format!("{FIRST_SEGMENT}.backup-used"), b"precious");
    let before = disk.contents();
    for wrong in ["", "a b", "../x", "used", &"x".repeat(65)] {
        let refused = repair(&disk, wrong);
        assert!(matches!(refused, Err(RepairError::BackupName(_))), "{wrong:?}");
        assert_eq!(disk.contents(), before);
    }
    repair(&disk, "new").unwrap();
}

#[test]
fn a_file_that_does_not_belong_to_the_journal_is_left_to_the_person() {
    let disk = closed_journal(&BATCHES);
    disk.put("copy.segment", b"?");
    let planned = plan_for(&disk);
    assert!(!planned.is_needed());
    assert!(planned.to_string().contains("\"copy.segment\" is not a file of this journal"));
}

#[test]
fn a_real_directory_is_looked_at_and_repaired() {
    let dir = tempfile::TempDir::new().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let mut opened = open_with(disk.clone(), options(2048)).unwrap();
    for batch in BATCHES {
        commit(&mut opened.journal, batch).unwrap();
    }
    opened.journal.seal().unwrap();
    drop(opened);
    assert!(verify(&*disk, &mut |_| {}).unwrap().is_sound());
    let file = dir.path().join(FIRST_SEGMENT);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let report = verify(&*disk, &mut |_| {}).unwrap();
    assert_eq!(report.damage.len(), 1, "{report}");
    let planned = plan(disk.clone(), &mut |_| {}).unwrap();
    let repaired = planned.apply("1", options(2048), &mut |_| {}).unwrap();
    assert_eq!(lost_sequences(&repaired).len(), 1);
    assert_eq!(std::fs::read(dir.path().join(&repaired.backups[0].1)).unwrap(), bytes);
    assert!(verify(&*disk, &mut |_| {}).unwrap().is_sound());
    assert_eq!(open_with(disk, options(2048)).unwrap().records.len(), 44);
}
