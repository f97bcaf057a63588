//! `faultlab attack`: clients that abuse the ports of the services, beside well-behaved clients.
//!
//! Each attack meets services of its own with some log. What counts is how the well-behaved clients
//! are served meanwhile, what the attacked service uses, and when it drops its abusers.
//!
//! - [`abuse`]: how an attack is made; [`http`] and [`grpc`]: all of them
//! - [`clients`]: the well-behaved clients
//! - [`scenario`]: one or more attacks at once, measured

pub mod abuse;
pub mod clients;
pub mod grpc;
pub mod http;
pub mod scenario;
mod table;

use std::{io, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::{
    abuse::{Attack, arrival},
    scenario::Scenario,
    table::Table,
};
use super::{Goals, NotRun, show};
use crate::cluster::Programs;

/// How many files the services may have open when open files are scarce.
const FEW_FILES: u32 = 128;

/// Abusers that fill these files several times.
const MANY_FOR_FEW_FILES: usize = 400;

/// How long an attack lasts beyond the time after which its abusers are to be dropped.
const BEYOND: Duration = Duration::from_secs(5);

/// Which attacks, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only attacks whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// How long each attack lasts, in seconds, unless its abusers may stay longer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
}

/// Runs the attacks, and shows a line for each.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    raise_open_files()?;
    let programs = Programs::built()?;
    let time = Duration::from_secs(args.seconds);
    let mut table = Table::default();
    show(&Table::head());
    for (name, scenario) in scenarios(time) {
        if name.contains(&args.only) {
            let finding = scenario.run(programs.clone()).await?;
            show(&table.add(name, finding));
        }
    }
    show(&"");
    Ok(table.goals())
}

fn scenarios(time: Duration) -> Vec<(&'static str, Scenario)> {
    let one = |attack: &Attack| {
        let within = attack.dropped_within.unwrap_or_default() + BEYOND;
        let time = time.max(within).max(arrival(attack.abusers) * 2);
        let attacks = vec![(*attack, attack.abusers)];
        (attack.name, Scenario { attacks, time, open_files: None })
    };
    let mut all: Vec<_> = http::ATTACKS.iter().chain(grpc::ATTACKS).map(one).collect();
    let idlers = [http::IDLE, grpc::IDLE].map(|attack| (attack, MANY_FOR_FEW_FILES));
    let few_files = Scenario { attacks: idlers.into(), time, open_files: Some(FEW_FILES) };
    all.push(("both: 800 connections for 128 files", few_files));
    all
}

/// An abuser with thousands of connections needs as many files.
///
/// # Errors
/// The operating system refused to raise the limit to its maximum.
pub fn raise_open_files() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
