//! Flags and environment variables of the facade.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use http::Uri;
use oncelog::process::settings::{Checks, Setting, TIMEOUTS, WrongSettings};

/// Takes messages over HTTP and stores each one exactly once.
///
/// Speaks HTTP/1.1. POST /facade {"msg":"hello"} stores a message, GET /facade reads them all.
#[derive(Debug, Clone, Parser)]
#[command(name = "facade-service", version)]
pub struct Args {
    /// Address to serve HTTP on; port 0 takes any free port
    #[arg(long, env = "FACADE_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:5000")]
    listen: Setting,

    /// Where the logging service is
    #[arg(long, env = "LOGGING_URL", value_name = "URL", default_value = "http://127.0.0.1:5001")]
    logging_url: Setting,

    /// Where the messages service is
    #[arg(long, env = "MESSAGES_URL", value_name = "URL", default_value = "http://127.0.0.1:5002")]
    messages_url: Setting,

    /// How long one attempt to store a message may take, for example 500ms
    #[arg(long, env = "FACADE_ATTEMPT_TIMEOUT", value_name = "DURATION", default_value = "2s")]
    attempt_timeout: Setting,

    /// How long a client waits at most: queueing, all attempts and pauses included
    #[arg(long, env = "FACADE_TOTAL_TIMEOUT", value_name = "DURATION", default_value = "15s")]
    total_timeout: Setting,
}

/// The settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Address to serve HTTP on.
    pub listen: SocketAddr,
    /// Where the logging service is.
    pub logging_url: Uri,
    /// Where the messages service is.
    pub messages_url: Uri,
    /// One attempt to store a message; shorter than `total_timeout`.
    pub attempt_timeout: Duration,
    /// Everything that may be spent on one message.
    pub total_timeout: Duration,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let listen = checks.listen(&args.listen);
        let logging_url = checks.service_url(&args.logging_url);
        let messages_url = checks.service_url(&args.messages_url);
        let attempt_timeout = checks.duration(&args.attempt_timeout, TIMEOUTS);
        let total_timeout = checks.duration(&args.total_timeout, TIMEOUTS);
        if let (Some(attempt), Some(total)) = (attempt_timeout, total_timeout)
            && attempt >= total
        {
            let problem = format_args!("must be shorter than {}", args.total_timeout);
            checks.problem(&args.attempt_timeout, problem);
        }
        checks.finish(|| {
            Some(Self {
                listen: listen?,
                logging_url: logging_url?,
                messages_url: messages_url?,
                attempt_timeout: attempt_timeout?,
                total_timeout: total_timeout?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use oncelog::{limits, process::settings};

    use super::*;
    use crate::delivery::ATTEMPT_TIMEOUT;

    fn settings(flags: &[&str]) -> Result<Settings, WrongSettings> {
        let args: Args = settings::parse([&["facade-service"], flags].concat()).unwrap();
        Settings::try_from(args)
    }

    #[test]
    fn without_flags_the_limits_apply() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:5000".parse().unwrap());
        assert_eq!(settings.attempt_timeout, ATTEMPT_TIMEOUT);
        assert_eq!(settings.total_timeout, limits::TOTAL_TIMEOUT);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = settings(&[
            "--listen=5000",
            "--logging-url=127.0.0.1:5001",
            "--messages-url=https://a:1",
            "--attempt-timeout=0s",
            "--total-timeout=soon",
        ]);
        assert_eq!(wrong.unwrap_err().0.len(), 5);
    }

    #[test]
    fn an_attempt_must_be_shorter_than_the_whole() {
        let wrong =
            settings(&["--attempt-timeout=2s", "--total-timeout=2s", "--listen=x"]).unwrap_err();
        assert_eq!(wrong.0.len(), 2, "{wrong}");
        assert!(wrong.to_string().contains("shorter than --total-timeout \"2s\""), "{wrong}");
    }
}
