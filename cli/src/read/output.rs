//! Whether standard output is still open.

use std::{io, thread};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled once the pipe, socket or terminal behind standard output is closed: without it
/// only the next write would tell. It is never cancelled for a file, nor where the system cannot tell.
///
/// # Errors
/// The operating system refused a thread.
pub(super) fn closed() -> io::Result<CancellationToken> {
    let closed = CancellationToken::new();
    let cancel = closed.clone();
    // It ends with the process: an event loop could watch pipes, but no files.
    thread::Builder::new().name("stdout-closed".to_owned()).spawn(move || {
        if wait_until_closed() {
            cancel.cancel();
        }
    })?;
    Ok(closed)
}

fn wait_until_closed() -> bool {
    let stdout = io::stdout();
    // Nothing is asked for: errors and a hang-up are always reported.
    let mut output = [PollFd::new(&stdout, PollFlags::empty())];
    while poll(&mut output, None) == Err(Errno::INTR) {}
    output[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}
