//! The result of a run, as a table for a terminal and as a page for a browser.
//!
//! - [`Report`]: the conclusion and the figures
//! - `recovery`: how soon messages were stored again
//! - `timeline`, `page`: the picture, and the page around it

mod page;
mod recovery;
mod timeline;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    time::Duration,
};

use crate::{
    checker::{Account, Invariant, Promise, Scope, Verdict, Violation, verdict},
    history::{History, Peak, Record},
    nemesis::{Done, Fault},
    resources::Resource,
};

use self::recovery::{Recovery, is_freeze, is_kill_of_logging, is_partition};

/// Violations that are shown one by one.
const SHOWN_MAX: usize = 10;

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// What the workload and the faults follow from.
    pub seed: u64,
    /// How long there were faults.
    pub duration: Duration,
    /// Clients that posted.
    pub clients: usize,
    /// The services whose promises are checked.
    pub subject: Subject,
}

/// The services whose promises a run checks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Subject {
    /// Those of services that were started for it, and could be harmed. `store` kept the messages.
    Private { store: String },
    /// Those of a deployment that others use, too. Only messages of the run are checked.
    Running { url: String },
}

/// The conclusion from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// All promises were kept, though they could have been broken.
    Kept,
    /// A promise was broken.
    Broken,
    /// Nothing was broken, but nothing was tested: no repeat, or, among private services, no fault or
    /// no unknown outcome.
    Vacuous,
}

/// A checked run.
#[derive(Debug, Clone)]
pub struct Report {
    parameters: Parameters,
    account: Account,
    violations: Vec<Violation>,
    faults: Vec<Done>,
    timeline: timeline::Timeline,
    slowest: Duration,
    reads: usize,
    peaks: Vec<Peak>,
}

impl Report {
    /// Checks `history` by the whole `log` as it is in the end, or by the part of it that the run
    /// stored in a running deployment. `others` are violations that only the run itself could see.
    #[must_use]
    pub fn new(
        parameters: Parameters,
        history: &History,
        log: &[Record],
        faults: Vec<Done>,
        others: Vec<Violation>,
    ) -> Self {
        let scope = match &parameters.subject {
            Subject::Private { .. } => Scope::WholeLog,
            Subject::Running { .. } => Scope::OwnRecords,
        };
        let Verdict { account, mut violations } = verdict(history, log, scope);
        for other in others {
            if !violations.contains(&other) {
                violations.push(other);
            }
        }
        let slowest = history.attempts.iter().map(|attempt| attempt.ended - attempt.invoked).max();
        Self {
            account,
            violations,
            timeline: timeline::Timeline::new(history, parameters.duration),
            slowest: Duration::from_micros(slowest.unwrap_or(0)),
            reads: history.reads.len(),
            peaks: history.peaks.clone(),
            faults,
            parameters,
        }
    }

