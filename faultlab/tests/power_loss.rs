//! A few images of the disk, taken while clients post, and a control that must lose something.

mod support;

use faultlab::experiments::{NotRun, power_loss::sample};

#[tokio::test]
async fn what_was_acknowledged_is_on_the_disk_when_the_power_is_cut() {
    let (real, control) = match sample(4, 2).await {
        Ok(images) => images,
        // A container without loop devices, or a person without rights.
        Err(error @ NotRun::Missing(_)) => return support::not_run(&error),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(real.wrong, Vec::<String>::new());
    assert_eq!((real.checked, real.broken, real.refused), (4, 0, 0));
    assert!(real.acknowledged > 0, "nothing was promised before the images");
    assert!(
        control.broken + control.refused > 0,
        "without syncs nothing is lost: this shows nothing"
    );
}
