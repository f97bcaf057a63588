//! Damaged files: found and named, with nothing changed on disk.

use logging_service::store::{
    ReadError, ScanLimit, Store as _,
    journal::{OpenError, disk::SimulatedDisk},
};

use crate::helper::*;

/// Several segments of several frames, closed in order.
pub(crate) fn closed_journal(batches: &[std::ops::RangeInclusive<u64>]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    for batch in batches {
        commit(&mut opened.journal, batch.clone()).unwrap();
    }
    opened.journal.seal().unwrap();
    drop(opened);
    disk
}

pub(crate) fn segments(disk: &SimulatedDisk) -> Vec<String> {
    disk.contents()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.ends_with(".segment"))
        .collect()
}

/// Where each frame of a file begins and ends.
pub(crate) fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut frames = Vec::new();
    let mut at = 64;
    while bytes.get(at..at + 4).is_some_and(|magic| magic == b"\xf5OLF") {
        let payload = u32::from_le_bytes(bytes[at + 52..at + 56].try_into().unwrap());
        let end = at + 64 + usize::try_from(payload).unwrap() + 4;
        frames.push(at..end);
        at = end;
    }
    frames
}

/// Opens a damaged journal, which must be refused with nothing changed.
fn refusal(disk: &SimulatedDisk) -> (String, u64, String) {
    let before = disk.contents();
    let error = open(disk).map(drop).expect_err("damage was not noticed");
    assert_eq!(disk.contents(), before, "something was changed");
    let text = error.to_string();
    for word in ["Nothing was changed", "oncelog journal verify", "oncelog journal repair"] {
        assert!(text.contains(word), "{text}");
    }
    let OpenError::Damaged(damage) = error else { panic!("{error}") };
    assert!(text.contains(&damage.file) && text.contains(&damage.offset.to_string()), "{text}");
    (damage.file, damage.offset, damage.problem)
}

