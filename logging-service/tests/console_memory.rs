//! The memory of a console that is not read, in a process of its own, as it is measured.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    fs,
    io::{self, Write},
    sync::mpsc::{Receiver, channel},
};

use logging_service::console::{Bodies, Console};
use support::message;

/// The bound that the console promises.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Twice as many commits as are needed to fill it, by the content of their lines alone.
const COMMITS: usize = 1_000_000;

/// Writes nothing until it is let go.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The memory that this process has of the machine.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_stuck_console_keeps_its_bound_with_small_commits() {
    let (_let_go, held) = channel();
    let console = Console::start(Stuck(held), Bodies::Shown).unwrap();
    let commit = [message(1, "msg")];
    let before = resident_bytes();
    (0..COMMITS).for_each(|_| console.show(&commit));
    let grown = resident_bytes() - before;
    let bound = WAITING_BYTES_MAX * 13 / 10;
    assert!(grown <= bound, "{grown} bytes, of {bound}");
}
