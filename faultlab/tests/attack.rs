//! Every attack in small, beside well-behaved clients.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::time::Duration;

use faultlab::{
    cluster::Programs,
    experiments::attack::{
        abuse::Attack,
        grpc, http,
        scenario::{Results, Scenario},
    },
    resources::Resource,
};

/// How long it all takes.
const TIME: Duration = Duration::from_secs(3);

/// Abusers of each attack.
const ABUSERS: usize = 3;

/// More than the services take here, and far less than abusers could make them take.
const RESIDENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

async fn attack(attacks: &[Attack]) -> Results {
    let attacks = attacks.iter().map(|attack| (*attack, ABUSERS)).collect();
    let scenario = Scenario { attacks, time: TIME, open_files: None };
    scenario.run(Programs::built().unwrap()).await.unwrap()
}

/// Good clients were served all the time, and abusers that are to be dropped soon were dropped.
fn assert_withstood(finding: &Results) {
    let failures: Vec<_> = finding.failures().collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert_served(finding);
}

/// Good clients were served, if not with each post.
fn assert_served(finding: &Results) {
    assert!(finding.steady.latencies.count() > 20, "{finding:?}");
    assert!(finding.new_clients.latencies.count() > 0, "{finding:?}");
    assert!(finding.recovered.is_some());
    assert!(finding.usage.get(Resource::Memory) < RESIDENT_BYTES_MAX, "{finding:?}");
    for (attack, connections) in &finding.connections {
        assert!(
            connections.dropped + connections.held > 0,
            "{} did not take place: {connections:?}",
            attack.name
        );
        if attack.dropped_within.is_some_and(|within| within < TIME) {
            assert!(connections.dropped > 0, "{}: {connections:?}", attack.name);
        }
    }
}

#[tokio::test]
async fn the_facade_serves_good_clients_beside_every_abuser() {
    assert_withstood(&attack(http::ATTACKS).await);
}

#[tokio::test]
async fn the_logging_service_serves_the_facade_beside_every_abuser() {
    assert_withstood(&attack(grpc::ATTACKS).await);
}

#[tokio::test]
async fn services_with_few_files_serve_clients_beside_many_idle_ones() {
    // There are fewer slots than abusers: idle connections of good clients have to make way, too, and a
    // post that meets the end of its connection fails.
    let attacks = [http::IDLE, grpc::IDLE].map(|attack| (attack, 100)).into();
    let scenario = Scenario { attacks, time: TIME, open_files: Some(64) };
    let finding = scenario.run(Programs::built().unwrap()).await.unwrap();
    assert_served(&finding);
}
