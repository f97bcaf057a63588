//! The services and their clients in one process, on a simulated network, clock and disk, out of one
//! seed: a run that goes wrong goes wrong again.
//!
//! - `seed`, `events`: where random numbers come from, and what happened when
//! - `sockets`, `network`, `machines`: the real services on simulated machines
//! - `client`: clients over HTTP; what they do and write down is `faultlab`'s
//! - `links`, `outages`, `nemesis`: what goes wrong
//! - `panics`: none goes unnoticed
//! - `run`, `sweep`: one seed, and many; the checker is that of `faultlab`
//! - `partitions`: how soon a cut connection is noticed, and how soon it is forgotten
//!
//! `ONCELOG_SEEDS=10000 cargo test --release --test simulation seeds -- --nocapture` runs 10,000
//! seeds, `ONCELOG_SEED=17` only that one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod client;
mod events;
mod links;
mod machines;
mod nemesis;
mod network;
mod outages;
mod panics;
mod partitions;
mod run;
mod seed;
mod sockets;
mod sweep;

use std::time::Instant;

use self::{
    run::run,
    sweep::{history_lines, keep, seeds, sweep},
};

/// Kinds of faults: six on each kind of link, four of the logging service, three of its disk, two of
/// the facades.
const FAULTS: usize = 21;

#[test]
fn seeds_of_faults_break_no_promise() {
    let seeds = seeds();
    let single = seeds.end - seeds.start == 1;
    let started = Instant::now();
    let total = sweep(seeds.clone());
    println!("{total:#?}\n{:?}", started.elapsed());
    if single {
        let run = run(seeds.start);
        println!("{}kept: {}", run.events.text(), keep(&run).display());
    }
    assert!(total.failures.is_empty(), "{}", total.failures.join("\n"));
    if !single {
        assert!(total.unknown > 0 && total.absorbed > 0, "nothing was shown: {total:#?}");
        assert!(total.faults.len() == FAULTS || total.runs < 100, "a fault is missing: {total:#?}");
    }
}

/// A seed is run twice here, so only one of so many is.
const ONE_IN: u64 = 50;

#[test]
fn a_seed_gives_the_same_history_again_and_another_seed_another() {
    let mut seen = Vec::new();
    for seed in 0..seeds().end.div_ceil(ONE_IN) {
        let (one, same) = (run(seed), run(seed));
        assert_eq!(one.events.text(), same.events.text(), "seed {seed}");
        let lines = history_lines(&one);
        assert_eq!(
            String::from_utf8(lines.clone()).unwrap(),
            String::from_utf8(history_lines(&same)).unwrap(),
            "seed {seed}"
        );
        assert!(!seen.contains(&lines), "seed {seed} gives the history of another one");
        seen.push(lines);
    }
}
