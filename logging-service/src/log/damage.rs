//! Damage that is found while the log is served.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use oncelog::message::StoredMessage;
use tokio::sync::watch;

use crate::store::{Address, Damage, ReadError, Reader, ScanLimit};

/// Places that are named one by one. Where more are damaged, the disk is, and another thousand lines would not
/// help.
const PLACES_MAX: usize = 1000;

/// What reads have found since the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDamage {
    /// The place that was found first.
    pub first: Damage,
    /// How many places were found.
    pub places: usize,
}

impl fmt::Display for FoundDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.places {
            1 => write!(f, "{}", self.first),
            places => write!(f, "{} (the first of {places} places)", self.first),
        }
    }
}

/// The reader of all parts of the log. It reports each damaged place once, to the operator as an error and to
/// those that watch, whichever read meets it first.
pub(super) struct ReportingReader {
    reader: Arc<dyn Reader>,
    /// Files and offsets that were reported.
    places: Mutex<HashSet<(String, u64)>>,
    found: watch::Sender<Option<FoundDamage>>,
}

impl ReportingReader {
    pub(super) fn new(reader: Arc<dyn Reader>) -> Self {
        Self { reader, places: Mutex::default(), found: watch::Sender::new(None) }
    }

    /// What was found so far, and a way to wait for more.
    pub(super) fn found(&self) -> watch::Receiver<Option<FoundDamage>> {
        self.found.subscribe()
    }

    fn note<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        match &read {
            Err(ReadError::Damaged(damage)) => self.report(damage),
            // A disk that fails to read may read the same bytes later: no record is known to be damaged.
            Ok(_) | Err(ReadError::Io { .. }) => {}
        }
        read
    }

    fn report(&self, damage: &Damage) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES_MAX || !places.insert((damage.file.clone(), damage.offset)) {
            return;
        }
        tracing::error!(
            "{damage}. What is stored there cannot be read; new messages are stored as before. Stop the service: \
             `oncelog journal verify` lists all damage, `oncelog journal repair` explains what can be kept and \
             does it on your word"
        );
        if places.len() == PLACES_MAX {
            tracing::error!("{PLACES_MAX} places are damaged; no more of them are named");
        }
        self.found.send_modify(|found| match found {
            Some(found) => found.places += 1,
            None => *found = Some(FoundDamage { first: damage.clone(), places: 1 }),
        });
    }
}

impl Reader for ReportingReader {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        self.note(self.reader.get(address))
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        self.note(self.reader.scan(after, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that is damaged wherever it is read.
    struct Damaged;

    impl Reader for Damaged {
        fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
            Err(ReadError::Damaged(Damage::new("file", address.0, "of the test")))
        }

        fn scan(&self, after: u64, _: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
            self.get(Address(after)).map(|record| vec![record])
        }
    }

    #[test]
    fn a_damaged_place_counts_once_whoever_reads_it() {
        let reader = ReportingReader::new(Arc::new(Damaged));
        let found = reader.found();
        assert_eq!(*found.borrow(), None);
        let all = ScanLimit { messages: 1, bytes: 1 };
        for (read, places) in [(7, 1), (7, 1), (9, 2), (7, 2)] {
            reader.get(Address(read)).unwrap_err();
            reader.scan(read, all).unwrap_err();
            let found = found.borrow().clone().unwrap();
            assert_eq!((found.first.offset, found.places), (7, places));
        }
        let shown = found.borrow().clone().unwrap().to_string();
        assert_eq!(shown, "file is damaged at offset 7: of the test (the first of 2 places)");
    }

    #[test]
    fn what_is_kept_of_damaged_places_is_bounded() {
        let reader = ReportingReader::new(Arc::new(Damaged));
        for place in 0..2 * PLACES_MAX as u64 {
            reader.get(Address(place)).unwrap_err();
        }
        assert_eq!(reader.places.lock().unwrap().len(), PLACES_MAX);
    }
}
