//! A service that cannot do its work says why, ends with the right code and changes nothing.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use faultlab::{
    processes::{Group, Process},
    programs::Program,
};

use crate::support::{Scratch, eventually, restart_logging, start_cluster};

const DAMAGED: Option<i32> = Some(65);
const LOCKED: Option<i32> = Some(75);
const UNAVAILABLE: Option<i32> = Some(69);
const USAGE: Option<i32> = Some(64);

/// A program that cannot start ends within this time.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Every file below `directory` with its content, but for the lock: its owner may change.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("LOCK") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Starts `program` with its console lines in a new directory of `scratch`.
fn spawn<A: Into<OsString>>(
    scratch: &Scratch,
    program: Program,
    args: impl IntoIterator<Item = A>,
) -> Process {
    let mut command = vec![program.path().unwrap().into_os_string()];
    command.extend(args.into_iter().map(Into::into));
    let directory = tempfile::Builder::new().disable_cleanup(true).tempdir_in(scratch.path());
    Process::spawn(program.name(), command, directory.unwrap().path(), Group::Shared).unwrap()
}

/// Starts a logging service with its journal in `data_dir`.
fn logging_on(scratch: &Scratch, data_dir: &Path) -> Process {
    let args: [OsString; 4] =
        ["--listen".into(), "127.0.0.1:0".into(), "--data-dir".into(), data_dir.into()];
    spawn(scratch, Program::Logging, args)
}

/// The exit code of a program that ends by itself.
async fn exit_code(process: &mut Process) -> Option<i32> {
    process.ended(END_TIMEOUT).await.unwrap().expect("its end in time").code()
}

#[tokio::test]
async fn a_second_log_on_the_same_data_ends_and_changes_nothing() {
    let (scratch, cluster, client) = start_cluster("locked").await;
    client.post("mine", None).await.unwrap().expect(200);
    is_refused(&scratch, cluster.data_dir()).await;
    client.post("still mine", None).await.unwrap().expect(200);
}

/// Starts another service on `data_dir`, which must name it and end at once without any change.
async fn is_refused(scratch: &Scratch, data_dir: &Path) {
    // The owner may still be marking the end of its last batch.
    let before = settled_files(data_dir).await;
    let started = Instant::now();
    let mut second = logging_on(scratch, data_dir);
    assert_eq!(exit_code(&mut second).await, LOCKED, "{:?}", second.stderr());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    let name = data_dir.to_str().unwrap();
    assert_eq!(second.stderr_with(name).len(), 1, "{:?}", second.stderr());
    assert!(second.stdout().is_empty(), "{:?}", second.stdout());
    assert!(files(data_dir) == before, "the second service changed files");
}

#[tokio::test]
async fn another_path_to_the_same_data_is_the_same_data() {
    let (scratch, cluster, client) = start_cluster("locked-path").await;
    client.post("mine", None).await.unwrap().expect(200);
    let other_path = scratch.join("elsewhere");
    symlink(cluster.data_dir(), &other_path).unwrap();
    is_refused(&scratch, &other_path).await;
    client.post("still mine", None).await.unwrap().expect(200);
}

#[tokio::test]
async fn a_frozen_owner_keeps_its_data_and_a_killed_one_frees_it() {
    let (scratch, mut cluster, client) = start_cluster("frozen").await;
    client.post("mine", None).await.unwrap().expect(200);
    settled_files(cluster.data_dir()).await;
    cluster.logging.freeze().unwrap();
    is_refused(&scratch, cluster.data_dir()).await;
    cluster.logging.resume().unwrap();
    client.post("still mine", None).await.unwrap().expect(200);
    settled_files(cluster.data_dir()).await;

    cluster.logging.freeze().unwrap();
    is_refused(&scratch, cluster.data_dir()).await;
    cluster.logging.kill().unwrap();
    restart_logging(&mut cluster).await;
    assert_eq!(client.logs().await, ["mine", "still mine"]);
}

/// The files once two looks at them agree.
async fn settled_files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut last = files(directory);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = files(directory);
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("an idle service keeps writing to {}", directory.display());
}

