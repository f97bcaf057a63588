//! The wall clock of the services jumps while clients post.

mod support;

use std::time::Duration;

use faultlab::experiments::{NotRun, clock::measure};

#[tokio::test]
async fn clock_jumps_of_years_change_no_order_and_forget_no_key() {
    match measure(Duration::from_millis(150)).await {
        Ok(jumped) => {
            assert_eq!(jumped.wrong, Vec::<String>::new());
            assert!(jumped.account.acknowledged > 0 && jumped.account.absorbed > 0);
            assert!(jumped.seen, "the services never saw the clock jump");
        }
        Err(error @ NotRun::Missing(_)) => support::not_run(&error),
        Err(error) => panic!("{error}"),
    }
}
