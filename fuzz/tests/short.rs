//! Every input that is kept, and for a while random changes of them.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // These are tests; helpers are not marked so.

use std::{
    fs,
    panic::catch_unwind,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use oncelog_fuzz::{TARGETS, Target, mutate::mutate, target};

/// For random changes of one target's corpus. All targets together take seven times as long.
const DURATION: Duration = Duration::from_millis(1200);

/// How many, at most: the same for the same seed, unless the machine is slow.
const CASES_MAX: u64 = 20_000;

/// No case takes this long, unless it never ends.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);

/// The memory of a case can be measured only if it runs alone.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The inputs of a target with their names, in order of these.
fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut inputs: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} has no corpus", target.name);
    inputs
}

/// An input and what it is called.
type Case = (String, Vec<u8>);

/// Keeps `case` for a person to look at.
fn keep(target: Target, (what, input): &Case, problem: &str) -> String {
    let file = std::env::temp_dir().join(format!("oncelog-fuzz-{}", target.name));
    fs::write(&file, input).unwrap();
    format!("{} {problem} {what}; the input is in {}", target.name, file.display())
}

/// Runs the kept inputs and random ones, one by one, and tells of each before it begins.
fn run_all(target: Target, seed: u64, begins: &mpsc::Sender<Case>) -> Result<u64, Case> {
    let corpus = corpus(target);
    let run = |what: &str, input: &[u8]| {
        let case: Case = (what.to_owned(), input.to_vec());
        begins.send(case.clone()).unwrap();
        catch_unwind(|| (target.run)(input)).map_err(|_| case)
    };
    for (file, input) in &corpus {
        run(file, input)?;
    }
    let mut rng = Rng::with_seed(seed);
    let (begun, mut cases) = (Instant::now(), 0);
    while begun.elapsed() < DURATION && cases < CASES_MAX {
        let [input, other] = [(); 2].map(|()| &corpus[rng.usize(0..corpus.len())].1);
        let changed = mutate(&mut rng, input, other);
        cases += 1;
        run(&format!("case {cases} of FUZZ_SEED={seed}"), &changed)?;
    }
    Ok(cases)
}

fn fuzz(name: &str) {
    let _alone = alone();
    let target = target(name).unwrap();
    let seed = std::env::var("FUZZ_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (begins, begun) = mpsc::channel();
    let running = thread::spawn(move || run_all(target, seed, &begins));
    let mut last = Case::default();
    loop {
        match begun.recv_timeout(CASE_TIMEOUT) {
            Ok(case) => last = case,
            Err(RecvTimeoutError::Timeout) => panic!("{}", keep(target, &last, "hangs in")),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match running.join().unwrap() {
        Ok(cases) => println!("{name}: {cases} random inputs, FUZZ_SEED={seed}"),
        Err(case) => panic!("{}", keep(target, &case, "breaks a promise in")),
    }
}

#[test]
fn files_of_any_content_are_recovered_or_refused() {
    fuzz("journal_bytes");
}

#[test]
fn a_changed_journal_returns_what_was_stored_or_names_damage() {
    fuzz("journal_edits");
}

#[test]
fn a_grpc_message_of_any_bytes_is_taken_by_the_rules_or_refused() {
    fuzz("wire");
}

#[test]
fn a_post_of_any_bytes_stores_its_one_text_or_nothing() {
    fuzz("post");
}

#[test]
fn each_line_of_any_upload_is_stored_or_refused_by_itself() {
    fuzz("batch");
}

#[test]
fn a_get_of_any_path_and_query_is_understood_or_refused() {
    fuzz("get");
}

#[test]
fn a_setting_of_any_text_is_in_its_bounds_or_refused() {
    fuzz("settings");
}

#[test]
fn the_corpus_is_small_and_belongs_to_targets_that_exist() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(target(&name).is_some(), "no target is called {name}");
    }
    let bytes: usize =
        TARGETS.iter().flat_map(|target| corpus(*target)).map(|(_, input)| input.len()).sum();
    assert!(bytes < 200 * 1024, "{bytes} bytes");
}
