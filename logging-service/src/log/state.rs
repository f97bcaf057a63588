//! Whether the log accepts messages, and if not, why.

/// What the log can do. It is watched by health checks and by the process itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Appends and reads are served.
    Ready,
    /// No space is left: new messages are rejected; duplicates and reads are answered.
    ReadOnly(String),
    /// The files of the log are no longer those that a start would find: nothing is stored any more, reads
    /// go on. Only a restart ends it.
    Orphaned(String),
    /// A stop was requested: what was accepted is finished, the rest refused.
    Draining,
    /// The disk failed. Nothing can be appended until the process has been started again.
    Failed(String),
}
