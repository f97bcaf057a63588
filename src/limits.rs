//! Every bound of the system, with its unit and its reason.
//!
//! Nothing that a stranger can fill (a queue, a body, a stream, a retry loop) is without one.

use std::time::Duration;

// --- Messages ---

/// An HTTP body, and so any message in it. The most that fits one gRPC call with room to spare.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;

/// How far past its limit an HTTP body is read, and thrown away, so that a client that sends first
/// and reads later gets its refusal. What is larger is cut.
pub const OVERSIZED_BODY_BYTES_READ_MAX: usize = 4 * 1024 * 1024;

/// The body of a message.
pub const MESSAGE_BODY_BYTES_MAX: usize = 1024 * 1024;

/// A stream name: long enough to be readable, short enough for a one-byte length in the journal.
pub const STREAM_NAME_BYTES_MAX: usize = 64;

/// A media type (RFC 6838 allows 127 for each half; real ones stay far below this).
pub const CONTENT_TYPE_BYTES_MAX: usize = 127;

/// An `Idempotency-Key`. Long enough for any key in use, short enough for a header line.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

// --- Batches ---

/// Messages in one `Append` call.
pub const BATCH_MESSAGES_MAX: usize = 1024;

/// Body bytes in one `Append` call. A single message may fill it alone.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// One gRPC message, encoded: twice a full batch, so that no valid batch is ever refused for size.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Elements of lists in one gRPC message: as many as the fullest chunk of a `Read` stream has. An
/// empty element takes two bytes on the wire and over a hundred in memory.
pub const GRPC_ELEMENTS_MAX: usize = 4096;

const _: () = assert!(BATCH_MESSAGES_MAX <= GRPC_ELEMENTS_MAX);

/// Messages that wait for others which are being read from their sockets already. A call costs about as
/// much as thirty messages, whatever it carries: with this many it is a small part, and from here on the
/// log has better begin while more are read.
pub const GATHER_MESSAGES_MAX: usize = 128;

/// Body bytes that wait for no others: to write them takes longer than the call.
pub const GATHER_BYTES_MAX: usize = 64 * 1024;

// A batch of the smallest messages costs this much on the wire beside the bodies.
const MESSAGE_OVERHEAD_BYTES_MAX: usize = 16 + STREAM_NAME_BYTES_MAX + CONTENT_TYPE_BYTES_MAX + 32;
const _: () = assert!(
    BATCH_BYTES_MAX + BATCH_MESSAGES_MAX * MESSAGE_OVERHEAD_BYTES_MAX <= GRPC_MESSAGE_BYTES_MAX
);
const _: () = assert!(HTTP_BODY_BYTES_MAX <= MESSAGE_BODY_BYTES_MAX);
const _: () = assert!(MESSAGE_BODY_BYTES_MAX <= BATCH_BYTES_MAX);

// --- The facade's queue ---

/// Messages waiting for the logging service, as many as gather in a short outage under load.
pub const QUEUE_MESSAGES_MAX: usize = 16 * 1024;

/// Body bytes waiting for the logging service: what the facade's memory may grow by in an outage.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a post may wait behind others while batches are stored. Past this it is refused: a longer
/// queue would store nothing more, and every message in it would be late.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_millis(50);

/// Batches that may wait however slow the disk is: one to be sent next, and one that fills up meanwhile.
pub const QUEUE_BATCHES_MIN: usize = 2;

/// Messages that may wait whatever their size and however slow the disk is: as many as come from clients
/// too few to overload anything. [`QUEUE_BYTES_MAX`] holds for them as well.
pub const QUEUE_MESSAGES_MIN: usize = 64;

/// How many times more than the last one an attempt may carry, after one that brought no receipts.
pub const PACE_GROWTH_MAX: usize = 8;

/// Up to this many bytes an attempt doubles however long the one before took. On a link that takes longer
/// than an attempt may for so little, nothing would get through.
pub const PACE_DOUBLED_BYTES_MAX: usize = 16 * 1024;

/// How many times its usual time a batch is waited for, but no longer than [`ATTEMPT_TIMEOUT`]. Then it
/// is an outage and not slowness, and messages wait for its end.
pub const OUTAGE_BATCH_TIMES: u32 = 4;

/// The shortest time that counts as an outage: the longest usual pause of a disk.
pub const OUTAGE_DELAY_MIN: Duration = Duration::from_millis(100);

/// Messages of one batch upload that may be under way at once: a batch that is stored, and the next one
/// that gathers meanwhile. More would let one upload fill the queue and starve single posts.
pub const UPLOAD_IN_FLIGHT_MAX: usize = 2 * BATCH_MESSAGES_MAX;

/// Lines of one batch upload that are delivered as one group, if they arrive together.
pub const UPLOAD_LINES_TOGETHER_MAX: usize = BATCH_MESSAGES_MAX / 2;

/// Messages of all batch uploads together that may be under way. With one post on each other
/// connection they still fit into the queue.
pub const UPLOADS_MESSAGES_MAX: usize = 4096;

/// Bytes of all batch uploads together that may be under way: a quarter of the queue.
pub const UPLOADS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Outcome lines of one batch upload that may wait for the client to read them, in pieces as they
/// became known together.
pub const UPLOAD_OUTCOMES_WAITING_MAX: usize = 16;

const _: () = assert!(UPLOADS_MESSAGES_MAX + CONNECTIONS_MAX <= QUEUE_MESSAGES_MAX);
const _: () = assert!(UPLOADS_BYTES_MAX * 2 <= QUEUE_BYTES_MAX);
const _: () = assert!(UPLOAD_IN_FLIGHT_MAX <= UPLOADS_MESSAGES_MAX);
const _: () = assert!(HTTP_BODY_BYTES_MAX <= UPLOADS_BYTES_MAX);

