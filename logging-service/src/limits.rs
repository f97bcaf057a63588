//! What a client can fill or use up in this service: each bound, with its unit and its reason.

use std::time::Duration;

use oncelog::limits::{
    GRPC_ELEMENTS_MAX, GRPC_MESSAGE_BYTES_MAX, HTTP2_STREAMS_MAX, MESSAGE_BODY_BYTES_MAX, READS_MAX,
};

use crate::store::ScanLimit;

/// The bounds that one service runs with. [`Limits::default`] is for production; tests set small ones.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Append calls in the commit queue.
    pub appends_waiting: usize,
    /// Body bytes in the commit queue: what the memory may grow by when the disk is slow. A call that finds
    /// the queue empty may bring more.
    pub append_bytes_waiting: usize,
    /// Messages in one frame of the journal, before the last append call is added: what one `fdatasync`
    /// makes durable.
    pub frame_messages: usize,
    /// Body bytes in one frame, before the last append call is added.
    pub frame_bytes: usize,
    /// When a handler commits by itself.
    pub inline_commit: InlineCommitLimits,
    /// Attempts to commit one group, where the log has several writers.
    pub commit_attempts: u32,
    /// How long after its first attempt a group may be tried again. Together with that attempt it takes less
    /// than the facade waits for a call, so that a call that stored nothing is answered so.
    pub commit_retry_time: Duration,
    /// Reads of the log at a time, without those that follow it. With chunks of one large message, each may
    /// hold some megabytes in memory.
    pub reads: usize,
    /// Reads that follow the log at a time. Each holds one chunk at most, which it shares with those at the
    /// same place: about one large message or `follow_chunk`. With `reads` it is what clients that read
    /// nothing can keep in memory: half a gigabyte of the largest messages.
    pub followers: usize,
    /// One chunk of a read, before the last message is added.
    pub read_chunk: ScanLimit,
    /// One chunk for followers, before the last message is added.
    pub follow_chunk: ScanLimit,
    /// Bytes a second that all followers together are sent while messages are appended: what a small
    /// machine can spare. What they are behind they get as soon as no messages come.
    pub follow_bytes_per_second: u64,
    /// Chunks of the log that are read from the disk at a time, for all reads together. Each takes a thread
    /// for some milliseconds, and many at once would take the processor from appends.
    pub scans_at_once: usize,
}

/// Thresholds of inline commits.
#[derive(Debug, Clone, Copy)]
pub struct InlineCommitLimits {
    /// A commit that takes no longer is fast: other tasks of the handler's thread can wait for it.
    pub commit_time_max: Duration,
    /// So many commits in a row have to be fast first.
    pub fast_commits_min: u32,
    /// A call that comes sooner after a commit was waiting for it, or there are several clients: the
    /// committer thread then commits for all of them together. One client cannot be back so soon.
    pub gap_min: Duration,
    /// After this long without a commit it is not known whether the disk is still fast.
    pub gap_max: Duration,
    /// More body bytes than this are always written by the committer thread.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            appends_waiting: 1024,
            append_bytes_waiting: 64 * 1024 * 1024,
            frame_messages: 4096,
            frame_bytes: 4 * 1024 * 1024,
            inline_commit: InlineCommitLimits {
                commit_time_max: Duration::from_millis(1),
                fast_commits_min: 64,
                gap_min: Duration::from_micros(50),
                gap_max: Duration::from_secs(1),
                bytes_max: 64 * 1024,
            },
            commit_attempts: 64,
            commit_retry_time: Duration::from_secs(1),
            reads: READS_MAX,
            followers: 224,
            read_chunk: ScanLimit { messages: GRPC_ELEMENTS_MAX, bytes: 256 * 1024 },
            follow_chunk: ScanLimit { messages: 1024, bytes: 64 * 1024 },
            follow_bytes_per_second: 128 * 1024 * 1024,
            scans_at_once: 2,
        }
    }
}

