//! The outcome of each message: receipts on standard output, the rest on standard error.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use http::Uri;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use oncelog::{
    printable::{escaped, escaped_json},
    process::exit::Exit,
};

use super::{
    DEFAULT_URL,
    client::{Answer, NoAnswer, Outcome},
    input::{InputError, Line},
};
use crate::terminal::{self, is_unread, shell_word};

/// Work that takes longer than this gets a progress bar.
const PROGRESS_DELAY: Duration = Duration::from_secs(1);

/// How a message whose outcome is unknown can be sent again without being stored twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It is the only message: by a command with its key.
    Message,
    /// Its line has a key of its own: by a command with its key.
    Line,
    /// Its key follows from the input: by sending the same input again.
    Input,
}

#[derive(Debug, Default)]
struct Totals {
    stored: u64,
    duplicates: u64,
    failed: u64,
    unknown: u64,
}

/// Reports the outcome of each message.
pub(super) struct Report {
    url: Uri,
    repeat: Repeat,
    /// Each answer is printed as it came, instead of `<sequence> <uuid>` of stored messages.
    json: bool,
    // `None` once the pipe is closed.
    receipts: Option<io::Stdout>,
    totals: Totals,
    exit: Exit,
    started: Instant,
    progress: Option<ProgressBar>,
}

impl Report {
    pub(super) fn new(url: Uri, repeat: Repeat, json: bool) -> Self {
        Self {
            url,
            repeat,
            json,
            receipts: Some(io::stdout()),
            totals: Totals::default(),
            exit: Exit::Success,
            started: Instant::now(),
            progress: None,
        }
    }

    /// The facade answered `answer` to `line`.
    pub(super) fn answer(&mut self, line: &Line, answer: &Answer) {
        if self.json {
            self.receipt(escaped_json(&answer.json));
        }
        match &answer.outcome {
            Outcome::Stored { sequence, uuid, replayed } => {
                if *replayed {
                    self.totals.duplicates += 1;
                } else {
                    self.totals.stored += 1;
                }
                if !self.json {
                    self.receipt(format_args!("{sequence} {uuid}"));
                }
            }
            Outcome::NotStored { message } => {
                self.note(format_args!("{}{}", self.prefix(line), escaped(message.as_bytes())));
                self.failed();
            }
            Outcome::Unknown { message } => {
                self.note(format_args!("{}{}", self.prefix(line), escaped(message.as_bytes())));
                self.unknown(line);
            }
        }
        self.show_progress();
    }

    /// `lines` were on their way, and there will be no answers to them.
    pub(super) fn unanswered(&mut self, lines: &[Line], error: &NoAnswer) {
        self.note(error);
        for line in lines {
            if error.is_not_stored() {
                self.failed();
            } else {
                self.unknown(line);
            }
        }
        if matches!(error, NoAnswer::Unreachable { .. }) {
            self.exit = Exit::Unavailable;
        }
    }

    /// A line that could not be sent.
    pub(super) fn input_error(&mut self, error: &InputError) {
        self.failed();
        self.note(format_args!("not sent: {error}"));
    }

    /// The input was given up. What follows from line `first` on was not sent, if anything does.
    pub(super) fn not_sent_from(&mut self, first: Option<u64>) {
        match (self.repeat, first) {
            (Repeat::Message, _) | (Repeat::Line, None) => {}
            (Repeat::Line, Some(first)) => self.note(format_args!(
                "what follows from line {first} on was not sent; to send it:\n\
                 tail -n +{first} FILE | oncelog send{}",
                self.url_flag()
            )),
            (Repeat::Input, _) => self.note(
                "send the same input again with the same --key-prefix; nothing is stored twice",
            ),
        }
    }

    /// Prints the summary.
    pub(super) fn summary(&mut self) {
        let Totals { stored, duplicates, failed, unknown } = self.totals;
        let mut summary = format!(
            "{} stored, {} duplicates, {} failed",
            HumanCount(stored),
            HumanCount(duplicates),
            HumanCount(failed)
        );
        if unknown > 0 {
            summary += &format!(", {} unknown", HumanCount(unknown));
        }
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
        self.note(summary);
    }

    /// The result of the command.
    pub(super) fn exit(self) -> Result<(), Exit> {
        if self.exit == Exit::Success { Ok(()) } else { Err(self.exit) }
    }

    /// Prints a note on standard error.
    pub(super) fn note(&self, note: impl fmt::Display) {
        let write = || terminal::note(note);
        match &self.progress {
            Some(progress) => progress.suspend(write),
            None => write(),
        }
    }

    fn receipt(&mut self, receipt: impl fmt::Display) {
        let Some(out) = &mut self.receipts else { return };
        if let Err(error) = writeln!(out, "{receipt}") {
            // A closed pipe or terminal ends the receipts. The messages are sent all the same.
            if !is_unread(&error) {
                if self.exit == Exit::Success {
                    self.exit = Exit::Disk;
                }
                self.note(format_args!("cannot print receipts: {error}; sending goes on"));
            }
            self.receipts = None;
        }
    }

    fn failed(&mut self) {
        self.totals.failed += 1;
        self.exit = Exit::Failure;
    }

    /// Counts `line`, and tells how to repeat it.
    fn unknown(&mut self, line: &Line) {
        self.totals.unknown += 1;
        self.exit = Exit::Failure;
        let what = match self.repeat {
            Repeat::Message => "it".to_owned(),
            Repeat::Line | Repeat::Input => format!("line {}", line.number),
        };
        if self.repeat == Repeat::Input {
            // One sentence for all of them follows at the end.
            return self.note(format_args!("{what} is stored once or not at all"));
        }
        self.note(format_args!(
            "{what} is stored once or not at all; to be sure, repeat it with its key:\n\
             oncelog send --key {}{} -- {}",
            shell_word(line.key.as_str()),
            self.url_flag(),
            shell_word(&line.text)
        ));
    }

    fn prefix(&self, line: &Line) -> String {
        match self.repeat {
            Repeat::Message => String::new(),
            Repeat::Line | Repeat::Input => format!("line {}: ", line.number),
        }
    }

    fn url_flag(&self) -> String {
        let url = self.url.to_string();
        let url = url.trim_end_matches('/');
        if url == DEFAULT_URL { String::new() } else { format!(" --url {}", shell_word(url)) }
    }

    /// Shows a bar on a terminal, unless the receipts go to a terminal too.
    fn show_progress(&mut self) {
        if self.progress.is_none() {
            let wanted = self.repeat != Repeat::Message
                && self.started.elapsed() > PROGRESS_DELAY
                && io::stderr().is_terminal()
                && !io::stdout().is_terminal();
            if !wanted {
                return;
            }
            let style = ProgressStyle::with_template("{spinner} {human_pos} answered, {per_sec}");
            let progress = ProgressBar::new_spinner();
            self.progress = Some(match style {
                Ok(style) => progress.with_style(style),
                Err(_) => progress,
            });
        }
        let Totals { stored, duplicates, failed, unknown } = self.totals;
        if let Some(progress) = &self.progress {
            progress.set_position(stored + duplicates + failed + unknown);
        }
    }
}
