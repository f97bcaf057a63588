//! Files as text: a line of 32 bytes, and a line that is like the one before is left out.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use oncelog::wire::v1;
use tempfile::TempDir;

const BYTES_A_LINE: usize = 32;

/// A golden directory.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

/// A directory with the files of a golden one.
pub(crate) fn copy_of(name: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        let bytes = from_text(&fs::read_to_string(&path).unwrap());
        // `<name>.segment.hex`
        fs::write(dir.path().join(path.file_stem().unwrap()), bytes).unwrap();
    }
    dir
}

/// Every file of a data directory, but for the lock: whose it is may change.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "LOCK" {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// Writes the files of a data directory as golden ones.
pub(crate) fn keep(dir: &Path, golden: &Path) {
    fs::create_dir_all(golden).unwrap();
    for (name, bytes) in files(dir) {
        fs::write(golden.join(format!("{name}.hex")), to_text(&bytes)).unwrap();
    }
}

/// What a golden journal holds: sequence, id, stream, media type, length and CRC-32C of the body.
pub(crate) fn line(sequence: u64, message: &v1::Message) -> String {
    let v1::Message { id, stream, content_type, body } = message;
    let (id, sum) = (hex(id), crc32c::crc32c(body));
    format!("{sequence}\t{id}\t{stream}\t{content_type}\t{}\t{sum:08x}", body.len())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn to_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (at, line) in bytes.chunks(BYTES_A_LINE).enumerate() {
        if last != Some(line) {
            writeln!(text, "{:08x} {}", at * BYTES_A_LINE, hex(line)).unwrap();
        }
        last = Some(line);
    }
    writeln!(text, "{:08x}", bytes.len()).unwrap();
    text
}

fn from_text(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for line in text.lines() {
        let (at, digits) = line.split_once(' ').unwrap_or((line, ""));
        let at = usize::from_str_radix(at, 16).unwrap();
        while bytes.len() < at {
            bytes.extend_from_within(bytes.len() - BYTES_A_LINE..);
        }
        assert!(bytes.len() == at || digits.is_empty(), "a line is missing at {at:x}");
        bytes.truncate(at);
        let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        bytes.extend((0..digits.len()).step_by(2).map(digit));
    }
    bytes
}

#[test]
fn a_file_survives_being_text() {
    for bytes in [&b""[..], b"short", &[7; 32], &[0; 64], &[9; 100]] {
        assert_eq!(from_text(&to_text(bytes)), bytes);
    }
    let mixed: Vec<u8> =
        (0..2000_u32).map(|at| if at < 900 { at.to_le_bytes()[0] } else { 0 }).collect();
    assert_eq!(from_text(&to_text(&mixed)), mixed);
}
