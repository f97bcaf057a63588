//! The three services, wired, with a proxy before each of them or without.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    load::Client,
    nemesis::Link,
    processes::{Group, Process, ProcessError},
    proxy::{Mode, Proxy},
    resources::Watch,
    wait::until,
};

/// How the services are started: each a program and its flags, without those for its address, its
/// upstreams and its data.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The facade.
    pub facade: Vec<OsString>,
    /// The logging service, with its store.
    pub logging: Vec<OsString>,
    /// The messages service.
    pub messages: Vec<OsString>,
    /// Their process group.
    pub group: Group,
}

/// From the end of the last fault to a facade that is ready again.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Ports for services that are restarted on the same one. They are below the range the kernel takes
/// client ports from: a port the kernel chose itself (port 0) may go to some client while the service
/// is down, and a client that keeps connecting to a dead port of that range can even end up connected
/// to itself.
const PORTS: Range<u16> = 15_000..32_000;

/// Why the services do not run.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
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

/// How the services find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wiring {
    /// Through the proxies, each service on a port the kernel chooses at every start.
    Proxied,
    /// Without anything between them, each service on the same port at every start.
    Direct,
}

/// The three services. Dropping it ends them.
#[derive(Debug)]
pub struct Cluster {
    /// The facade.
    pub facade: Process,
    /// The logging service.
    pub logging: Process,
    /// The messages service.
    pub messages: Process,
    group: Group,
    data_dir: PathBuf,
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

impl Cluster {
    /// Starts all three on free ports, with everything they keep in `dir`, and returns once the
    /// facade is ready.
    ///
    /// # Errors
    /// [`ClusterError`]: one of them does not run.
    pub async fn start(programs: Programs, dir: &Path) -> Result<Self, ClusterError> {
        Self::start_wired(programs, dir, Wiring::Proxied).await
    }

    /// As [`Cluster::start`], but what the facade sends does not go through proxies, and each service
    /// has the same address at every start.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_direct(programs: Programs, dir: &Path) -> Result<Self, ClusterError> {
        Self::start_wired(programs, dir, Wiring::Direct).await
    }

    async fn start_wired(
        programs: Programs,
        dir: &Path,
        wiring: Wiring,
    ) -> Result<Self, ClusterError> {
        let Programs { mut facade, mut logging, mut messages, group } = programs;
        let data_dir = dir.join("logging");
        for command in [&mut facade, &mut logging, &mut messages] {
            let listen = match wiring {
                Wiring::Proxied => (Ipv4Addr::LOCALHOST, 0).into(),
                Wiring::Direct => free_address()?,
            };
            command.extend(["--listen".into(), listen.to_string().into()]);
        }
        logging.extend(["--data-dir".into(), data_dir.clone().into()]);
        let (logging, address) = Process::start("logging-service", logging, dir, group).await?;
        let to_logging = Proxy::start(address).await?;
        let (messages, address) = Process::start("messages-service", messages, dir, group).await?;
        let to_messages = Proxy::start(address).await?;
        for (flag, proxy) in [("--logging-url", &to_logging), ("--messages-url", &to_messages)] {
            let address = match wiring {
                Wiring::Proxied => proxy.address(),
                Wiring::Direct => proxy.target(),
            };
            facade.extend([flag.into(), format!("http://{address}").into()]);
        }
        let (facade, address) = Process::start("facade-service", facade, dir, group).await?;
        let to_facade = Proxy::start(address).await?;
        let client = Client::new(address)?;
        let remote_client = Client::new(to_facade.address())?;
        let links = Links { facade: to_facade, logging: to_logging, messages: to_messages };
        let cluster =
            Self { facade, logging, messages, group, data_dir, links, client, remote_client };
        cluster.ready().await?;
        Ok(cluster)
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

    /// Where the logging service is until it is restarted. Nothing lies in front of it.
    #[must_use]
    pub fn logging_address(&self) -> SocketAddr {
        self.links.logging.target()
    }

    /// Where the messages service is until it is restarted. Nothing lies in front of it.
    #[must_use]
    pub fn messages_address(&self) -> SocketAddr {
        self.links.messages.target()
    }

    /// Where the logging service has its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
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
    /// [`ClusterError::NotReady`]: it did not in time.
    pub async fn ready(&self) -> Result<(), ClusterError> {
        let ready = until(READY_TIMEOUT, async || self.client.is_ready().await.then_some(()));
        ready.await.ok_or(ClusterError::NotReady)
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
        self.links.logging.retarget(self.logging.restart().await?);
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
        self.data_dir = dir.join("logging");
        command.extend(["--listen", "127.0.0.1:0", "--data-dir"].map(OsString::from));
        command.push(self.data_dir.clone().into());
        let (logging, address) =
            Process::start("logging-service", command, dir, self.group).await?;
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
        self.links.messages.retarget(self.messages.restart().await?);
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
    /// [`ClusterError`]: a service does not come up again.
    pub async fn restore(&mut self) -> Result<(), ClusterError> {
        for link in [Link::Clients, Link::Logging] {
            self.link(link).set_mode(Mode::Pass);
        }
        if self.logging.runs()? {
            self.logging.resume()?;
        } else {
            self.restart_logging().await?;
        }
        if self.facade.runs()? {
            self.facade.resume()?;
        } else {
            self.restart_facade().await?;
        }
        if !self.messages.runs()? {
            self.restart_messages().await?;
        }
        self.ready().await
    }
}

/// A loopback address whose port is free now and stays free while its service is restarted.
///
/// # Errors
/// There is no such port.
pub fn free_address() -> io::Result<SocketAddr> {
    let mut tries =
        (0..1000).map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))));
    let free = tries.find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| io::ErrorKind::AddrInUse.into())
}
