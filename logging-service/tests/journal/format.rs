//! The bytes on disk: format version 1 never changes again.

use std::{fs, path::Path, sync::Arc, time::UNIX_EPOCH};

use logging_service::store::{
    Store as _,
    journal::disk::{Disk as _, RealDisk, SimulatedDisk},
};
use oncelog::message::{Message, MessageId};

use crate::helper::*;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-v1");

/// What the fixture holds, batch by batch: bodies and types of several kinds.
fn batches() -> Vec<Vec<Message>> {
    let one = |n: u8, stream: &str, content_type: &str, body: &[u8]| Message {
        id: MessageId::try_from([n; 16]).unwrap(),
        stream: stream.parse().unwrap(),
        content_type: content_type.parse().unwrap(),
        body: body.to_vec().into(),
    };
    vec![
        vec![one(1, "facade", "text/plain; charset=utf-8", b"hello")],
        vec![
            one(2, "facade", "text/plain; charset=utf-8", "grüße, 世界".as_bytes()),
            one(3, "orders.v1", "application/json", br#"{"amount":42}"#),
            one(4, "a", "x", b""),
        ],
        vec![one(5, "facade", "application/octet-stream", &[0xf5; 600])],
    ]
}

/// The history of the fixture, on a new disk.
fn written_now() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut opened = open_with(Arc::new(disk.clone()), options(1024)).unwrap();
    for (batch, n) in batches().iter().zip(0..) {
        opened.journal.commit(batch, time(n)).unwrap();
        if n == 1 {
            opened.journal.seal().unwrap();
        }
    }
    opened.journal.seal().unwrap();
    disk
}

#[test]
fn a_journal_of_format_version_1_opens_with_all_its_records() {
    let dir = tempfile::TempDir::new().unwrap();
    for file in fs::read_dir(FIXTURE).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    assert_eq!(disk.list().unwrap().len(), 2);
    let opened = open_with(disk, options(1024)).unwrap();
    assert_holds(&opened, &batches().concat());
    let all = read_all(&opened.journal);
    let times: Vec<_> = all.iter().map(|stored| stored.receipt.stored_at).collect();
    assert_eq!(times, [time(0), time(1), time(1), time(1), time(2)]);
    assert!(times[0] > UNIX_EPOCH);
}

#[test]
fn a_journal_is_still_written_byte_for_byte_in_format_version_1() {
    let disk = written_now();
    for (name, bytes) in disk.contents() {
        let fixture = fs::read(Path::new(FIXTURE).join(&name)).unwrap();
        assert!(bytes == fixture, "{name} is written differently than before");
    }
}
