//! The competitor of the benchmarks: what a careful team would write with axum and PostgreSQL instead of
//! running Oncelog.
//!
//!     oncelog-competitor-postgres <listen> <postgresql://…> [<connections to the database>]
//!
//! `http` is the edge, with the same JSON and the same runtime settings as the control; `store`
//! coalesces the waiting messages into one `INSERT` a batch. A message is answered after the commit that holds
//! it. README.md beside this crate says how everything is tuned, and what it does not do.

mod http;
mod store;

use std::{env, process::ExitCode, sync::Arc};

use oncelog::process::{self, exit::Exit};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

/// Messages that may wait for a batch; more are refused.
const WAITING_MAX: usize = 16 * 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    process::run(async { serve().await.map_err(|error| Exit::Failure.because(error)) })
}

#[allow(clippy::print_stdout)] // The line a benchmark waits for.
async fn serve() -> Result<(), Failure> {
    let mut args = env::args().skip(1);
    let listen = args.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let usage = "usage: oncelog-competitor-postgres <listen> <url> [<connections>]";
    let url = args.next().ok_or(usage)?;
    let connections: usize = args.next().map_or(Ok(1), |count| count.parse())?;

    let config = store::config(&url)?;
    store::create_table(&config).await?;
    let (queue, waiting) = mpsc::channel(WAITING_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    let mut writers = JoinSet::new();
    for _ in 0..connections.max(1) {
        writers.spawn(store::write(config.clone(), Arc::clone(&waiting)));
    }

    let listener = TcpListener::bind(listen).await?;
    println!("listening addr={}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, http::router(queue)) => Ok(served?),
        Some(ended) = writers.join_next() => Ok(ended??),
    }
}
