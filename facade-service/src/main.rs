//! Runs the facade.

use std::process::ExitCode;

fn main() -> ExitCode {
    oncelog::process::main(facade_service::run)
}
