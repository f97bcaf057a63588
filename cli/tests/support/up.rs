//! All three services, as a person starts them.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use super::oncelog;

/// They are killed when this is dropped.
pub(crate) struct Up {
    child: Child,
    /// Where the facade is.
    pub facade: String,
    /// Where the logging service is.
    pub logging: String,
}

impl Up {
    /// Starts them with their data in `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        let mut command = oncelog();
        command.args(["up", "--hide-bodies", "--data-dir"]).arg(dir.join("data"));
        for service in ["facade", "logging", "messages"] {
            command.arg(format!("--{service}-listen=127.0.0.1:0"));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut url = |service: &str| {
            let line = lines.next().unwrap().unwrap();
            let address = line.strip_prefix(&format!("{service}-service listening addr="));
            format!("http://{}", address.unwrap())
        };
        let (facade, logging) = (url("facade"), url("logging"));
        Self { child, facade, logging }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