#[test]
fn every_flipped_bit_is_refused_by_file_and_offset_or_harmless() {
    let disk = closed_journal(&[1..=4, 5..=9, 10..=14, 15..=20, 21..=21]);
    let names = segments(&disk);
    assert_eq!(names.len(), 2);
    let (mut refused, mut harmless) = (0, 0);
    for (name, bytes) in disk.contents() {
        for bit in 0..bytes.len() as u64 * 8 {
            let flipped = disk.snapshot();
            flipped.flip_bit(&name, bit);
            let before = flipped.contents();
            match open(&flipped) {
                Ok(opened) => {
                    assert_eq!(opened.records.len(), 21, "bit {bit} of {name} lost records");
                    if harmless % 97 == 0 {
                        assert_holds(&opened, &messages(1..=21));
                    }
                    harmless += 1;
                }
                Err(OpenError::Damaged(damage)) => {
                    assert_eq!(flipped.contents(), before);
                    assert_eq!(damage.file, name, "bit {bit}");
                    assert!(damage.offset <= bit / 8, "bit {bit}: {damage}");
                    refused += 1;
                }
                Err(error) => panic!("bit {bit} of {name}: {error}"),
            }
        }
    }
    // Harmless are the seal at the end and the zeros behind it.
    assert!(refused > 18_000 && harmless > 68 * 8, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_file_cut_anywhere_at_its_end_recovers_to_the_last_whole_batch() {
    let disk = closed_journal(&[1..=3, 4..=4, 5..=9]);
    let [name] = &segments(&disk)[..] else { panic!("more than one segment") };
    let whole = disk.read(name).unwrap();
    let ends: Vec<_> = frames(&whole).into_iter().map(|frame| frame.end).collect();
    let stored_upto = |len: usize| match ends.iter().filter(|end| **end <= len).count() {
        0 => 0,
        1 => 3,
        2 => 4,
        _ => 9,
    };
    for len in 0..whole.len() {
        for filler in [None, Some(0), Some(0xff), Some(0xf5)] {
            let mut bytes = whole[..len].to_vec();
            if let Some(filler) = filler {
                bytes.resize(whole.len(), filler);
            }
            let cut = disk.snapshot();
            cut.put(name, &bytes);
            let mut opened = open(&cut).unwrap_or_else(|error| panic!("{len}: {error}"));
            // Zeros may have been zeros before.
            let stored = opened.records.len() as u64;
            assert!(stored >= stored_upto(len), "{stored} of {} at {len}", stored_upto(len));
            assert!(stored == stored_upto(len) || filler == Some(0));
            assert_holds(&opened, &messages(1..=stored));
            commit(&mut opened.journal, stored + 1..=stored + 2).unwrap();
            drop(opened);
            cut.crash(len as u64);
            assert_holds(&open(&cut).unwrap(), &messages(1..=stored + 2));
        }
    }
}

#[test]
fn old_content_behind_the_last_whole_batch_is_cut_off() {
    // A frame of another segment, a part of an own one, and own frames out of step.
    let disk = closed_journal(&[1..=4, 5..=9, 10..=14, 15..=20]);
    let names = segments(&disk);
    let (first, last) = (disk.read(&names[0]).unwrap(), disk.read(&names[1]).unwrap());
    let end = frames(&last).last().unwrap().end;
    let stale = frames(&first)[1].clone();
    let own = frames(&last)[0].clone();
    for old in [&first[stale], &last[own.start..own.end - 1], &last[own.start + 3..own.end]] {
        let mut bytes = last[..end].to_vec();
        bytes.extend_from_slice(old);
        bytes.resize(bytes.len().max(last.len()), 0);
        let overwritten = disk.snapshot();
        overwritten.put(&names[1], &bytes);
        if old.starts_with(b"\xf5OLF") && old.len() == own.len() - 1 {
            // No write leaves the header of an own frame in a wrong place.
            assert!(refusal(&overwritten).2.contains("another place"));
            continue;
        }
        let mut opened = open(&overwritten).unwrap();
        assert_holds(&opened, &messages(1..=20));
        commit(&mut opened.journal, 21..=21).unwrap();
        drop(opened);
        assert_holds(&open(&overwritten).unwrap(), &messages(1..=21));
    }
}

#[test]
fn frames_inside_of_message_bodies_do_not_pass_for_frames() {
    let disk = closed_journal(&[1..=2]);
    let mut opened = open(&disk).unwrap();
    let so_far = disk.read(FIRST_SEGMENT).unwrap();
    let copied: Vec<u8> =
        frames(&so_far).into_iter().flat_map(|frame| so_far[frame].to_vec()).collect();
    let trojan = oncelog::message::Message { body: copied.into(), ..message(3) };
    opened.journal.commit(std::slice::from_ref(&trojan), time(3)).unwrap();
    drop(opened);
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let last = frames(&whole).last().unwrap().clone();
    // The frame with the copies is torn: that is no damage, whatever is in it.
    for bit in (last.start * 8..last.end * 8).step_by(3) {
        let torn = disk.snapshot();
        torn.flip_bit(FIRST_SEGMENT, bit as u64);
        assert_holds(&open(&torn).unwrap(), &messages(1..=2));
    }
    // And whole it is a record like any other.
    let mut expected = messages(1..=2);
    expected.push(trojan);
    assert_holds(&open(&disk).unwrap(), &expected);
}

#[test]
fn damage_before_a_seal_is_told_from_an_unfinished_write() {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    commit(&mut opened.journal, 1..=1).unwrap();
    let unsealed = disk.snapshot();
    opened.journal.seal().unwrap();
    for bit in 64 * 8..200 * 8 {
        let sealed = disk.snapshot();
        sealed.flip_bit(FIRST_SEGMENT, bit);
        assert_eq!(refusal(&sealed).1, 64);
    }
    // Without the seal it cannot be told.
    unsealed.flip_bit(FIRST_SEGMENT, 100 * 8);
    assert!(open(&unsealed).unwrap().records.is_empty());
}

/// A journal of four segments, and their names.
fn four_segments() -> (SimulatedDisk, Vec<String>) {
    let disk =
        closed_journal(&[1..=9, 10..=18, 19..=27, 28..=36, 37..=45, 46..=54, 55..=63, 64..=72]);
    let names = segments(&disk);
    assert_eq!(names.len(), 4, "{names:?}");
    (disk, names)
}

#[test]
fn a_missing_segment_is_refused() {
    for missing in 0..3 {
        let (disk, names) = four_segments();
        disk.delete(&names[missing]);
        let (file, _, problem) = refusal(&disk);
        assert_eq!(file, names[missing + 1]);
        assert!(problem.contains("are missing"), "{problem}");
    }
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let (disk, names) = four_segments();
    disk.put("00000000000000000073.segment", &disk.read(&names[3]).unwrap());
    assert_eq!(refusal(&disk).0, "00000000000000000073.segment");

    let (disk, names) = four_segments();
    let (one, other) = (disk.read(&names[1]).unwrap(), disk.read(&names[2]).unwrap());
    disk.put(&names[1], &other);
    disk.put(&names[2], &one);
    assert_eq!(refusal(&disk).0, names[1]);
}

#[test]
fn a_file_like_a_segment_is_refused_and_others_are_left_alone() {
    for foreign in ["40.segment", "copy of 00000000000000000001.segment"] {
        let (disk, _) = four_segments();
        disk.put(foreign, b"");
        assert_eq!(refusal(&disk).0, foreign);
    }
    let (disk, names) = four_segments();
    disk.put("notes.txt", b"mine");
    disk.put(&format!("{}.backup-1", names[0]), b"old");
    assert_holds(&open(&disk).unwrap(), &messages(1..=72));
    assert_eq!(disk.read("notes.txt").unwrap(), b"mine");
}

#[test]
fn an_empty_segment_is_refused_unless_it_was_only_begun() {
    for content in [vec![], vec![0; 2048], vec![0; 30], vec![7; 64]] {
        for at in 0..3 {
            let (disk, names) = four_segments();
            disk.put(&names[at], &content);
            assert_eq!(refusal(&disk).0, names[at]);
        }
        // The next segment, whose creation a crash has interrupted.
        let (disk, _) = four_segments();
        let begun = "00000000000000000073.segment";
        disk.put(begun, &content);
        let mut opened = open(&disk).unwrap();
        assert_holds(&opened, &messages(1..=72));
        assert!(disk.read(begun).is_none(), "the unfinished segment is still there");
        commit(&mut opened.journal, 73..=81).unwrap();
        drop(opened);
        assert_holds(&open(&disk).unwrap(), &messages(1..=81));

        // It proves that everything before it was there.
        let (disk, _) = four_segments();
        disk.put("00000000000000000074.segment", &content);
        refusal(&disk);
    }
}

#[test]
fn a_zeroed_page_or_a_cut_in_the_middle_of_the_log_is_refused() {
    for at in 0..3 {
        for from in (64..1024).step_by(64) {
            let (disk, names) = four_segments();
            let mut bytes = disk.read(&names[at]).unwrap();
            bytes[from..from + 512].fill(0);
            disk.put(&names[at], &bytes);
            refusal(&disk);

            let (disk, names) = four_segments();
            disk.put(&names[at], &disk.read(&names[at]).unwrap()[..from]);
            refusal(&disk);
        }
    }
}

#[test]
fn swapped_frames_are_refused() {
    let disk = closed_journal(&[1..=2, 3..=4, 5..=6]);
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let frames = frames(&whole);
    for pair in frames[..3].windows(2) {
        let swapped = [
            &whole[..pair[0].start],
            &whole[pair[1].clone()],
            &whole[pair[0].clone()],
            &whole[pair[1].end..],
        ]
        .concat();
        let disk = disk.snapshot();
        disk.put(FIRST_SEGMENT, &swapped);
        let (_, offset, problem) = refusal(&disk);
        assert_eq!(offset, pair[0].start as u64);
        assert!(problem.contains("another place"), "{problem}");
    }
    // Also the last two, with no seal behind them.
    let unsealed =
        [&whole[..frames[1].start], &whole[frames[2].clone()], &whole[frames[1].clone()]];
    disk.put(FIRST_SEGMENT, &unsealed.concat());
    refusal(&disk);
}

#[test]
fn a_frame_or_segment_of_another_history_is_refused() {
    // The same random numbers, messages and lengths; only the times differ.
    let history = |hour: u64| {
        let disk = SimulatedDisk::new();
        let mut opened = open(&disk).unwrap();
        for start in (1..=36).step_by(9) {
            let batch = messages(start..=start + 8);
            opened.journal.commit(&batch, time(start + hour)).unwrap();
        }
        opened.journal.seal().unwrap();
        drop(opened);
        disk
    };
    let (ours, other) = (history(0), history(1));
    let names = segments(&ours);
    let (mut bytes, foreign) = (ours.read(&names[0]).unwrap(), other.read(&names[0]).unwrap());
    let (first, second) = (frames(&bytes)[0].clone(), frames(&bytes)[1].clone());
    bytes[first.clone()].copy_from_slice(&foreign[first]);
    let exchanged = ours.snapshot();
    exchanged.put(&names[0], &bytes);
    let (file, offset, problem) = refusal(&exchanged);
    assert_eq!((file, offset), (names[0].clone(), second.start as u64), "{problem}");
    assert!(problem.contains("does not follow the one before it"), "{problem}");

    ours.put(&names[0], &foreign);
    let (file, _, problem) = refusal(&ours);
    assert_eq!(file, names[1]);
    assert!(problem.contains("does not follow the segment in front of it"), "{problem}");
}

#[test]
fn a_later_format_version_is_left_untouched() {
    let with_version = |bytes: &mut [u8], at: usize| {
        bytes[at] = 2;
        let end = bytes.len() - 4;
        let checksum = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    };
    for (range, at) in [(0..64, 8), (64..128, 4)] {
        let disk = closed_journal(&[1..=3, 4..=5]);
        let mut bytes = disk.read(FIRST_SEGMENT).unwrap();
        with_version(&mut bytes[range], at);
        disk.put(FIRST_SEGMENT, &bytes);
        let before = disk.contents();
        let error = open(&disk).map(drop).unwrap_err();
        assert_eq!(disk.contents(), before);
        assert!(matches!(error, OpenError::UnsupportedVersion { version: 2, .. }), "{error}");
        assert!(error.to_string().contains("Nothing was changed"), "{error}");
    }
}

#[test]
fn damage_under_an_open_journal_is_never_a_wrong_record() {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    let committed = commit(&mut opened.journal, 1..=3).unwrap();
    let reader = opened.journal.reader();
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let end = frames(&whole)[0].end;
    for bit in 64 * 8..(end as u64 - 4) * 8 {
        disk.flip_bit(FIRST_SEGMENT, bit);
        let mut noticed = 0;
        for (address, n) in committed.addresses.iter().zip(1..) {
            match reader.get(*address) {
                Ok(stored) => assert_eq!(stored.message, message(n)),
                Err(ReadError::Damaged(damage)) => {
                    assert_eq!(damage.file, FIRST_SEGMENT);
                    noticed += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(noticed >= 1, "bit {bit} went unnoticed");
        let scanned = reader.scan(0, ScanLimit { messages: 10, bytes: usize::MAX });
        assert!(matches!(scanned, Err(ReadError::Damaged { .. })), "bit {bit}");
        disk.flip_bit(FIRST_SEGMENT, bit);
    }
}
