//! Runs the steps.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use faultlab::{
    processes::{Group, Process},
    programs::{Program, tool},
};

use crate::{
    pattern::{is_on_line, matches},
    script::Step,
    support::{Client, Scratch, eventually},
};

/// The ports the README names.
const PORTS: [u16; 3] = [5000, 5001, 5002];

const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// Until a line appears on a console.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is running, and where.
pub(crate) struct Runner {
    running: Vec<(Program, Process)>,
    stopped: Vec<(Program, Process)>,
    unanswered: Vec<(usize, Child)>,
    scratch: Scratch,
}

impl Runner {
    pub(crate) fn new() -> Self {
        for port in PORTS {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            assert!(free, "the README uses port {port}: stop what listens there, then test again");
        }
        let scratch = Scratch::new("readme");
        Self { running: Vec::new(), stopped: Vec::new(), unanswered: Vec::new(), scratch }
    }

    pub(crate) async fn run(&mut self, step: &Step) {
        match step {
            Step::Command { line, command, shown, wait } => {
                println!("README.md:{line}: {command}");
                self.command(*line, command, shown.as_deref(), *wait).await;
            }
            Step::Stop(program) => {
                self.ready().await;
                self.stop(*program).await;
            }
            Step::Start(program) => self.start_again(*program).await,
            Step::Console { line, service, shown } => self.console(*line, *service, shown).await,
        }
    }

    async fn command(&mut self, line: usize, command: &str, shown: Option<&[String]>, wait: bool) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            // This is what runs now.
            ["cargo", "test", "--workspace"] => {}
            ["cargo", "up", args @ ..] => {
                assert_is_alias_of_the_command_line();
                self.stop_all().await;
                let args = [&["up"], args].concat();
                self.start(Program::Cli, &args);
            }
            ["cargo", "run", "-p", package, args @ ..] => {
                let program = Program::of_package(package)
                    .unwrap_or_else(|| panic!("README.md:{line}: no package {package}"));
                let args = args.strip_prefix(&["--"]).unwrap_or(args);
                if program == Program::Cli {
                    self.ready().await;
                    let command = command.split_once(" -- ").map_or("", |(_, args)| args);
                    let oncelog =
                        format!("{} {command}", program.path().expect("the program").display());
                    self.shell(line, &oncelog, shown, wait);
                } else {
                    self.stop(Program::Cli).await;
                    self.stop(program).await;
                    self.start(program, args);
                }
            }
            ["curl", ..] => {
                if wait {
                    self.ready().await;
                }
                self.shell(line, command, shown, wait);
            }
            _ => panic!("README.md:{line}: not known how to run {command:?}"),
        }
    }

    fn start(&mut self, program: Program, args: &[&str]) {
        let path = program.path().expect("the program");
        let directory = self.scratch.path();
        let mut command =
            vec![tool("env").expect("env").into(), "-C".into(), directory.into(), path.into()];
        command.extend(args.iter().map(Into::into));
        let process = Process::spawn(program.name(), command, directory, Group::Shared);
        let process = process.expect("a running program");
        self.running.push((program, process));
    }

    /// Runs `command` as a person at a terminal would.
    fn shell(&mut self, line: usize, command: &str, shown: Option<&[String]>, wait: bool) {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.scratch.path());
        let child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().expect("a shell");
        if wait {
            check(line, &child.wait_with_output().expect("its end"), shown);
        } else {
            self.unanswered.push((line, child));
        }
    }

    async fn ready(&self) {
        let client = Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS[0])));
        eventually("services that are ready", READY_TIMEOUT, async || {
            (client.get("/readyz").await.ok()?.status == 200).then_some(())
        })
        .await;
    }

    /// Stops a program as Ctrl-C would, if it runs.
    async fn stop(&mut self, program: Program) {
        while let Some(at) = self.running.iter().position(|(running, _)| *running == program) {
            let (_, mut process) = self.running.remove(at);
            assert_eq!(process.interrupt().await.unwrap(), Some(0), "{program:?}");
            self.stopped.push((program, process));
        }
    }

    /// Stops everything, the facade first.
    pub(crate) async fn stop_all(&mut self) {
        for program in [Program::Cli, Program::Facade, Program::Logging, Program::Messages] {
            self.stop(program).await;
        }
    }

    async fn start_again(&mut self, program: Program) {
        let at = self.stopped.iter().rposition(|(stopped, _)| *stopped == program);
        let (_, mut process) = self.stopped.remove(at.expect("it was stopped before"));
        process.restart().await.expect("its next start");
        self.running.push((program, process));
        for (line, child) in self.unanswered.drain(..) {
            check(line, &child.wait_with_output().expect("its end"), None);
        }
    }

    async fn console(&self, line: usize, service: Program, shown: &[String]) {
        let (_, process) =
            self.running.iter().find(|(running, _)| *running == service).expect("it runs");
        for pattern in shown {
            let what = format!("the console line of README.md:{line}: {pattern}");
            eventually(&what, CONSOLE_TIMEOUT, async || {
                process.stderr().iter().any(|line| is_on_line(pattern, line)).then_some(())
            })
            .await;
        }
    }
}

fn check(line: usize, output: &Output, shown: Option<&[String]>) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let failed = !output.status.success() || printed.contains("\"status\":\"failure\"");
    assert!(!failed, "README.md:{line}: {output:?}");
    let Some(shown) = shown else { return };
    let lines: Vec<&str> = printed.lines().collect();
    let same = lines.len() == shown.len()
        && lines.iter().zip(shown).all(|(line, pattern)| matches(pattern, line));
    assert!(same, "README.md:{line} prints\n{printed}\nand shows\n{}", shown.join("\n"));
}

/// `cargo up` must be what the test runs in its place.
fn assert_is_alias_of_the_command_line() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/config.toml");
    let config = fs::read_to_string(config).expect("the alias");
    let alias = config.lines().find_map(|line| line.strip_prefix("up = \"run "));
    assert!(
        alias.is_some_and(|run| run.ends_with("-p oncelog-cli --no-default-features -- up\"")),
        "{config}"
    );
}
