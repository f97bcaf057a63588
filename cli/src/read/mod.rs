//! `oncelog read`: stored messages, in log order.
//!
//! - [`Args`]: what to read, and how to show it
//! - `log`: one connection to the log
//! - `resume`: goes on where it was when a connection is lost; `delay`: after which delays
//! - `format`: the forms a message is printed in
//! - `output`: whether standard output is still open

mod delay;
mod format;
mod log;
mod output;
mod resume;

use std::{io, time::Duration};

use http::Uri;
use oncelog::{
    message::StreamName,
    process::{
        self,
        exit::Exit,
        settings::{self, Checks, Setting, Switch, TIMEOUT_MAX, WrongSettings},
    },
};

use self::{
    format::{Format, Printer},
    log::{Query, ReadError},
    resume::ResumingReader,
};
use crate::terminal::is_unread;

/// What to read, and how to show it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait for new messages at the end of the log, also while the service restarts; Ctrl-C ends it
    #[arg(long, short, env = "ONCELOG_FOLLOW", value_parser = Switch)]
    follow: bool,

    /// Only messages after this sequence
    #[arg(long, env = "ONCELOG_AFTER", value_name = "SEQUENCE", default_value = "0")]
    after: Setting,

    /// At most this many messages; 0 for no limit
    #[arg(long, short = 'n', env = "ONCELOG_LIMIT", value_name = "MESSAGES", default_value = "0")]
    limit: Setting,

    /// Only messages of this stream [default: all streams]
    #[arg(long, env = "ONCELOG_STREAM", value_name = "NAME")]
    stream: Option<Setting>,

    /// `text`: one message a line, in which `\\`, `\n`, `\r`, `\t`, `\u{1b}` and `\xff` stand for a
    /// backslash, control and invisible characters and bytes that are no text; `ndjson`: one JSON
    /// object a line, with uuid, sequence and time
    #[arg(long, env = "ONCELOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Setting,

    /// Print the bytes of each message as they are, and a line break: a message that has line breaks
    /// is more than one line then
    #[arg(long, env = "ONCELOG_RAW", value_parser = Switch)]
    raw: bool,

    /// How long to try to reconnect if the service is lost on the way; 0s gives up at once
    /// [default: 30s; with --follow as long as it takes]
    #[arg(long, env = "ONCELOG_RETRY_FOR", value_name = "DURATION")]
    retry_for: Option<Setting>,

    /// Where the logging service is
    #[arg(long, env = "LOGGING_URL", value_name = "URL", default_value = "http://127.0.0.1:5001")]
    logging_url: Setting,
}

struct Settings {
    query: Query,
    format: Format,
    retry_for: Option<Duration>,
    logging_url: Uri,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let after = checks.number(&args.after, 0..=u64::MAX);
        let limit = checks.number(&args.limit, 0..=u64::MAX);
        let stream = checks.parse_optional::<StreamName>(args.stream.as_ref());
        let format = checks.parse(&args.format).map(|format| match (format, args.raw) {
            (Format::Text, true) => Format::Raw,
            (Format::Ndjson, true) => {
                checks.problem(&args.format, "has no --raw form; leave one of them out");
                format
            }
            (Format::Text | Format::Raw | Format::Ndjson, _) => format,
        });
        let retry_for = match &args.retry_for {
            Some(retry_for) => checks.duration(retry_for, Duration::ZERO..=TIMEOUT_MAX).map(Some),
            None => Some(None),
        };
        let logging_url = checks.service_url(&args.logging_url);
        checks.finish(|| {
            let (stream, after, limit, follow) = (stream?, after?, limit?, args.follow);
            let query = Query { stream, after, limit, follow };
            let (format, retry_for, logging_url) = (format?, retry_for?, logging_url?);
            Some(Self { query, format, retry_for, logging_url })
        })
    }
}

/// Prints what `args` ask for to standard output, until the end, a stop signal, or a closed pipe.
///
/// # Errors
/// The code to exit with: [`Exit::Unavailable`] if there is no service, [`Exit::Interrupted`] if a signal
/// came before the end of a read that has one.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings: Settings = settings::check(args)?;
    // Following has no other end.
    let stopped = if settings.query.follow { Exit::Success } else { Exit::Interrupted };
    let stop = process::stop_on_signal()?;
    // A task of its own: a full pipe holds up the thread that prints, and a signal must end it then too.
    let printed = async { tokio::spawn(print(settings)).await };
    tokio::select! {
        biased;
        // Returning would wait for that thread.
        () = stop.cancelled() => std::process::exit(stopped as i32),
        printed = printed => match printed {
            Ok(result) => result.map_err(|error| error.exit().because(error)),
            Err(panicked) => Err(Exit::Failure.because(panicked)),
        },
    }
}

async fn print(settings: Settings) -> Result<(), ReadError> {
    let Settings { query, format, retry_for, logging_url } = settings;
    let mut log = ResumingReader::open(logging_url, query, retry_for).await?;
    let closed = output::closed().map_err(ReadError::Thread)?;
    let mut printer = Printer::new(io::BufWriter::new(io::stdout()), format);
    loop {
        let messages = tokio::select! {
            biased;
            next = log.next() => next?,
            // The reader of the pipe, such as `head`, has enough.
            () = closed.cancelled() => return Ok(()),
        };
        let Some(messages) = messages else { return Ok(()) };
        // A full pipe holds this thread up, as it should; everything else lives on others.
        let written = tokio::task::block_in_place(|| {
            messages.iter().try_for_each(|message| printer.print(message))?;
            printer.flush()
        });
        match written {
            Ok(()) => {}
            Err(error) if is_unread(&error) => return Ok(()),
            Err(error) => return Err(ReadError::Output(error)),
        }
    }
}
