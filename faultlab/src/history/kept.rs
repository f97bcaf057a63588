//! A run as files.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Attempt, Healed, History, Lookup, Peak, Read, Record};

/// The format that is written.
pub const FORMAT: u32 = 1;

/// The file of a kept run that tells what clients did and saw, one event a line.
pub const HISTORY_FILE: &str = "history.jsonl";

/// The file of a kept run that has the whole log, as it was in the end, one record a line.
pub const LOG_FILE: &str = "log.jsonl";

/// The same in format 0, as one array.
const LOG_FILE_0: &str = "log.json";

/// What a kept history is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How to understand the lines.
    pub format: u32,
    /// What the workload and the faults followed from.
    pub seed: u64,
    /// The program that ran, with its version.
    pub program: String,
    /// Whether the log has other records, too, which are not kept: its numbers grow, but not by one, and
    /// there were no faults, so that an outcome need not be unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// What the history is of.
    Head(Head),
    /// The faults were over.
    Healed(Healed),
    /// What a service used at most.
    Peak(Peak),
    /// Something was sent.
    Attempt(Attempt),
    /// The log was read.
    Read(Read),
    /// A message was looked up.
    Lookup(Lookup),
}

impl Head {
    /// The head of a history in the present format.
    #[must_use]
    pub fn new(seed: u64, program: impl Into<String>) -> Self {
        Self { format: FORMAT, seed, program: program.into(), part: false }
    }
}

impl History {
    /// Writes one event a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json_lines(&self, head: &Head, out: &mut impl Write) -> io::Result<()> {
        write_line(out, &Event::Head(head.clone()))?;
        // One at a time: a copy of a long history would not fit.
        self.healed.iter().try_for_each(|healed| write_line(out, &Event::Healed(*healed)))?;
        self.peaks.iter().try_for_each(|peak| write_line(out, &Event::Peak(peak.clone())))?;
        let attempts = self.attempts.iter().cloned().map(Event::Attempt);
        let reads = self.reads.iter().cloned().map(Event::Read);
        let lookups = self.lookups.iter().cloned().map(Event::Lookup);
        attempts.chain(reads).chain(lookups).try_for_each(|event| write_line(out, &event))
    }

    /// Reads what [`History::write_json_lines`] wrote, of any format.
    ///
    /// # Errors
    /// Those of `input`, a line that is no event, and a format that is newer than [`FORMAT`].
    pub fn read_json_lines(input: impl BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for event in events(input) {
            match event? {
                Event::Head(_) => {}
                Event::Healed(healed) => history.healed.push(healed),
                Event::Peak(peak) => history.peaks.push(peak),
                Event::Attempt(attempt) => history.attempts.push(attempt),
                Event::Read(read) => history.reads.push(read),
                Event::Lookup(lookup) => history.lookups.push(lookup),
            }
        }
        Ok(history)
    }

    /// Keeps it in `dir`, with the whole `log` as it is in the end, to be checked again.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn keep(&self, head: &Head, log: &[Record], dir: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(dir.join(HISTORY_FILE))?);
        self.write_json_lines(head, &mut out)?;
        out.flush()?;
        let mut out = BufWriter::new(File::create(dir.join(LOG_FILE))?);
        log.iter().try_for_each(|record| write_line(&mut out, record))?;
        out.flush()
    }
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// A kept run. It is read line by line: a long one needs no room for all of it.
#[derive(Debug, Clone)]
pub struct Kept(PathBuf);

impl Kept {
    /// The run kept in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The events, in their order.
    ///
    /// # Errors
    /// The file cannot be opened; an item is an error as in [`History::read_json_lines`].
    pub fn events(&self) -> io::Result<impl Iterator<Item = io::Result<Event>> + use<>> {
        Ok(events(open(&self.0.join(HISTORY_FILE))?))
    }

    /// The log, in its order.
    ///
    /// # Errors
    /// The file cannot be opened; an item is an error if it cannot be read or is no record.
    pub fn log(&self) -> io::Result<Box<dyn Iterator<Item = io::Result<Record>>>> {
        let old = self.0.join(LOG_FILE_0);
        if old.is_file() && !self.0.join(LOG_FILE).is_file() {
            let records: Vec<Record> = serde_json::from_reader(open(&old)?)?;
            return Ok(Box::new(records.into_iter().map(Ok)));
        }
        let lines = open(&self.0.join(LOG_FILE))?.lines();
        Ok(Box::new(lines.map(|line| Ok(serde_json::from_str(&line?)?))))
    }
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    File::open(path).map(BufReader::new).map_err(named)
}

fn events(input: impl BufRead) -> impl Iterator<Item = io::Result<Event>> {
    let mut attempts = false;
    (1..).zip(input.lines()).map(move |(number, line)| {
        let wrong = |reason: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {reason}"))
        };
        let event = serde_json::from_str(&line?).map_err(|error| wrong(error.to_string()))?;
        match &event {
            Event::Head(head) if head.format > FORMAT => {
                Err(wrong(format!("format {} is newer than {FORMAT}", head.format)))
            }
            Event::Healed(_) | Event::Peak(_) if attempts => {
                Err(wrong("it must come before the first attempt".to_owned()))
            }
            Event::Attempt(_) => {
                attempts = true;
                Ok(event)
            }
            Event::Head(_)
            | Event::Healed(_)
            | Event::Peak(_)
            | Event::Read(_)
            | Event::Lookup(_) => Ok(event),
        }
    })
}
