//! What commands show on a terminal: results, a line of progress, errors, text that is safe to paste.

use std::{
    error::Error,
    fmt::{Display, Write as _},
    io::{self, IsTerminal as _, Write as _},
    iter,
    time::Duration,
};

use indicatif::ProgressBar;
use oncelog::{printable::is_escaped, process::exit::Exit};
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
        Err(error) if !is_unread(&error) => {
            Err(Exit::Disk.because(format_args!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether `error`, of a write to standard output, says that it is not read any more: the reader of a pipe
/// has ended, or a terminal was closed.
pub(crate) fn is_unread(error: &io::Error) -> bool {
    let is_terminal = || {
        let stat = fstat(io::stdout());
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_char_device())
    };
    error.kind() == io::ErrorKind::BrokenPipe
        || error.raw_os_error() == Some(Errno::IO.raw_os_error()) && is_terminal()
}

/// Prints a line on standard error. If that is closed, the exit code still tells.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
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

/// `text` as one word of a shell command.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    // A backslash steers nothing by itself.
    let hidden = |char| char != '\\' && is_escaped(char);
    if !text.contains(hidden) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for char in text.chars() {
        if matches!(char, '\'' | '\\') {
            word.push('\\');
            word.push(char);
        } else if hidden(char) {
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
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "plain",
            "",
            "two words",
            "it's $HOME `x` \"q\" \\",
            "a\nb\t1'\\\u{1b}7",
            "é!*?~#&;",
            "\u{202e}7",
        ] {
            assert!(!shell_word(text).contains(|char| char != '\\' && is_escaped(char)));
            let script = format!("printf %s {}", shell_word(text));
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
    }
}
