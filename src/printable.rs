//! Text of strangers on one line, without anything that could steer a terminal or end the line.
//!
//! A line can be turned back into its bytes: each backslash in it begins an escape. `\\`, `\n`, `\r`, `\t`
//! stand for what they do in most languages, `\u{1b}` for a character by its number, and `\xff` for a byte
//! that belongs to no character.

use std::{borrow::Cow, fmt::Write as _};

/// Whether `char` is written as an escape: the backslash itself, control characters, separators of lines
/// and paragraphs, and marks that are invisible or change the direction of what follows.
pub fn is_escaped(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\\' | '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// `bytes` on one line.
pub fn escaped(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    push_escaped(&mut line, bytes);
    line
}

/// JSON, or a part of it, with the same meaning: characters that JSON may hold as they are and [`is_escaped`]
/// keeps from a line become `\u202e` or the like.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    // What is escaped in JSON already, and what is between its values.
    let is_left = |char| char == '\\' || char < ' ';
    let is_escaped = |char| is_escaped(char) && !is_left(char);
    if !may_be_escaped(json) || !json.contains(is_escaped) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if is_escaped(char) {
            // All of them are in the first plane. Writing into memory cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped.into()
}

/// Appends `bytes` to `line`.
pub fn push_escaped(line: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        push_text(line, chunk.valid());
        for byte in chunk.invalid() {
            // Writing into memory cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
}

fn push_text(line: &mut String, text: &str) {
    if !may_be_escaped(text) {
        return line.push_str(text);
    }
    for char in text.chars() {
        if is_escaped(char) {
            line.extend(char.escape_default());
        } else {
            line.push(char);
        }
    }
}

/// Whether there may be anything to escape in `text`. The fold looks at all of it, many bytes at a time.
fn may_be_escaped(text: &str) -> bool {
    // The last four are the first bytes of U+0080 to U+009F, U+061C, U+2000 to U+2FFF, and U+FEFF.
    let may = |byte| matches!(byte, ..b' ' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef);
    text.bytes().fold(false, |found, byte| found | may(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader makes of a line.
    fn unescaped(line: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = line;
        while let Some((text, escape)) = rest.split_once('\\') {
            bytes.extend_from_slice(text.as_bytes());
            let (kind, behind) = escape.split_at(1);
            rest = behind;
            match kind {
                "\\" => bytes.push(b'\\'),
                "n" => bytes.push(b'\n'),
                "r" => bytes.push(b'\r'),
                "t" => bytes.push(b'\t'),
                "x" => {
                    bytes.push(u8::from_str_radix(&behind[..2], 16).unwrap());
                    rest = &behind[2..];
                }
                "u" => {
                    let (number, behind) = behind[1..].split_once('}').unwrap();
                    let char = char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap();
                    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = behind;
                }
                _ => panic!("no escape: {kind}"),
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }

    #[test]
    fn nothing_that_steers_a_terminal_or_ends_a_line_is_left() {
        assert_eq!(escaped("héllo 😀 “a”".as_bytes()), "héllo 😀 “a”");
        assert_eq!(escaped(b"a\nb\r\t\x1b[2J\0\x7f"), r"a\nb\r\t\u{1b}[2J\u{0}\u{7f}");
        assert_eq!(escaped("\u{85}\u{9b}31m".as_bytes()), r"\u{85}\u{9b}31m");
        assert_eq!(escaped("\u{2028}\u{2029}".as_bytes()), r"\u{2028}\u{2029}");
        assert_eq!(escaped("\u{feff}\u{61c}\u{200f}".as_bytes()), r"\u{feff}\u{61c}\u{200f}");
        assert_eq!(escaped("\u{202e}\u{2066}\u{2069}".as_bytes()), r"\u{202e}\u{2066}\u{2069}");
        assert_eq!(escaped(b"a\xff\xfeb"), r"a\xff\xfeb");
        assert_eq!(escaped(br"C:\new"), r"C:\\new");
    }

    #[test]
    fn every_character_is_found_with_and_without_the_fast_path() {
        for char in '\0'..=char::MAX {
            let found = may_be_escaped(char.encode_utf8(&mut [0; 4]));
            assert!(found || !is_escaped(char), "U+{:04X}", u32::from(char));
        }
    }

    #[test]
    fn escaped_json_means_the_same_and_steers_nothing() {
        assert_eq!(escaped_json("{\"é\\n\":\t1}"), "{\"é\\n\":\t1}");
        assert_eq!(escaped_json("\"a\u{7f}\u{9b}\u{202e}“\""), r#""a\u007f\u009b\u202e“""#);
        let all: String = ('\0'..=char::MAX).collect();
        let json = serde_json::to_string(&all).unwrap();
        let escaped = escaped_json(&json);
        assert!(!escaped.contains(|char| is_escaped(char) && char != '\\'));
        assert!(serde_json::from_str::<String>(&escaped).unwrap() == all);
    }

    #[test]
    fn a_line_can_be_turned_back_into_its_bytes() {
        let all: String = ('\0'..=char::MAX).collect();
        assert!(unescaped(&escaped(all.as_bytes())) == all.as_bytes());
        for bytes in [&b""[..], b"\\n", b"\n", b"\\\n", b"\\x41\xff\\u{41}", b"\xe2\x80", b"\xff7"]
        {
            assert_eq!(unescaped(&escaped(bytes)), bytes, "{}", escaped(bytes));
        }
    }
}