#[tokio::test]
async fn a_killed_owner_frees_its_data() {
    let (scratch, mut cluster, client) = start_cluster("freed").await;
    client.post("kept", None).await.unwrap().expect(200);
    cluster.logging.kill().unwrap();
    let mut next = logging_on(&scratch, cluster.data_dir());
    eventually("a log that is opened", END_TIMEOUT, async || {
        next.stdout().iter().any(|line| line.starts_with("listening")).then_some(())
    })
    .await;
    assert_eq!(next.stop().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_taken_port_is_named_and_ends_every_service() {
    let scratch = Scratch::new("port-taken");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    for program in [Program::Facade, Program::Logging, Program::Messages] {
        let mut args: Vec<OsString> = vec!["--listen".into(), address.to_string().into()];
        if program == Program::Logging {
            args.extend(["--data-dir".into(), scratch.join("data").into()]);
        }
        let mut process = spawn(&scratch, program, args);
        assert_eq!(exit_code(&mut process).await, UNAVAILABLE, "{}", program.name());
        let lines = process.stderr_with(&format!("cannot listen on {address}: "));
        assert!(!lines.is_empty(), "{} does not name the address", program.name());
    }
}

#[tokio::test]
async fn wrong_settings_are_all_named_in_one_run() {
    let scratch = Scratch::new("settings");
    let cases: [(Program, &str, &[&str]); 3] = [
        (
            Program::Facade,
            "LOGGING_URL",
            &[
                "--listen=nowhere",
                "--logging-url=ftp://x",
                "--messages-url=x",
                "--attempt-timeout=0s",
                "--total-timeout=soon",
            ],
        ),
        (
            Program::Logging,
            "LOGGING_STORE",
            &["--listen=nowhere", "--store=tape", "--segment-size=big"],
        ),
        (Program::Messages, "MESSAGES_LISTEN", &["--listen=nowhere"]),
    ];
    for (program, variable, flags) in cases {
        let mut process = spawn(&scratch, program, flags.iter().copied());
        assert_eq!(exit_code(&mut process).await, USAGE, "{}", program.name());
        for flag in flags {
            let (name, value) = flag.split_once('=').unwrap();
            let named = |line: &String| line.contains(name) && line.contains(value);
            assert!(process.stderr().iter().any(named), "{flag}: {:?}", process.stderr());
        }
        let mut unknown = spawn(&scratch, program, ["--no-such-flag"]);
        assert_eq!(exit_code(&mut unknown).await, USAGE);
        let mut help = spawn(&scratch, program, ["--help"]);
        assert_eq!(exit_code(&mut help).await, Some(0));
        assert!(help.stdout().iter().any(|line| line.contains(variable)), "{:?}", help.stdout());
    }
}

#[tokio::test]
async fn damage_in_the_middle_of_the_journal_is_named_and_left_alone() {
    let (scratch, mut cluster, client) = start_cluster("damaged").await;
    for number in 0..20 {
        client.post(&format!("message number {number}"), None).await.unwrap().expect(200);
    }
    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));

    let healthy = files(cluster.data_dir());
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|end| end == "segment");
    let segment = healthy.keys().find(is_segment).expect("a segment file").clone();
    let mut bytes = healthy[&segment].clone();
    let text = b"message number 7";
    let place = bytes.windows(text.len()).position(|window| window == text).expect("its record");
    bytes[place] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let damaged = files(cluster.data_dir());

    let mut refused = logging_on(&scratch, cluster.data_dir());
    assert_eq!(exit_code(&mut refused).await, DAMAGED);
    let name = segment.file_name().unwrap().to_str().unwrap();
    let names_place = |line: &String| {
        line.contains(name) && line.contains("offset") && line.chars().any(|c| c.is_ascii_digit())
    };
    assert!(refused.stderr().iter().any(names_place), "{:?}", refused.stderr());
    assert!(files(cluster.data_dir()) == damaged, "a refused start changed files");

    fs::write(&segment, &healthy[&segment]).unwrap();
    restart_logging(&mut cluster).await;
    assert_eq!(client.logs().await.len(), 20);
}
