//! The bounds of the contract: sizes and times that two programs must agree on, with their units and
//! reasons.
//!
//! Nothing that a stranger can fill (a queue, a body, a stream, a retry loop) is without a bound. Those that
//! one program keeps alone are where it keeps them.

use std::time::Duration;

// --- Messages ---

/// An HTTP body, and so any message in it. The most that fits one gRPC call with room to spare.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The body of a message.
pub const MESSAGE_BODY_BYTES_MAX: usize = 1024 * 1024;

/// A stream name: long enough to be readable, short enough for a one-byte length in the journal.
pub const STREAM_NAME_BYTES_MAX: usize = 64;

/// A media type (RFC 6838 allows 127 for each half; real ones stay far below this).
pub const CONTENT_TYPE_BYTES_MAX: usize = 127;

/// An `Idempotency-Key`. Long enough for any key in use, short enough for a header line.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

// --- Calls ---

/// Messages in one `Append` call.
pub const CALL_MESSAGES_MAX: usize = 1024;

/// Body bytes in one `Append` call. A single message may fill it alone.
pub const CALL_BYTES_MAX: usize = 1024 * 1024;

/// One gRPC message, encoded. A full call takes at most 1.23 MiB, so no valid call is ever refused for its
/// size.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Elements of lists in one gRPC message: as many as the fullest chunk of a `Read` stream has. An
/// empty element takes two bytes on the wire and over a hundred in memory.
pub const GRPC_ELEMENTS_MAX: usize = READ_CHUNK_MESSAGES_MAX;

const _: () = assert!(CALL_MESSAGES_MAX <= GRPC_ELEMENTS_MAX);

// What one message of a call takes on the wire at most, beside its body.
const MESSAGE_OVERHEAD_BYTES_MAX: usize = 16 + STREAM_NAME_BYTES_MAX + CONTENT_TYPE_BYTES_MAX + 32;
const _: () = assert!(
    CALL_BYTES_MAX + CALL_MESSAGES_MAX * MESSAGE_OVERHEAD_BYTES_MAX <= GRPC_MESSAGE_BYTES_MAX
);
const _: () = assert!(HTTP_BODY_BYTES_MAX <= MESSAGE_BODY_BYTES_MAX);
const _: () = assert!(MESSAGE_BODY_BYTES_MAX <= CALL_BYTES_MAX);

// --- Uploads ---

/// Messages of one batch upload that may be under way at once: a call that is answered, and the next one
/// that fills up meanwhile. More would let one upload fill the queue and starve single posts.
pub const UPLOAD_IN_FLIGHT_MAX: usize = 2 * CALL_MESSAGES_MAX;

// --- The logging service's queue ---

/// Append calls waiting for the journal thread.
pub const APPENDS_WAITING_MAX: usize = 1024;

/// Body bytes waiting for the journal thread: what the logging service's memory may grow by when its
/// disk is slow.
pub const APPEND_BYTES_WAITING_MAX: usize = 64 * 1024 * 1024;

/// Messages in one frame of the journal: what one `fdatasync` makes durable.
pub const FRAME_MESSAGES_MAX: usize = 4096;

/// Body bytes in one frame, before the last append call is added.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Body bytes in one chunk of a `Read` stream, before the last message is added.
pub const READ_CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Messages in one chunk of a `Read` stream.
pub const READ_CHUNK_MESSAGES_MAX: usize = 4096;

/// Chunks of a `Read` stream made ahead of a slow reader.
pub const READ_CHUNKS_AHEAD_MAX: usize = 1;

/// A commit that takes no longer may be made by the handler that brings it: the others can wait for it.
pub const QUICK_COMMIT_MAX: Duration = Duration::from_millis(1);

/// So many commits in a row have to be quick before handlers make them.
pub const QUICK_COMMITS_MIN: u32 = 64;

/// A call that comes sooner after a commit was waiting for it, or there are several clients: then the
/// journal thread commits for all of them together. One client cannot be back so soon.
pub const QUICK_COMMIT_GAP_MIN: Duration = Duration::from_micros(50);

/// After this long without a commit nobody knows how quick the disk still is.
pub const QUICK_COMMIT_GAP_MAX: Duration = Duration::from_secs(1);

/// More body bytes than this are always written by the journal thread.
pub const QUICK_COMMIT_BYTES_MAX: usize = 64 * 1024;

/// Without appends for this long, the journal writes an idle mark: the window in which damage to the
/// last batch looks like an unfinished write.
pub const IDLE_MARK_DELAY: Duration = Duration::from_millis(50);

/// On a slow disk the idle mark comes later: after so many times the time of the last commit.
pub const IDLE_MARK_COMMIT_TIMES: u32 = 4;

/// How often a full disk is looked at for new room.
pub const ROOM_CHECK_INTERVAL: Duration = Duration::from_secs(1);

// --- Connections ---

/// Concurrent calls on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// Reads of the log that the logging service serves at a time, beside those that follow. With chunks of
/// one large message, each may hold some megabytes in memory.
pub const READS_MAX: usize = 80;

/// Reads that follow the log at a time. Each holds one chunk at most, which it shares with those that are
/// at the same place: about one large message or [`FOLLOWED_CHUNK_BYTES_MAX`]. With [`READS_MAX`] it is
/// what clients who read nothing can keep in memory: half a gigabyte of the largest messages.
pub const FOLLOWERS_MAX: usize = 224;

/// Body bytes in one chunk for followers, before the last message is added.
pub const FOLLOWED_CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Messages in one chunk for followers.
pub const FOLLOWED_CHUNK_MESSAGES_MAX: usize = 1024;

/// Chunks kept for followers that come to the same place a little later.
pub const FOLLOWED_CHUNKS_KEPT_MAX: usize = 4;

/// Bytes a second that all followers together are sent while messages are appended: what a small machine
/// can spare. What they are late they get as soon as it is quieter.
pub const FOLLOWED_BYTES_PER_SECOND_MAX: u64 = 128 * 1024 * 1024;

/// A chunk for a follower counts as this many bytes more: waking one up, on both sides, takes as long as
/// sending these.
pub const FOLLOWED_CHUNK_COST_BYTES: u64 = 32 * 1024;

/// A message for a follower counts as this many bytes more than its body: what is around it on the wire.
pub const FOLLOWED_MESSAGE_COST_BYTES: u64 = 80;

/// Without appends for this long, followers get all they can take.
pub const FOLLOWERS_HELD_MAX: Duration = Duration::from_millis(20);

/// Chunks of the log that are read from the disk at a time, for all reads together. Each takes a thread
/// for some milliseconds, and many at once would take the processor from those who append.
pub const SCANS_AT_ONCE_MAX: usize = 2;

const _: () = assert!(FOLLOWED_CHUNK_BYTES_MAX <= READ_CHUNK_BYTES_MAX);
const _: () = assert!(FOLLOWED_CHUNK_MESSAGES_MAX <= GRPC_ELEMENTS_MAX);

/// Connecting to another service.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP/2 PING interval on an otherwise silent connection: a peer that vanished without a reset is
/// noticed after this plus [`KEEPALIVE_TIMEOUT`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a PING may stay unanswered.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long answers may still travel after the disk failed, before the process ends.
pub const FAILED_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

// --- Delivery ---

/// Everything the facade may spend on one message, queueing and all attempts included. Its clients wait
/// longer.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
