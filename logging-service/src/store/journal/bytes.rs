//! Little-endian numbers in byte slices. Callers have checked the lengths.

/// The number at `offset`; zero bytes stand in for what is not there.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

/// The number at `offset`; zero bytes stand in for what is not there.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

/// The bytes at `offset`; zeros stand in for what is not there.
pub(super) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// Whether all of `bytes` are zero. Compares blocks, which is fast in every build.
pub(super) fn are_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

/// A length in memory as a length in a file.
pub(super) fn file_len(len: usize) -> u64 {
    len as u64
}

/// A length in a file as a length in memory; more than fits is more than anything has.
pub(super) fn memory_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
