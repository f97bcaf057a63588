//! The logging service with too few open files, too small files and too little memory.

mod support;

use faultlab::experiments::limits::{Cases, measure};

#[tokio::test]
async fn system_limits_lose_nothing_and_do_not_starve_the_journal() {
    let limits = measure(Cases::Few, &mut |_| {}).await;
    let Some(limits) = support::unless_not_run(limits) else { return };
    assert_eq!(limits.wrong, Vec::<String>::new());
    assert!(limits.goals().reached());
}
