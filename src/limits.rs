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
pub const GRPC_ELEMENTS_MAX: usize = 4096;

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

// --- Connections ---

/// Concurrent calls on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// Reads of the log that the logging service serves at a time, beside those that follow. With chunks of
/// one large message, each may hold some megabytes in memory.
pub const READS_MAX: usize = 80;

/// Connecting to another service.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP/2 PING interval on an otherwise silent connection: a peer that vanished without a reset is
/// noticed after this plus [`KEEPALIVE_TIMEOUT`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a PING may stay unanswered.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

// --- Delivery ---

/// Everything the facade may spend on one message, queueing and all attempts included. Its clients wait
/// longer.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
