//! A wall clock that is far off, as after a dead battery: before 1970, beyond 2038, 2106 and 9999.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use faultlab::{
    cluster::{Cluster, Programs},
    programs::Program,
};
use serde_json::Value;

use crate::support::{Client, Scratch, client_of};

/// An answer that takes longer is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A clock, what receipts say about it, and the date of answers.
struct Shown {
    seconds_since_1970: i64,
    /// The beginning of it.
    stored_at: &'static str,
    /// The beginning of it. There is none for a time that HTTP cannot write.
    date: Option<&'static str>,
}

const fn shown(
    seconds_since_1970: i64,
    stored_at: &'static str,
    date: Option<&'static str>,
) -> Shown {
    Shown { seconds_since_1970, stored_at, date }
}

/// The last time a record can hold, and the first one.
const LAST: &str = "2262-04-11T23:47:16.854775807Z";
const FIRST: &str = "1677-09-21T00:12:43.145224192Z";

const CLOCKS: [Shown; 9] = [
    shown(-2_208_988_800, "1900-01-01T00:00:00.", None),
    shown(-1, "1969-12-31T23:59:59.", None),
    shown(0, "1970-01-01T00:00:00.", Some("Thu, 01 Jan 1970 00:00:00 GMT")),
    shown(1 << 31, "2038-01-19T03:14:08.", Some("Tue, 19 Jan 2038 03:14:08 GMT")),
    shown(1 << 32, "2106-02-07T06:28:16.", Some("Sun, 07 Feb 2106 06:28:16 GMT")),
    shown(253_402_300_799, LAST, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
    shown(253_402_300_800, LAST, None),
    shown(8_210_298_412_800, LAST, None),
    shown(-62_167_219_201, FIRST, None),
];

/// A clock that programs can be run under.
struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    fn new(directory: &Path) -> Self {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_injection/wall_clock.c");
        let (library, file) = (directory.join("wall_clock.so"), directory.join("wall_clock"));
        // Rust links by the same compiler, so it is there.
        let mut compiler = Command::new("cc");
        let status =
            compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
        assert!(status.success(), "{status}");
        Self { library, file }
    }

    fn set(&self, seconds_since_1970: i64) {
        let next = self.file.with_extension("next");
        fs::write(&next, seconds_since_1970.to_string()).unwrap();
        // No program reads half of it.
        fs::rename(next, &self.file).unwrap();
    }

    /// `program` under this clock.
    fn over(&self, program: &Path) -> Vec<OsString> {
        let setting = |name: &str, value: &Path| {
            let mut setting = OsString::from(name);
            setting.push(value);
            setting
        };
        let preload = setting("LD_PRELOAD=", &self.library);
        let clock = setting("WALL_CLOCK=", &self.file);
        vec!["/usr/bin/env".into(), preload, clock, program.into()]
    }

    fn run(&self, args: &[&str]) -> String {
        let command = self.over(&Program::Cli.path().unwrap());
        let output = Command::new(&command[0])
            .args(&command[1..])
            .args(args)
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn under(clock: &WallClock, directory: &Path) -> Cluster {
    let mut programs = Programs::built().unwrap();
    for command in [&mut programs.facade, &mut programs.logging, &mut programs.messages] {
        *command = clock.over(Path::new(&command[0]));
    }
    Cluster::start_direct(programs, directory).await.unwrap()
}

/// Every route, on a new connection. Returns the record of `key`.
async fn ask_all(client: &Client, key: &str, shown: &Shown) -> Value {
    let posted = client.post(key, Some(key)).await.unwrap().expect(200);
    let path = format!("/facade/{}", posted.json()["uuid"].as_str().unwrap());
    let record = client.get(&path).await.unwrap().expect(200);
    let batch = client
        .request(reqwest::Method::POST, "/facade/batch")
        .header("content-type", "application/x-ndjson")
        .body("{\"msg\":\"one\"}\n{\"msg\":\"two\"}\n");
    let batch = crate::support::http::send(batch).await.unwrap().expect(200);
    assert!(batch.lines().iter().all(|line| line["status"] == "success"), "{batch:?}");
    let mut answers = vec![posted, record.clone(), batch];
    for (path, status) in
        [("/facade?limit=1", 200), ("/readyz", 200), ("/healthz", 200), ("/nowhere", 404)]
    {
        answers.push(client.get(path).await.unwrap().expect(status));
    }
    for answer in answers {
        // The clock stands still.
        assert_eq!(answer.header("date"), shown.date.unwrap_or_default(), "{answer:?}");
    }
    record.json()
}

/// A head that cannot be parsed is refused, and not cut off.
fn is_refused(facade: SocketAddr) {
    let mut connection = TcpStream::connect(facade).unwrap();
    connection.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    connection.write_all(b"BROKEN\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 400");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_depends_on_the_wall_clock() {
    let scratch = Scratch::new("clocks");
    let clock = WallClock::new(scratch.path());
    clock.set(CLOCKS[0].seconds_since_1970);
    let mut cluster = under(&clock, scratch.path()).await;
    let kept = client_of(&cluster);
    let mut records = Vec::new();
    for (number, shown) in CLOCKS.iter().enumerate() {
        clock.set(shown.seconds_since_1970);
        let key = format!("key-{number}");
        kept.post("over a connection that was opened before", None).await.unwrap().expect(200);
        let record = ask_all(&client_of(&cluster), &key, shown).await;
        let stored_at = record["stored_at"].as_str().unwrap();
        assert!(stored_at.starts_with(shown.stored_at), "{number}: {stored_at}");
        records.push((key, record));
        is_refused(cluster.facade_address());

        // At a start under this clock everything is as it was.
        cluster.restart_logging().await.unwrap();
        cluster.restart_facade().await.unwrap();
        cluster.restart_messages().await.unwrap();
        cluster.ready().await.unwrap();
        let client = client_of(&cluster);
        for (key, record) in &records {
            assert_eq!(ask_all(&client, key, shown).await, *record);
        }
    }
    for service in [&cluster.facade, &cluster.logging, &cluster.messages] {
        assert_eq!(service.stderr_with("panicked"), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_works_whatever_the_clock_shows() {
    let scratch = Scratch::new("clocks-cli");
    let clock = WallClock::new(scratch.path());
    clock.set(0);
    let cluster = under(&clock, scratch.path()).await;
    let facade = format!("http://{}", cluster.facade_address());
    let logging = format!("http://{}", cluster.logging_address());
    for (sent, shown) in CLOCKS.iter().enumerate() {
        clock.set(shown.seconds_since_1970);
        let receipt = clock.run(&["send", "--url", &facade, "hello"]);
        assert!(receipt.starts_with(&format!("{} ", sent + 1)), "{receipt}");
        let after = sent.to_string();
        let read = ["read", "--after", &after, "--format=ndjson", "--logging-url", &logging];
        let record: Value = serde_json::from_str(&clock.run(&read)).unwrap();
        let stored_at = record["stored_at"].as_str().unwrap();
        assert!(stored_at.starts_with(shown.stored_at), "{stored_at}");
    }
}
