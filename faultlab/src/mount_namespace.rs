//! A mount namespace: what is mounted in it is invisible outside of it, and gone with it.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::programs::{ToolError, tool};

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
        let mut wrapped: Vec<OsString> = vec![self.nsenter.clone().into()];
        wrapped.push(format!("--mount=/proc/{}/ns/mnt", self.holder.id()).into());
        wrapped.push("--".into());
        wrapped.extend_from_slice(command);
        wrapped
    }

    /// Runs a program inside, to its end.
    ///
    /// # Errors
    /// It fails; what it said is in the error.
    pub fn run<A: AsRef<OsStr>>(&self, program: &str, args: &[A]) -> Result<(), ToolError> {
        let mut command: Vec<OsString> = vec![tool(program)?.into()];
        command.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        let wrapped = self.inside(&command);
        let (program, args) =
            wrapped.split_first().ok_or_else(|| io::Error::other("nothing to run"))?;
        let output = Command::new(program).args(args).output()?;
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
