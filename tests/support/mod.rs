//! Talks to the built programs as a client would: over HTTP and gRPC. Nothing in here knows how a
//! service works inside. The programs are started by `faultlab`.
//!
//! - [`http`]: one request to the facade, and what came back
//! - [`scratch`]: directories that outlive a failure
//! - [`eventually`]: waits for a state, with a deadline
//! - [`not_run`]: a test that cannot run here says so

// Each test binary uses its own part of this module.
#![allow(dead_code, unused_imports)]

use std::{
    env,
    io::{Write, stderr},
    path::Path,
    time::Duration,
};

use faultlab::{
    cluster::{Cluster, Programs},
    wait::until,
};

pub(crate) mod http;
pub(crate) mod scratch;

pub(crate) use self::{
    http::{Answer, Client},
    scratch::Scratch,
};

/// Starts the three services with what they keep in a new directory named after `name`, and returns once
/// the facade is ready. Beside them a client of the facade.
pub(crate) async fn start_cluster(name: &str) -> (Scratch, Cluster, Client) {
    let scratch = Scratch::new(name);
    let cluster = start_cluster_with(scratch.path(), &[], &[]).await;
    let client = client_of(&cluster);
    (scratch, cluster, client)
}

/// Starts them in `directory`, with more flags for the facade and the logging service.
pub(crate) async fn start_cluster_with(
    directory: &Path,
    facade: &[&str],
    logging: &[&str],
) -> Cluster {
    let mut programs = Programs::built().expect("the programs, built");
    programs.facade.extend(facade.iter().map(Into::into));
    programs.logging.extend(["--store", "journal"].iter().chain(logging).map(Into::into));
    Cluster::start_direct(programs, directory).await.expect("the services run")
}

/// Starts the logging service again, and returns once the facade is ready.
pub(crate) async fn restart_logging(cluster: &mut Cluster) {
    cluster.logging.restart().await.unwrap();
    cluster.ready().await.unwrap();
}

/// Why the facade is not ready, once it says so.
pub(crate) async fn unready(client: &Client) -> String {
    eventually("an unready facade", Duration::from_secs(20), async || {
        let answer = client.get("/readyz").await.ok()?;
        (answer.status == 503).then_some(answer.text)
    })
    .await
}

/// A client of the facade, with connections of its own.
pub(crate) fn client_of(cluster: &Cluster) -> Client {
    Client::new(cluster.facade_address())
}

/// Looks until `look` finds something. Panics with `what` once `within` is over.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = until(within, look).await;
    found.unwrap_or_else(|| panic!("waited {within:?} in vain for {what}"))
}

/// Says loudly that `test` does not run for lack of `need`. In CI, where all needs can be met, this
/// is a failure.
pub(crate) fn not_run(test: &str, need: &str) {
    assert!(env::var_os("CI").is_none(), "{test} must run in CI; it needs {need}");
    // Not by `eprintln`: the output of a test that passes is not shown.
    let _ = writeln!(stderr(), "\nNOT RUN: {test} needs {need}");
}
