//! Services to talk to, and the binary to talk with.

#![allow(dead_code)] // Each test file uses its part.

pub(crate) mod facade;
pub(crate) mod liar;
pub(crate) mod logging;
pub(crate) mod up;

use std::process::{Command, Output};

/// The binary, without any setting from the environment.
pub(crate) fn oncelog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oncelog"));
    command.env_clear();
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    oncelog().args(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An address nobody listens on.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
