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
    #[error(
        "standard input is UTF-16 or UTF-32, and messages are UTF-8; convert it: \
         iconv -f UTF-16 -t UTF-8 FILE | oncelog send"
    )]
    OtherEncoding,
    /// Nothing comes after it.
    #[error("cannot read standard input{}: {source}", after_line(*line))]
    Io { line: u64, source: io::Error },
}

fn after_line(line: u64) -> String {
    if line == 0 { String::new() } else { format!(" after line {line}") }
}

/// Mark at the start of text in UTF-8, written by some programs. It is no part of the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How UTF-16 and UTF-32 in the byte orders in use begin. Text in UTF-8 never does.
const OTHER_BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"];

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
    /// Nothing more is read.
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R, prefix: Option<KeyPrefix>) -> Self {
        Self { input, prefix, number: 0, ended: false }
    }

    /// The next line without its end; `None` at the end of the input.
    fn read_line(&mut self) -> io::Result<Option<Result<Vec<u8>, InputError>>> {
        let mark_bytes = if self.number == 0 { BYTE_ORDER_MARK.len() } else { 0 };
        // The limit, and the longest end of a line.
        let bytes_max = (mark_bytes + HTTP_BODY_BYTES_MAX + 2) as u64;
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
        if self.number == 1 {
            if OTHER_BYTE_ORDER_MARKS.iter().any(|mark| line.starts_with(mark)) {
                self.ended = true;
                return Ok(Some(Err(InputError::OtherEncoding)));
            }
            if line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
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
        while !self.ended {
            let bytes = match self.read_line() {
                Ok(None) => return None,
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => bytes,
                Ok(Some(Err(error))) => return Some(Err(error)),
                Err(source) => {
                    self.ended = true;
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
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let longest = "x".repeat(HTTP_BODY_BYTES_MAX);
        assert_eq!(read("\u{feff}a\n\u{feff}b".as_bytes()), [line(1, "a"), line(2, "\u{feff}b")]);
        assert_eq!(read("\u{feff}\na\n".as_bytes()), [line(2, "a")]);
        assert_eq!(read("\u{feff}\u{feff}a".as_bytes()), [line(1, "\u{feff}a")]);
        for input in ["\u{feff}", "\u{feff}\r\n"] {
            assert_eq!(read(input.as_bytes()), []);
        }
        for end in ["", "\n", "\r\n"] {
            let input = format!("\u{feff}{longest}{end}");
            assert!(read(input.as_bytes()) == [line(1, &longest)]);
        }
        let too_long = Err("line 1 is longer than 1048576 bytes".to_owned());
        assert!(
            read(format!("\u{feff}{longest}x\nb").as_bytes()) == [too_long.clone(), line(2, "b")]
        );
        for more in ["x", "xyz", "xyzxyz"] {
            let input = format!("{longest}{more}\nb");
            assert!(read(input.as_bytes()) == [too_long.clone(), line(2, "b")]);
        }
    }

    #[test]
    fn nothing_is_sent_of_an_input_in_another_encoding() {
        for input in [
            &b"\xff\xfea\0\n\0"[..],
            b"\xfe\xff\0a\0\n",
            b"\xff\xfe\0\0a\0\0\0",
            b"\0\0\xfe\xff\0\0\0a",
        ] {
            let lines = read(input);
            assert_eq!(lines.len(), 1);
            assert!(lines[0].as_ref().unwrap_err().contains("UTF-16"), "{lines:?}");
        }
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
