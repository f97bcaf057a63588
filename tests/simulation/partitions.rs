//! How long a cut connection goes unnoticed, and how soon after it is mended messages are stored
//! again. On this network nothing that was lost is sent again: a connection that a partition has hit
//! stays broken, as behind a router that has forgotten it, and only an unanswered PING tells.

use std::{cell::RefCell, rc::Rc, time::Duration};

use facade_service::delivery::{ATTEMPT_TIMEOUT, BACKOFF_MAX};
use faultlab::{history::Outcome, proxy::Mode};
use oncelog::limits::{CONNECT_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, TOTAL_TIMEOUT};
use turmoil::Sim;

use crate::{
    client::Client,
    events::Events,
    links::{CLIENTS, harm},
    machines::{FACADES, FacadeMachine, LOGGING, LoggingMachine, settings},
    seed::random,
    sweep::seeds,
};

/// This takes long, so only one of so many seeds is tried.
const ONE_IN: u64 = 100;

/// For what the network and the steps of simulated time add.
const SLACK: Duration = Duration::from_millis(200);

/// What one partition came to.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// From the partition to the moment the facade gives up the broken connection.
    noticed: Duration,
    /// From the end of the partition to the first receipt.
    recovered: Duration,
    /// The longest a client waited for any answer.
    longest_wait: Duration,
}

/// The posts of a client: when each began and ended, and whether it got a receipt.
type Posts = Rc<RefCell<Vec<(Duration, Duration, bool)>>>;

/// Cuts facade and logging service off from each other for a while.
fn measure(partition: Mode, seed: u64) -> Figures {
    let mut random = random(seed, "partition");
    let mut ms = |range| Duration::from_millis(random.u64(range));
    let (cut_at, lasts) = (ms(500..6_000), ms(9_000..16_000));
    let events = Events::default();
    let posts = Posts::default();
    let mut sim = stage(seed, &events, &posts);
    run_until(&mut sim, &events, |now| now >= cut_at);
    let facade = FACADES[0];
    harm(&mut sim, [facade, LOGGING], partition);
    let cut_at = sim.elapsed();
    run_until(&mut sim, &events, |now| now >= cut_at + lasts);
    sim.repair(facade, LOGGING);
    let mended_at = sim.elapsed();
    let stored_after = |at: Duration| {
        let posts = posts.borrow();
        let receipts = posts.iter().filter(|(_, _, stored)| *stored).map(|(_, ended, _)| *ended);
        receipts.into_iter().find(|ended| *ended > at)
    };
    run_until(&mut sim, &events, |now| {
        stored_after(mended_at).is_some() || now > mended_at + 4 * TOTAL_TIMEOUT
    });

    let connects = events.times(|what| what.ends_with("connects to logging"));
    let noticed = connects.into_iter().find(|at| *at > cut_at).expect("it never connects again");
    let recovered = stored_after(mended_at).expect("nothing is stored again");
    let posts = posts.borrow();
    let longest_wait = posts.iter().map(|(began, ended, _)| *ended - *began).max().unwrap();
    Figures { noticed: noticed - cut_at, recovered: recovered - mended_at, longest_wait }
}

/// One facade with the timeouts of production, one logging service, one client.
fn stage<'a>(seed: u64, events: &Events, posts: &Posts) -> Sim<'a> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(10))
        .simulation_duration(Duration::from_secs(600))
        .max_message_latency(Duration::from_millis(20))
        .build();
    LoggingMachine::start(&mut sim, seed, events);
    let settings = settings(ATTEMPT_TIMEOUT, TOTAL_TIMEOUT);
    FacadeMachine::start(&mut sim, FACADES[0], seed, settings, events);
    let posts = Rc::clone(posts);
    sim.client(CLIENTS[0], async move {
        let mut client = Client::new(FACADES[0], 2 * TOTAL_TIMEOUT);
        let now = || turmoil::sim_elapsed().unwrap();
        for number in 0_u64.. {
            let began = now();
            let body = format!(r#"{{"msg":"message {number}"}}"#);
            let posted = client.post_body(body, None).await;
            let stored = matches!(posted.outcome, Outcome::Acknowledged { .. });
            posts.borrow_mut().push((began, now(), stored));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    });
    sim
}

fn run_until(sim: &mut Sim<'_>, events: &Events, done: impl Fn(Duration) -> bool) {
    while !done(sim.elapsed()) {
        events.set_now(sim.elapsed());
        sim.step().unwrap();
    }
}

#[test]
fn a_partition_is_noticed_by_keepalive_and_soon_forgotten() {
    let seeds = 0..seeds().end.div_ceil(ONE_IN);
    for partition in [Mode::BlackHole, Mode::DropRequests, Mode::DropReplies] {
        let figures: Vec<Figures> = seeds.clone().map(|seed| measure(partition, seed)).collect();
        let longest = |of: fn(&Figures) -> Duration| figures.iter().map(of).max().unwrap();
        let noticed = longest(|figures| figures.noticed);
        let recovered = longest(|figures| figures.recovered);
        let longest_wait = longest(|figures| figures.longest_wait);
        println!(
            "{partition:?}: noticed after {noticed:?} at most, first receipt {recovered:?} after \
             the end at most, longest wait for an answer {longest_wait:?}"
        );
        // The connection is given up, and the next attempt makes another one.
        let silence = KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT;
        assert!(noticed <= silence + BACKOFF_MAX + SLACK, "{partition:?}: {figures:#?}");
        // A connection of the last moment of the partition is broken as well.
        let bound = silence + BACKOFF_MAX + CONNECT_TIMEOUT + ATTEMPT_TIMEOUT + SLACK;
        assert!(recovered <= bound, "{partition:?}: {figures:#?}");
        assert!(longest_wait <= TOTAL_TIMEOUT + SLACK, "{partition:?}: {figures:#?}");
    }
}
