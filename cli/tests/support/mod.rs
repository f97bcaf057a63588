//! Services to talk to, and the binary to talk with.

#![allow(dead_code)] // Each test file uses its part.

pub(crate) mod byzantine;
pub(crate) mod cluster;
pub(crate) mod facade;
pub(crate) mod logging;

use std::process::{Child, Command, Output, Stdio};

use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;

/// The binary, without any setting from the environment.
pub(crate) fn oncelog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncelog"));
    command.env_clear();
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    oncelog().args(args).output().unwrap()
}

/// Starts the binary with pipes for its output.
pub(crate) fn spawn(args: &[&str]) -> Child {
    let mut command = oncelog();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Sends SIGINT, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    signal(child, "INT");
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// The URL of a port on which nothing listens.
pub(crate) fn unused_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// The figure in the row of a table of `oncelog prove` that begins with `name`.
#[track_caller]
pub(crate) fn figure(table: &str, name: &str) -> usize {
    let row = table.lines().find(|line| line.trim_start().starts_with(name));
    let row = row.unwrap_or_else(|| panic!("no {name}: {table}"));
    let value = row.trim_start()[name.len()..].split_whitespace().next().unwrap();
    value.replace(',', "").parse().unwrap()
}

/// Serves `router` on a free port, until the test ends. Returns the URL.
async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(connection);
        }
    });
    url
}
