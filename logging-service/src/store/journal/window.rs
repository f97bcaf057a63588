//! Reading a file from front to back through one buffer, and searching it for frames.

use std::io;

use memchr::memchr_iter;

use super::{
    bytes::{are_zero, array_at, file_len, memory_len},
    disk::DiskFile,
    format::HEADER_BYTES,
    frame::{FIRST_BYTE, Header},
};

/// Read at once: enough that the calls cost nothing, little enough to stay in the cache.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// A file, and the part of it that was read last.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    pub(super) file_len: u64,
    start: u64,
    filled: usize,
    /// Only grows, so that it is cleared once and not for each read.
    buffer: &'a mut Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, buffer: &'a mut Vec<u8>) -> io::Result<Self> {
        Ok(Self { file, file_len: file.len()?, start: 0, filled: 0, buffer })
    }

    /// The `len` bytes at `offset`; fewer where the file ends.
    pub(super) fn get(&mut self, offset: u64, len: u64) -> io::Result<&[u8]> {
        let len = len.min(self.file_len.saturating_sub(offset));
        if len == 0 {
            return Ok(&[]);
        }
        let filled_end = self.start + file_len(self.filled);
        if offset < self.start || offset + len > filled_end {
            self.fill(offset, len)?;
        }
        let from = memory_len(offset - self.start);
        Ok(&self.buffer[from..from + memory_len(len)])
    }

    fn fill(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let wanted = memory_len(len.max(WINDOW_BYTES).min(self.file_len.saturating_sub(offset)));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.filled = 0;
        self.file.read_at(offset, &mut self.buffer[..wanted])?;
        self.start = offset;
        self.filled = wanted;
        Ok(())
    }

    /// Whether there are only zeros from `offset` to the end of the file.
    pub(super) fn is_zero_from(&mut self, mut offset: u64) -> io::Result<bool> {
        while offset < self.file_len {
            let bytes = self.get(offset, WINDOW_BYTES)?;
            if !are_zero(bytes) {
                return Ok(false);
            }
            offset += file_len(bytes.len());
        }
        Ok(true)
    }

    /// The first valid header of a frame at or after `offset` that `accept` takes with its offset.
    pub(super) fn find_frame(
        &mut self,
        mut offset: u64,
        mut accept: impl FnMut(u64, &Header) -> bool,
    ) -> io::Result<Option<(u64, Header)>> {
        const OVERLAP: usize = HEADER_BYTES - 1;
        loop {
            let bytes = self.get(offset, WINDOW_BYTES)?;
            let Some(starts) = bytes.len().checked_sub(OVERLAP).filter(|starts| *starts > 0) else {
                return Ok(None);
            };
            for at in memchr_iter(FIRST_BYTE, &bytes[..starts]) {
                let header: [u8; HEADER_BYTES] = array_at(bytes, at);
                let found_at = offset + file_len(at);
                if let Ok((header, _)) = Header::decode(&header)
                    && accept(found_at, &header)
                {
                    return Ok(Some((found_at, header)));
                }
            }
            offset += file_len(starts);
        }
    }
}
