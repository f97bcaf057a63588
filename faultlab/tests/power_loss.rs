//! A few images of the disk, taken while clients post, and a control that must lose something.

mod support;

use faultlab::experiments::power_loss::sample;

#[tokio::test]
async fn what_was_acknowledged_is_on_the_disk_when_the_power_is_cut() {
    // A container may lack loop devices, and a person rights.
    let Some((real, control)) = support::unless_not_run(sample(4, 2).await) else { return };
    assert_eq!(real.wrong, Vec::<String>::new());
    assert_eq!((real.checked, real.broken, real.refused), (4, 0, 0));
    assert!(real.acknowledged > 0, "nothing was promised before the images");
    assert!(
        control.broken + control.refused > 0,
        "without syncs nothing is lost: this shows nothing"
    );
}
