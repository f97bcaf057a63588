//! What commands show on a terminal: results, a line of progress, errors, text that is safe to show and
//! to paste.

use std::{
    error::Error,
    fmt::{Display, Write as _},
    io::{self, IsTerminal as _, Write as _},
    iter,
    time::Duration,
};

use indicatif::ProgressBar;
use oncelog::process::exit::Exit;
use rustix::{
    fs::{FileType, fstat},
    io::Errno,
};

/// How often a [`ProgressLine`] changes.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// Prints a line on standard output. A closed pipe or terminal is no error.
///
/// # Errors
/// [`Exit::Disk`]: the line could not be written.
pub(crate) fn print(text: impl Display) -> Result<(), Exit> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if !is_unread(&error) => Err(Exit::Disk.because(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether `error`, of a write to standard output, says that nobody reads it any more: the reader of a pipe
/// has ended, or a terminal was closed.
pub(crate) fn is_unread(error: &io::Error) -> bool {
    let is_terminal = || {
        let stat = fstat(io::stdout());
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_char_device())
    };
    error.kind() == io::ErrorKind::BrokenPipe
        || error.raw_os_error() == Some(Errno::IO.raw_os_error()) && is_terminal()
}

/// The innermost cause of `error`: libraries wrap what the operating system said several times.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// A line of progress on standard error, if that is a terminal. Dropping it clears it.
pub(crate) struct ProgressLine(Option<ProgressBar>);

impl ProgressLine {
    pub(crate) fn new() -> Self {
        Self(io::stderr().is_terminal().then(ProgressBar::new_spinner))
    }

    /// Replaces the text. To be called every [`INTERVAL`].
    pub(crate) fn show(&self, text: impl Display) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_string());
            bar.tick();
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// `bytes` on one line, without anything that could steer a terminal: control characters and bytes
/// that are no text become escapes.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() {
                line.extend(char.escape_default());
            } else {
                line.push(char);
            }
        }
        for byte in chunk.invalid() {
            // Writing into memory cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line
}

/// `text` as one word of a shell command.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    if !text.chars().any(char::is_control) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for char in text.chars() {
        if matches!(char, '\'' | '\\') {
            word.push('\\');
            word.push(char);
        } else if char.is_control() {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                // Octal has a fixed length, so that no digit behind it is taken for a part of it.
                let _ = write!(word, "\\{byte:03o}");
            }
        } else {
            word.push(char);
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(escaped("héllo 😀".as_bytes()), "héllo 😀");
        assert_eq!(escaped(b"a\nb\r\x1b[2J\0\x7f"), r"a\nb\r\u{1b}[2J\u{0}\u{7f}");
        assert_eq!(escaped("\u{9b}31m".as_bytes()), r"\u{9b}31m");
        assert_eq!(escaped(b"a\xff\xfeb"), r"a\xff\xfeb");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in
            ["plain", "", "two words", "it's $HOME `x` \"q\" \\", "a\nb\t1'\\\u{1b}7", "é!*?~#&;"]
        {
            let script = format!("printf %s {}", shell_word(text));
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
    }
}
