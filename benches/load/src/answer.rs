//! An answer of HTTP/1.1 in chunks, whose lines are counted as they come.

/// The place of the letter that tells the outcome of a line of an upload: `{"status":"success"…`, or
/// `"failure"`.
const OUTCOME_AT: usize = 11;

/// The most a head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Head,
    /// In the length of a chunk, in hexadecimal digits and a line end.
    Size(usize),
    Data(usize),
    /// In what is left of a line end after a chunk.
    Gap(usize),
    /// In what is left of the line end after the last chunk.
    End(usize),
    Done,
}

/// What has come so far.
#[derive(Debug)]
pub(crate) struct Answer {
    at: At,
    head: Vec<u8>,
    /// Bytes of the line that is not whole yet.
    line_bytes: usize,
    pub(crate) lines: u64,
    pub(crate) body_bytes: u64,
    /// Lines with something other than an `s` where an outcome has its `success`.
    pub(crate) others: u64,
}

impl Answer {
    pub(crate) fn new() -> Self {
        Self { at: At::Head, head: vec![], line_bytes: 0, lines: 0, body_bytes: 0, others: 0 }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.at == At::Done
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// It is not a 200 in chunks, or goes on after its end.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while let Some((&byte, rest)) = piece.split_first() {
            if let At::Data(left) = self.at {
                let (data, after) = piece.split_at(left.min(piece.len()));
                self.count(data);
                self.at = if left == data.len() { At::Gap(2) } else { At::Data(left - data.len()) };
                piece = after;
                continue;
            }
            piece = rest;
            self.at = match self.at {
                At::Head => self.head(byte)?,
                At::Size(size) => match (byte, char::from(byte).to_digit(16)) {
                    (_, Some(digit)) => At::Size(size << 4 | digit as usize),
                    (b'\r', _) => At::Size(size),
                    (b'\n', _) if size == 0 => At::End(2),
                    (b'\n', _) => At::Data(size),
                    _ => return Err(format!("{byte:#04x} in the length of a chunk")),
                },
                At::Gap(1) => At::Size(0),
                At::Gap(left) => At::Gap(left - 1),
                At::End(1) => At::Done,
                At::End(left) => At::End(left - 1),
                At::Done | At::Data(_) => return Err("more than one answer".to_owned()),
            };
        }
        Ok(())
    }

    fn head(&mut self, byte: u8) -> Result<At, String> {
        self.head.push(byte);
        if !self.head.ends_with(b"\r\n\r\n") {
            let is_short = self.head.len() < HEAD_BYTES_MAX;
            return if is_short { Ok(At::Head) } else { Err("an endless head".to_owned()) };
        }
        let head = String::from_utf8_lossy(&self.head).to_lowercase();
        if head.starts_with("http/1.1 200") && head.contains("transfer-encoding: chunked") {
            Ok(At::Size(0))
        } else {
            Err(head.lines().next().unwrap_or_default().to_owned())
        }
    }

    fn count(&mut self, data: &[u8]) {
        self.body_bytes += data.len() as u64;
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            let outcome = OUTCOME_AT.checked_sub(self.line_bytes).and_then(|at| part.get(at));
            self.others += u64::from(outcome.is_some_and(|letter| *letter != b's'));
            self.line_bytes += part.len();
            if part.ends_with(b"\n") {
                self.lines += 1;
                self.line_bytes = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        16\r\n{\"status\":\"success\"}\nx\r\n\
        4\r\n\n{\"s\r\n12\r\ntatus\":\"failure\"}\n\r\n0\r\n\r\n";

    #[test]
    fn lines_and_failures_are_counted_wherever_pieces_end() {
        for length in 1..ANSWER.len() {
            let mut answer = Answer::new();
            for piece in ANSWER.as_bytes().chunks(length) {
                assert!(!answer.is_whole());
                answer.take(piece).unwrap();
            }
            assert!(answer.is_whole());
            assert_eq!((answer.lines, answer.others), (3, 1));
        }
    }

    #[test]
    fn what_is_no_answer_in_chunks_is_refused() {
        let refused = "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n";
        for wrong in [refused, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", &ANSWER.repeat(2)] {
            assert!(Answer::new().take(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
