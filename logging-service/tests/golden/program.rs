//! The real program on a data directory.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use oncelog::wire::v1::{
    self, AppendRequest, Outcome, ReadRequest, logging_service_client::LoggingServiceClient,
};
use tonic::transport::Channel;

/// How often a stopping service is looked at.
const POLL: Duration = Duration::from_millis(10);

const PROGRAM: &str = env!("CARGO_BIN_EXE_logging-service");

/// A running service. Dropping it kills it.
pub(crate) struct Service {
    child: Child,
    client: LoggingServiceClient<Channel>,
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--segment-size", "64KiB", "--hide-bodies"]);
    command.arg("--data-dir").arg(data_dir).env_clear().stdin(Stdio::null());
    command
}

/// What it does with a directory that it does not take.
pub(crate) fn refusal(data_dir: &Path) -> Output {
    let mut child =
        command(data_dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        child.kill().unwrap();
    }
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: child.wait().unwrap(), stdout: line.into_bytes(), stderr }
}

impl Service {
    /// Starts it, and returns once it serves.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        let mut child =
            command(data_dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening addr=");
        let Some(address) = address else { panic!("it does not come up: {line:?}") };
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self { child, client: LoggingServiceClient::new(channel) }
    }

    /// The outcomes of an append, with sequences.
    pub(crate) async fn append(&mut self, messages: Vec<v1::Message>) -> Vec<(Outcome, u64)> {
        let response = self.client.append(AppendRequest { messages }).await.unwrap().into_inner();
        response.receipts.iter().map(|receipt| (receipt.outcome(), receipt.sequence)).collect()
    }

    /// The whole log.
    pub(crate) async fn read(&mut self) -> Vec<v1::StoredMessage> {
        let mut chunks = self.client.read(ReadRequest::default()).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            all.extend(chunk.messages);
        }
        all
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        // Its client must hear that it goes, or it waits for it.
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => tokio::time::sleep(POLL).await,
            }
        };
        assert_eq!(status.code(), Some(0));
    }

    /// Ends it as a power switch would end the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
