//! `oncelog prove --target` checks a deployment that it did not start.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    path::Path,
    process::Output,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use faultlab::checker::SecondChecker;

use self::support::{
    byzantine::{self, Fault},
    cluster::Cluster,
    figure, oncelog, stderr, stdout, unused_url,
};

/// A run of about a second.
async fn audit(dir: &Path, target: &str, args: &[&str]) -> Output {
    let mut command = oncelog();
    command.args(["prove", "--duration=1s", "--clients=4", "--rate=600", "--target", target]);
    command.args(args).current_dir(dir).env("TMPDIR", dir);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Posts until `stop`; some of it twice, and some of it no text that a person would write.
async fn write_on(url: &str, stop: &AtomicBool, written: &AtomicU64) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("other-{}", number / 2);
        let body = format!("{{\"msg\":\"prove another \\u0000 {key}\"}}");
        let post = http.post(format!("{url}/facade")).header("content-type", "application/json");
        let answer = post.header("idempotency-key", key).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        written.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_deployment_is_checked_by_its_own_messages_alone() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    let url = cluster.facade.clone();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let audits = async {
        // The same seed again posts other messages: the first ones are still there.
        let outputs = [
            audit(dir.path(), &url, &["--seed=7", "--keep=kept"]).await,
            audit(dir.path(), &format!("{url}/"), &["--seed=7"]).await,
        ];
        stop.store(true, Ordering::Relaxed);
        outputs
    };
    let (outputs, ()) = tokio::join!(audits, write_on(&url, &stop, &written));
    assert!(written.load(Ordering::Relaxed) > 20, "no other client wrote: {outputs:?}");
    for output in outputs {
        let table = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{table}{}", stderr(&output));
        for name in ["lost", "doubled", "reordered", "untrue or missing answers"] {
            assert_eq!(figure(&table, name), 0, "{table}");
        }
        for name in ["repeats absorbed", "other messages refused", "reads of the log"] {
            assert!(figure(&table, name) > 0, "{name}: {table}");
        }
        // 600 requests a second for a second, some of them reads and repeats.
        assert!(figure(&table, "messages posted") < 900, "{table}");
        assert_eq!(figure(&table, "stored"), figure(&table, "acknowledged"), "{table}");
        assert!(table.contains(&url) && !table.contains("faults"), "{table}");
    }
    // The kept run is checked again, by two checkers: records of others are no gaps.
    let verdict = SecondChecker::start().unwrap().agreed(&dir.path().join("kept")).unwrap();
    assert_eq!(verdict.violations, []);
    let page = std::fs::read_to_string(dir.path().join("oncelog-prove.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("is stored exactly once"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byzantine_facade_is_caught_whatever_it_does() {
    let faults = [
        (Fault::Forgets, "lost"),
        (Fault::Doubles, "doubled"),
        (Fault::ForgetsKeys, "doubled"),
        (Fault::SharesKeys, "doubled"),
        (Fault::ChangesReceipts, "doubled"),
        (Fault::Reorders, "reordered"),
        (Fault::DeniesStored, "untrue or missing answers"),
    ];
    let audits = faults.map(|(fault, broken)| async move {
        let dir = tempfile::tempdir().unwrap();
        let output = audit(dir.path(), &byzantine::start(fault).await, &["--seed=3"]).await;
        let table = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{fault:?}: {table}{}", stderr(&output));
        assert!(figure(&table, broken) > 0, "{fault:?}: {table}");
        let kept = stderr(&output);
        let kept = Path::new(kept.trim().rsplit(' ').next().unwrap());
        assert!(kept.join("history.jsonl").is_file(), "{fault:?}: no evidence in {kept:?}");
    });
    let honest = async {
        let dir = tempfile::tempdir().unwrap();
        let output = audit(dir.path(), &byzantine::start(Fault::None).await, &["--seed=3"]).await;
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    };
    tokio::join!(futures_util::future::join_all(audits), honest);
}

#[tokio::test]
async fn without_an_oncelog_nothing_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let output = audit(dir.path(), &unused_url(), &[]).await;
    assert_eq!(output.status.code(), Some(69), "{}", stdout(&output));
    assert!(stderr(&output).contains("cannot audit http://127"), "{}", stderr(&output));
    assert!(stderr(&output).contains("refused"), "{}", stderr(&output));

    // A facade that answers posts only is none that can be audited.
    let other = support::facade::Facade::start().await;
    let output = audit(dir.path(), &other.url, &[]).await;
    assert_eq!(output.status.code(), Some(69), "{}", stdout(&output));
    assert!(stderr(&output).contains("GET /facade is answered with 405"), "{}", stderr(&output));
    assert_eq!(other.texts(), Vec::<String>::new(), "something was stored in it");
}

#[tokio::test]
async fn flags_about_private_services_make_no_sense_with_a_target() {
    let dir = tempfile::tempdir().unwrap();
    for flag in ["--faults=kill", "--store=memory", "--dir=."] {
        let output = audit(dir.path(), &unused_url(), &[flag]).await;
        assert_eq!(output.status.code(), Some(64), "{flag}: {}", stdout(&output));
        assert!(stderr(&output).contains("--target"), "{}", stderr(&output));
    }
    let output = audit(dir.path(), "ftp://x", &[]).await;
    assert_eq!(output.status.code(), Some(64), "{}", stdout(&output));
}
