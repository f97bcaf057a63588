//! What is said about speed is what was measured: pictures and tables follow from the kept figures.

use std::{env, process::Command};

use crate::tree::root;

/// Runs a script of this repository, which says by its exit code whether all is well. A machine
/// without Python passes, unless it is CI's.
#[track_caller]
fn python(script: &str, flag: &str) {
    let mut command = Command::new("python3");
    command.arg(root().join(script)).arg(flag).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if env::var_os("CI").is_some() => panic!("python3 is needed in CI: {error}"),
        Err(_) => return,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "python3 {script} {flag}: {said}");
}

#[test]
fn plots_and_tables_are_what_the_figures_say() {
    python("benches/plots.py", "--check");
}

#[test]
fn diagrams_are_what_their_sources_say() {
    python("media/render.py", "--check");
}

#[test]
fn every_part_of_the_measurements_can_be_loaded() {
    python("benches/measure.py", "--help");
}
