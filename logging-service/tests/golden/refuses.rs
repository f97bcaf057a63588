//! Damaged and newer data is refused, by file and place, and nothing in it is changed.

use std::{fs, path::Path};

use crate::{
    data::{copy_of, files},
    program::refusal,
};

const DAMAGED: Option<i32> = Some(65);

/// Bytes of a header, of a segment as of a frame.
const HEADER_BYTES: usize = 64;

/// Starts the program on `dir`, which must refuse it with all of `words` and change nothing.
#[track_caller]
fn refused(dir: &Path, what: &str, words: &[&str]) -> String {
    let before = files(dir);
    let output = refusal(dir);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), DAMAGED, "{what}: {text}");
    assert!(output.stdout.is_empty(), "{what}: it said that it listens");
    assert!(files(dir) == before, "{what}: a refused start changed files");
    for word in words.iter().chain(&["Nothing was changed"]) {
        assert!(text.contains(word), "{what}: no {word:?} in {text}");
    }
    text
}

/// The names of the segments, oldest first, and where in each the frames begin and end.
fn frames(dir: &Path) -> Vec<(String, Vec<std::ops::Range<usize>>)> {
    let mut found = Vec::new();
    for (name, bytes) in files(dir) {
        let mut frames = Vec::new();
        let mut at = HEADER_BYTES;
        while bytes.get(at..at + 4).is_some_and(|magic| magic == b"\xf5OLF") {
            let payload = u32::from_le_bytes(bytes[at + 52..at + 56].try_into().unwrap());
            let end = at + HEADER_BYTES + payload as usize + 4;
            frames.push(at..end);
            at = end;
        }
        found.push((name, frames));
    }
    found
}

/// Every segment, sealed or the last; its header and its frames; headers, payloads, checksums.
#[test]
fn damage_anywhere_is_named_by_file_and_offset_and_left_as_it_is() {
    let dir = copy_of("stopped");
    let mut tried = 0;
    for (name, frames) in frames(dir.path()) {
        let path = dir.path().join(&name);
        let healthy = fs::read(&path).unwrap();
        let (first, last) = (frames[0].clone(), frames[frames.len() - 1].clone());
        // A seal is the last frame of the last segment: what it says is proven by nothing behind it.
        let proven = frames.len() - usize::from(last.len() == HEADER_BYTES + 4);
        let mut places = vec![0, 20, first.start, first.start + 30, first.start + HEADER_BYTES + 5];
        places.extend([first.end - 1, frames[proven - 1].start + HEADER_BYTES + 9]);
        for at in places {
            let mut damaged = healthy.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).unwrap();
            let text = refused(dir.path(), &format!("{name} at {at}"), &[&name, "offset "]);
            let named = text.split("offset ").nth(1).unwrap();
            let digits: String = named.chars().take_while(char::is_ascii_digit).collect();
            let offset: usize = digits.parse().unwrap();
            // The beginning of what cannot be trusted: the header, or the frame around it.
            assert!(offset <= at && at < offset + 41_000, "{name} at {at}: {text}");
            tried += 1;
        }
        fs::write(&path, healthy).unwrap();
    }
    assert_eq!(tried, 3 * 7);
}

#[test]
fn a_missing_cut_or_exchanged_segment_is_named_and_left_as_it_is() {
    let names: Vec<String> = files(copy_of("stopped").path()).into_keys().collect();
    let [first, second, third] = &names[..] else { panic!("{names:?}") };
    let spoil = |what: &str, named: &str, spoil: &dyn Fn(&Path)| {
        let dir = copy_of("stopped");
        spoil(dir.path());
        refused(dir.path(), what, &[named]);
    };
    spoil("the first is gone", second, &|dir| fs::remove_file(dir.join(first)).unwrap());
    spoil("the middle is gone", third, &|dir| fs::remove_file(dir.join(second)).unwrap());
    spoil("the middle is cut", "offset ", &|dir| {
        let bytes = fs::read(dir.join(second)).unwrap();
        fs::write(dir.join(second), &bytes[..bytes.len() / 3]).unwrap();
    });
    spoil("the middle is another", second, &|dir| {
        fs::copy(dir.join(first), dir.join(second)).unwrap();
    });
}

#[test]
fn a_newer_format_is_named_and_left_as_it_is() {
    // The version of a segment is at 8, that of a frame at 4; the checksum of a header is its end.
    for (header, version) in [(0, 8), (HEADER_BYTES, 4)] {
        let dir = copy_of("stopped");
        let (name, mut bytes) = files(dir.path()).pop_first().unwrap();
        let bytes_of_header = &mut bytes[header..header + HEADER_BYTES];
        bytes_of_header[version] = 2;
        let sum = crc32c::crc32c(&bytes_of_header[..HEADER_BYTES - 4]);
        bytes_of_header[HEADER_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        fs::write(dir.path().join(&name), bytes).unwrap();
        let words = [&*name, "format version 2", "which this version does not know"];
        refused(dir.path(), "a newer format", &words);
    }
}
