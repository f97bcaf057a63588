//! Asks a person before something that cannot be taken back.

use std::io::{self, BufRead, IsTerminal as _, Write};

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    Given,
    Refused,
    /// Standard input is no terminal.
    NoTerminal,
}

/// Asks `question` on the terminal; anything but a clear yes is a no.
///
/// # Errors
/// The terminal could not be read or written.
pub(super) fn ask(question: &str) -> io::Result<Consent> {
    if !io::stdin().is_terminal() {
        return Ok(Consent::NoTerminal);
    }
    ask_on(io::stdin().lock(), io::stderr(), question)
}

fn ask_on(mut input: impl BufRead, mut out: impl Write, question: &str) -> io::Result<Consent> {
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(if yes { Consent::Given } else { Consent::Refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        let ask = |answer: &str| {
            let mut shown = Vec::new();
            let consent = ask_on(answer.as_bytes(), &mut shown, "Repair?").unwrap();
            assert_eq!(shown, b"Repair? [y/N] ");
            consent
        };
        for yes in ["y\n", "Y\n", "yes\n", " YES \n", "y"] {
            assert_eq!(ask(yes), Consent::Given, "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yep\n", "no\n", "y y\n"] {
            assert_eq!(ask(no), Consent::Refused, "{no:?}");
        }
    }
}
