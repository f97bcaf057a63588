//! A position in the log that the log has not reached.

/// A reader asked for what comes after a sequence that the log has not given to any message.
///
/// The position is from another log, or from this one before an old backup was put back. To wait for it
/// would pass over the messages that the log stores meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log ends at sequence {last_sequence}, and {after} is after its end: it is another log, or an old \
     backup was put back. Compare what was read with the log, and read on after a sequence up to \
     {last_sequence}"
)]
pub struct AfterTheEnd {
    /// The position of the reader.
    pub after: u64,
    /// Sequence of the last message; zero for an empty log.
    pub last_sequence: u64,
}
