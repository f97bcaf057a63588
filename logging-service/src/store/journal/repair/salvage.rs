//! Finding the records that can be kept.

use std::{
    io,
    ops::{ControlFlow, RangeInclusive},
};

use bytes::Bytes;
use oncelog::message::Message;

use crate::store::journal::{
    bytes::{file_len, memory_len, u32_at},
    chain::ChainTail,
    error::{Damage, OpenError},
    format::HEADER_BYTES,
    frame::{Header, Kind, TRAILER_BYTES},
    reader::message,
    record,
    scrub::{End, Event, Frame, UnreadableRange},
    segment::{self, Named},
};

/// Where salvaged records go, in order of sequences and without a gap.
pub(super) trait Sink {
    /// Forgets what came so far: it is in a segment that stays as it is.
    fn restart(&mut self) {}
    /// Records with dense sequences, out of the frame with this header.
    fn records(&mut self, header: &Header, messages: &[Message]);
    /// Sequences whose records cannot be read, or were given up by an earlier repair.
    fn lost(&mut self, sequences: RangeInclusive<u64>, loss: Loss);
}

/// When records were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    New,
    /// Before an earlier repair.
    Earlier,
}

/// Where a segment begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) first_sequence: u64,
    /// The end of the log before it.
    pub(super) before: ChainTail,
}

/// Turns the events of a scrub into records that are kept and sequences that are lost.
pub(super) struct Salvage {
    /// The first segment that is written anew. `None` as long as there is no damage.
    pub(super) rewrite_from: Option<Start>,
    /// The segment that is read.
    current: Option<Start>,
    /// Whether the segment that is read is written anew, or might be.
    is_active: bool,
    next_sequence: u64,
    /// Time of the last frame, for records whose own time is unreadable.
    last_stored_at: i64,
    pub(super) damage: Vec<Damage>,
    /// Records whose own time is unreadable.
    pub(super) approximate_times: u64,
    /// A failed read of the disk. What it would have read is not known to be lost, so nothing may be given up.
    failure: Option<OpenError>,
}

impl Salvage {
    /// A pass that finds the first damage, and what can be kept of its segment and from there on.
    pub(super) fn looking_for_damage() -> Self {
        Self {
            rewrite_from: None,
            current: None,
            is_active: true,
            next_sequence: 1,
            last_stored_at: 0,
            damage: Vec::new(),
            approximate_times: 0,
            failure: None,
        }
    }

    /// A pass over a log whose segments from `start` on are written anew.
    pub(super) fn from(start: Start) -> Self {
        Self { rewrite_from: Some(start), is_active: false, ..Self::looking_for_damage() }
    }

    /// Takes in what a scrub tells. Breaks once there is no use in going on.
    pub(super) fn event(&mut self, event: Event<'_, '_>, sink: &mut dyn Sink) -> ControlFlow<()> {
        match event {
            Event::Segment(segment) => {
                let first_sequence = segment.header.first_sequence;
                self.current = Some(Start { first_sequence, before: segment.before });
                match self.rewrite_from {
                    // Everything before was sound, so it stays.
                    None => sink.restart(),
                    Some(start) => self.activate_at(start, &segment.name),
                }
            }
            Event::Frame(frame) => self.frame(frame, sink),
            Event::Damage { damage, before_file, unreadable } => {
                match self.rewrite_from {
                    None => self.first_damage(&damage.file, before_file, sink),
                    Some(start) => self.activate_at(start, &damage.file),
                }
                if let Some(range) = unreadable
                    && let Err(error) = self.unreadable_range(range, sink)
                {
                    self.failure = Some(OpenError::io(format!("read {}", damage.file))(error));
                    return ControlFlow::Break(());
                }
                self.damage.push(damage);
            }
        }
        ControlFlow::Continue(())
    }

