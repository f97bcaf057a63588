//! The log compared with what clients were told, for more messages than a whole history could hold.

use std::fmt;

use super::{Fate, Measured, Plan};
use crate::load::Client;

/// What the log shows of the messages of some runs. All counts are of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audit {
    /// In the log.
    pub stored: u64,
    /// Accepted, and not in the log.
    pub lost: u64,
    /// In the log more than once.
    pub doubled: u64,
    /// Refused as not stored, or never sent, and in the log all the same.
    pub phantom: u64,
    /// Lines of the log that no run has sent.
    pub foreign: u64,
    /// Without an answer, and in the log.
    pub unknown_stored: u64,
}

/// The log could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log could not be read to its end")]
pub struct Unreadable;

impl Audit {
    /// Reads the whole log and compares it with `runs`.
    ///
    /// # Errors
    /// [`Unreadable`]: there is no whole log to check.
    pub async fn of(client: &Client, runs: &[&Measured]) -> Result<Self, Unreadable> {
        let mut audit = Self::default();
        let end = runs.iter().map(|run| run.end()).max().unwrap_or_default();
        let mut times: Vec<u8> = vec![0; usize::try_from(end).unwrap_or_default()];
        let mut note = |line: &[u8]| match number(line).and_then(|at| times.get_mut(at)) {
            Some(times) => *times = times.saturating_add(1),
            None => audit.foreign += 1,
        };
        let mut log = client.list("").await.ok_or(Unreadable)?;
        let mut rest: Vec<u8> = Vec::new();
        while let Some(piece) = log.chunk().await.map_err(|_| Unreadable)? {
            rest.extend_from_slice(&piece);
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            rest[..whole].split_inclusive(|byte| *byte == b'\n').for_each(&mut note);
            rest.drain(..whole);
        }
        if !rest.is_empty() {
            note(&rest);
        }
        for run in runs {
            audit.compare(run, &times);
        }
        Ok(audit)
    }

    fn compare(&mut self, run: &Measured, times: &[u8]) {
        let first = usize::try_from(run.first).unwrap_or_default();
        for (fate, times) in run.fates.iter().zip(times.get(first..).unwrap_or_default()) {
            self.stored += u64::from(*times > 0);
            self.doubled += u64::from(*times > 1);
            match (fate, times) {
                (Fate::Accepted, 0) => self.lost += 1,
                (Fate::Refused | Fate::NotSent, 1..) => self.phantom += 1,
                (Fate::Unknown, 1..) => self.unknown_stored += 1,
                (Fate::Accepted, _) | (Fate::Refused | Fate::NotSent | Fate::Unknown, 0) => {}
            }
        }
    }

    /// Messages that ended otherwise than clients were told.
    #[must_use]
    pub const fn violations(&self) -> u64 {
        self.lost + self.doubled + self.phantom + self.foreign
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, lost, doubled, phantom, foreign, unknown_stored } = self;
        write!(
            f,
            "stored {stored}, lost {lost}, doubled {doubled}, refused and stored {phantom}, \
             foreign {foreign}, unknown and stored {unknown_stored}"
        )
    }
}

/// The number that the text of a line begins with.
fn number(line: &[u8]) -> Option<usize> {
    let before = br#""msg":""#;
    let at = line.windows(before.len()).position(|part| part == before)? + before.len();
    std::str::from_utf8(line.get(at..at + Plan::TEXT_BYTES_MIN)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_break_a_promise_is_counted() {
        use Fate::{Accepted, Refused, Unknown};
        let fates = vec![Accepted, Accepted, Accepted, Refused, Refused, Unknown];
        let run = Measured { first: 2, fates, ..Measured::default() };
        let mut audit = Audit::default();
        audit.compare(&run, &[9, 9, 1, 0, 2, 0, 1, 1]);
        let found =
            Audit { stored: 4, lost: 1, doubled: 1, phantom: 1, foreign: 0, unknown_stored: 1 };
        assert_eq!(audit, found);
        assert_eq!(audit.violations(), 3);
    }

    #[test]
    fn a_line_is_known_by_its_number() {
        let line = br#"{"sequence":7,"uuid":"u","msg":"000000000042xxxx"}"#;
        assert_eq!(number(line), Some(42));
        assert_eq!(number(br#"{"sequence":7,"msg":"hello"}"#), None);
    }
}
