//! `oncelog read`: stored messages, in log order.

mod format;
mod log;

use std::io::{self, IsTerminal as _};

use http::Uri;
use oncelog::{
    message::StreamName,
    process::{
        StopSignals,
        exit::Exit,
        settings::{self, Checks, Setting, Switch, WrongSettings},
    },
};

use self::{
    format::{Format, Printer},
    log::{LogReader, Query, ReadError},
};

/// What to read, and how to show it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait for new messages at the end of the log; Ctrl-C ends it
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

    /// `text`: one message a line; `ndjson`: one JSON object a line, with uuid, sequence and time
    #[arg(long, env = "ONCELOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Setting,

    /// Where the logging service is
    #[arg(long, env = "LOGGING_URL", value_name = "URL", default_value = "http://127.0.0.1:5001")]
    logging_url: Setting,
}

struct Settings {
    query: Query,
    format: Format,
    logging_url: Uri,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let after = checks.number(&args.after, 0..=u64::MAX);
        let limit = checks.number(&args.limit, 0..=u64::MAX);
        let stream = checks.parse_optional::<StreamName>(args.stream.as_ref());
        let format = checks.parse(&args.format);
        let logging_url = checks.service_url(&args.logging_url);
        let settings = || {
            let (stream, after, limit, follow) = (stream?, after?, limit?, args.follow);
            let query = Query { stream, after, limit, follow };
            Some(Self { query, format: format?, logging_url: logging_url? })
        };
        settings().ok_or_else(|| checks.wrong())
    }
}

/// Prints what `args` ask for to standard output, until the end, Ctrl-C, or a closed pipe.
///
/// # Errors
/// The code to exit with.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings: Settings = settings::check(args)?;
    let mut signals = StopSignals::watch().map_err(|error| Exit::Failure.because(error))?;
    // A task of its own: a full pipe holds up the thread that prints, and Ctrl-C must end it then too.
    let printed = async { tokio::spawn(print(settings)).await };
    tokio::select! {
        biased;
        // Returning would wait for that thread.
        () = signals.recv() => std::process::exit(Exit::Success as i32),
        printed = printed => match printed {
            Ok(result) => result.map_err(|error| error.exit().because(error)),
            Err(panicked) => Err(Exit::Failure.because(panicked)),
        },
    }
}

async fn print(settings: Settings) -> Result<(), ReadError> {
    let mut log = LogReader::open(&settings.logging_url, &settings.query).await?;
    let format = match settings.format {
        Format::Text if io::stdout().is_terminal() => Format::EscapedText,
        format @ (Format::Text | Format::EscapedText | Format::Ndjson) => format,
    };
    let mut printer = Printer::new(io::BufWriter::new(io::stdout()), format);
    while let Some(messages) = log.next().await? {
        // A full pipe holds this thread up, as it should; everything else lives on others.
        let written = tokio::task::block_in_place(|| {
            messages.iter().try_for_each(|message| printer.print(message))?;
            printer.flush()
        });
        match written {
            Ok(()) => {}
            // The reader of the pipe, such as `head`, has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(ReadError::Output(error)),
        }
    }
    Ok(())
}
