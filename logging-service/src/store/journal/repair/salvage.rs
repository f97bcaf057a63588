//! Finding what can be kept.

use std::ops::{ControlFlow, RangeInclusive};

use bytes::Bytes;
use oncelog::message::Message;

use crate::store::journal::{
    bytes::{file_len, memory_len, u32_at},
    chain::ChainTail,
    error::Damage,
    format::HEADER_BYTES,
    frame::{Header, Kind, TRAILER_BYTES},
    reader::message,
    record,
    scrub::{End, Event, Frame, UnreadableRange},
    segment::{self, Named},
};

/// Where what can be kept goes, in order of sequences and without a gap.
pub(super) trait Sink {
    /// Forget what came so far: it is in a segment that stays as it is.
    fn restart(&mut self) {}
    /// Records with dense sequences, out of the frame with this header.
    fn records(&mut self, header: &Header, messages: &[Message]);
    /// Sequences whose records cannot be read.
    fn lost(&mut self, sequences: RangeInclusive<u64>);
    /// Sequences that an earlier repair gave up.
    fn was_lost(&mut self, sequences: RangeInclusive<u64>);
}

/// Turns what a scrub comes across into what can be kept.
pub(super) struct Salvage {
    /// The first segment that is written anew, and the log before it. `None` as long as there is
    /// no damage.
    from: Option<(u64, ChainTail)>,
    /// The segment that is read, and the log before it.
    current: Option<(u64, ChainTail)>,
    /// Whether the segment that is read is written anew, or might be.
    active: bool,
    next_sequence: u64,
    /// Time of the last frame, for records whose own time is unreadable.
    last_stored_at: i64,
    pub(super) damage: Vec<Damage>,
    pub(super) approximate_times: u64,
}

impl Salvage {
    /// A pass that finds the first damage, and what can be kept of its segment and from there on.
    pub(super) fn looking_for_damage() -> Self {
        Self {
            from: None,
            current: None,
            active: true,
            next_sequence: 1,
            last_stored_at: 0,
            damage: Vec::new(),
            approximate_times: 0,
        }
    }

    /// A pass over a log whose first damage is known.
    pub(super) fn of_known_damage(from: u64, before: ChainTail) -> Self {
        Self { from: Some((from, before)), active: false, ..Self::looking_for_damage() }
    }

    pub(super) fn first_damage(&self) -> Option<(u64, ChainTail)> {
        self.from
    }

    pub(super) fn event(&mut self, event: Event<'_, '_>, sink: &mut dyn Sink) -> ControlFlow<()> {
        match event {
            Event::Segment(segment) => {
                self.current = Some((segment.header.first_sequence, segment.before));
                self.enter(&segment.name, sink);
            }
            Event::Frame(frame) => self.frame(frame, sink),
            Event::Damage { damage, before_file, unreadable } => {
                self.damaged(&damage.file, before_file, sink);
                if let Some(range) = unreadable {
                    self.unreadable_range(range, sink);
                }
                self.damage.push(damage);
            }
        }
        ControlFlow::Continue(())
    }

    /// Sequences that something at the end proves, but nobody can read.
    pub(super) fn finish(&mut self, end: &End, sink: &mut dyn Sink) {
        self.fill(end.chain.next_sequence, sink);
    }

    fn enter(&mut self, name: &str, sink: &mut dyn Sink) {
        match self.from {
            // Everything before was sound, so it stays.
            None => sink.restart(),
            Some((from, before)) => self.activate(name, from, before),
        }
    }

    fn damaged(&mut self, file: &str, before: ChainTail, sink: &mut dyn Sink) {
        match self.from {
            None => {
                let Named::Segment(sequence) = segment::parse_name(file) else { return };
                if self.next_sequence == before.next_sequence {
                    sink.restart();
                }
                // What is written anew begins with the next sequence, and so would have the name
                // of a segment before it that has no records.
                self.from = match self.current {
                    Some(empty @ (first, _)) if first == before.next_sequence => Some(empty),
                    Some(_) | None => Some((sequence, before)),
                };
            }
            Some((from, before)) => self.activate(file, from, before),
        }
    }

    fn activate(&mut self, name: &str, from: u64, before: ChainTail) {
        if !self.active && segment::parse_name(name) == Named::Segment(from) {
            self.active = true;
            self.next_sequence = before.next_sequence;
        }
    }

    fn fill(&mut self, upto: u64, sink: &mut dyn Sink) {
        if self.active && self.next_sequence < upto {
            sink.lost(self.next_sequence..=upto - 1);
            self.next_sequence = upto;
        }
    }

    fn frame(&mut self, frame: Frame<'_>, sink: &mut dyn Sink) {
        let header = frame.header;
        match header.kind {
            Kind::Mark => {}
            Kind::Lost => {
                self.fill(header.first_sequence, sink);
                if self.active && self.next_sequence < header.next_sequence() {
                    sink.was_lost(self.next_sequence..=header.next_sequence() - 1);
                    self.next_sequence = header.next_sequence();
                }
            }
            Kind::Data => {
                self.last_stored_at = header.stored_at;
                self.records(header, frame.payload, sink);
                self.fill(header.next_sequence(), sink);
            }
        }
    }

    fn unreadable_range(&mut self, range: UnreadableRange<'_, '_>, sink: &mut dyn Sink) {
        let resumes_with = range.resumes_with.unwrap_or(u64::MAX);
        let readable = range.header.filter(|header| {
            header.first_sequence >= range.next_sequence && header.next_sequence() <= resumes_with
        });
        let to = readable.map_or(range.to, |header| {
            range.to.min(range.from + header.frame_bytes() - file_len(TRAILER_BYTES))
        });
        // Only its number and time are needed from a header that cannot be read.
        let header = readable.unwrap_or(Header {
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
        // What cannot be read now was read before, so there is nothing else to try.
        let Ok(bytes) = range.window.get(start, to.saturating_sub(start)) else { return };
        let kept = self.records(&header, bytes, sink);
        match readable {
            Some(header) => self.fill(header.next_sequence(), sink),
            None => self.approximate_times += kept,
        }
    }

    /// Keeps the records in `payload` that prove themselves that this is their place.
    /// Returns how many.
    fn records(&mut self, header: &Header, payload: &[u8], sink: &mut dyn Sink) -> u64 {
        if !self.active {
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
                self.fill(sequence, sink);
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
