//! Runs the logging service.

use std::process::ExitCode;

fn main() -> ExitCode {
    oncelog::process::main(logging_service::run)
}
