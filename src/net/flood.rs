//! Tells a client that speaks HTTP/2 from one that floods it.

use std::io;

use tokio::time::Instant;

/// Frames without content (pings, settings, resets, window updates, empty data) that an HTTP/2 client
/// may send at once. A good client sends a few for each call or none.
const CONTROL_FRAMES_BURST: u64 = 4096;

/// How many more of them it may send each second. A client that resets every call stays below.
const CONTROL_FRAMES_PER_SECOND: u64 = 1000;

/// How many bytes, either way, allow one more of them: windows are updated and probed as data flows.
const DATA_BYTES_PER_CONTROL_FRAME: u64 = 1024;

const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Follows the frames of one connection and counts those that carry nothing: pings, settings, resets,
/// window updates, priorities, continuations, empty data. Each costs the server work and the client
/// next to none, so a client has a budget for them. Time and the bytes moved fill it up again.
#[derive(Debug)]
pub(super) struct FloodGuard {
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    payload_left: usize,
    budget: u64,
    /// Bytes moved that have not yet become budget.
    moved: u64,
    filled: Instant,
}

/// The client sent more control frames than its budget allows.
#[derive(Debug, thiserror::Error)]
#[error(
    "more than {CONTROL_FRAMES_BURST} frames without content, and more than \
     {CONTROL_FRAMES_PER_SECOND} a second"
)]
struct Flood;

impl FloodGuard {
    pub(super) fn new() -> Self {
        Self {
            head: [0; FRAME_HEAD_BYTES],
            head_bytes: 0,
            payload_left: 0,
            budget: CONTROL_FRAMES_BURST,
            moved: 0,
            filled: Instant::now(),
        }
    }

    /// Notes that the server sent `bytes`.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// Follows what the client sent, after its preface.
    ///
    /// # Errors
    /// The budget is used up: the connection is of no more use.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut followed = Ok(());
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEAD_BYTES - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..][..wanted].copy_from_slice(&bytes[..wanted]);
            self.head_bytes += wanted;
            bytes = &bytes[wanted..];
            if self.head_bytes == FRAME_HEAD_BYTES {
                self.head_bytes = 0;
                followed = followed.and(self.frame());
            }
        }
        followed.map_err(io::Error::other)
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let carries = match kind {
            HEADERS => true,
            DATA => self.payload_left > 0 || flags & END_STREAM != 0,
            _ => false,
        };
        if carries {
            self.moved += self.payload_left as u64;
            return Ok(());
        }
        if self.budget == 0 {
            self.fill();
        }
        self.budget = self.budget.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    /// Called only when the budget is used up: so the clock is hardly ever looked at.
    fn fill(&mut self) {
        let now = Instant::now();
        let millis = (now - self.filled).as_millis() as u64;
        let by_time = millis.saturating_mul(CONTROL_FRAMES_PER_SECOND) / 1000;
        let by_bytes = self.moved / DATA_BYTES_PER_CONTROL_FRAME;
        self.budget = by_time.saturating_add(by_bytes).min(CONTROL_FRAMES_BURST);
        if self.budget > 0 {
            self.filled = now;
            self.moved = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = (payload as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(FRAME_HEAD_BYTES + payload, 0xff);
        frame
    }

    fn pings_until_refused(guard: &mut FloodGuard) -> u64 {
        (0..).find(|_| guard.received(&frame(PING, 0, 8)).is_err()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_a_budget_of_frames_without_content() {
        let mut guard = FloodGuard::new();
        assert_eq!(pings_until_refused(&mut guard), CONTROL_FRAMES_BURST);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pings_until_refused(&mut guard), CONTROL_FRAMES_PER_SECOND);
        guard.sent(10 * DATA_BYTES_PER_CONTROL_FRAME as usize);
        assert_eq!(pings_until_refused(&mut guard), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_data_cost_nothing_however_they_are_cut() {
        let mut guard = FloodGuard::new();
        let mut request = frame(HEADERS, 4, 40);
        request.extend(frame(DATA, 0, 100));
        request.extend(frame(DATA, END_STREAM, 0));
        for size in [1, 7, 9, 10, request.len()] {
            for piece in request.chunks(size) {
                guard.received(piece).unwrap();
            }
        }
        assert_eq!(guard.budget, CONTROL_FRAMES_BURST);
        guard.received(&frame(DATA, 0, 0)).unwrap();
        assert_eq!(guard.budget, CONTROL_FRAMES_BURST - 1);
    }
}
