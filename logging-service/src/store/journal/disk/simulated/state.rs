//! What is durable, what is only seen, and what a crash makes of it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io, mem,
};

use super::{Fault, Removal};
use crate::store::journal::disk::FileIdentity;

/// What a disk writes whole or not at all.
const BLOCK_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

impl FileId {
    pub(super) fn identity(self) -> FileIdentity {
        FileIdentity { device: 0, inode: self.0 }
    }
}

/// A change of the directory that is not synced yet.
#[derive(Debug)]
pub(super) enum DirChange {
    Add(String, FileId),
    Rename(String, String),
    Remove(String),
}

/// A change of a file that is not synced yet.
#[derive(Debug)]
enum FileChange {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    seen: Vec<u8>,
    pending: Vec<FileChange>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    pending: Vec<DirChange>,
    files: BTreeMap<FileId, Content>,
    next_file: u64,
    /// How often the machine was started; a file opened before the last start is dead.
    pub(super) starts: u64,
    stopped: bool,
    pub(super) locked: bool,
    /// What was done to the directory from outside.
    pub(super) removal: Option<Removal>,
    pub(super) operations: u64,
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) capacity: Option<u64>,
    pub(super) syncs_are_held: bool,
    /// Syncs that wait because they are held up.
    pub(super) syncs_waiting: usize,
}

/// How an operation ends that does not simply succeed.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// It has no effect, or half of one.
    Fails(io::Error),
    /// Its effect is pending when the machine stops.
    Stops,
}

impl From<Interrupted> for io::Error {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Fails(error) => error,
            Interrupted::Stops => stopped(),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}

impl State {
    /// Whether a handle from machine start `start` is of no use any more.
    pub(super) fn is_dead(&self, start: u64) -> bool {
        self.stopped || self.starts != start
    }

    /// Counts one operation on the disk itself.
    pub(super) fn disk_operation(&mut self) -> Result<(), Interrupted> {
        self.operation(self.starts)
    }

