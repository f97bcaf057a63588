//! Runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    oncelog_cli::main()
}
