//! More messages than can be stored, and a log that is away: the small versions of `faultlab overload`
//! and `faultlab storm`.

use std::time::Duration;

use faultlab::{
    cluster::{Cluster, Programs},
    experiments::{overload::Course, storm::Storm},
    open_loop::Fate,
};

/// What each piece of bytes waits on the way to the logging service: some hundred messages a second.
const SLOW_LINK: Duration = Duration::from_millis(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_overload_what_fits_is_stored_and_the_rest_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut programs = Programs::built().unwrap();
    // On a machine that is busy with other things, a batch may take a while on this link.
    programs.facade.extend(["--attempt-timeout".into(), "10s".into()]);
    let cluster = Cluster::start(programs, dir.path()).await.unwrap();
    cluster.slow_link(SLOW_LINK);
    let course = Course {
        capacity: Duration::from_secs(3),
        calm_connections: 250,
        busy: Duration::from_millis(1500),
        overload: Duration::from_secs(3),
        factor: 5.0,
        connections: 1500,
        // A hundred of these fill a batch, so that few messages are enough.
        text_bytes: 10_000,
    };
    let found = course.run(&cluster).await.unwrap();
    println!("{found}{}", found.goals());
    let overload = &found.overload;
    assert!(overload.count(Fate::Refused) > overload.count(Fate::Accepted), "no overload");
    assert_eq!(overload.count(Fate::Unknown), 0);
    assert_eq!(overload.without_retry_after, 0);
    // How fast is a matter of the machine here: the clock of `delivery::tests::overload` is steady.
    assert!(overload.refused.quantile(0.5) < Duration::from_secs(2));
    // The link runs in this process, and shares its processors with all others.
    assert!(overload.accepted_per_second() > 0.5 * found.capacity);
    assert!(found.after.count(Fate::Accepted) > 0, "it did not recover");
    assert_eq!(found.audit.violations(), 0, "{}", found.audit);
    assert!(found.audit.stored > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_answered_with_a_storm() {
    let dir = tempfile::tempdir().unwrap();
    let mut programs = Programs::built().unwrap();
    // So that a short outage sees several attempts.
    programs.facade.extend(["--attempt-timeout".into(), "500ms".into()]);
    let cluster = Cluster::start(programs, dir.path()).await.unwrap();
    let storm = Storm {
        outage: Duration::from_millis(1600),
        clients: 100,
        seed: 1,
        calm: Duration::from_millis(700),
    };
    let found = storm.run(&cluster).await.unwrap();
    println!("{found}{}", found.goals());
    for outage in found.phases.iter().filter(|phase| phase.is_outage()) {
        assert!(outage.posted >= 100);
        assert!(outage.arrivals() > 0, "nothing was counted: {found}");
        assert!(outage.amplification() <= 1.2, "{}", outage.amplification());
    }
    assert_eq!(found.audit.violations(), 0, "{}", found.audit);
    assert!(found.audit.stored > 0);
}
