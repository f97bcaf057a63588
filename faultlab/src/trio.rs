//! The three services with the proxy between the facade and the logging service.

use std::{ffi::OsString, io, path::Path, time::Duration};

use crate::{
    load::Client,
    processes::{Process, ProcessError},
    proxy::{Mode, Proxy},
};

/// How the services are called: each a program and its flags, without those that say where it listens,
/// whom it calls and where its data is.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The facade.
    pub facade: Vec<OsString>,
    /// The logging service, with its store.
    pub logging: Vec<OsString>,
    /// The messages service.
    pub messages: Vec<OsString>,
}

/// From the end of the last fault to a facade that is ready again.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often readiness is asked for.
const READY_POLL: Duration = Duration::from_millis(10);

/// Why the services do not run.
#[derive(Debug, thiserror::Error)]
pub enum TrioError {
    /// One of them does not.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no port for the proxy.
    #[error("cannot start the proxy: {0}")]
    Proxy(#[from] io::Error),
    /// There is no HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// They run, and the facade does not become ready.
    #[error("the facade was not ready within {READY_TIMEOUT:?}")]
    NotReady,
}

/// The trio. Dropping it ends it.
#[derive(Debug)]
pub struct Trio {
    pub(crate) facade: Process,
    pub(crate) logging: Process,
    _messages: Process,
    pub(crate) proxy: Proxy,
    client: Client,
}

impl Trio {
    /// Starts all three on free ports, with everything they keep in `dir`, and returns once the
    /// facade is ready.
    ///
    /// # Errors
    /// [`TrioError`]: one of them does not run.
    pub async fn start(programs: Programs, dir: &Path) -> Result<Self, TrioError> {
        let any_port = || ["--listen", "127.0.0.1:0"].map(OsString::from);
        let mut logging = programs.logging;
        logging.extend(any_port());
        logging.extend([OsString::from("--data-dir"), dir.join("logging").into()]);
        let (logging, logging_address) = Process::start("logging-service", logging, dir).await?;
        let mut messages = programs.messages;
        messages.extend(any_port());
        let (messages, messages_address) =
            Process::start("messages-service", messages, dir).await?;
        let proxy = Proxy::start(logging_address).await?;
        let mut facade = programs.facade;
        facade.extend(any_port());
        let url = |address| OsString::from(format!("http://{address}"));
        facade.extend([OsString::from("--logging-url"), url(proxy.address())]);
        facade.extend([OsString::from("--messages-url"), url(messages_address)]);
        let (facade, facade_address) = Process::start("facade-service", facade, dir).await?;
        let client = Client::new(facade_address)?;
        let trio = Self { facade, logging, _messages: messages, proxy, client };
        trio.ready().await?;
        Ok(trio)
    }

    /// A client of the facade, wherever it is restarted.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits until the facade says that it and what it needs is ready.
    ///
    /// # Errors
    /// [`TrioError::NotReady`]: it did not in time.
    pub async fn ready(&self) -> Result<(), TrioError> {
        let ready = tokio::time::timeout(READY_TIMEOUT, async {
            while !self.client.is_ready().await {
                tokio::time::sleep(READY_POLL).await;
            }
        });
        ready.await.map_err(|_| TrioError::NotReady)
    }

    /// From now on, each piece of bytes between the facade and the logging service is late by `delay`,
    /// so that only so much gets through.
    pub fn slow_link(&self, delay: Duration) {
        self.proxy.set_mode(Mode::Delay(delay));
    }

    /// Kills the logging service if it runs, and starts it again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn restart_logging(&mut self) -> Result<(), ProcessError> {
        let address = self.logging.restart().await?;
        self.proxy.retarget(address);
        Ok(())
    }

    /// Kills the facade if it runs, and starts it again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn restart_facade(&mut self) -> Result<(), ProcessError> {
        let address = self.facade.restart().await?;
        self.client.move_to(address);
        Ok(())
    }

    /// Lets the facade finish what it is at, so that nothing is on its way any more, and starts it
    /// again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn renew_facade(&mut self) -> Result<(), ProcessError> {
        self.facade.stop().await?;
        self.restart_facade().await
    }

    /// Undoes every harm, whatever was done, and returns once the facade is ready.
    ///
    /// # Errors
    /// [`TrioError`]: a service does not come up again.
    pub async fn heal(&mut self) -> Result<(), TrioError> {
        self.proxy.set_mode(Mode::Pass);
        if self.logging.runs()? {
            self.logging.thaw()?;
        } else {
            self.restart_logging().await?;
        }
        if self.facade.runs()? {
            self.facade.thaw()?;
        } else {
            self.restart_facade().await?;
        }
        self.ready().await
    }
}
