//! What the headers of segments and of frames have in common: version, sizes, checksum.
//!
//! Both headers are 64 bytes: a magic number, the format version right behind it, fields, and the
//! checksum of all that in the last four bytes. Later versions keep these three where they are, so
//! that each version can tell a later one from damage.

use crc32c::crc32c;

use super::bytes::u32_at;

/// The version that is written, and the only one that is read.
pub(super) const FORMAT_VERSION: u8 = 1;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 64;

/// Where the checksum of a header is.
pub(super) const CHECKSUM_OFFSET: usize = HEADER_BYTES - 4;

/// No log gets this long: a million records a second for nine years. A number beyond it is damage,
/// and believing it would make a repair write a gap without end.
pub(super) const SEQUENCE_MAX: u64 = 1 << 48;

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// Not the magic number, a wrong checksum, or contents that contradict themselves.
    Invalid(&'static str),
    /// Whole, and written by a later version.
    Version(u8),
}

/// One kind of header.
pub(super) struct HeaderFormat<const MAGIC_BYTES: usize> {
    pub(super) magic: [u8; MAGIC_BYTES],
    /// What is wrong where the magic number is missing.
    pub(super) no_magic: &'static str,
    /// What is wrong where the checksum is.
    pub(super) wrong_checksum: &'static str,
}

impl<const MAGIC_BYTES: usize> HeaderFormat<MAGIC_BYTES> {
    /// Completes a header whose fields are in `bytes`. Returns it with its checksum.
    pub(super) fn encode(&self, mut bytes: [u8; HEADER_BYTES]) -> ([u8; HEADER_BYTES], u32) {
        bytes[..MAGIC_BYTES].copy_from_slice(&self.magic);
        bytes[MAGIC_BYTES] = FORMAT_VERSION;
        let checksum = crc32c(&bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// Checks magic number, checksum and version. Returns the checksum.
    pub(super) fn check(&self, bytes: &[u8; HEADER_BYTES]) -> Result<u32, NoHeader> {
        if bytes[..MAGIC_BYTES] != self.magic {
            return Err(NoHeader::Invalid(self.no_magic));
        }
        let checksum = crc32c(&bytes[..CHECKSUM_OFFSET]);
        if checksum != u32_at(bytes, CHECKSUM_OFFSET) {
            return Err(NoHeader::Invalid(self.wrong_checksum));
        }
        match bytes[MAGIC_BYTES] {
            FORMAT_VERSION => Ok(checksum),
            later => Err(NoHeader::Version(later)),
        }
    }
}
