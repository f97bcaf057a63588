//! The control of the benchmarks: a bare axum server with the same JSON in and out, the same runtime
//! settings, and nothing behind it. It stores nothing.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{Json, Router, routing::post};
use oncelog::process::{self, exit::Exit};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Deserialize)]
struct Post {
    msg: String,
}

#[derive(Serialize)]
struct Posted {
    status: &'static str,
    uuid: Uuid,
    sequence: u64,
}

static SEQUENCE: AtomicU64 = AtomicU64::new(0);

async fn answer(Json(post): Json<Post>) -> Json<Posted> {
    // The text is parsed into memory of its own, as in the facade, and then dropped.
    drop(post.msg);
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1;
    Json(Posted { status: "success", uuid: Uuid::now_v7(), sequence })
}

fn main() -> ExitCode {
    process::run(async { serve().await.map_err(|error| Exit::Failure.because(error)) })
}

#[allow(clippy::print_stdout)] // The line a benchmark waits for.
async fn serve() -> std::io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(addr).await?;
    println!("listening addr={}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/facade", post(answer))).await
}
