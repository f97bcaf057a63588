//! What each service needs to run, and how they find each other.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use clap::Parser;
use facade_service::{Facade, Options, Upstreams, settings as facade_settings};
use http::Uri;
use logging_service::{
    console::Bodies,
    settings::{self as logging_settings, StoreKind},
};
use oncelog::{
    message::RandomIds,
    net,
    process::{exit::Exit, settings::WrongSettings},
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::supervise::{Failure, Service, supervise};

pub(super) const FACADE: &str = "facade-service";
pub(super) const LOGGING: &str = "logging-service";
pub(super) const MESSAGES: &str = "messages-service";

/// Where each service listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listen {
    pub(super) facade: SocketAddr,
    pub(super) logging: SocketAddr,
    pub(super) messages: SocketAddr,
}

/// The ports, taken.
pub(super) struct Listeners {
    pub(super) facade: TcpListener,
    pub(super) logging: TcpListener,
    pub(super) messages: TcpListener,
}

impl Listeners {
    fn addrs(&self) -> io::Result<Listen> {
        Ok(Listen {
            facade: self.facade.local_addr()?,
            logging: self.logging.local_addr()?,
            messages: self.messages.local_addr()?,
        })
    }
}

/// The settings of all services.
pub(super) struct Settings {
    pub(super) listen: Listen,
    facade: facade_settings::Settings,
    logging: logging_settings::Settings,
}

impl Settings {
    /// What is not given here comes from the environment and the defaults of each service.
    pub(super) fn new(
        listen: Listen,
        store: StoreKind,
        data_dir: PathBuf,
        hide_bodies: bool,
    ) -> Result<Self, WrongSettings> {
        // These are set below; the flags keep the environment from being asked for them.
        let facade: Result<facade_settings::Settings, _> = rest::<facade_settings::Args, _>(&[
            FACADE,
            "--listen=127.0.0.1:0",
            "--logging-url=http://127.0.0.1:1",
            "--messages-url=http://127.0.0.1:1",
        ]);
        let logging: Result<logging_settings::Settings, _> =
            rest::<logging_settings::Args, _>(&[LOGGING, "--listen=127.0.0.1:0", "--store=memory"]);
        match (facade, logging) {
            (Ok(facade), Ok(rest)) => {
                let bodies = if hide_bodies { Bodies::Hidden } else { Bodies::Shown };
                let logging = logging_settings::Settings {
                    listen: listen.logging,
                    store,
                    data_dir,
                    bodies,
                    ..rest
                };
                Ok(Self {
                    listen,
                    facade: facade_settings::Settings { listen: listen.facade, ..facade },
                    logging,
                })
            }
            (facade, logging) => Err(WrongSettings(
                [facade.err(), logging.err()]
                    .into_iter()
                    .flatten()
                    .flat_map(|wrong| wrong.0)
                    .collect(),
            )),
        }
    }
}

fn rest<Args, Settings>(args: &[&str]) -> Result<Settings, WrongSettings>
where
    Args: Parser,
    Settings: TryFrom<Args, Error = WrongSettings>,
{
    Args::try_parse_from(args).map_err(|error| WrongSettings(vec![error.to_string()]))?.try_into()
}

/// The services, ready to run.
pub(super) struct Services {
    facade: facade_settings::Settings,
    logging: logging_settings::Settings,
    listeners: Listeners,
    addrs: Listen,
}

impl Services {
    /// Wires the facade to where the others really listen.
    pub(super) fn new(settings: Settings, listeners: Listeners) -> io::Result<Self> {
        let addrs = listeners.addrs()?;
        let facade = facade_settings::Settings {
            logging_url: url(addrs.logging)?,
            messages_url: url(addrs.messages)?,
            ..settings.facade
        };
        Ok(Self { facade, logging: settings.logging, listeners, addrs })
    }

    pub(super) fn addrs(&self) -> [(&'static str, SocketAddr); 3] {
        [
            (FACADE, self.addrs.facade),
            (LOGGING, self.addrs.logging),
            (MESSAGES, self.addrs.messages),
        ]
    }

    /// Runs them until `stop` or a failure. Calls `ready` once all accept work.
    pub(super) async fn run(
        self,
        stop: CancellationToken,
        ready: impl FnOnce() + Send + 'static,
    ) -> Result<(), Failure> {
        let Self { facade, logging, listeners, addrs: _ } = self;
        let (log_is_open, log_opens) = oneshot::channel();

        let messages = Service::start(MESSAGES, move |stop| async move {
            let incoming = net::incoming(listeners.messages);
            messages_service::serve(incoming, stop)
                .await
                .map_err(|error| (error.exit(), error.to_string()))
        });
        let logging = Service::start(LOGGING, move |stop| async move {
            let opened = move |_| {
                // Nobody waits for it any more if the facade was told to stop.
                let _ = log_is_open.send(());
            };
            logging_service::serve(listeners.logging, logging, stop, opened)
                .await
                .map_err(|error| (error.exit(), error.to_string()))
        });
        let facade = Service::start(FACADE, move |stop| async move {
            // Clients wait in the backlog while the journal is checked, instead of being refused.
            match stop.run_until_cancelled(log_opens).await {
                Some(Ok(())) => ready(),
                // The logging service ended and says why; or all of them stop.
                Some(Err(_)) | None => {
                    stop.cancelled().await;
                    return Ok(());
                }
            }
            let options = Options::new(Arc::new(RandomIds));
            let facade = Facade::new(Upstreams::connect(&facade), options, stop);
            facade_service::serve(listeners.facade, facade)
                .await
                .map_err(|error| (Exit::Failure, error.to_string()))
        });
        // Whoever sends work stops before whoever takes it.
        supervise([facade, logging, messages], stop).await
    }
}

fn url(addr: SocketAddr) -> io::Result<Uri> {
    format!("http://{}", reachable(addr)).parse().map_err(io::Error::other)
}

/// An address that can be connected to: "all interfaces" is only one to listen on.
pub(super) fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facade_connects_to_loopback_where_all_interfaces_listen() {
        let url = |addr: &str| url(addr.parse().unwrap()).unwrap().to_string();
        assert_eq!(url("0.0.0.0:5001"), "http://127.0.0.1:5001/");
        assert_eq!(url("[::]:5001"), "http://[::1]:5001/");
        assert_eq!(url("10.0.0.1:5001"), "http://10.0.0.1:5001/");
    }
}
