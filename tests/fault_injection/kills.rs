//! Concurrent clients while services are killed at random moments, and the audit afterwards.

use std::{collections::BTreeMap, env, time::Duration};

use faultlab::{
    checker::{SecondChecker, Violation, account, check},
    cluster::Cluster,
    history::{Head, History, Record},
    load::{Poster, Run, read_on, read_records},
    nemesis::{Done, Fault, Victim, harm, kills},
};

use crate::support::{Scratch, restart_logging, start_cluster_with};

const CLIENTS: usize = 8;

/// Kills of the logging service, unless `ONCELOG_KILLS` says otherwise.
const LOGGING_KILLS: usize = 22;

/// Short, so that outages longer than the total timeout of the facade fit into a short test.
const TIMEOUTS: [&str; 4] = ["--attempt-timeout", "400ms", "--total-timeout", "1500ms"];

/// Longer than the total timeout of the facade.
const LONG_OUTAGE: Duration = Duration::from_secs(2);

/// Pause of the reader between two reads, at most.
const READ_PAUSE_MAX: Duration = Duration::from_millis(500);

/// No request of a client may take longer: the total timeout, and room for a busy machine.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// From the last fault to answers for all messages that are repeated.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_survives_kill_9_exactly_once() {
    let seed = setting("ONCELOG_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed} (repeat with ONCELOG_SEED={seed})");
    let scratch = Scratch::new("kills");
    let mut cluster = start_cluster_with(scratch.path(), &TIMEOUTS, &[]).await;
    let run = Run::start();

    let (mut history, faults) = Box::pin(under_fire(&mut cluster, &run, seed)).await;
    let (log, again) = Box::pin(audit(&mut cluster, &run, &mut history)).await;

    let mut violations = check(&history, &log);
    if again != log {
        violations.push(Violation::NotAPrefix { sequence: 0 });
    }
    let retries = cluster.facade.stderr_with("retrying attempt=").len();
    let took = run.origin().elapsed();
    println!(
        "{took:.1?} with {faults:?} and {retries} retries by the facade: {:?}; read {} times, looked up {} \
         times; slowest request {:.1?}",
        account(&history, &log),
        history.reads.len(),
        history.lookups.len(),
        slowest(&history),
    );
    let head = Head::new(seed, concat!("oncelog ", env!("CARGO_PKG_VERSION")));
    // For the second checker, and for people if this fails.
    history.keep(&head, &log, scratch.path()).expect("a kept history");
    let mut second = SecondChecker::start().expect("python3");
    let agreed = second.agreed(scratch.path()).expect("two checkers that agree");
    assert_eq!(agreed.violations, check(&history, &log), "the kept history is another one");
    let slowest = slowest(&history);
    assert!(violations.is_empty(), "seed {seed}: {} violations: {violations:#?}", violations.len());
    assert!(slowest < REQUEST_TIME_MAX, "seed {seed}: a request took {slowest:?}");
    let kills = faults[&(Fault::Kill.name(), Victim::Logging.to_string())];
    assert!(kills >= 20, "too few kills: {faults:?}");
}

/// How often each fault hit each victim.
type Faults = BTreeMap<(&'static str, String), usize>;

/// Clients post and read until the nemesis is through; then half of what is unknown is settled.
async fn under_fire(cluster: &mut Cluster, run: &Run, seed: u64) -> (History, Faults) {
    let client = cluster.client();
    let posters = (0..CLIENTS).map(|name| Poster::new(name, client.clone(), run, seed).work());
    let posters = futures_util::future::join_all(posters);
    let reader = read_on(client.clone(), run, seed, READ_PAUSE_MAX);
    let nemesis = async {
        let logging = setting("ONCELOG_KILLS").map_or(LOGGING_KILLS, |kills| kills as usize);
        let plan = kills(seed, logging, LONG_OUTAGE);
        let mut done = Vec::new();
        harm(cluster, &plan, Duration::MAX, run, &mut done).await.expect("services that come up");
        run.stop();
        done
    };
    let (posters, mut history, done) = tokio::join!(posters, reader, nemesis);
    for poster in posters {
        // Every second one, so that both kinds are left for the audit.
        let settled = poster.settle(SETTLE_TIMEOUT, 2).await;
        assert!(settled.unresolved.is_empty(), "{:#?}", settled.unresolved);
        history.merge(settled.history);
    }
    let mut faults = Faults::new();
    for Done { fault, victim, .. } in done {
        *faults.entry((fault.name(), victim.to_string())).or_default() += 1;
    }
    (history, faults)
}

/// The whole log after a clean stop of everything that could still deliver, and once more after
/// a kill.
async fn audit(
    cluster: &mut Cluster,
    run: &Run,
    history: &mut History,
) -> (Vec<Record>, Vec<Record>) {
    assert_eq!(cluster.facade.stop().await.unwrap(), Some(0));
    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));
    cluster.logging.restart().await.unwrap();
    cluster.facade.restart().await.unwrap();
    cluster.ready().await.unwrap();
    let (first, log) = read_records(&cluster.client(), run).await.expect("a read");
    cluster.logging.kill().unwrap();
    restart_logging(cluster).await;
    let (second, again) = read_records(&cluster.client(), run).await.expect("a read");
    history.reads.extend([first, second]);
    (log, again)
}

fn slowest(history: &History) -> Duration {
    let times = history.attempts.iter().map(|attempt| attempt.ended - attempt.invoked);
    Duration::from_micros(times.max().unwrap_or(0))
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}