// --- Lines for people ---

/// Log lines waiting to be written. Past this they are dropped.
pub const LOG_LINES_WAITING_MAX: usize = 8 * 1024;

/// Console lines waiting to be printed. Past this they are dropped and counted.
pub const CONSOLE_LINES_WAITING_MAX: usize = 64 * 1024;

/// Body bytes held by console lines that wait to be printed.
pub const CONSOLE_BYTES_WAITING_MAX: usize = 16 * 1024 * 1024;

/// How long a stopping service waits for a console that does not read.
pub const CONSOLE_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the console gathers lines after it has printed some: nobody reads faster.
pub const CONSOLE_PAUSE: Duration = Duration::from_millis(2);

/// Bytes that are printed without gathering more.
pub const CONSOLE_WRITE_BYTES: usize = 64 * 1024;

/// Characters of a body shown on the console.
pub const CONSOLE_BODY_CHARS_MAX: usize = 200;

// --- Connections ---

/// Open client connections of one service. At the cap, those that wait longest for their clients are
/// closed for new ones. A process that may open less than twice as many files takes fewer.
pub const CONNECTIONS_MAX: usize = 10_000;

/// How often, at most, a server says that it has no room for connections.
pub const CROWD_WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Pause after a failure to accept a connection, such as too many open files: long enough not to
/// spin, short enough not to be noticed once it is over.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Concurrent calls on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// Frames without content (pings, settings, resets, window updates, empty data) that an HTTP/2 client
/// may send at once. A good client sends a few for each call or none.
pub const HTTP2_CONTROL_FRAMES_BURST: u64 = 4096;

/// How many more of them it may send each second. A client that resets every call stays below.
pub const HTTP2_CONTROL_FRAMES_PER_SECOND: u64 = 1000;

/// How many bytes, either way, allow one more of them: windows are updated and probed as data flows.
pub const HTTP2_DATA_BYTES_PER_CONTROL_FRAME: u64 = 1024;

/// Bytes of all gRPC requests that are arriving in more than one piece. Without it memory could grow
/// by as much as there are calls times the largest request.
pub const GRPC_BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// From the head of a gRPC request to its last byte. Every request here is one message.
pub const GRPC_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A question to the reflection service, encoded: the name of a file or of a symbol. Without it a
/// stranger could leave as much in memory as there are calls times 4 MiB, for as long as he likes.
pub const REFLECTION_QUESTION_BYTES_MAX: usize = 1024;

/// Header bytes of one HTTP/2 request.
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Header bytes of one HTTP/1.1 request, which is also its read buffer.
pub const HTTP1_HEADER_BYTES_MAX: usize = 32 * 1024;

/// From an accepted connection, or the end of the last response, to a complete request head. This
/// ends slow-header attacks and idle connections alike.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause while a request body arrives.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// One whole body of a post: 1 MiB in this time is less than 18 KiB a second. A smaller part has to be
/// there in a part of it, after [`BODY_READ_TIMEOUT`].
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The rate at which a body counts as arriving. A slower one loses its place first when places for
/// connections are short.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// Bytes of all bodies that are arriving in more than one piece. Without it the memory of the facade
/// could grow by as much as there are connections times the largest body.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest time a client may leave a response unread before the connection is closed.
pub const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a closing connection still takes in what the client sends. Without this the client's
/// unread bytes would reset the connection and take the last answer with them.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Asking another service how it is, for the answer to a readiness probe.
pub const READINESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Readings of the log that one facade answers at a time: what readers who stop reading can take up.
pub const LISTINGS_MAX: usize = 64;

/// Pieces of the log that one facade turns into JSON at a time. Each takes a thread for some
/// milliseconds, and many at once would take the processor from those who post.
pub const RENDERED_AT_ONCE_MAX: usize = 2;

/// A piece of fewer bytes is turned into JSON where it is: it takes less time than handing it over.
pub const RENDERED_BESIDE_BYTES_MIN: usize = 16 * 1024;

/// Reads of the log that the logging service serves at a time, without those that follow it. A facade stays
/// below it.
pub const READS_MAX: usize = 80;

const _: () = assert!(LISTINGS_MAX < READS_MAX && READS_MAX <= HTTP2_STREAMS_MAX as usize);

/// HTTP/2 window of one read of the log: what a client that stops reading leaves in memory.
pub const READ_WINDOW_BYTES: u32 = 256 * 1024;

/// Connecting to another service.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP/2 PING interval on an otherwise silent connection: a peer that vanished without a reset is
/// noticed after this plus [`KEEPALIVE_TIMEOUT`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a PING may stay unanswered.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// From the stop signal to the moment open connections are cut.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

// --- Delivery ---

/// Everything the facade may spend on one message, queueing and all attempts included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);

/// One attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest timeout a setting may ask for. A deadline too far away is one no clock can hold.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Ceiling of the delay before the first retry; the delay itself is a random part of it.
pub const BACKOFF_INITIAL: Duration = Duration::from_millis(50);

/// Ceiling of the delay before any retry.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How much the ceiling grows with each retry.
pub const BACKOFF_MULTIPLIER: f64 = 2.0;

/// Retries allowed as a share of calls, so that an outage is not answered with a storm.
pub const RETRY_BUDGET_RATIO: f32 = 0.2;

/// Retries a second allowed whatever the share, so that a quiet facade retries too.
pub const RETRY_BUDGET_PER_SECOND_MIN: u32 = 10;

/// How long a call counts towards the retry budget.
pub const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);

const _: () = assert!(ATTEMPT_TIMEOUT.as_millis() < TOTAL_TIMEOUT.as_millis());