    /// The conclusion from the run.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        if self.violations.iter().any(|violation| !violation.is_vacuous()) {
            Conclusion::Broken
        } else if self.lacks_faults() || !self.violations.is_empty() {
            Conclusion::Vacuous
        } else {
            Conclusion::Kept
        }
    }

    const fn lacks_faults(&self) -> bool {
        matches!(self.parameters.subject, Subject::Private { .. }) && self.faults.is_empty()
    }

    /// A page that needs nothing beside itself.
    #[must_use]
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// The figures, each with its name.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let Account { acknowledged, uncertain, resolved, unknown_stored, .. } = self.account;
        let by_reading = unknown_stored + self.account.unknown_absent;
        let broken = |promise| number(self.broken(promise));
        let mut rows = vec![
            ("messages posted", number(self.account.messages)),
            ("acknowledged", number(acknowledged)),
            ("outcome unknown at first", number(uncertain)),
            ("  resolved by repeating", number(resolved)),
            ("  resolved by reading", number(by_reading)),
            ("    of these found stored", number(unknown_stored)),
            ("stored", number(self.account.stored)),
            ("lost", number(self.lost())),
            ("doubled", broken(Promise::NothingDoubled)),
            ("reordered", broken(Promise::NothingReordered)),
            ("untrue or missing answers", broken(Promise::HonestAnswers)),
            ("repeats absorbed", number(self.account.absorbed)),
            ("other messages refused", number(self.account.conflicts)),
            ("attempts surely not stored", number(self.account.not_stored)),
            ("reads of the log", number(self.reads)),
        ];
        rows.extend(self.rows_about_faults());
        rows.extend([
            ("longest outage", seconds(self.timeline.longest_outage())),
            ("slowest answer", seconds(self.slowest)),
            ("clients", number(self.parameters.clients)),
            match &self.parameters.subject {
                Subject::Private { store } => ("store", store.clone()),
                Subject::Running { url } => ("target", url.clone()),
            },
            ("duration", seconds(self.parameters.duration)),
            ("seed", self.parameters.seed.to_string()),
        ]);
        rows.extend(self.uses());
        rows
    }

    /// What the services used at most, of each thing.
    fn uses(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        for resource in Resource::ALL {
            let (name, title) = resource.names();
            let of = self.peaks.iter().filter(|peak| peak.what == name);
            let uses: Vec<String> =
                of.map(|peak| format!("{} {}", peak.service, resource.show(peak.found))).collect();
            if !uses.is_empty() {
                rows.push((title, uses.join(", ")));
            }
        }
        if !self.peaks.is_empty() {
            rows.push(("above their cap", number(self.broken(Promise::Bounded))));
        }
        rows
    }

    fn rows_about_faults(&self) -> Vec<(&'static str, String)> {
        if matches!(self.parameters.subject, Subject::Running { .. }) {
            return Vec::new();
        }
        let kinds =
            if self.faults.is_empty() { String::new() } else { format!(" ({})", self.kinds()) };
        let after = |wanted: fn(&Done) -> bool| {
            Recovery::new(&self.timeline.receipts, &self.faults, wanted).to_string()
        };
        vec![
            ("faults", number(self.faults.len()) + &kinds),
            ("first receipt after a kill", after(is_kill_of_logging)),
            ("  after a freeze", after(is_freeze)),
            ("  after a partition", after(is_partition)),
        ]
    }

    /// Messages, however often each was missed.
    fn lost(&self) -> usize {
        let mut lost = BTreeSet::new();
        for violation in &self.violations {
            if let Violation::Lost { message, .. }
            | Violation::Altered { acknowledged: message, .. } = violation
            {
                lost.insert(message);
            }
        }
        lost.len()
    }

    fn broken(&self, promise: Promise) -> usize {
        self.violations.iter().filter(|violation| violation.promise() == promise).count()
    }

    fn kinds(&self) -> String {
        let mut kinds: BTreeMap<Fault, usize> = BTreeMap::new();
        for done in &self.faults {
            *kinds.entry(done.fault).or_default() += 1;
        }
        let kinds = kinds.iter().map(|(fault, count)| format!("{fault} {count}"));
        kinds.collect::<Vec<_>>().join(", ")
    }

    fn headline(&self) -> &'static str {
        match self.conclusion() {
            Conclusion::Kept => "Every acknowledged message is stored exactly once, in order.",
            Conclusion::Broken => "A PROMISE WAS BROKEN.",
            Conclusion::Vacuous if matches!(self.parameters.subject, Subject::Running { .. }) => {
                "This run shows nothing: it needs repeats."
            }
            Conclusion::Vacuous => {
                "This run shows nothing: it needs faults, unknown outcomes and repeats."
            }
        }
    }

    /// What did not hold.
    #[must_use]
    pub fn broken_invariants(&self) -> BTreeSet<Invariant> {
        self.violations.iter().filter_map(Violation::invariant).collect()
    }

    fn details(&self) -> String {
        let mut text = String::new();
        for violation in self.violations.iter().take(SHOWN_MAX) {
            // Writing into memory cannot fail.
            let _ = writeln!(text, "{violation}");
        }
        let hidden = self.violations.len().saturating_sub(SHOWN_MAX);
        if hidden > 0 {
            let _ = writeln!(text, "and {} more", number(hidden));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "{name:<32}{value}")?;
        }
        write!(f, "\n{}", self.headline())?;
        if self.conclusion() == Conclusion::Broken {
            write!(f, "\n\n{}", self.details().trim_end())?;
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// `1234567` as `1,234,567`.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{Attempt, Outcome},
        nemesis::{Harm, Victim},
    };

    fn report(faults: usize, outcomes: &[Outcome], stored: usize) -> Report {
        let store = "journal".to_owned();
        report_of(Subject::Private { store }, faults, outcomes, (1..).take(stored))
    }

    fn report_of(
        subject: Subject,
        faults: usize,
        outcomes: &[Outcome],
        sequences: impl Iterator<Item = u64>,
    ) -> Report {
        let attempts = outcomes.iter().zip(0..).map(|(outcome, at)| Attempt {
            message: "a <b>".to_owned(),
            key: Some("k".to_owned()),
            invoked: at * 2000,
            ended: at * 2000 + 1000,
            outcome: outcome.clone(),
        });
        let history = History { attempts: attempts.collect(), ..History::default() };
        let record = |sequence| Record { sequence, uuid: "u".to_owned(), message: "a <b>".into() };
        let log: Vec<_> = sequences.map(record).collect();
        let (victim, harm, undone) = (Victim::Logging, Harm::Kill, 600);
        let (began, ended) = (500, 900_000);
        let fault = Done { fault: Fault::Kill, victim, harm, began, undone, ended };
        let parameters =
            Parameters { seed: 3, duration: Duration::from_secs(1), clients: 1, subject };
        Report::new(parameters, &history, &log, vec![fault; faults], Vec::new())
    }

    fn ok(replayed: bool) -> Outcome {
        Outcome::Acknowledged { uuid: "u".to_owned(), sequence: 1, replayed }
    }

    #[test]
    fn a_run_is_good_only_if_it_could_have_been_bad() {
        let good = [Outcome::Unknown, ok(true), ok(true)];
        assert_eq!(report(1, &good, 1).conclusion(), Conclusion::Kept);
        assert_eq!(report(0, &good, 1).conclusion(), Conclusion::Vacuous);
        assert_eq!(report(1, &good[1..], 1).conclusion(), Conclusion::Broken);
        assert_eq!(report(1, &[ok(false), ok(true)], 1).conclusion(), Conclusion::Vacuous);
        assert_eq!(report(1, &[Outcome::Unknown, ok(true)], 1).conclusion(), Conclusion::Vacuous);
        assert_eq!(report(1, &good, 0).conclusion(), Conclusion::Broken);
        assert_eq!(report(1, &good, 2).conclusion(), Conclusion::Broken);
    }

    #[test]
    fn a_shared_deployment_needs_no_faults_and_may_have_gaps() {
        let running = |outcomes: &[Outcome], sequences: &[u64]| {
            let subject = Subject::Running { url: "http://x".to_owned() };
            report_of(subject, 0, outcomes, sequences.iter().copied()).conclusion()
        };
        let told =
            |sequence, replayed| Outcome::Acknowledged { uuid: "u".to_owned(), sequence, replayed };
        assert_eq!(running(&[told(7, false), told(7, true)], &[7]), Conclusion::Kept);
        assert_eq!(running(&[told(7, false), told(7, true)], &[8]), Conclusion::Broken);
        assert_eq!(running(&[told(7, false), told(8, true)], &[7]), Conclusion::Broken);
        assert_eq!(running(&[told(7, false), told(7, true)], &[7, 9]), Conclusion::Broken);
        assert_eq!(running(&[told(7, false)], &[7]), Conclusion::Vacuous);
    }

    #[test]
    fn the_table_has_the_figures_and_the_page_is_whole_and_escaped() {
        let report = report(1, &[Outcome::Unknown, ok(true), ok(true)], 0);
        let table = report.to_string();
        for part in
            ["lost                            1\n", "faults                          1 (kill 1)"]
        {
            assert!(table.contains(part), "{table}");
        }
        assert!(table.contains("A PROMISE WAS BROKEN") && table.contains("Lost {"), "{table}");
        let page = report.html();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert!(page.contains("<svg") && page.contains("a &lt;b&gt;"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("src="), "{page}");
    }

    #[test]
    fn thousands_are_told_apart() {
        let texts = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
