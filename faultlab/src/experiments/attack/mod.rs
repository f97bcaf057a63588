//! `faultlab attack`: clients that abuse the ports of the services, beside clients that behave.
//!
//! Each attack meets services of its own with some log. What counts is how the clients that behave
//! are served meanwhile, what the attacked service takes, and when it lets go of its abusers.
//!
//! - [`abuse`]: how an attack is made; [`http`] and [`grpc`]: all of them
//! - [`good`]: the clients that behave
//! - [`victims`], [`usage`]: the services, and what they take
//! - [`assault`]: one or more attacks at once, measured

pub mod abuse;
pub mod assault;
pub mod good;
pub mod grpc;
pub mod http;
mod table;
pub mod usage;
pub mod victims;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::{
    abuse::{Attack, arrival},
    assault::Assault,
    table::Table,
};
use crate::cluster::Programs;

/// How many files the services may have open when that is what they are short of.
const FEW_FILES: u32 = 128;

/// Abusers that fill these files several times.
const MANY_FOR_FEW_FILES: usize = 400;

/// How long abusers who are to be dropped are waited for, beyond the time they have.
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

/// Runs the attacks, a line each, and then the goals. 0: all reached, 1: one missed, 2: it could not
/// run here.
pub async fn run(args: &Args) -> ExitCode {
    match measure(args).await {
        Ok(table) => {
            let goals = table.goals();
            // Without anybody to read it, the code still says it.
            let _ = write!(io::stdout(), "\n{goals}");
            u8::from(!goals.reached()).into()
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "attack: {error}");
            2.into()
        }
    }
}

async fn measure(args: &Args) -> io::Result<Table> {
    raise_open_files()?;
    let programs = Programs::built()?;
    let time = Duration::from_secs(args.seconds);
    let mut table = Table::default();
    let say = |line: String| writeln!(io::stdout(), "{line}");
    say(Table::head())?;
    for (name, assault) in assaults(time) {
        if name.contains(&args.only) {
            let finding = assault.run(programs.clone()).await?;
            say(table.add(name, finding))?;
        }
    }
    Ok(table)
}

fn assaults(time: Duration) -> Vec<(&'static str, Assault)> {
    let one = |attack: &Attack| {
        let within = attack.dropped_within.unwrap_or_default() + BEYOND;
        let time = time.max(within).max(arrival(attack.abusers) * 2);
        let attacks = vec![(*attack, attack.abusers)];
        (attack.name, Assault { attacks, time, open_files: None })
    };
    let mut all: Vec<_> = http::ATTACKS.iter().chain(grpc::ATTACKS).map(one).collect();
    let idlers = [http::IDLE, grpc::IDLE].map(|attack| (attack, MANY_FOR_FEW_FILES));
    let few_files = Assault { attacks: idlers.into(), time, open_files: Some(FEW_FILES) };
    all.push(("both: 800 connections for 128 files", few_files));
    all
}

/// An abuser with thousands of connections needs as many files.
///
/// # Errors
/// The operating system refused what it grants anybody.
pub fn raise_open_files() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
