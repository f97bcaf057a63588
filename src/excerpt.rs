//! What others sent, as people are shown it: on one line, and cut.
//!
//! The console shows a part of each message, and refusals quote a part of what they refuse. A control
//! character is escaped ([`printable`](crate::printable)), so that nothing that was sent can steer a terminal.

use std::fmt::{self, Write as _};

use crate::printable::{is_escaped, push_escaped};

/// Characters of a quote.
const QUOTE_CHARS_MAX: usize = 48;

/// A character of UTF-8 has no more bytes.
const CHAR_BYTES_MAX: usize = 4;

/// Appends a text of `bytes` that begins with `start` to `out`, and cuts it after `chars_max` characters:
/// then it says how many bytes there are. A byte that belongs to no character counts as one.
pub fn push_excerpt(out: &mut String, start: &[u8], bytes: usize, chars_max: usize) {
    let shown = first_chars(start, chars_max);
    push_escaped(out, shown);
    if shown.len() < bytes {
        // Writing into memory cannot fail.
        let _ = write!(out, "… ({bytes} bytes)");
    }
}

/// The first characters of `bytes`, `chars_max` at most.
fn first_chars(bytes: &[u8], chars_max: usize) -> &[u8] {
    // It has no more characters than bytes.
    if bytes.len() <= chars_max {
        return bytes;
    }
    let lengths = bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|_| 1);
        chunk.valid().chars().map(char::len_utf8).chain(invalid)
    });
    &bytes[..lengths.take(chars_max).sum()]
}

/// Where `text` has `chars_max` characters, if it has more.
fn cut_at(text: &str, chars_max: usize) -> Option<usize> {
    // It has no more characters than bytes.
    if text.len() <= chars_max {
        return None;
    }
    text.char_indices().nth(chars_max).map(|(at, _)| at)
}

/// A part of what a client sent, in quotes: as much as a refusal repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote(String);

impl Quote {
    /// The start of `text`, which may be all of it.
    pub fn of(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let start = &text[..text.len().min(QUOTE_CHARS_MAX * CHAR_BYTES_MAX)];
        let mut quote = String::from("\"");
        push_excerpt(&mut quote, start, text.len(), QUOTE_CHARS_MAX);
        quote.push('"');
        Self(quote)
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sentence that may repeat what a client sent, with about `chars_max` characters at most: of a longer
/// one the middle is left out. Its end often says where, or what to do.
pub fn shorten(sentence: &str, chars_max: usize) -> String {
    let half = chars_max / 2;
    let is_short = cut_at(sentence, chars_max).is_none();
    if is_short && !sentence.contains(is_hidden) {
        return sentence.to_owned();
    }
    // Escaped, they are longer.
    let (start, end) = if is_short {
        (escaped(sentence), String::new())
    } else {
        (escaped(first(sentence, half)), escaped(last(sentence, half)))
    };
    if is_short && cut_at(&start, chars_max).is_none() {
        return start;
    }
    let end = if is_short { last(&start, half) } else { last(&end, half) };
    format!("{}… ({} bytes) …{end}", first(&start, half), sentence.len())
}

/// The first characters of `text`.
fn first(text: &str, chars: usize) -> &str {
    &text[..cut_at(text, chars).unwrap_or(text.len())]
}

/// The last characters of `text`.
fn last(text: &str, chars: usize) -> &str {
    let before = text.char_indices().rev().take(chars).last();
    &text[before.map_or(text.len(), |(at, _)| at)..]
}

/// A sentence without what could steer a terminal. Its quotes are escaped already, so a backslash stays.
fn escaped(sentence: &str) -> String {
    let mut escaped = String::with_capacity(sentence.len());
    for char in sentence.chars() {
        if is_hidden(char) {
            escaped.extend(char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

fn is_hidden(char: char) -> bool {
    char != '\\' && is_escaped(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, chars_max: usize) -> String {
        let mut out = String::new();
        push_excerpt(&mut out, text.as_bytes(), text.len(), chars_max);
        out
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_its_size_said() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("too long", 5), "too l… (8 bytes)");
        assert_eq!(excerpt(&"ü".repeat(9), 8), format!("{}… (18 bytes)", "ü".repeat(8)));
        let mut start = String::new();
        push_excerpt(&mut start, b"start", 500, 200);
        assert_eq!(start, "start… (500 bytes)");
        let mut no_text = String::new();
        push_excerpt(&mut no_text, b"\xff\xff\xff", 3, 2);
        assert_eq!(no_text, "\\xff\\xff… (3 bytes)");
    }

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        assert_eq!(excerpt("a\n\u{1b}[2J\u{9b}é", 99), "a\\n\\u{1b}[2J\\u{9b}é");
        assert_eq!(shorten("a\r\nb", 99), "a\\r\\nb");
    }

    #[test]
    fn a_quote_is_short_whatever_it_quotes() {
        assert_eq!(Quote::of("text/plain").to_string(), "\"text/plain\"");
        assert_eq!(Quote::of(b"a\xff").to_string(), "\"a\\xff\"");
        let long = Quote::of("x".repeat(500_000)).to_string();
        assert_eq!(long, format!("\"{}… (500000 bytes)\"", "x".repeat(QUOTE_CHARS_MAX)));
        for hostile in ["\u{1}", "😀", "\u{9b}", "\"", "\\"] {
            let quote = Quote::of(hostile.repeat(100_000)).to_string();
            assert!(quote.len() < 400, "{} bytes of {hostile:?}", quote.len());
        }
    }

    #[test]
    fn a_long_sentence_loses_its_middle() {
        assert_eq!(shorten("a short one", 11), "a short one");
        let long = format!("unknown field `{}`, expected `msg`", "ü".repeat(100_000));
        let short = shorten(&long, 60);
        assert!(short.starts_with("unknown field `ü"), "{short}");
        assert!(short.ends_with("ü`, expected `msg`"), "{short}");
        assert!(short.contains(" bytes) …") && short.chars().count() < 90, "{short}");
        for length in 0..200 {
            let text = "é".repeat(length);
            let is_whole = shorten(&text, 60) == text;
            assert_eq!(is_whole, length <= 60, "{length}");
        }
        for length in [20, 60, 61, 1000] {
            let short = shorten(&"\u{1}".repeat(length), 60);
            assert!(short.chars().count() < 90 && !short.contains('\u{1}'), "{short}");
        }
    }
}
