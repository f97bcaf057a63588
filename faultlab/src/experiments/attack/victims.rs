//! The three services, reached without anything in between.

use std::{ffi::OsString, net::SocketAddr, path::Path};

use crate::{
    cluster::Programs,
    processes::{Process, ProcessError},
};

/// The services under attack. Dropping them ends them.
#[derive(Debug)]
pub struct Victims {
    /// The facade.
    pub facade: Process,
    /// The logging service.
    pub logging: Process,
    _messages: Process,
    /// Where the facade speaks HTTP.
    pub http: SocketAddr,
    /// Where the logging service speaks gRPC.
    pub grpc: SocketAddr,
}

impl Victims {
    /// Starts them, with everything they keep in `dir`. With `open_files`, none of them may have more
    /// files open than that.
    ///
    /// # Errors
    /// One of them does not run.
    pub async fn start(
        programs: Programs,
        dir: &Path,
        open_files: Option<u32>,
    ) -> Result<Self, ProcessError> {
        let command = |program: Vec<OsString>, flags: &[OsString]| {
            let limit = open_files.map(|files| {
                let limited = format!(r#"ulimit -n {files}; exec "$@""#);
                ["sh", "-c", &limited, "sh"].map(OsString::from)
            });
            let listen = ["--listen", "127.0.0.1:0"].map(OsString::from);
            let limit = limit.into_iter().flatten();
            limit.chain(program).chain(listen).chain(flags.iter().cloned()).collect::<Vec<_>>()
        };
        let data = ["--data-dir".into(), dir.join("logging").into()];
        let logging = command(programs.logging, &data);
        let (logging, grpc) =
            Process::start("logging-service", logging, dir, programs.group).await?;
        let messages = command(programs.messages, &[]);
        let (messages, text) =
            Process::start("messages-service", messages, dir, programs.group).await?;
        let url = |address| OsString::from(format!("http://{address}"));
        let upstreams = ["--logging-url".into(), url(grpc), "--messages-url".into(), url(text)];
        let facade = command(programs.facade, &upstreams);
        let (facade, http) = Process::start("facade-service", facade, dir, programs.group).await?;
        Ok(Self { facade, logging, _messages: messages, http, grpc })
    }
}
