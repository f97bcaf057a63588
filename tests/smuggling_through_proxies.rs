//! Behind a proxy, no client gets another client's answer, and nothing is stored that the proxy did not send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::{path::Path, process::Command};

use support::{not_run, start_cluster};

/// Runs `tests/smuggling_through_proxies.py` with `proxy` before a facade of its own.
async fn smuggle_through(proxy: &'static str) {
    if Command::new(proxy).arg("-v").output().is_err() {
        not_run(proxy, "the program; on Debian: apt-get install nginx-light haproxy");
        return;
    }
    let (scratch, cluster, _) = start_cluster(proxy).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smuggling_through_proxies.py");
    let mut attack = Command::new("python3");
    attack.arg(script).arg(proxy).arg(cluster.facade_address().to_string()).arg(scratch.path());
    let output = tokio::task::spawn_blocking(move || attack.output()).await.unwrap().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn nothing_is_smuggled_through_nginx() {
    smuggle_through("nginx").await;
}

#[tokio::test]
async fn nothing_is_smuggled_through_haproxy() {
    smuggle_through("haproxy").await;
}
