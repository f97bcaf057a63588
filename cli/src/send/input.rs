//! Standard input, line by line.

use std::{
    io::{self, BufRead, Read as _},
    thread,
};

use oncelog::limits::HTTP_BODY_BYTES_MAX;
use tokio::sync::mpsc;

use super::key::{Key, KeyPrefix};

/// Lines read ahead of the upload.
const LINES_AHEAD_MAX: usize = 4;

/// A message, the key it is sent under, and the line it came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) key: Key,
    pub(super) text: String,
}

/// A line that cannot be a message. It is not sent; later lines are.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("line {0} is longer than {HTTP_BODY_BYTES_MAX} bytes")]
    TooLong(u64),
    #[error("line {0} is not UTF-8")]
    NotText(u64),
    /// Nothing comes after it.
    #[error("cannot read standard input after line {line}: {source}")]
    Io { line: u64, source: io::Error },
}

pub(super) type Lines = mpsc::Receiver<Result<Line, InputError>>;

/// The lines of standard input that are not empty.
///
/// # Errors
/// The operating system refused a thread.
pub(super) fn lines(prefix: Option<KeyPrefix>) -> io::Result<Lines> {
    let (sender, lines) = mpsc::channel(LINES_AHEAD_MAX);
    // A read from a terminal or pipe cannot be cancelled: the thread ends with the process.
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in Reader::new(io::stdin().lock(), prefix) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    })?;
    Ok(lines)
}

struct Reader<R> {
    input: R,
    prefix: Option<KeyPrefix>,
    number: u64,
    failed: bool,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R, prefix: Option<KeyPrefix>) -> Self {
        Self { input, prefix, number: 0, failed: false }
    }

    /// The next line without its end; `None` at the end of the input.
    fn read_line(&mut self) -> io::Result<Option<Result<Vec<u8>, InputError>>> {
        // The limit, and the longest end of a line.
        let bytes_max = HTTP_BODY_BYTES_MAX as u64 + 2;
        let mut line = Vec::new();
        self.input.by_ref().take(bytes_max).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if ended {
            line.pop_if(|byte| *byte == b'\r');
        } else if line.len() as u64 == bytes_max {
            self.input.skip_until(b'\n')?;
        }
        if line.len() > HTTP_BODY_BYTES_MAX {
            return Ok(Some(Err(InputError::TooLong(self.number))));
        }
        Ok(Some(Ok(line)))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Line, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let bytes = match self.read_line() {
                Ok(None) => return None,
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => bytes,
                Ok(Some(Err(error))) => return Some(Err(error)),
                Err(source) => {
                    self.failed = true;
                    return Some(Err(InputError::Io { line: self.number, source }));
                }
            };
            let Ok(text) = String::from_utf8(bytes) else {
                return Some(Err(InputError::NotText(self.number)));
            };
            let key = match &self.prefix {
                Some(prefix) => prefix.key(self.number),
                None => Key::new(),
            };
            return Some(Ok(Line { number: self.number, key, text }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<Result<(u64, String), String>> {
        Reader::new(input, None)
            .map(|line| line.map(|line| (line.number, line.text)))
            .map(|line| line.map_err(|error| error.to_string()))
            .collect()
    }

    fn line(number: u64, text: &str) -> Result<(u64, String), String> {
        Ok((number, text.to_owned()))
    }

    #[test]
    fn empty_lines_count_and_are_skipped() {
        assert_eq!(read(b"a\r\n\n \n\r\nb"), [line(1, "a"), line(3, " "), line(5, "b")]);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_line_that_cannot_be_sent_does_not_stop_the_others() {
        let longest = "x".repeat(HTTP_BODY_BYTES_MAX);
        for end in ["\n", "\r\n"] {
            let input = format!("{longest}{end}{longest}x{end}a\n{longest}xyz{end}b\n{longest}");
            let too_long = |line| Err(format!("line {line} is longer than 1048576 bytes"));
            assert!(
                read(input.as_bytes())
                    == [
                        line(1, &longest),
                        too_long(2),
                        line(3, "a"),
                        too_long(4),
                        line(5, "b"),
                        line(6, &longest)
                    ]
            );
        }
        assert_eq!(read(b"\xff\na"), [Err("line 1 is not UTF-8".to_owned()), line(2, "a")]);
    }

    #[test]
    fn keys_name_the_line_or_are_new() {
        let prefix: KeyPrefix = "import".parse().unwrap();
        let keys: Vec<_> = Reader::new(&b"a\n\nb\n"[..], Some(prefix))
            .map(|line| line.unwrap().key.to_string())
            .collect();
        assert_eq!(keys, ["import-1", "import-3"]);
        let keys: Vec<_> =
            Reader::new(&b"a\na\n"[..], None).map(|line| line.unwrap().key).collect();
        assert_ne!(keys[0], keys[1]);
    }
}
