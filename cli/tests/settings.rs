//! Flags and variables of the commands: empty, wrong, and several of them.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{fs::OpenOptions, io, process::Output};

use support::{cluster::Cluster, oncelog, run, stderr, stdout};

/// Each command with a setting that is wrong, by flag.
const COMMANDS: [&[&str]; 5] = [
    &["up", "--store", "tape"],
    &["send", "--url", "x"],
    &["read", "--format", "x"],
    &["bench", "--rate", "-1"],
    &["prove", "--seed", "x"],
];

fn with_variables(args: &[&str], variables: &[(&str, &str)]) -> Output {
    oncelog().args(args).envs(variables.iter().copied()).output().unwrap()
}

/// The variables that help of any command names, and those of every program.
fn variables() -> Vec<String> {
    let commands = COMMANDS.map(|args| args[0]);
    let help = commands.map(|command| stdout(&run(&[command, "--help"]))).join("");
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    named.chain(["RUST_LOG", "TOKIO_WORKER_THREADS", "TMPDIR"]).map(str::to_owned).collect()
}

fn problems(output: &Output) -> Vec<String> {
    let errors = stderr(output);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    let told = errors.strip_prefix("wrong settings:\n");
    let told = told.and_then(|told| told.strip_suffix("--help explains every setting\n"));
    let told = told.unwrap_or_else(|| panic!("{errors}"));
    told.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn an_empty_variable_is_an_unset_one_for_every_command() {
    let names = variables();
    assert!(names.len() > 10, "{names:?}");
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    for args in COMMANDS {
        let told = problems(&with_variables(args, &empty));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("{} {:?}: ", args[1], args[2])), "{told:?}");
    }
    // The default of its variable is looked for.
    let dir = tempfile::tempdir().unwrap();
    let mut verify = oncelog();
    verify.args(["journal", "verify"]).env("LOGGING_DATA_DIR", "").current_dir(dir.path());
    let verified = verify.output().unwrap();
    assert!(stderr(&verified).contains("cannot open data/logging"), "{}", stderr(&verified));
}

#[test]
fn commands_work_with_variables_that_are_empty() {
    let cluster = Cluster::start(&["--store", "memory"]);
    let names = variables();
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let sent = with_variables(&["send", "--url", &cluster.facade, "hello"], &empty);
    assert!(sent.status.success(), "{}", stderr(&sent));
    assert!(stdout(&sent).starts_with("1 "), "{}", stdout(&sent));
    let read = with_variables(&["read", "--logging-url", &cluster.logging], &empty);
    assert_eq!(stdout(&read), "hello\n", "{}", stderr(&read));
}

const THREADS: (&str, &str) = ("TOKIO_WORKER_THREADS", "0");

/// Arguments, variables, and the beginning of each problem.
type Case =
    (&'static [&'static str], &'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn everything_wrong_is_named_by_flag_or_variable_in_one_run() {
    let cases: [Case; 6] = [
        (
            &["up", "--facade-listen", ":5000", "--store", "tape", "--data-dir="],
            &[
                ("LOGGING_LISTEN", "localhost:5001"),
                ("MESSAGES_LISTEN", "5002"),
                ("FACADE_TOTAL_TIMEOUT", "soon"),
                ("LOGGING_SEGMENT_SIZE", "1"),
                THREADS,
            ],
            &[
                "--facade-listen \":5000\": write an IP address and a port: 127.0.0.1:5000 ",
                "LOGGING_LISTEN \"localhost:5001\": write an IP address and a port: 127.0.0.1:5001 ",
                "MESSAGES_LISTEN \"5002\": ",
                "--store \"tape\": write journal or memory",
                "--data-dir \"\": write the name",
                "FACADE_TOTAL_TIMEOUT \"soon\": ",
                "LOGGING_SEGMENT_SIZE \"1\": must be ",
                "TOKIO_WORKER_THREADS \"0\": write a whole number from 1 ",
            ],
        ),
        (
            &["send", "--key-prefix", "p", "--key", "é", ""],
            &[("FACADE_URL", "facade:5000"), THREADS],
            &["FACADE_URL ", "--key-prefix \"p\": ", "--key \"é\": ", "MESSAGE \"\": ", "TOKIO_"],
        ),
        (
            &["read", "--after", "-1", "-n", "-2", "--stream="],
            &[("LOGGING_URL", "x"), ("ONCELOG_FORMAT", "xml"), THREADS],
            &[
                "--after \"-1\": write a whole number from 0 ",
                "--limit \"-2\": write a whole number from 0 ",
                "--stream \"\": ",
                "ONCELOG_FORMAT \"xml\": write text or ndjson",
                "LOGGING_URL \"x\": ",
                "TOKIO_",
            ],
        ),
        (
            &["bench", "--connections", "0", "--duration", "-1s", "--warmup=2h", "--size", "-5"],
            &[("FACADE_URL", "facade:5000"), THREADS],
            &[
                "FACADE_URL ",
                "--connections \"0\": write a whole number from 1 ",
                "--duration \"-1s\": must not be negative",
                "--warmup \"2h\": must be at most 1h",
                "--size \"-5\": ",
                "TOKIO_",
            ],
        ),
        (
            &["prove", "--seed", "-1", "--clients=0", "--rate", "-1", "--target", "x", "--dir=d"],
            &[THREADS],
            &["--seed ", "--clients ", "--rate ", "--target ", "--dir \"d\": ", "TOKIO_"],
        ),
        (
            &["prove", "--keep", "k", "--dir", "d", "--faults", "fire,kill,flood", "--report="],
            &[],
            &["--keep ", "--faults \"fire\": ", "--faults \"flood\": ", "--report \"\": "],
        ),
    ];
    for (args, variables, expected) in cases {
        let told = problems(&with_variables(args, variables));
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for expected in expected {
            assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}: {told:#?}");
        }
    }
}

#[test]
fn help_that_cannot_be_printed_is_an_error_of_its_own() {
    for args in [&["--help"][..], &["--version"], &["read", "--help"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = oncelog().args(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{args:?}");
        let told = stderr(&output);
        assert!(told.starts_with("cannot write to standard output: No space left"), "{told}");
        let (reader, closed) = io::pipe().unwrap();
        drop(reader);
        let output = oncelog().args(args).stdout(closed).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{args:?}");
    }
}
