//! All three services in one process, as a person starts them.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use super::oncelog;

/// A running `oncelog up`. Dropping it kills it.
pub(crate) struct Cluster {
    pub child: Child,
    /// Standard output behind the lines that say where the services listen.
    pub lines: Lines<BufReader<ChildStdout>>,
    /// Where the facade is.
    pub facade: String,
    /// Where the logging service is.
    pub logging: String,
    messages: String,
}

impl Cluster {
    /// Starts `oncelog up` with its data in `dir` and no message bodies on the console.
    pub(crate) fn start_in(dir: &Path) -> Self {
        let data = dir.join("data");
        Self::start(&["--hide-bodies", "--data-dir", data.to_str().unwrap()])
    }

    /// Starts `oncelog up` with `args` on free ports.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at(["127.0.0.1:0"; 3], args)
    }

    /// Starts another one on the ports of this one, with its data in `dir`.
    pub(crate) fn start_again_in(self, dir: &Path) -> Self {
        let urls = [self.facade.clone(), self.logging.clone(), self.messages.clone()];
        // The ports are free once it has ended.
        drop(self);
        let addresses = urls.each_ref().map(|url| url.strip_prefix("http://").unwrap());
        let data = dir.join("data");
        Self::start_at(addresses, &["--hide-bodies", "--data-dir", data.to_str().unwrap()])
    }

    fn start_at(addresses: [&str; 3], args: &[&str]) -> Self {
        let mut command = oncelog();
        command.arg("up").args(args);
        for (service, address) in ["facade", "logging", "messages"].iter().zip(addresses) {
            command.arg(format!("--{service}-listen={address}"));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut url = |service: &str| {
            let line = lines.next().unwrap().unwrap();
            let address = line.strip_prefix(&format!("{service}-service listening addr="));
            format!("http://{}", address.unwrap())
        };
        let (facade, logging, messages) = (url("facade"), url("logging"), url("messages"));
        Self { child, lines, facade, logging, messages }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
