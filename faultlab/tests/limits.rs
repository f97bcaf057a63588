//! The logging service with too few open files, too small files and too little memory.

mod support;

use faultlab::experiments::{
    NotRun,
    limits::{Cases, measure},
};

#[tokio::test]
async fn system_limits_lose_nothing_and_do_not_starve_the_journal() {
    match measure(Cases::Few, &mut |_| {}).await {
        Ok(limits) => {
            assert_eq!(limits.wrong, Vec::<String>::new());
            assert!(limits.goals().reached());
        }
        Err(error @ NotRun::Missing(_)) => support::not_run(&error),
        Err(error) => panic!("{error}"),
    }
}
