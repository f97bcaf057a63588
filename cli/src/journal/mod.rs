//! `oncelog journal`: checks and repairs the files of a journal that no service has open.

mod confirm;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};
use logging_service::store::journal::{
    InspectError, Options, Progress,
    disk::{ReadOnlyDisk, RealDisk},
    repair::{self, RepairError, RepairPlan},
    verify::verify,
};
use oncelog::{
    message::{IdSource as _, RandomIds},
    process::{
        exit::Exit,
        settings::{self, Checks, Setting, WrongSettings},
    },
};

use self::confirm::{Consent, ask};
use crate::terminal::print;

/// What to do where no journal is.
const NAME_IT: &str =
    "Name the data directory of a logging-service with --data-dir or LOGGING_DATA_DIR";

/// Looks after the journal on disk.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Read the whole journal and list all damage; changes nothing
    Verify(JournalArgs),
    /// Explain what can be kept of a damaged journal, and keep it
    Repair(RepairArgs),
}

/// Which journal.
#[derive(Debug, clap::Args)]
pub struct JournalArgs {
    /// Directory of the journal
    #[arg(long, env = "LOGGING_DATA_DIR", value_name = "DIR", default_value = "data/logging")]
    data_dir: Setting,
}

/// Which journal to repair.
#[derive(Debug, clap::Args)]
pub struct RepairArgs {
    #[command(flatten)]
    journal: JournalArgs,

    /// Repair without asking
    // No environment variable: consent is given for one repair, not for all.
    #[arg(long)]
    yes: bool,
}

/// Does what `command` says.
///
/// # Errors
/// The code to exit with: [`Exit::Damaged`] if the journal is, [`Exit::NoInput`] if there is none,
/// [`Exit::Locked`] if a service has it open, [`Exit::Disk`] if it cannot be read.
pub fn run(command: Command) -> Result<(), Exit> {
    match command {
        Command::Verify(args) => verify_journal(args),
        Command::Repair(args) => repair_journal(args),
    }
}

fn verify_journal(args: JournalArgs) -> Result<(), Exit> {
    let dir: PathBuf = settings::check(args)?;
    let disk = ReadOnlyDisk::open(&dir).map_err(|error| no_directory(&dir, &error))?;
    let report =
        with_bar(|progress| verify(&disk, progress)).map_err(|error| failed(&dir, error))?;
    print(&report)?;
    if report.is_sound() { Ok(()) } else { Err(Exit::Damaged) }
}

fn repair_journal(args: RepairArgs) -> Result<(), Exit> {
    let dir: PathBuf = settings::check(args.journal)?;
    // Never creates the directory: a mistyped one must not look like a sound, empty journal.
    let disk = RealDisk::open_existing(&dir).map_err(|error| no_directory(&dir, &error))?;
    let plan = with_bar(|progress| repair::plan(Arc::new(disk), progress))
        .map_err(|error| failed(&dir, error))?;
    print(&plan)?;
    if !plan.is_needed() {
        return Ok(());
    }
    let consent = if args.yes {
        Consent::Given
    } else {
        ask("Repair?").map_err(|error| Exit::Failure.because(error))?
    };
    match consent {
        Consent::Given => apply(plan),
        Consent::Refused => Err(Exit::Damaged.because("nothing was changed")),
        Consent::NoTerminal => {
            Err(Exit::Damaged.because("nothing was changed; --yes repairs without asking"))
        }
    }
}

fn apply(plan: RepairPlan) -> Result<(), Exit> {
    // No other repair has it, whatever the clock shows; and names go by time if the clock does.
    let backup_name = RandomIds.next_id().to_string();
    let repaired = with_bar(|progress| plan.apply(&backup_name, Options::default(), progress));
    let repaired = repaired.map_err(|error| {
        let exit = match &error {
            RepairError::BackupName(_) => Exit::Usage,
            RepairError::Write(_) | RepairError::Interrupted(_) => Exit::Disk,
            RepairError::Read(error) => error.exit(),
        };
        exit.because(error)
    })?;
    for (old, new) in &repaired.backups {
        print(format_args!("{old} is kept as {new}"))?;
    }
    print("The journal is repaired. logging-service can be started.")
}

impl TryFrom<JournalArgs> for PathBuf {
    type Error = WrongSettings;

    fn try_from(args: JournalArgs) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let data_dir = checks.path(&args.data_dir);
        checks.finish(|| data_dir)
    }
}

fn no_directory(dir: &Path, error: &io::Error) -> Exit {
    use io::ErrorKind::{NotADirectory, NotFound};
    let is_none = [NotFound, NotADirectory].contains(&error.kind());
    let exit = if is_none { Exit::NoInput } else { Exit::Disk };
    exit.because(format_args!("cannot open {}: {error}. {NAME_IT}", dir.display()))
}

fn failed(dir: &Path, error: InspectError) -> Exit {
    let exit = error.exit();
    match error {
        InspectError::NoJournal => {
            exit.because(format_args!("{}: {error}. {NAME_IT}", dir.display()))
        }
        InspectError::Open(_) => exit.because(error),
    }
}

/// Does `work`, with a progress bar on standard error if that is a terminal.
fn with_bar<T>(work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = "{bar:40} {binary_bytes} of {binary_total_bytes}, {eta} left";
    let bar = match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    let done = work(&mut |progress: Progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.done_bytes);
    });
    bar.finish_and_clear();
    done
}
