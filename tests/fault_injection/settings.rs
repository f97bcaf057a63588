//! Variables that are empty, and settings of which several are wrong.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    process::{Command, Output},
};

use faultlab::{
    processes::{Group, Process},
    programs::Program,
};

use crate::support::Scratch;

const SERVICES: [Program; 3] = [Program::Facade, Program::Logging, Program::Messages];

/// Variables of every program.
const COMMON: [&str; 2] = ["RUST_LOG", "TOKIO_WORKER_THREADS"];

/// Runs `program` with these variables alone.
fn run(program: Program, variables: &[(&str, &OsStr)], args: &[&str]) -> Output {
    let mut command = Command::new(program.path().unwrap());
    command.env_clear().envs(variables.iter().copied()).args(args).output().unwrap()
}

/// What is wrong with the settings, a line for each.
fn problems(output: &Output) -> Vec<String> {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(64), "{errors}");
    let mut lines = errors.lines();
    assert_eq!(lines.next(), Some("wrong settings:"), "{errors}");
    let lines: Vec<_> = lines.map(str::trim).map(str::to_owned).collect();
    assert_eq!(lines.last().map(String::as_str), Some("--help explains every setting"), "{errors}");
    lines[..lines.len() - 1].to_vec()
}

/// The variables that `--help` names.
fn variables(program: Program) -> Vec<String> {
    let help = run(program, &[], &["--help"]).stdout;
    let help = String::from_utf8(help).unwrap();
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    named.map(str::to_owned).collect()
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    for (program, wrong) in SERVICES.into_iter().zip(["--total-timeout", "--store", "--listen"]) {
        let names = variables(program);
        assert!(!names.is_empty(), "{program:?}");
        let names = names.iter().map(String::as_str).chain(COMMON);
        let empty: Vec<_> = names.map(|name| (name, OsStr::new(""))).collect();
        // The one value that is wrong is told, and none of the empty ones.
        let told = problems(&run(program, &empty, &[wrong, "?"]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("{wrong} \"?\": ")), "{told:?}");
        // They are named by help all the same.
        let help = String::from_utf8(run(program, &empty, &["--help"]).stdout).unwrap();
        let named = |name: &&str| help.contains(&format!("[env: {name}=]"));
        let missing = empty.iter().map(|(name, _)| *name).filter(|name| !COMMON.contains(name));
        assert_eq!(missing.filter(|name| !named(name)).collect::<Vec<_>>(), [""; 0], "{help}");
    }
}

#[tokio::test]
async fn an_empty_filter_of_log_lines_hides_none() {
    let scratch = Scratch::new("empty-filter");
    for program in SERVICES {
        let mut command: Vec<OsString> = vec!["/usr/bin/env".into()];
        command.extend(COMMON.map(|name| format!("{name}=").into()));
        command.push(program.path().unwrap().into());
        command.extend(["--listen", "127.0.0.1:0"].map(Into::into));
        if program == Program::Logging {
            command.extend(["--store", "memory"].map(Into::into));
        }
        let started = Process::start(program.name(), command, scratch.path(), Group::Shared);
        let (mut service, _) = started.await.unwrap();
        assert_eq!(service.stop().await.unwrap(), Some(0));
        assert_eq!(service.stderr_with("stopping").len(), 1, "{:?}", service.stderr());
    }
}

#[test]
fn all_that_is_wrong_is_named_by_flag_or_variable() {
    let variables: [(&str, &OsStr); 5] = [
        ("FACADE_LISTEN", OsStr::new("localhost:5000")),
        ("LOGGING_URL", OsStr::from_bytes(b"http://\xff:1")),
        ("MESSAGES_URL", OsStr::new("https://messages:1")),
        ("FACADE_ATTEMPT_TIMEOUT", OsStr::new("1h")),
        ("TOKIO_WORKER_THREADS", OsStr::new("many")),
    ];
    let told = problems(&run(Program::Facade, &variables, &["--total-timeout", "-1s"]));
    let expected = [
        "FACADE_LISTEN \"localhost:5000\": write an IP address and a port: 127.0.0.1:5000 ",
        "LOGGING_URL \"http://\\xFF:1\": is not text",
        "MESSAGES_URL \"https://messages:1\": write http://host:port",
        "--total-timeout \"-1s\": must not be negative; write 2s",
        "TOKIO_WORKER_THREADS \"many\": write a whole number from 1 to 1024",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}: {told:#?}");
    }
    // A relation between a variable and a flag.
    let variables = [("FACADE_ATTEMPT_TIMEOUT", OsStr::new("3s"))];
    let told = problems(&run(Program::Facade, &variables, &["--total-timeout=3s"]));
    let expected = "FACADE_ATTEMPT_TIMEOUT \"3s\": must be shorter than --total-timeout \"3s\"";
    assert_eq!(told, [expected]);
    // A flag wins over its variable.
    let told = problems(&run(
        Program::Messages,
        &[("MESSAGES_LISTEN", OsStr::new("x"))],
        &["--listen", ":5002"],
    ));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("--listen \":5002\": ") && told[0].contains(" 0.0.0.0:5002 "));
}

#[test]
fn a_variable_of_any_bytes_is_one_problem_among_the_others() {
    let any = OsString::from(OsStr::from_bytes(b"\xff"));
    for program in SERVICES {
        let names = variables(program);
        let set: Vec<_> = names.iter().map(|name| (name.as_str(), any.as_os_str())).collect();
        let told = problems(&run(program, &set, &[]));
        // A directory may have any name, and what is no word for off is on.
        let fine = ["LOGGING_DATA_DIR", "LOGGING_HIDE_BODIES"];
        for name in names.iter().filter(|name| !fine.contains(&name.as_str())) {
            let line = format!("{name} \"\\xFF\": is not text; write it in UTF-8");
            assert!(told.contains(&line), "{name}: {told:?}");
        }
    }
}