    /// Counts one operation on a handle from machine start `start`.
    pub(super) fn operation(&mut self, start: u64) -> Result<(), Interrupted> {
        if self.is_dead(start) {
            return Err(Interrupted::Fails(stopped()));
        }
        let at = self.operations;
        self.operations += 1;
        match self.fault {
            Some((when, fault)) if when == at => {
                self.fault = None;
                Err(match fault {
                    Fault::Fail(kind) => Interrupted::Fails(io::Error::new(kind, "injected")),
                    Fault::Crash => {
                        self.stopped = true;
                        Interrupted::Stops
                    }
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts one operation on a handle from machine start `start`, and does its `effect`.
    pub(super) fn change<T>(
        &mut self,
        start: u64,
        effect: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        let done = self.operation(start);
        self.survive_or(done, effect)
    }

    /// Does `effect` if the operation succeeds, and also if the machine stops during it: then it
    /// is one more change that may survive.
    pub(super) fn survive_or<T>(
        &mut self,
        done: Result<(), Interrupted>,
        effect: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        match done {
            Ok(()) => effect(self),
            Err(Interrupted::Stops) => {
                let _ = effect(self);
                Err(stopped())
            }
            Err(Interrupted::Fails(error)) => Err(error),
        }
    }

    pub(super) fn new_file(&mut self) -> FileId {
        self.next_file += 1;
        let file = FileId(self.next_file);
        self.files.insert(file, Content::default());
        file
    }

    pub(super) fn change_dir(&mut self, change: DirChange) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    pub(super) fn sync_dir(&mut self) {
        self.pending.clear();
        self.durable_names = self.names.clone();
    }

    pub(super) fn seen(&self, file: FileId) -> io::Result<&[u8]> {
        Ok(&self.files.get(&file).ok_or(io::ErrorKind::NotFound)?.seen)
    }

    pub(super) fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|file| self.files.get(file));
        files.map(|content| content.seen.len() as u64).sum()
    }

    fn free(&self) -> usize {
        let free = self.capacity.map(|capacity| capacity.saturating_sub(self.used()));
        free.and_then(|free| usize::try_from(free).ok()).unwrap_or(usize::MAX)
    }

    /// Writes as much as there is space for, and fails if that is not all.
    pub(super) fn write(&mut self, file: FileId, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let free = self.free();
        let content = self.content(file)?;
        let space = content.seen.len().saturating_add(free).saturating_sub(offset);
        let written = bytes.get(..space.min(bytes.len())).unwrap_or_default();
        if !written.is_empty() {
            content.change(FileChange::Write(offset, written.to_vec()));
        }
        if written.len() < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn set_length(&mut self, file: FileId, len: usize) -> io::Result<()> {
        let free = self.free();
        let content = self.content(file)?;
        if len > content.seen.len().saturating_add(free) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.change(FileChange::Length(len));
        Ok(())
    }

    pub(super) fn sync(&mut self, file: FileId) -> io::Result<()> {
        let content = self.content(file)?;
        for change in mem::take(&mut content.pending) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    /// A sync that failed: the changes stay visible, count as synced, and are lost.
    pub(super) fn drop_dirty(&mut self, file: FileId) -> io::Result<()> {
        self.content(file)?.pending.clear();
        Ok(())
    }

    fn content(&mut self, file: FileId) -> io::Result<&mut Content> {
        self.files.get_mut(&file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn crash(&mut self, seed: u64) {
        let mut dice = Dice::new(seed);
        for change in mem::take(&mut self.pending) {
            if dice.survives() {
                apply(&mut self.durable_names, &change);
            }
        }
        self.names = self.durable_names.clone();
        for content in self.files.values_mut() {
            content.crash(&mut dice);
        }
        let names = &self.names;
        self.files.retain(|file, _| names.values().any(|named| named == file));
        self.starts += 1;
        self.stopped = false;
        self.locked = false;
        self.fault = None;
    }

    pub(super) fn snapshot(&self) -> Self {
        let mut copy = Self::default();
        for (name, file) in &self.durable_names {
            if let Some(content) = self.files.get(file) {
                copy.put(name, &content.durable);
            }
        }
        copy
    }

    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) {
        let file = self.names.get(name).copied().unwrap_or_else(|| self.new_file());
        self.names.insert(name.to_owned(), file);
        self.durable_names.insert(name.to_owned(), file);
        let content =
            Content { durable: bytes.to_vec(), seen: bytes.to_vec(), pending: Vec::new() };
        self.files.insert(file, content);
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.names.remove(name);
        self.durable_names.remove(name);
    }
}

impl FileChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => overwrite(content, *offset, bytes),
            Self::Length(len) => content.resize(*len, 0),
        }
    }
}

impl Content {
    fn change(&mut self, change: FileChange) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    fn crash(&mut self, dice: &mut Dice) {
        for change in mem::take(&mut self.pending) {
            match change {
                FileChange::Length(len) => {
                    if dice.survives() {
                        self.durable.resize(len, 0);
                    }
                }
                FileChange::Write(offset, bytes) => {
                    let mut rest = &bytes[..];
                    let mut at = offset;
                    while !rest.is_empty() {
                        let in_block = (BLOCK_BYTES - at % BLOCK_BYTES).min(rest.len());
                        let (block, after) = rest.split_at(in_block);
                        if dice.survives() {
                            overwrite(&mut self.durable, at, block);
                        }
                        at += in_block;
                        rest = after;
                    }
                }
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

fn overwrite(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn apply(names: &mut BTreeMap<String, FileId>, change: &DirChange) {
    match change {
        DirChange::Add(name, file) => {
            if let Entry::Vacant(entry) = names.entry(name.clone()) {
                entry.insert(*file);
            }
        }
        DirChange::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        DirChange::Remove(name) => {
            names.remove(name);
        }
    }
}

/// Decides what survives: now and then everything or nothing, else each thing by itself.
struct Dice {
    random: fastrand::Rng,
    of_eight: u8,
}

impl Dice {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let of_eight = random.u8(0..=8);
        Self { random, of_eight }
    }

    fn survives(&mut self) -> bool {
        self.random.u8(0..8) < self.of_eight
    }
}
