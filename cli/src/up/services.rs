//! What each service needs to run, and how they find each other.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use clap::Parser;
use facade_service::{Facade, Options, Upstreams, settings as facade_settings};
use http::Uri;
use logging_service::{console::Bodies, settings as logging_settings};
use oncelog::{
    message::RandomIds,
    net,
    process::{
        exit::Exit,
        settings::{self, Checks, WrongSettings},
    },
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Args,
    supervise::{Failure, Service, supervise},
};

pub(super) const FACADE: &str = "facade-service";
pub(super) const LOGGING: &str = "logging-service";
pub(super) const MESSAGES: &str = "messages-service";

/// The settings of all services.
pub(super) struct Settings {
    facade: facade_settings::Settings,
    logging: logging_settings::Settings,
    messages: SocketAddr,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    /// Checks what is given here. The rest comes from the environment and the defaults of each service.
    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let addresses = (
            checks.listen(&args.facade_listen),
            checks.listen(&args.logging_listen),
            checks.listen(&args.messages_listen),
        );
        let (store, data_dir) = (checks.parse(&args.store), checks.path(&args.data_dir));
        let bodies = if args.hide_bodies { Bodies::Hidden } else { Bodies::Shown };
        let wrong = checks.wrong();
        // What is set below. These flags keep that of the environment out.
        let facade = parsed::<facade_settings::Args, facade_settings::Settings>(&[
            FACADE,
            "--listen=127.0.0.1:0",
            "--logging-url=http://127.0.0.1:1",
            "--messages-url=http://127.0.0.1:1",
        ]);
        let logging = parsed::<logging_settings::Args, logging_settings::Settings>(&[
            LOGGING,
            "--listen=127.0.0.1:0",
            "--store=journal",
            "--data-dir=.",
        ]);
        match (addresses, store, data_dir, facade, logging) {
            (
                (Some(facade_addr), Some(logging_addr), Some(messages)),
                Some(store),
                Some(data_dir),
                Ok(facade),
                Ok(logging),
            ) => Ok(Self {
                facade: facade_settings::Settings { listen: facade_addr, ..facade },
                logging: logging_settings::Settings {
                    listen: logging_addr,
                    store,
                    data_dir: data_dir.join("logging"),
                    bodies,
                    ..logging
                },
                messages,
            }),
            (_, _, _, facade, logging) => Err(WrongSettings(
                [Some(wrong), facade.err(), logging.err()]
                    .into_iter()
                    .flatten()
                    .flat_map(|wrong| wrong.0)
                    .collect(),
            )),
        }
    }
}

/// The settings of a service that is called with `args`.
fn parsed<Args, Settings>(args: &[&str]) -> Result<Settings, WrongSettings>
where
    Args: Parser,
    Settings: TryFrom<Args, Error = WrongSettings>,
{
    let args = settings::parse::<Args>(args);
    args.map_err(|error| WrongSettings(vec![error.to_string()]))?.try_into()
}

/// The services with their ports taken, ready to run.
pub(super) struct Services {
    facade: (TcpListener, facade_settings::Settings),
    logging: (TcpListener, logging_settings::Settings),
    messages: TcpListener,
    pub(super) addrs: [(&'static str, SocketAddr); 3],
}

impl Services {
    /// Takes all ports before the first service runs: a port in use leaves nothing half started. The
    /// facade will call the others where they really listen.
    ///
    /// # Errors
    /// The code to exit with: a port is taken.
    pub(super) async fn bind(settings: Settings) -> Result<Self, Exit> {
        let Settings { facade: settings, logging: logging_settings, messages } = settings;
        let (facade, facade_addr) = bind(FACADE, settings.listen).await?;
        let (logging, logging_addr) = bind(LOGGING, logging_settings.listen).await?;
        let (messages, messages_addr) = bind(MESSAGES, messages).await?;
        let url = |addr| url(addr).map_err(|error| Exit::Unavailable.because(error));
        let facade_settings = facade_settings::Settings {
            logging_url: url(logging_addr)?,
            messages_url: url(messages_addr)?,
            ..settings
        };
        Ok(Self {
            facade: (facade, facade_settings),
            logging: (logging, logging_settings),
            messages,
            addrs: [(FACADE, facade_addr), (LOGGING, logging_addr), (MESSAGES, messages_addr)],
        })
    }

    /// Runs them until `stop` or a failure. Calls `ready` once all accept work.
    pub(super) async fn run(
        self,
        stop: CancellationToken,
        ready: impl FnOnce() + Send + 'static,
    ) -> Result<(), Failure> {
        let Self { facade, logging, messages, addrs: _ } = self;
        let (log_is_open, log_opens) = oneshot::channel();

        let messages = Service::start(MESSAGES, move |stop| async move {
            messages_service::serve(net::incoming(messages), stop)
                .await
                .map_err(|error| (error.exit(), error.into()))
        });
        let logging = Service::start(LOGGING, move |stop| async move {
            let opened = move |_| {
                // The facade does not wait for it any more once it was told to stop.
                let _ = log_is_open.send(());
            };
            let (listener, settings) = logging;
            logging_service::serve(listener, settings, stop, opened)
                .await
                .map_err(|error| (error.exit(), error.into()))
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
            let (listener, settings) = facade;
            let options = Options::new(Arc::new(RandomIds));
            let facade = Facade::new(Upstreams::connect(&settings), options, stop);
            facade_service::serve(listener, facade)
                .await
                .map_err(|error| (Exit::Failure, error.into()))
        });
        // A service stops before those that it calls.
        supervise([facade, logging, messages], stop).await
    }
}

async fn bind(service: &str, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Exit> {
    let listener = net::listen(addr).await.map_err(|error| {
        let flag = service.replace("-service", "-listen");
        Exit::Unavailable
            .because(format_args!("{service}: {error}; give another address with --{flag}"))
    })?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    Ok((listener, addr))
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
