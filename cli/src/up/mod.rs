//! `oncelog up`: all three services in one process.
//!
//! - [`Args`]: where they listen and where data is kept
//! - `services`: what each service needs to run
//! - `supervise`: runs them, stops them in order

mod services;
mod supervise;

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
};

use oncelog::{
    net,
    process::{
        self,
        exit::Exit,
        settings::{self, Setting, Switch},
        telemetry,
    },
};

use self::{
    services::{Services, Settings},
    supervise::Failure,
};

/// Where the services listen, and where data is kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory for all data; created if it is missing
    #[arg(long, env = "ONCELOG_DATA_DIR", value_name = "DIR", default_value = "./data")]
    data_dir: Setting,

    /// Address of the facade (HTTP); port 0 takes any free port
    #[arg(long, env = "FACADE_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:5000")]
    facade_listen: Setting,

    /// Address of the logging service (gRPC)
    #[arg(long, env = "LOGGING_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:5001")]
    logging_listen: Setting,

    /// Address of the messages service (gRPC)
    #[arg(long, env = "MESSAGES_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:5002")]
    messages_listen: Setting,

    /// Where messages are kept: `journal` (on disk) or `memory` (a restart forgets them)
    #[arg(long, env = "LOGGING_STORE", value_name = "STORE", default_value = "journal")]
    store: Setting,

    /// Show sizes and ids on the console instead of message bodies
    #[arg(long, env = "LOGGING_HIDE_BODIES", value_parser = Switch)]
    hide_bodies: bool,
}

/// Runs the services until Ctrl-C, SIGTERM or SIGHUP, or until one of them fails.
///
/// # Errors
/// The code to exit with: that of the service that failed.
pub async fn run(args: Args) -> Result<(), Exit> {
    let _last_lines = telemetry::init();
    net::raise_open_files();
    let settings: Settings = settings::check(args)?;
    let stop = process::stop_on_signal()?;
    let services = Services::bind(settings).await?;
    let addrs = services.addrs;
    services.run(stop, move || announce(&addrs)).await.map_err(|failure| {
        let Failure { service, exit, source } = failure;
        exit.because(format_args!("{service}: {source}"))
    })
}

fn announce(addrs: &[(&str, SocketAddr); 3]) {
    net::tell_open_files();
    let mut text = String::new();
    for (service, addr) in addrs {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{service} listening addr={addr}");
    }
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let url = format!("http://{}/facade", services::reachable(addrs[0].1));
        text += &format!(
            "\nstore a message:  curl -H 'content-type: application/json' -d '{{\"msg\":\"hello\"}}' {url}\n\
             read them all:    curl {url}\n\n"
        );
    }
    // The services work whether or not standard output is open.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