    /// Gives up the sequences that something at the end proves, but whose records cannot be read.
    ///
    /// # Errors
    /// The disk failed to read a part, so what is lost is not known.
    pub(super) fn finish(&mut self, end: &End, sink: &mut dyn Sink) -> Result<(), OpenError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.give_up_to(end.chain.next_sequence, Loss::New, sink);
        Ok(())
    }

    fn first_damage(&mut self, file: &str, before: ChainTail, sink: &mut dyn Sink) {
        let Named::Segment(first_sequence) = segment::parse_name(file) else {
            unreachable!("a scrub told of damage in {file}, which is no segment")
        };
        if self.next_sequence == before.next_sequence {
            sink.restart();
        }
        // What is written anew begins with the next sequence, and so would have the name of a
        // segment before it that has no records.
        let empty = self.current.filter(|start| start.first_sequence == before.next_sequence);
        self.rewrite_from = Some(empty.unwrap_or(Start { first_sequence, before }));
    }

    fn activate_at(&mut self, start: Start, name: &str) {
        if !self.is_active && segment::parse_name(name) == Named::Segment(start.first_sequence) {
            self.is_active = true;
            self.next_sequence = start.before.next_sequence;
        }
    }

    /// Gives up the sequences in front of `sequence` that are not kept.
    fn give_up_to(&mut self, sequence: u64, loss: Loss, sink: &mut dyn Sink) {
        if self.is_active && self.next_sequence < sequence {
            sink.lost(self.next_sequence..=sequence - 1, loss);
            self.next_sequence = sequence;
        }
    }

    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn Sink) {
        let header = frame.header;
        match header.kind {
            Kind::Mark => {}
            Kind::Lost => {
                self.give_up_to(header.first_sequence, Loss::New, sink);
                self.give_up_to(header.next_sequence(), Loss::Earlier, sink);
            }
            Kind::Data => {
                self.last_stored_at = header.stored_at;
                self.records(header, frame.payload, sink);
                self.give_up_to(header.next_sequence(), Loss::New, sink);
            }
        }
    }

    /// Keeps what can be kept of bytes that are no frame.
    ///
    /// # Errors
    /// What the operating system says: that is no damage.
    fn unreadable_range(
        &mut self,
        range: UnreadableRange<'_, '_>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let resumes_with = range.resumes_with.unwrap_or(u64::MAX);
        let trusted = range.header.filter(|header| {
            header.first_sequence >= range.next_sequence && header.next_sequence() <= resumes_with
        });
        let to = trusted.map_or(range.to, |header| {
            range.to.min(range.from + header.frame_bytes() - file_len(TRAILER_BYTES))
        });
        // Behind an unreadable header records still prove their own sequences.
        let header = trusted.unwrap_or(Header {
            kind: Kind::Data,
            salt: 0,
            address: 0,
            first_sequence: range.next_sequence,
            synced_upto: 0,
            stored_at: self.last_stored_at,
            count: u32::try_from(resumes_with - range.next_sequence).unwrap_or(u32::MAX),
            payload_bytes: 0,
            previous: 0,
        });
        let start = range.from + file_len(HEADER_BYTES);
        let bytes = range.window.get(start, to.saturating_sub(start))?;
        let kept = self.records(&header, bytes, sink);
        match trusted {
            Some(header) => self.give_up_to(header.next_sequence(), Loss::New, sink),
            None => self.approximate_times += kept,
        }
        Ok(())
    }

    /// Keeps the records in `payload` whose own checksum proves that this is their place. Returns how
    /// many.
    fn records(&mut self, header: &Header, payload: &[u8], sink: &mut dyn Sink) -> u64 {
        if !self.is_active {
            return 0;
        }
        let mut kept = 0;
        let mut run: Vec<Message> = Vec::new();
        let mut at = 0;
        while let Some(rest) = payload.get(at..).filter(|rest| rest.len() >= record::HEADER_BYTES) {
            let Some((sequence, message, len)) = record_at(header, at, rest) else {
                at += 1;
                continue;
            };
            at += len;
            let next = self.next_sequence + file_len(run.len());
            if sequence < next {
                continue;
            }
            if sequence > next {
                self.keep(header, &mut run, sink);
                self.give_up_to(sequence, Loss::New, sink);
            }
            run.push(message);
            kept += 1;
        }
        self.keep(header, &mut run, sink);
        kept
    }

    fn keep(&mut self, header: &Header, run: &mut Vec<Message>, sink: &mut dyn Sink) {
        if !run.is_empty() {
            sink.records(header, run);
            self.next_sequence += file_len(run.len());
            run.clear();
        }
    }
}

/// The record at the start of `bytes`, which are `at` bytes into the payload of a frame, with its
/// sequence and length.
fn record_at(header: &Header, at: usize, bytes: &[u8]) -> Option<(u64, Message, usize)> {
    // Cheap, and true nowhere else: so each byte can be tried as the start of a record.
    if memory_len(u64::from(u32_at(bytes, 4))) != HEADER_BYTES + at {
        return None;
    }
    let record = record::parse(bytes)?;
    let sequence = header.first_sequence.checked_add(u64::from(record.ordinal))?;
    if record.ordinal >= header.count || !record::is_intact(bytes, record.len, sequence) {
        return None;
    }
    Some((sequence, message(&record, Bytes::copy_from_slice(record.body))?, record.len))
}
