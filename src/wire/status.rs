//! What a status says in data, beside its code and its words.

use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::message::AfterTheEnd;

/// Trailer that says whether a failed call stored anything: `no` if surely not. Absent means unknown.
pub const STORED_TRAILER: &str = "oncelog-stored";

/// Metadata of a `Read` that begins after the end of the log: the last sequence, in decimal.
pub const LAST_SEQUENCE_METADATA: &str = "oncelog-last-sequence";

/// Marks a failure that stored nothing, now or later, so that a client may say so.
pub fn surely_not_stored(mut status: Status) -> Status {
    status.metadata_mut().insert(STORED_TRAILER, MetadataValue::from_static("no"));
    status
}

impl From<AfterTheEnd> for Status {
    fn from(error: AfterTheEnd) -> Self {
        let mut metadata = MetadataMap::new();
        metadata.insert(LAST_SEQUENCE_METADATA, error.last_sequence.into());
        Self::with_metadata(Code::OutOfRange, error.to_string(), metadata)
    }
}

impl AfterTheEnd {
    /// What a `Read` after `after` was refused for, if it is this.
    pub fn from_status(status: &Status, after: u64) -> Option<Self> {
        if status.code() != Code::OutOfRange {
            return None;
        }
        let last_sequence = status.metadata().get(LAST_SEQUENCE_METADATA)?.to_str().ok()?;
        Some(Self { after, last_sequence: last_sequence.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_after_the_end_is_told_in_numbers() {
        for last_sequence in [0, 2, u64::MAX - 1] {
            let error = AfterTheEnd { after: u64::MAX, last_sequence };
            let status = Status::from(error);
            assert!(status.message().contains(&format!("sequence {last_sequence}, ")));
            assert_eq!(AfterTheEnd::from_status(&status, u64::MAX), Some(error));
        }
        let too_large = Status::out_of_range("a limit of the client");
        assert_eq!(AfterTheEnd::from_status(&too_large, 5), None);
        assert_eq!(AfterTheEnd::from_status(&Status::unavailable("later"), 5), None);
    }
}
