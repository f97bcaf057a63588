//! `oncelog send`: messages to the facade.
//!
//! - [`Args`]: what to send, under which keys
//! - `client`: requests and answers of the facade
//! - `input`: standard input as messages
//! - `upload`: many messages over one connection
//! - `report`: receipts, failures, the summary
//!
//! A key is chosen before a message is sent for the first time, and nothing is sent twice: whether
//! to repeat a message whose outcome is unknown is the caller's choice, and safe with its key.

mod client;
mod input;
mod key;
mod report;
mod upload;

use std::io::{self, IsTerminal as _};

use http::Uri;
use oncelog::process::{
    self,
    exit::Exit,
    settings::{self, Checks, Setting, Switch, WrongSettings},
};

use self::{
    client::{FacadeClient, NoAnswer},
    input::Line,
    key::{Key, KeyPrefix},
    report::{Repeat, Report},
    upload::Ended,
};

/// Where the facade is by default.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:5000";

/// What to send, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message; without it every line of standard input (UTF-8) is one. Its line end, LF or CR LF,
    /// is no part of it, nor is a byte order mark at the start; empty lines are skipped
    message: Option<Setting>,

    /// Idempotency key of MESSAGE: the same key never stores a second message [default: a new UUID]
    // No environment variable: a key that stays set would turn every later message into a repeat.
    #[arg(long, value_name = "KEY")]
    key: Option<Setting>,

    /// Keys of the lines are PREFIX-1, PREFIX-2, … by line number, so that sending the same input
    /// again stores nothing twice [default: a new UUID for each line]
    // No environment variable, for the same reason.
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<Setting>,

    /// Where the facade is
    #[arg(long, env = "FACADE_URL", value_name = "URL", default_value = DEFAULT_URL)]
    url: Setting,

    /// Print the answers of the facade as they are, instead of `<sequence> <uuid>`
    #[arg(long, env = "ONCELOG_JSON", value_parser = Switch)]
    json: bool,
}

struct Settings {
    what: What,
    url: Uri,
    json: bool,
}

enum What {
    Message(Line),
    Lines(Option<KeyPrefix>),
}

impl What {
    fn repeat(&self) -> Repeat {
        match self {
            Self::Message(_) => Repeat::Message,
            Self::Lines(None) => Repeat::Line,
            Self::Lines(Some(_)) => Repeat::Input,
        }
    }
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let url = checks.service_url(&args.url);
        let what = match args.message {
            Some(message) => {
                if let Some(prefix) = &args.key_prefix {
                    checks.problem(prefix, "is for lines; use --key for MESSAGE");
                }
                let text = checks.text(&message);
                if text == Some("") {
                    checks.problem(&message, "there is nothing to send");
                }
                let key = match &args.key {
                    Some(key) => checks.parse(key),
                    None => Some(Key::new()),
                };
                let line = |(key, text): (_, &str)| Line { number: 1, key, text: text.to_owned() };
                key.zip(text).map(|given| What::Message(line(given)))
            }
            None => {
                if let Some(key) = &args.key {
                    checks.problem(key, "is for MESSAGE; use --key-prefix for lines");
                }
                checks.parse_optional(args.key_prefix.as_ref()).map(What::Lines)
            }
        };
        let wrong = checks.wrong();
        match (url, what) {
            (Some(url), Some(what)) if wrong.0.is_empty() => {
                Ok(Self { what, url, json: args.json })
            }
            _ => Err(wrong),
        }
    }
}

/// Sends what `args` say and prints a receipt for each message.
///
/// # Errors
/// The code to exit with: [`Exit::Failure`] if any message is not known to be stored,
/// [`Exit::Unavailable`] if there is no facade, [`Exit::Disk`] if all are stored and a receipt could not be
/// printed.
pub async fn run(args: Args) -> Result<(), Exit> {
    let Settings { what, url, json } = settings::check(args)?;
    let client = FacadeClient::new(url.clone())
        .map_err(|error| Exit::Failure.because(format_args!("cannot start: {error}")))?;
    let mut report = Report::new(url, what.repeat(), json);
    // What is under way then must still be named.
    let interrupted = process::stop_on_signal()?;
    match what {
        What::Message(message) => {
            match interrupted.run_until_cancelled(client.post(&message)).await {
                Some(Ok(answer)) => report.answer(&message, &answer),
                Some(Err(error)) => report.unanswered(&[message], &error),
                None => report.unanswered(&[message], &NoAnswer::Interrupted),
            }
        }
        What::Lines(prefix) => {
            if io::stdin().is_terminal() {
                report.note("every line is a message; Ctrl-D ends");
            }
            let mut lines = input::lines(prefix)
                .map_err(|error| Exit::Failure.because(format_args!("cannot start: {error}")))?;
            // An upload lasts as long as lines keep coming: no facade waits for a body for ever.
            while upload::run(&client, &mut lines, &mut report, &interrupted).await == Ended::Idle {
            }
            report.summary();
        }
    }
    report.exit()
}
