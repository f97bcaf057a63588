//! A fixed workload that can be interrupted anywhere, and what must be left of it.

use logging_service::store::{CommitError, Committed, Store as _, journal::disk::SimulatedDisk};
use oncelog::message::Message;

use crate::helper::*;

/// What the journal has promised so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promised {
    /// Surely stored.
    pub(crate) stored: Vec<Message>,
    /// The batch whose outcome is unknown: there whole or not at all.
    pub(crate) unknown: Vec<Message>,
}

impl Promised {
    fn next(&self) -> u64 {
        self.stored.len() as u64 + 1
    }

    /// Commits the next `count` messages.
    fn commit(&mut self, opened: &mut Opened, count: u64) -> Result<(), CommitError> {
        let first = self.next();
        let batch = messages(first..=first + count - 1);
        match opened.journal.commit(&batch, time(first)) {
            Ok(Committed { first_sequence, addresses }) => {
                assert_eq!((first_sequence, addresses.len() as u64), (first, count));
                self.stored.extend(batch);
                Ok(())
            }
            Err(CommitError::Failed(error)) => {
                self.unknown = batch;
                Err(CommitError::Failed(error))
            }
            Err(
                error @ (CommitError::NoSpace(_)
                | CommitError::Orphaned(_)
                | CommitError::WrittenToOrphan(_)),
            ) => Err(error),
        }
    }

    /// Opens the journal, which must hold what was promised, and nothing else.
    pub(crate) fn recover(&mut self, disk: &SimulatedDisk) -> Opened {
        let opened = open(disk).unwrap();
        self.check(&opened);
        opened
    }

    /// Whether the batch of unknown outcome is stored shows now.
    pub(crate) fn check(&mut self, opened: &Opened) {
        if opened.records.len() > self.stored.len() {
            self.stored.append(&mut self.unknown);
        }
        self.unknown.clear();
        assert_holds(opened, &self.stored);
    }
}

/// Why the workload ended early.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Opening failed.
    NotOpened,
    /// The journal failed; here it is.
    Failed(Box<Opened>),
}

/// Opens a journal, fills several segments, and opens it again in between. When there is no space,
/// `give_space` is called.
pub(crate) fn run(
    disk: &SimulatedDisk,
    promised: &mut Promised,
    give_space: &mut dyn FnMut(),
) -> Result<(), Ended> {
    for batches in [[1, 5, 0, 4, 2], [0, 9, 1, 0, 7], [12, 0, 0, 1, 3]] {
        let Ok(mut opened) = open(disk) else { return Err(Ended::NotOpened) };
        for count in batches {
            loop {
                let done = if count == 0 {
                    opened.journal.seal()
                } else {
                    promised.commit(&mut opened, count)
                };
                match done {
                    Ok(()) => break,
                    Err(CommitError::Failed(_)) => return Err(Ended::Failed(Box::new(opened))),
                    Err(error @ (CommitError::Orphaned(_) | CommitError::WrittenToOrphan(_))) => {
                        panic!("nothing was removed: {error}")
                    }
                    Err(CommitError::NoSpace(_)) => {
                        assert_eq!(read_all(&opened.journal).len(), promised.stored.len());
                        give_space();
                        match opened.journal.probe_space() {
                            Ok(()) => {}
                            Err(CommitError::Failed(_)) => {
                                return Err(Ended::Failed(Box::new(opened)));
                            }
                            Err(error) => panic!("still none: {error}"),
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// A workload on a disk with space.
pub(crate) fn run_with_space(disk: &SimulatedDisk, promised: &mut Promised) -> Result<(), Ended> {
    run(disk, promised, &mut || {})
}
