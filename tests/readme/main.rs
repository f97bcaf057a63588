//! Does what README.md tells a newcomer to do, and compares what it shows.
//!
//! How README.md is read:
//!
//! - A block marked `sh` holds commands, one a line. Each is run, in a directory of its own, on the
//!   ports the README names, and must succeed. A command this test does not know is a failure.
//! - A block marked `json` or `text` right after it is what its last command prints. `…` stands for
//!   anything within a line.
//! - A block marked `console` holds both: `$ command`, then what it prints.
//! - `cargo up` and `cargo run -p <service>` start what they name and leave it running; the next
//!   command that needs it waits until it is ready. To keep the process in hand, the test runs the
//!   program that Cargo would run, built with the profile of this test.
//! - A comment tells what the prose asks a person to do:
//!   `<!-- readme: stop logging-service -->`, `<!-- readme: start logging-service -->`,
//!   `<!-- readme: do not wait -->` before a block whose command answers later (at the next `start`),
//!   `<!-- readme: on the console of facade-service -->` before a block whose lines appear there,
//!   with anything before and after them, and with other delays.
//! - Blocks with any other mark, or none, are for people alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod pattern;
mod runner;
mod script;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path};

use self::{runner::Runner, script::Step};

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_readme_does_what_it_shows() {
    let steps = script::parse(&document("README.md"));
    let commands = steps.iter().filter(|step| matches!(step, Step::Command { .. })).count();
    assert!(commands >= 5, "the README shows {commands} commands only");
    let mut runner = Runner::new();
    for step in &steps {
        runner.run(step).await;
    }
    runner.stop_all().await;
}

/// The rows of `docs/problems.md` are the kinds of failures in the code, in the same order.
#[test]
fn the_problems_are_those_of_the_code() {
    let text = document("docs/problems.md");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |problem: &facade_service::ProblemType| {
        format!("| `{}` | {} | {} |", problem.code, problem.status.as_u16(), problem.title)
    };
    let expected: Vec<_> = facade_service::PROBLEM_TYPES.iter().map(row).collect();
    assert_eq!(rows, expected);
}
