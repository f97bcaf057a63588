//! Numbers and lengths in byte slices. All numbers are little endian.

/// The number at `offset`.
///
/// # Panics
/// `bytes` ends before: the caller has not checked the length.
#[track_caller]
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

/// The number at `offset`.
///
/// # Panics
/// As [`u32_at`].
#[track_caller]
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

/// The `N` bytes at `offset`.
///
/// # Panics
/// As [`u32_at`].
#[track_caller]
pub(super) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let found = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    let Some(array) = found else {
        panic!("{N} bytes at {offset} were read without a check: there are {}", bytes.len());
    };
    *array
}

/// Whether all of `bytes` are zero. Compares blocks, which is fast in every build.
pub(super) fn are_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

/// A length or a count as the number that the format has for it.
///
/// # Panics
/// It does not fit: the limits of messages, calls and frames were not kept.
#[track_caller]
pub(super) fn fit<T: TryFrom<usize>>(len: usize) -> T {
    let Ok(fits) = T::try_from(len) else {
        panic!("{len} does not fit the {} bytes that the format has for it", size_of::<T>());
    };
    fits
}

/// A length in memory as a length in a file.
pub(super) fn file_len(len: usize) -> u64 {
    len as u64
}

/// A length in a file as a length in memory. Where memory is too small for the length, nothing can
/// be allocated or be found in a slice with the result either.
pub(super) fn memory_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
