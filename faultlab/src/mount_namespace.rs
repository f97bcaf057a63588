//! A mount namespace: what is mounted in it is invisible outside of it, and gone with it.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use crate::programs::{ToolError, tool, under};

/// A mount namespace of its own, kept by a process that ends when this program does, however it ends.
#[derive(Debug)]
pub struct MountNamespace {
    holder: Child,
    nsenter: PathBuf,
}

impl MountNamespace {
    /// A new one, in which everything is as outside.
    ///
    /// # Errors
    /// [`ToolError::Missing`]: only root may have one.
    pub fn open() -> Result<Self, ToolError> {
        let nsenter = tool("nsenter")?;
        let mut holder = Command::new(tool("unshare")?)
            .args(["--mount", "--propagation", "private", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // The echo says that the namespace is there.
        let mut echo = [0];
        let echoed = match (&mut holder.stdin, &mut holder.stdout) {
            (Some(stdin), Some(stdout)) => {
                stdin.write_all(b".").and_then(|()| stdout.read_exact(&mut echo))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        };
        let namespace = Self { holder, nsenter };
        echoed
            .map_err(|_| ToolError::Missing("a private mount namespace: run it as root".into()))?;
        Ok(namespace)
    }

    /// `command` as it is called from outside to run inside.
    #[must_use]
    pub fn inside(&self, command: &[OsString]) -> Vec<OsString> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        let nsenter = [self.nsenter.clone().into(), namespace.into(), "--".into()];
        [&nsenter[..], command].concat()
    }

    /// Runs `command` inside, to its end.
    ///
    /// # Errors
    /// It could not be started.
    pub fn output(&self, command: &[OsString]) -> io::Result<Output> {
        let wrapped = self.inside(command);
        Command::new(&self.nsenter).args(&wrapped[1..]).output()
    }

    /// Runs a program of the operating system inside, to its end.
    ///
    /// # Errors
    /// It fails; what it said is in the error.
    pub fn run(&self, program: &str, args: &[&dyn AsRef<OsStr>]) -> Result<(), ToolError> {
        let args = args.iter().map(|arg| arg.as_ref());
        let command = under(program, args, &[])?;
        let output = self.output(&command)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(ToolError::Missing(format!("`{command:?}` to work: {}", said.trim())))
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
