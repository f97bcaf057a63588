//! What a read showed, in little room.

use serde::{Deserialize, Serialize};

use super::Record;

/// Between two marks of a long read, at most.
const MARK_EVERY: u64 = 4096;

/// What a read showed: how many records, and a checksum over all of them in their order, with the
/// checksums on the way there. That is enough to tell whether it was the beginning of a given log, and
/// about where not, and is small however long the log is.
///
/// The checksum is the CRC-32 of zlib over the line `sequence TAB uuid TAB message LF` of each record.
/// Marks are kept after as many records as a power of two, and after every 4096th.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    count: u64,
    chain: u32,
    marks: Vec<(u64, u32)>,
}

/// The checksum over records after `record`, if `before` is that over all in front of it. It begins
/// with 0.
#[must_use]
pub fn chain(before: u32, record: &Record) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(before);
    crc.update(record.sequence.to_string().as_bytes());
    for part in ["\t", &record.uuid, "\t", &record.message, "\n"] {
        crc.update(part.as_bytes());
    }
    crc.finalize()
}

impl Shown {
    /// One more record is shown.
    pub fn push(&mut self, record: &Record) {
        self.count += 1;
        self.chain = chain(self.chain, record);
        if self.count.is_power_of_two() || self.count.is_multiple_of(MARK_EVERY) {
            self.marks.push((self.count, self.chain));
        }
    }

    /// How many records.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The checksum over all of them.
    #[must_use]
    pub const fn chain(&self) -> u32 {
        self.chain
    }

    /// After how many records the checksum was what: the marks, and the end.
    pub fn marks(&self) -> impl Iterator<Item = (u64, u32)> {
        let end = (self.count > 0).then_some((self.count, self.chain));
        self.marks.iter().copied().chain(end)
    }
}

impl From<&[Record]> for Shown {
    fn from(records: &[Record]) -> Self {
        let mut shown = Self::default();
        records.iter().for_each(|record| shown.push(record));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u64) -> Vec<Record> {
        let record = |sequence| Record {
            sequence,
            uuid: format!("id {sequence}"),
            message: format!("text {sequence}"),
        };
        (1..=count).map(record).collect()
    }

    #[test]
    fn a_long_read_takes_little_room() {
        let shown = Shown::from(&records(20_000)[..]);
        assert_eq!(shown.count(), 20_000);
        // Powers of two up to 16384, then 12288, and the end.
        assert_eq!(shown.marks().count(), 15 + 1 + 1);
        assert_eq!(shown.marks().last(), Some((20_000, shown.chain())));
    }

    #[test]
    fn each_part_of_each_record_and_their_order_count() {
        let good = records(3);
        let whole = Shown::from(&good[..]);
        let differs = |spoil: fn(&mut Vec<Record>)| {
            let mut other = good.clone();
            spoil(&mut other);
            assert_ne!(Shown::from(&other[..]).chain(), whole.chain());
        };
        differs(|log| log[1].sequence = 9);
        differs(|log| log[1].uuid.push('x'));
        differs(|log| log[1].message = "text 4".to_owned());
        differs(|log| log.swap(0, 1));
        differs(|log| drop(log.pop()));
    }

    /// So that a program in another language finds the same.
    #[test]
    fn the_checksum_is_that_of_zlib_over_lines_with_tabs() {
        let shown = Shown::from(&records(2)[..]);
        assert_eq!(shown.chain(), crc32fast::hash(b"1\tid 1\ttext 1\n2\tid 2\ttext 2\n"));
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }
}
