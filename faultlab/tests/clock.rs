//! The wall clock of the services jumps while clients post.

mod support;

use std::time::Duration;

use faultlab::experiments::clock::measure;

#[tokio::test]
async fn clock_jumps_of_years_change_no_order_and_forget_no_key() {
    let jumped = measure(Duration::from_millis(150)).await;
    let Some(jumped) = support::unless_not_run(jumped) else { return };
    assert_eq!(jumped.wrong, Vec::<String>::new());
    assert!(jumped.account.acknowledged > 0 && jumped.account.absorbed > 0);
    assert!(jumped.seen, "the services never saw the clock jump");
}
