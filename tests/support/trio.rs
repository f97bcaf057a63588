//! The three services, wired.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Client, Process, Program, port::free_address, wait::eventually};

/// From started services to a facade that says it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// The trio with its data under one directory.
#[derive(Debug)]
pub(crate) struct Trio {
    pub(crate) facade: Process,
    pub(crate) logging: Process,
    pub(crate) messages: Process,
    pub(crate) facade_address: SocketAddr,
    pub(crate) logging_address: SocketAddr,
    pub(crate) messages_address: SocketAddr,
    pub(crate) data_dir: PathBuf,
}

impl Trio {
    /// Starts all three and returns once the facade is ready.
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[], &[]).await
    }

    /// As [`Trio::start`], with more flags for the facade and the logging service.
    pub(crate) async fn start_with(directory: &Path, facade: &[&str], logging: &[&str]) -> Self {
        let data_dir = directory.join("logging");
        let logging_args = logging_args(free_address(), &data_dir, logging);
        let (logging, logging_address) = Process::start(Program::Logging, logging_args).await;
        let listen = free_address().to_string();
        let messages_args = ["--listen", &listen].map(OsString::from);
        let (messages, messages_address) = Process::start(Program::Messages, messages_args).await;
        let listen = free_address().to_string();
        let mut facade_args = vec![
            "--listen".to_owned(),
            listen,
            "--logging-url".to_owned(),
            format!("http://{logging_address}"),
            "--messages-url".to_owned(),
            format!("http://{messages_address}"),
        ];
        facade_args.extend(facade.iter().map(|flag| (*flag).to_owned()));
        let (facade, facade_address) = Process::start(Program::Facade, facade_args).await;
        let trio = Self {
            facade,
            logging,
            messages,
            facade_address,
            logging_address,
            messages_address,
            data_dir,
        };
        trio.ready().await;
        trio
    }

    /// A client of the facade.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.facade_address)
    }

    /// Waits until the facade says that it and what it needs is ready.
    pub(crate) async fn ready(&self) {
        let client = self.client();
        eventually("a ready facade", READY_TIMEOUT, async || {
            let answer = client.get("/readyz").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

/// The arguments of a logging service with its journal in `data_dir`.
pub(crate) fn logging_args(listen: SocketAddr, data_dir: &Path, more: &[&str]) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--listen".into(), listen.to_string().into()];
    args.extend(["--store".into(), "journal".into(), "--data-dir".into()]);
    args.push(data_dir.into());
    args.extend(more.iter().map(OsString::from));
    args
}