/// A combination of limits that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limits do not fit together: {0}")]
pub struct InvalidLimits(&'static str);

/// Longest [`Limits::commit_retry_time`]: by then the facade has long given up the call.
const COMMIT_RETRY_TIME_MAX: Duration = Duration::from_secs(60);

/// What a message takes on the wire beside its body, at most: id, names, tags, time and sequence.
const MESSAGE_OVERHEAD_BYTES_MAX: usize = 320;

impl Limits {
    /// Checks that the limits fit together and what the contract fixes.
    ///
    /// # Errors
    /// [`InvalidLimits`] names the first rule that is broken.
    pub fn validate(&self) -> Result<(), InvalidLimits> {
        let encoded_bytes = |chunk: ScanLimit| {
            let overhead = chunk.messages.saturating_mul(MESSAGE_OVERHEAD_BYTES_MAX);
            overhead.saturating_add(chunk.bytes).saturating_add(MESSAGE_BODY_BYTES_MAX)
        };
        let fits_a_response = |chunk: ScanLimit| {
            (1..=GRPC_ELEMENTS_MAX).contains(&chunk.messages)
                && chunk.bytes > 0
                && encoded_bytes(chunk) <= GRPC_MESSAGE_BYTES_MAX
        };
        // The last call of a group may exceed both limits by all that a call can hold.
        let frame_bytes = self.frame_messages.saturating_mul(MESSAGE_OVERHEAD_BYTES_MAX);
        let frame_bytes = frame_bytes.saturating_add(self.frame_bytes);
        let frame_bytes = frame_bytes.saturating_add(GRPC_MESSAGE_BYTES_MAX);
        let rules = [
            (self.appends_waiting > 0, "no append may wait"),
            (self.frame_messages > 0 && self.frame_bytes > 0, "no message fits a frame"),
            (frame_bytes <= u32::MAX as usize, "a group does not fit a frame of the journal"),
            (
                self.inline_commit.gap_min < self.inline_commit.gap_max,
                "the shortest gap before an inline commit is not below the longest",
            ),
            (self.commit_attempts > 0, "no commit may be tried"),
            (self.commit_retry_time <= COMMIT_RETRY_TIME_MAX, "a commit is tried for too long"),
            (self.reads <= HTTP2_STREAMS_MAX as usize, "more reads than one connection has calls"),
            (fits_a_response(self.read_chunk), "a chunk of a read does not fit a response"),
            (fits_a_response(self.follow_chunk), "a chunk for followers does not fit a response"),
            (
                self.follow_chunk.bytes <= self.read_chunk.bytes,
                "a chunk for followers is larger than one of a read",
            ),
            (self.follow_bytes_per_second > 0, "followers are sent nothing"),
            (self.scans_at_once > 0, "nothing may be read from the disk"),
        ];
        let broken = rules.into_iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, rule)| Err(InvalidLimits(rule)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_fit_together() {
        Limits::default().validate().unwrap();
    }

    #[test]
    fn limits_that_do_not_fit_together_are_named() {
        let default = Limits::default();
        let chunk = |messages, bytes| ScanLimit { messages, bytes };
        let wrong = [
            Limits { appends_waiting: 0, ..default },
            Limits { commit_attempts: 0, ..default },
            Limits { commit_retry_time: Duration::MAX, ..default },
            Limits { frame_bytes: u32::MAX as usize, ..default },
            Limits { frame_messages: usize::MAX, ..default },
            Limits { reads: HTTP2_STREAMS_MAX as usize + 1, ..default },
            Limits { read_chunk: chunk(GRPC_ELEMENTS_MAX + 1, 1024), ..default },
            Limits { read_chunk: chunk(1, GRPC_MESSAGE_BYTES_MAX), ..default },
            Limits { follow_chunk: chunk(1, default.read_chunk.bytes + 1), ..default },
        ];
        for limits in wrong {
            let error = limits.validate().unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("the limits do not fit together: "), "{limits:?}");
        }
    }
}
