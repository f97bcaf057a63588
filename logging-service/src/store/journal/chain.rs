//! The end of the chain that segments and frames form.

/// The end of the log, and so what the next frame or segment must begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainTail {
    /// The sequence that comes next.
    pub(super) next_sequence: u64,
    /// Address of the next byte.
    pub(super) address: u64,
    /// Checksum of the last frame or segment header, which its successor repeats.
    pub(super) checksum: u32,
}

impl ChainTail {
    /// The end of an empty log.
    pub(super) const START: Self = Self { next_sequence: 1, address: 0, checksum: 0 };

    /// Sequence of the last record; zero if there is none.
    pub(super) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }
}
