//! The three services, with a proxy before each of them.

use std::{ffi::OsString, io, net::SocketAddr, path::Path, time::Duration};

use crate::{
    load::Client,
    nemesis::Link,
    processes::{Process, ProcessError},
    proxy::{Mode, Proxy},
    resources::Watch,
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
    /// There is no port for a proxy.
    #[error("cannot start a proxy: {0}")]
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
    pub(crate) messages: Process,
    links: Links,
    client: Client,
    remote_client: Client,
}

/// The proxies: each passes what goes to the service it is named after.
#[derive(Debug)]
struct Links {
    facade: Proxy,
    logging: Proxy,
    messages: Proxy,
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
        let to_logging = Proxy::start(logging_address).await?;
        let to_messages = Proxy::start(messages_address).await?;
        let mut facade = programs.facade;
        facade.extend(any_port());
        let url = |address| OsString::from(format!("http://{address}"));
        facade.extend([OsString::from("--logging-url"), url(to_logging.address())]);
        facade.extend([OsString::from("--messages-url"), url(to_messages.address())]);
        let (facade, facade_address) = Process::start("facade-service", facade, dir).await?;
        let to_facade = Proxy::start(facade_address).await?;
        let client = Client::new(facade_address)?;
        let remote_client = Client::new(to_facade.address())?;
        let links = Links { facade: to_facade, logging: to_logging, messages: to_messages };
        let trio = Self { facade, logging, messages, links, client, remote_client };
        trio.ready().await?;
        Ok(trio)
    }

    /// A client of the facade, wherever it is restarted. Nothing lies between them.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where the facade is until it is restarted. Nothing lies in front of it.
    #[must_use]
    pub fn facade_address(&self) -> SocketAddr {
        self.links.facade.target()
    }

    /// Looks at what the services use from now on, through all their restarts.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::start([&self.facade, &self.logging, &self.messages].map(Process::watched).to_vec())
    }

    /// A client whose calls go over [`Link::Clients`].
    #[must_use]
    pub fn remote_client(&self) -> Client {
        self.remote_client.clone()
    }

    /// The proxy that `link` goes through.
    #[must_use]
    pub const fn link(&self, link: Link) -> &Proxy {
        match link {
            Link::Clients => &self.links.facade,
            Link::Logging => &self.links.logging,
        }
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
        self.links.logging.set_mode(Mode::Delay(delay));
    }

    /// Kills the logging service if it runs, and starts it again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn restart_logging(&mut self) -> Result<(), ProcessError> {
        let address = self.logging.restart().await?;
        self.links.logging.retarget(address);
        Ok(())
    }

    /// Ends the logging service, however it is, and starts `command` in its place, with what it keeps
    /// in `dir`.
    ///
    /// # Errors
    /// It does not come up. Nothing serves then.
    pub(crate) async fn replace_logging(
        &mut self,
        mut command: Vec<OsString>,
        dir: &Path,
    ) -> Result<(), ProcessError> {
        self.logging.kill()?;
        command.extend(["--listen", "127.0.0.1:0"].map(OsString::from));
        command.extend([OsString::from("--data-dir"), dir.join("logging").into()]);
        let (logging, address) = Process::start("logging-service", command, dir).await?;
        self.logging = logging;
        self.links.logging.retarget(address);
        Ok(())
    }

    /// Kills the facade if it runs, and starts it again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn restart_facade(&mut self) -> Result<(), ProcessError> {
        let address = self.facade.restart().await?;
        self.links.facade.retarget(address);
        self.client.move_to(address);
        Ok(())
    }

    /// Kills the messages service if it runs, and starts it again.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn restart_messages(&mut self) -> Result<(), ProcessError> {
        let address = self.messages.restart().await?;
        self.links.messages.retarget(address);
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
        for link in [Link::Clients, Link::Logging] {
            self.link(link).set_mode(Mode::Pass);
        }
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
        if !self.messages.runs()? {
            self.restart_messages().await?;
        }
        self.ready().await
    }
}
