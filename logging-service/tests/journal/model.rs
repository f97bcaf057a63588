//! Any history against a model: a list of what was acknowledged.

use std::io;

use logging_service::store::{
    CommitError, Store as _,
    journal::{
        OpenError,
        disk::{Fault, Removal, SimulatedDisk},
    },
};
use proptest::{collection::vec, prelude::*};

use crate::{helper::*, workload::Promised};

#[derive(Debug, Clone)]
enum Step {
    /// Commit messages of these sizes.
    Commit(Vec<usize>),
    Seal,
    /// The machine stops and starts.
    Crash {
        seed: u64,
    },
    /// Only the process does.
    Restart,
    /// Something happens at one of the next operations.
    Inject {
        after: u64,
        fault: Fault,
    },
    /// From now on the disk has space for this much more.
    Space(u64),
    /// It has space without end again.
    Unlimited,
    /// The directory is moved while it is in use, and moved back before the next start.
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Crash),
        Just(Fault::Fail(io::ErrorKind::Other)),
        Just(Fault::Fail(io::ErrorKind::StorageFull)),
    ];
    prop_oneof![
        12 => vec(0..1500_usize, 1..6).prop_map(Step::Commit),
        3 => Just(Step::Seal),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        1 => Just(Step::Restart),
        2 => (0..12_u64, fault).prop_map(|(after, fault)| Step::Inject { after, fault }),
        1 => (0..5000_u64).prop_map(Step::Space),
        1 => Just(Step::Unlimited),
        1 => Just(Step::Move),
    ]
}

#[derive(Default)]
struct World {
    disk: SimulatedDisk,
    opened: Option<Opened>,
    promised: Promised,
    next_message: u64,
    crashes: u64,
    /// Whether the directory of the open journal was moved.
    moved: bool,
}

impl World {
    fn journal(&mut self) -> &mut Opened {
        // At most once for a pending fault, once for a stopped machine, once for a full disk.
        for _ in 0..4 {
            if self.opened.is_some() {
                break;
            }
            self.disk.put_back();
            self.moved = false;
            match open(&self.disk) {
                Ok(opened) => {
                    self.promised.check(&opened);
                    self.opened = Some(opened);
                }
                Err(OpenError::Io { .. }) => self.crash(),
                Err(error) => panic!("{error}"),
            }
        }
        self.opened.as_mut().expect("the journal opens once nothing fails any more")
    }

    fn crash(&mut self) {
        self.opened = None;
        self.disk.set_capacity(None);
        self.crashes += 1;
        self.disk.crash(self.crashes);
    }

    fn commit(&mut self, sizes: &[usize]) {
        let first = self.next_message;
        let batch: Vec<_> = (first..).zip(sizes).map(|(n, size)| message_of(n, *size)).collect();
        self.next_message += batch.len() as u64;
        let sequence = self.journal().journal.last_sequence() + 1;
        match self.journal().journal.commit(&batch, time(first)) {
            Ok(committed) => {
                assert!(!self.moved, "a batch was acknowledged that no start would find");
                assert_eq!(committed.first_sequence, sequence);
                self.promised.stored.extend(batch);
            }
            Err(CommitError::NoSpace(_)) => {
                assert_eq!(self.journal().journal.last_sequence() + 1, sequence);
            }
            Err(CommitError::Failed(_)) => {
                self.promised.unknown = batch;
                self.opened = None;
            }
            Err(error @ (CommitError::Orphaned(_) | CommitError::WrittenToOrphan(_))) => {
                let surely_not = matches!(error, CommitError::Orphaned(_));
                assert!(self.moved && surely_not, "{error:?}");
            }
        }
    }

    fn seal(&mut self) {
        match self.journal().journal.seal() {
            Ok(()) | Err(CommitError::NoSpace(_)) => {}
            Err(CommitError::Failed(_)) => self.opened = None,
            Err(CommitError::Orphaned(_) | CommitError::WrittenToOrphan(_)) => assert!(self.moved),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(sizes) => self.commit(sizes),
            Step::Seal => self.seal(),
            Step::Crash { seed } => {
                self.opened = None;
                self.disk.crash(*seed);
            }
            Step::Restart => self.opened = None,
            Step::Inject { after, fault } => self.disk.inject(*after, *fault),
            Step::Space(bytes) => self.disk.set_capacity(Some(self.disk.used() + bytes)),
            Step::Unlimited => self.disk.set_capacity(None),
            Step::Move => {
                self.journal();
                self.disk.remove_from_outside(Removal::Directory);
                self.moved = true;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_batches_survive_any_history_whole_and_in_order(
        steps in vec(step(), 1..50)
    ) {
        let mut world = World { next_message: 1, ..World::default() };
        for step in &steps {
            world.step(step);
        }
        world.crash();
        world.journal();
    }
}
