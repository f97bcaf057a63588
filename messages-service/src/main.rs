//! Runs the messages service.

use std::process::ExitCode;

fn main() -> ExitCode {
    oncelog::process::main(messages_service::run)
}
