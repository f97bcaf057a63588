//! The journal in real directories.

use std::{fs, sync::Arc};

use logging_service::store::{
    Store as _,
    journal::{
        OpenError, Options,
        disk::{Disk as _, RealDisk},
    },
};
use tempfile::TempDir;

use crate::helper::*;

fn open_dir(dir: &std::path::Path) -> Result<Opened, OpenError> {
    open_with(Arc::new(RealDisk::open(dir).unwrap()), options(64 * 1024))
}

#[test]
fn a_journal_in_a_new_directory_is_there_after_a_restart() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("not/there/yet");
    let mut expected = Vec::new();
    for round in 0..5 {
        let mut opened = open_dir(&dir).unwrap();
        assert_holds(&opened, &expected);
        for n in round * 100 + 1..=round * 100 + 100 {
            let one = message_of(n, 700);
            opened.journal.commit(std::slice::from_ref(&one), time(n)).unwrap();
            expected.push(one);
        }
        opened.journal.seal().unwrap();
    }
    assert_holds(&open_dir(&dir).unwrap(), &expected);
    assert!(fs::read_dir(&dir).unwrap().count() > 5, "too few segments");
}

#[test]
fn the_default_options_work() {
    let dir = TempDir::new().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let mut opened = open_with(disk.clone(), Options::default()).unwrap();
    commit(&mut opened.journal, 1..=100).unwrap();
    drop(opened);
    assert_holds(&open_with(disk, Options::default()).unwrap(), &messages(1..=100));
}

#[test]
fn a_second_journal_in_a_directory_is_refused_with_the_pid() {
    let dir = TempDir::new().unwrap();
    let first = open_dir(dir.path()).unwrap();
    let error = open_dir(dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Locked { pid: Some(pid) } if pid == std::process::id()));
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(first);
    assert!(dir.path().join("LOCK").exists(), "a lock file that is removed excludes no process");
    open_dir(dir.path()).unwrap();
}

#[test]
fn an_unfinished_frame_is_cut_off_a_real_file() {
    let dir = TempDir::new().unwrap();
    let mut opened = open_dir(dir.path()).unwrap();
    commit(&mut opened.journal, 1..=3).unwrap();
    commit(&mut opened.journal, 4..=9).unwrap();
    drop(opened);
    let file = dir.path().join(FIRST_SEGMENT);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..700]).unwrap();
    let mut opened = open_dir(dir.path()).unwrap();
    assert_holds(&opened, &messages(1..=3));
    assert_eq!(fs::metadata(&file).unwrap().len(), 64 * 1024, "it is reserved again");
    commit(&mut opened.journal, 4..=4).unwrap();
    drop(opened);
    assert_holds(&open_dir(dir.path()).unwrap(), &messages(1..=4));
}

#[test]
fn a_path_that_is_no_directory_is_an_error() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(RealDisk::open(&file).is_err());
    assert!(RealDisk::open(file.join("below")).is_err());
    assert!(RealDisk::open_existing(dir.path().join("missing")).is_err());
    assert!(RealDisk::open_existing(dir.path()).is_ok());
}

#[test]
fn a_reserved_file_reads_as_zeros_and_keeps_what_was_written() {
    let dir = TempDir::new().unwrap();
    let disk = RealDisk::open(dir.path()).unwrap();
    let file = disk.create("file").unwrap();
    assert!(disk.create("file").is_err(), "it was there already");
    file.write_all_at(0, b"abc").unwrap();
    file.reserve(10_000).unwrap();
    file.reserve(10).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    let mut bytes = [1; 10];
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abc\0\0\0\0\0\0\0");
    file.truncate(2).unwrap();
    file.reserve(100).unwrap();
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"ab\0\0\0\0\0\0\0\0", "bytes that were cut off came back");
    disk.rename("file", "other").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(disk.list().unwrap(), ["other"]);
    disk.remove("other").unwrap();
    assert!(disk.open("other").is_err());
}

#[test]
fn a_directory_that_shares_its_files_is_another_one() {
    let parent = TempDir::new().unwrap();
    let (dir, moved) = (parent.path().join("data"), parent.path().join("moved"));
    let mut opened = open_dir(&dir).unwrap();
    commit(&mut opened.journal, 1..=1).unwrap();
    opened.journal.check_place().unwrap();
    // As a snapshot is made of hard links. A new segment would not be in it.
    fs::rename(&dir, &moved).unwrap();
    fs::create_dir(&dir).unwrap();
    for file in fs::read_dir(&moved).unwrap() {
        let file = file.unwrap();
        fs::hard_link(file.path(), dir.join(file.file_name())).unwrap();
    }
    let orphaned = opened.journal.check_place().unwrap_err();
    assert!(orphaned.reason.contains("data directory was removed or replaced"), "{orphaned}");
}
