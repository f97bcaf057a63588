//! What a plan says to the person that decides about it.

use std::fmt;

use super::{RepairPlan, Rewrite, Task};
use crate::store::journal::{error::Damage, segment};

impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Task::Nothing { foreign } => {
                f.write_str("There is nothing to repair.")?;
                explain_foreign(f, foreign)
            }
            Task::Finish(_) => f.write_str(
                "An earlier repair was interrupted after all new files were written. It will be \
                 finished.",
            ),
            Task::Rewrite(rewrite) => rewrite.explain(f),
        }
    }
}

impl Rewrite {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damage {
            writeln!(f, "{damage}")?;
        }
        match self.from.first_sequence {
            ..=1 => f.write_str("The whole log will be written anew. ")?,
            from => write!(
                f,
                "Segments before {} stay as they are. From there on the log will be written anew. ",
                segment::name(from)
            )?,
        }
        writeln!(
            f,
            "The old files are kept, under names that end in the name of the backup. {} records of \
             them are readable and keep their sequences, ids, bodies and times.",
            self.kept_records
        )?;
        let lost: u64 = self.lost.iter().map(|range| range.end() - range.start() + 1).sum();
        if lost == 0 {
            f.write_str("No record is known to be lost.")?;
        } else {
            let ranges = self.lost.iter().map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first} to {last}"),
            });
            let records = if lost == 1 { "1 record is" } else { &format!("{lost} records are") };
            write!(
                f,
                "{records} lost, with sequences {}. These sequences are never used again. \
                 The ids of lost records are unknown: if a client sends one of them again, it is \
                 stored as new.",
                ranges.collect::<Vec<_>>().join(", ")
            )?;
        }
        if self.approximate_times > 0 {
            write!(
                f,
                "\nThe times of {} records are unreadable: they get the time of the record before \
                 them.",
                self.approximate_times
            )?;
        }
        if self.unfinished_end {
            f.write_str("\nAn unfinished write at the end is dropped. It was never acknowledged.")?;
        }
        explain_foreign(f, &self.foreign)
    }
}

fn explain_foreign(f: &mut fmt::Formatter<'_>, foreign: &[Damage]) -> fmt::Result {
    for Damage { file, .. } in foreign {
        write!(
            f,
            "\n{file:?} is not a file of this journal and keeps it from being opened: move it away."
        )?;
    }
    Ok(())
}
