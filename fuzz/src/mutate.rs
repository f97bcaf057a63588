//! Random changes of an input, for runs without coverage.

use fastrand::Rng;

/// No input is longer: what is wrong with a long one is mostly wrong with a short one.
pub const INPUT_BYTES_MAX: usize = 4096;

/// Numbers at the edges of their types.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// `input` with one to eight changes; some of them take a part of `other`.
pub fn mutate(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << rng.u8(0..4) {
        change(rng, &mut bytes, other);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(0..=bytes.len());
    let end = (at + rng.usize(0..=32)).min(bytes.len());
    match rng.u8(0..8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(0..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => {
            let copied = bytes[at..end].to_vec();
            let to = rng.usize(0..=bytes.len());
            bytes.splice(to..to, copied);
        }
        5 => {
            let from = rng.usize(0..=other.len());
            let to = (from + rng.usize(0..=64)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        6 => {
            let number = EDGES[rng.usize(0..EDGES.len())].to_le_bytes();
            let width = 1 << rng.usize(0..4);
            bytes.splice(at..(at + width).min(bytes.len()), number[..width].iter().copied());
        }
        _ => {
            let inserted: Vec<u8> = (0..rng.usize(1..=8)).map(|_| rng.u8(..)).collect();
            bytes.splice(at..at, inserted);
        }
    }
}
