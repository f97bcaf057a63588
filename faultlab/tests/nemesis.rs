//! Each kind of harm, done to each of its victims among real services, and undone.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::time::Duration;

use faultlab::{
    checker::{Violation, check},
    cluster::{Cluster, Programs},
    load::{Client, Poster, Run, read, read_records},
    nemesis::{Fault, Link, Planned, Victim, harm, schedule},
    proxy::Mode,
};
use futures_util::future::join_all;

const CLIENTS: usize = 4;

/// Longer than a fault of the small plan, and the pause before the next one.
const SLOT: Duration = Duration::from_millis(200);

/// How long each is kept up.
const LASTS: Duration = Duration::from_millis(80);

/// Every pair of fault and victim that a long schedule has, once, in quick succession.
fn one_of_each() -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    for planned in schedule(1, Duration::from_secs(1200), &Fault::ALL) {
        let is_there =
            |other: &&Planned| (other.fault, other.victim) == (planned.fault, planned.victim);
        if !plan.iter().any(|other| is_there(&other)) {
            let at = SLOT * u32::try_from(plan.len() + 1).unwrap();
            plan.push(Planned { at, lasts: planned.lasts.min(LASTS), ..planned });
        }
    }
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_hits_each_of_its_victims_and_is_undone() {
    let plan = one_of_each();
    // Two links for ten faults, one for scatter, two services to kill and to freeze, one more to kill.
    assert_eq!(plan.len(), 26, "{plan:#?}");
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(Programs::built().unwrap(), dir.path()).await.unwrap();
    let run = Run::start();
    let client = cluster.remote_client();
    let posters = (0..CLIENTS).map(|name| Poster::new(name, client.clone(), &run, 1).work());
    let mut done = Vec::new();
    let nemesis = async {
        harm(&mut cluster, &plan, Duration::from_secs(120), &run, &mut done).await.unwrap();
        // The end of each fault alone restores them.
        cluster.ready().await.unwrap();
        let acknowledged = run.acknowledged();
        while run.acknowledged() < acknowledged + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run.stop();
    };
    let (posters, ()) = tokio::join!(join_all(posters), nemesis);

    let mut history = faultlab::history::History::default();
    for poster in posters {
        let settled = poster.settle(Duration::from_secs(30), 1).await;
        assert_eq!(settled.unresolved, []);
        history.merge(settled.history);
    }
    cluster.renew_facade().await.unwrap();
    cluster.ready().await.unwrap();
    let (read, log) = read_records(&cluster.client(), &run).await.unwrap();
    assert!(read.complete);
    assert_eq!(check(&history, &log), []);
    assert_eq!(done.len(), plan.len());
    for (done, planned) in done.iter().zip(&plan) {
        assert_eq!((done.fault, done.victim), (planned.fault, planned.victim));
        assert!(done.began <= done.undone && done.undone <= done.ended, "{done}");
        let lasted = Duration::from_micros(done.undone - done.began);
        assert!(lasted >= planned.lasts.saturating_sub(Duration::from_millis(1)), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_leaves_a_stored_message_that_a_repeat_finds() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Programs::built().unwrap(), dir.path()).await.unwrap();
    let edge = cluster.link(Link::Clients);
    edge.set_mode(Mode::DropReplies);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |address| {
        let request = http.post(format!("http://{address}/facade"));
        let request = request.header("content-type", "application/json");
        request.header("idempotency-key", "k").body(r#"{"msg":"once"}"#).send()
    };
    let lost = tokio::spawn(post(edge.address()));
    let run = Run::start();
    let stored = tokio::time::timeout(Duration::from_secs(20), async {
        while read(&cluster.client(), &run).await.unwrap().shown.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    stored.await.unwrap();
    edge.set_mode(Mode::Pass);
    assert!(lost.await.unwrap().is_err(), "a reply came through");
    let again = post(edge.address()).await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(read(&cluster.client(), &run).await.unwrap().shown.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_go_on_without_the_messages_service() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(Programs::built().unwrap(), dir.path()).await.unwrap();
    let mut plan = schedule(1, Duration::from_secs(60), &[Fault::KillMessages]);
    plan.truncate(1);
    plan[0].at = Duration::ZERO;
    plan[0].lasts = Duration::from_secs(1);
    assert_eq!(plan[0].victim, Victim::Messages);
    let run = Run::start();
    let client: Client = cluster.client();
    let poster = Poster::new(0, client, &run, 1).work();
    let mut done = Vec::new();
    let nemesis = async {
        harm(&mut cluster, &plan, Duration::from_secs(60), &run, &mut done).await.unwrap();
        run.stop();
    };
    let (poster, ()) = tokio::join!(poster, nemesis);
    let history = poster.settle(Duration::from_secs(10), 1).await.history;
    let (_, log) = read_records(&cluster.client(), &run).await.unwrap();
    assert!(log.len() > 10, "{} messages in a second", log.len());
    // Back on another port, it is found again.
    let url = format!("http://{}/facade", cluster.link(Link::Clients).address());
    let shown = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(shown.contains("not implemented yet"), "{}", &shown[shown.len() - 100..]);
    // It has no fault to show, so that is all that may be wrong.
    let violations = check(&history, &log);
    assert!(violations.iter().all(Violation::is_vacuous), "{violations:?}");
}
