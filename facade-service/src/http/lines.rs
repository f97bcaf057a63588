//! Splits an upload into lines as it arrives.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use oncelog::limits::HTTP_BODY_BYTES_MAX;

/// A line that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its place in the upload, from 1; blank lines count.
    pub(crate) number: u64,
    /// What it says, or `None` if it was too long to keep.
    pub(crate) content: Option<Bytes>,
}

/// Turns chunks into lines. It holds at most one line.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    ready: VecDeque<Line>,
    /// The start of a line whose end has not arrived.
    partial: BytesMut,
    /// Whether the line was too long: the rest of it is skipped.
    too_long: bool,
    /// Lines that ended.
    ended: u64,
}

impl Splitter {
    /// Takes in the next chunk.
    pub(crate) fn push(&mut self, mut chunk: Bytes) {
        while let Some(end) = memchr(b'\n', &chunk) {
            let piece = chunk.split_to(end + 1).slice(..end);
            self.end_line(piece);
        }
        self.keep(chunk);
    }

    /// Takes what is left for a line: the upload ended without a line break.
    pub(crate) fn finish(&mut self) {
        if self.too_long || !self.partial.is_empty() {
            self.end_line(Bytes::new());
        }
    }

    /// The next lines that are complete, together no more than this. None if none is.
    pub(crate) fn next(&mut self, lines_max: usize, bytes_max: usize) -> Vec<Line> {
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.content.as_ref().map_or(0, Bytes::len);
            bytes <= bytes_max
        };
        // A single one always goes.
        let count = self.ready.iter().take(lines_max).take_while(fits).count().max(1);
        self.ready.drain(..count.min(self.ready.len())).collect()
    }

    /// The number of the line that is not complete yet.
    pub(crate) fn open_line(&self) -> u64 {
        self.ended + 1
    }

    fn end_line(&mut self, piece: Bytes) {
        let content = if self.partial.is_empty() && !self.too_long {
            Some(piece).filter(|line| line.len() <= HTTP_BODY_BYTES_MAX)
        } else {
            self.keep(piece);
            let line = self.partial.split().freeze();
            if std::mem::take(&mut self.too_long) { None } else { Some(line) }
        };
        self.ended += 1;
        if content.as_ref().is_none_or(|line| !line.trim_ascii().is_empty()) {
            self.ready.push_back(Line { number: self.ended, content });
        }
    }

    fn keep(&mut self, piece: Bytes) {
        if self.too_long || self.partial.len() + piece.len() > HTTP_BODY_BYTES_MAX {
            self.too_long = true;
            self.partial = BytesMut::new();
        } else {
            self.partial.extend_from_slice(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(upload: &[u8], chunk_bytes: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut splitter = Splitter::default();
        for chunk in upload.chunks(chunk_bytes) {
            splitter.push(Bytes::copy_from_slice(chunk));
        }
        splitter.finish();
        splitter
            .next(usize::MAX, usize::MAX)
            .into_iter()
            .map(|line| (line.number, line.content.map(|content| content.to_vec())))
            .collect()
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let upload = b"one\n\ntwo\r\n  \nthree";
        let expected = vec![
            (1, Some(b"one".to_vec())),
            (3, Some(b"two\r".to_vec())),
            (5, Some(b"three".to_vec())),
        ];
        for chunk_bytes in 1..=upload.len() {
            assert_eq!(split(upload, chunk_bytes), expected, "in chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let max = HTTP_BODY_BYTES_MAX;
        let upload =
            [&vec![b'a'; max + 1][..], b"\n", &vec![b'b'; max], b"\nc\n", &vec![b'd'; max + 1]]
                .concat();
        for chunk_bytes in [1000, 32 * 1024, max, upload.len()] {
            let lines = split(&upload, chunk_bytes);
            let sizes: Vec<_> = lines
                .iter()
                .map(|(number, content)| (*number, content.as_ref().map(Vec::len)))
                .collect();
            assert_eq!(sizes, [(1, None), (2, Some(max)), (3, Some(1)), (4, None)]);
        }
    }
}
