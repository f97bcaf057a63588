//! A client in another language, which knows only the addresses, can use the log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use support::{not_run, start_cluster};

/// The Python that `scripts/python-client.sh` has prepared, or `None`.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let mut imports = Command::new(&python);
    imports.args(["-c", "import grpc, grpc_reflection.v1alpha, grpc_health.v1"]);
    let installed = imports.output().is_ok_and(|output| output.status.success());
    installed.then_some(python)
}

#[tokio::test]
async fn a_python_client_explores_and_uses_the_log_by_reflection() {
    let Some(python) = python() else {
        not_run("the Python client", "its packages: run scripts/python-client.sh");
        return;
    };
    let (_scratch, cluster, http) = start_cluster("python").await;
    let addresses = [cluster.logging_address().to_string(), cluster.messages_address().to_string()];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc_from_python.py");
    let mut client = Command::new(python);
    // A proxy of the environment must not get between two programs on one machine.
    client.arg(script).args(addresses).env("no_grpc_proxy", "127.0.0.1");
    let output = client.output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(http.logs().await, ["from Python"]);
}
