//! A service that cannot do its work says why, ends with the right code and changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::support::{Process, Program, Scratch, Trio, port::free_address, trio::logging_args};

const DAMAGED: Option<i32> = Some(65);
const LOCKED: Option<i32> = Some(75);
const UNAVAILABLE: Option<i32> = Some(69);
const USAGE: Option<i32> = Some(64);

/// A program that cannot start ends within this time.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Every file below `directory` with its content, but for the lock: whose it is may change.
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

fn logging_on(data_dir: &Path) -> Process {
    Process::spawn(Program::Logging, logging_args(free_address(), data_dir, &[]))
}

#[tokio::test]
async fn a_second_logging_service_on_the_same_data_ends_within_a_second_and_changes_nothing() {
    let scratch = Scratch::new("locked");
    let trio = Trio::start(scratch.path()).await;
    trio.client().post("mine", None).await.unwrap().expect(200);
    let data_dir = &trio.data_dir;
    // The owner may still be marking the end of its last batch.
    let before = settled_files(data_dir).await;

    let started = Instant::now();
    let mut second = logging_on(data_dir);
    assert_eq!(second.exit_code(END_TIMEOUT).await, LOCKED);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    let name = data_dir.to_str().unwrap();
    assert_eq!(second.stderr_with(name).len(), 1, "{:?}", second.stderr());
    assert!(second.stdout().is_empty(), "{:?}", second.stdout());

    assert!(files(data_dir) == before, "the second service changed files");
    trio.client().post("still mine", None).await.unwrap().expect(200);
}

/// Starts another service on `data_dir`, which must end at once without any change.
async fn is_refused(data_dir: &Path) {
    let before = settled_files(data_dir).await;
    let started = Instant::now();
    let mut second = logging_on(data_dir);
    assert_eq!(second.exit_code(END_TIMEOUT).await, LOCKED, "{:?}", second.stderr());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert!(files(data_dir) == before, "the second service changed files");
}

#[tokio::test]
async fn another_path_to_the_same_data_is_the_same_data() {
    let scratch = Scratch::new("locked-path");
    let trio = Trio::start(scratch.path()).await;
    trio.client().post("mine", None).await.unwrap().expect(200);
    let other_path = scratch.join("elsewhere");
    symlink(&trio.data_dir, &other_path).unwrap();
    is_refused(&other_path).await;
    trio.client().post("still mine", None).await.unwrap().expect(200);
}

#[tokio::test]
async fn a_frozen_owner_keeps_its_data_and_a_killed_one_frees_it() {
    let scratch = Scratch::new("frozen");
    let mut trio = Trio::start(scratch.path()).await;
    trio.client().post("mine", None).await.unwrap().expect(200);
    settled_files(&trio.data_dir).await;
    trio.logging.freeze();
    is_refused(&trio.data_dir).await;
    trio.logging.thaw();
    trio.client().post("still mine", None).await.unwrap().expect(200);
    settled_files(&trio.data_dir).await;

    trio.logging.freeze();
    is_refused(&trio.data_dir).await;
    trio.logging.kill_hard();
    trio.logging.restart().await;
    trio.ready().await;
    assert_eq!(trio.client().logs().await, ["mine", "still mine"]);
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
    let scratch = Scratch::new("freed");
    let mut trio = Trio::start(scratch.path()).await;
    trio.client().post("kept", None).await.unwrap().expect(200);
    trio.logging.kill_hard();
    let args = logging_args(free_address(), &trio.data_dir, &[]);
    let (mut next, _) = Process::start(Program::Logging, args).await;
    assert_eq!(next.terminate().await, Some(0));
}

#[tokio::test]
async fn a_taken_port_is_named_and_ends_every_service() {
    let scratch = Scratch::new("port-taken");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    for program in [Program::Facade, Program::Logging, Program::Messages] {
        let args = match program {
            Program::Logging => logging_args(address, &scratch.join("data"), &[]),
            Program::Facade | Program::Messages | Program::Cli => {
                vec!["--listen".into(), address.to_string().into()]
            }
        };
        let mut process = Process::spawn(program, args);
        assert_eq!(process.exit_code(END_TIMEOUT).await, UNAVAILABLE, "{}", program.name());
        let lines = process.stderr_with(&address.to_string());
        assert!(!lines.is_empty(), "{} does not name the address", program.name());
    }
}

#[tokio::test]
async fn wrong_settings_are_all_named_in_one_run() {
    let cases: [(Program, &[&str]); 3] = [
        (
            Program::Facade,
            &[
                "--listen=nowhere",
                "--logging-url=ftp://x",
                "--messages-url=x",
                "--attempt-timeout=0s",
                "--total-timeout=soon",
            ],
        ),
        (Program::Logging, &["--listen=nowhere", "--store=tape", "--segment-size=big"]),
        (Program::Messages, &["--listen=nowhere"]),
    ];
    for (program, flags) in cases {
        let mut process = Process::spawn(program, flags.iter().copied());
        assert_eq!(process.exit_code(END_TIMEOUT).await, USAGE, "{}", program.name());
        for flag in flags {
            let (name, value) = flag.split_once('=').unwrap();
            let named = |line: &String| line.contains(name) && line.contains(value);
            assert!(process.stderr().iter().any(named), "{flag}: {:?}", process.stderr());
        }
    }
    let mut unknown = Process::spawn(Program::Facade, ["--no-such-flag"]);
    assert_eq!(unknown.exit_code(END_TIMEOUT).await, USAGE);
    let mut help = Process::spawn(Program::Facade, ["--help"]);
    assert_eq!(help.exit_code(END_TIMEOUT).await, Some(0));
    assert!(help.stdout().iter().any(|line| line.contains("LOGGING_URL")), "{:?}", help.stdout());
}

#[tokio::test]
async fn damage_in_the_middle_of_the_journal_is_named_and_left_alone() {
    let scratch = Scratch::new("damaged");
    let mut trio = Trio::start(scratch.path()).await;
    for number in 0..20 {
        trio.client().post(&format!("message number {number}"), None).await.unwrap().expect(200);
    }
    assert_eq!(trio.logging.terminate().await, Some(0));

    let healthy = files(&trio.data_dir);
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|end| end == "segment");
    let segment = healthy.keys().find(is_segment).expect("a segment file").clone();
    let mut bytes = healthy[&segment].clone();
    let text = b"message number 7";
    let place = bytes.windows(text.len()).position(|window| window == text).expect("its record");
    bytes[place] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let damaged = files(&trio.data_dir);

    let mut refused = logging_on(&trio.data_dir);
    assert_eq!(refused.exit_code(END_TIMEOUT).await, DAMAGED);
    let name = segment.file_name().unwrap().to_str().unwrap();
    let names_place = |line: &String| {
        line.contains(name) && line.contains("offset") && line.chars().any(|c| c.is_ascii_digit())
    };
    assert!(refused.stderr().iter().any(names_place), "{:?}", refused.stderr());
    assert!(files(&trio.data_dir) == damaged, "a refused start changed files");

    fs::write(&segment, &healthy[&segment]).unwrap();
    trio.logging.restart().await;
    trio.ready().await;
    assert_eq!(trio.client().logs().await.len(), 20);
}
