//! The data directory is removed or replaced while logging-service has its files open.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use faultlab::{
    cluster::{Cluster, Programs},
    processes::{Group, Process},
    programs::Program,
};

use tonic_health::pb::health_check_response::ServingStatus;

use crate::{
    damage::health,
    support::{
        Client, Scratch, client_of, eventually, not_run, restart_logging, start_cluster,
        start_cluster_with, unready,
    },
};

const DISK: Option<i32> = Some(74);

/// What a service must not say any more.
const PROMISES: [&str; 3] = ["is safe", "are safe", "nothing is lost"];

/// Messages that fill some segments of 64 KiB, all with receipts.
async fn fill(client: &Client) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..10 {
        let message = format!("{number} {}", "x".repeat(20_000));
        client.post(&message, None).await.unwrap().expect(200);
        stored.push(message);
    }
    stored
}

/// The command in the one error line of the service: it stands between backquotes.
fn rescue_command(logging: &Process) -> String {
    let errors = logging.stderr_with("ERROR");
    let [error] = &errors[..] else { panic!("not one error: {errors:#?}") };
    let command = error.split('`').nth(1);
    command.unwrap_or_else(|| panic!("no command: {error}")).to_owned()
}

/// Nothing more is stored, `reason` is told everywhere, reads of `stored` go on, and the end says that the
/// disk failed.
async fn is_noticed(cluster: &mut Cluster, client: &Client, stored: &[String], reason: &str) {
    let refused = client.post("too late", None).await.unwrap().expect(503);
    assert_eq!(refused.json()["stored"], "no", "{refused:?}");
    assert!(refused.text.contains(reason), "{refused:?}");
    let unready = unready(client).await;
    assert!(unready.contains("orphaned") && unready.contains(reason), "{unready}");
    assert_eq!(health(cluster).await, ServingStatus::NotServing);
    assert!(client.logs().await == stored, "reads do not go on");
    assert_eq!(cluster.logging.stderr_with("ERROR").len(), 1, "{:?}", cluster.logging.stderr());
    assert_eq!(cluster.logging.stop().await.unwrap(), DISK);
    for promise in PROMISES {
        let said = cluster.logging.stderr_with(promise);
        assert!(said.is_empty(), "{said:?}");
    }
    assert_eq!(cluster.logging.stderr_with("stopped: ").len(), 1, "the end says nothing");
}

#[tokio::test]
async fn all_of_a_removed_data_directory_can_be_saved() {
    let scratch = Scratch::new("data-removed");
    let small = ["--segment-size", "64KiB"];
    let mut cluster = start_cluster_with(scratch.path(), &[], &small).await;
    let client = client_of(&cluster);
    let stored = fill(&client).await;
    // No segment has been read since the start.
    restart_logging(&mut cluster).await;
    let data = cluster.data_dir().to_path_buf();
    let segments = fs::read_dir(&data).unwrap().count() - 1;
    assert!(segments > 2, "{segments} segments");
    fs::remove_dir_all(&data).unwrap();

    // A repeat must not hear that its message is safe.
    let id = client.records().await[0]["uuid"].as_str().unwrap().to_owned();
    eventually("the first refusal", Duration::from_secs(10), async || {
        let answer = client.post("too late", None).await.ok()?;
        (answer.status == 503 && answer.json()["stored"] == "no").then_some(())
    })
    .await;
    let repeated = client.post(&stored[0], Some(&id)).await.unwrap().expect(504);
    assert_eq!(repeated.json()["stored"], "unknown", "{repeated:?}");
    let command = rescue_command(&cluster.logging);
    let copied = Command::new("sh").args(["-c", &command]).current_dir(scratch.path()).output();
    succeeded(&copied.unwrap());
    is_noticed(&mut cluster, &client, &stored, "removed or replaced").await;

    let saved = scratch.join("oncelog-saved");
    assert_eq!(fs::read_dir(&saved).unwrap().count(), segments, "{command}");
    assert_eq!(fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o700, "{command}");
    let oncelog = Program::Cli.path().unwrap();
    let verify = ["journal", "verify", "--data-dir"];
    succeeded(&Command::new(oncelog).args(verify).arg(&saved).output().unwrap());
    fs::rename(&saved, &data).unwrap();
    restart_logging(&mut cluster).await;
    assert!(client.logs().await == stored, "not all that was acknowledged was saved");
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_data_directory_that_was_moved_takes_no_posts() {
    let (scratch, mut cluster, client) = start_cluster("data-moved").await;
    client.post("kept", None).await.unwrap().expect(200);
    let (data, moved) = (cluster.data_dir().to_path_buf(), scratch.join("moved"));
    fs::rename(&data, &moved).unwrap();
    // As a script would that makes room, and starts anew.
    fs::create_dir(&data).unwrap();
    is_noticed(&mut cluster, &client, &["kept".to_owned()], "removed or replaced").await;
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "something was put into the other one");
    fs::remove_dir(&data).unwrap();
    fs::rename(&moved, &data).unwrap();
    restart_logging(&mut cluster).await;
    assert_eq!(client.logs().await, ["kept"]);
}

#[tokio::test]
async fn a_file_system_mounted_over_the_data_is_noticed() {
    let (_scratch, mut cluster, client) = start_cluster("data-covered").await;
    client.post("kept", None).await.unwrap().expect(200);
    let data = cluster.data_dir().to_path_buf();
    let mount = Command::new("mount").args(["-t", "tmpfs", "oncelog-test"]).arg(&data).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        not_run("the test of a covered data directory", "the right to mount: run it as root");
        return;
    }
    let unmount = Unmount(&data);
    is_noticed(&mut cluster, &client, &["kept".to_owned()], "removed or replaced").await;
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "something was put into the other one");
    drop(unmount);
    restart_logging(&mut cluster).await;
    assert_eq!(client.logs().await, ["kept"]);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_removed_segment_is_noticed_wherever_it_is() {
    for of_all in [0, usize::MAX] {
        let scratch = Scratch::new("segment-removed");
        let small = ["--segment-size", "64KiB"];
        let mut cluster = start_cluster_with(scratch.path(), &[], &small).await;
        let client = client_of(&cluster);
        let stored = fill(&client).await;
        let mut segments: Vec<_> = fs::read_dir(cluster.data_dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "segment"))
            .collect();
        segments.sort();
        let segment = &segments[of_all.min(segments.len() - 1)];
        fs::remove_file(segment).unwrap();
        unready(&client).await;
        let name = segment.file_name().unwrap().to_str().unwrap();
        is_noticed(&mut cluster, &client, &stored, name).await;
    }
}

#[tokio::test]
async fn a_log_whose_lock_file_was_replaced_stops_writing() {
    let (scratch, mut cluster, client) = start_cluster("lock-replaced").await;
    client.post("mine", None).await.unwrap().expect(200);
    fs::remove_file(cluster.data_dir().join("LOCK")).unwrap();
    // The new file excludes nobody, so a second service comes up.
    let program = Program::Logging.path().unwrap().into();
    let flags = ["--listen", "127.0.0.1:0", "--data-dir"].map(Into::into);
    let mut command: Vec<_> = [program].into_iter().chain(flags).collect();
    command.push(cluster.data_dir().into());
    let second = scratch.join("second");
    fs::create_dir(&second).unwrap();
    let second = Process::start("second", command, &second, Group::Shared).await;
    let (mut second, _) = second.unwrap();
    is_noticed(&mut cluster, &client, &["mine".to_owned()], "lock file").await;
    assert_eq!(second.stop().await.unwrap(), Some(0), "the owner of the directory was disturbed");
}

#[tokio::test]
async fn an_idle_log_notices_that_its_data_is_gone() {
    let (_scratch, mut cluster, client) = start_cluster("data-gone-idle").await;
    client.post("kept", None).await.unwrap().expect(200);
    fs::remove_dir_all(cluster.data_dir()).unwrap();
    let reason = unready(&client).await;
    assert!(reason.contains("removed or replaced"), "{reason}");
    rescue_command(&cluster.logging);
    assert_eq!(cluster.logging.stop().await.unwrap(), DISK);
}

#[tokio::test]
async fn a_stop_right_after_the_removal_is_no_clean_stop() {
    let (_scratch, mut cluster, client) = start_cluster("data-gone-stop").await;
    client.post("kept", None).await.unwrap().expect(200);
    fs::remove_dir_all(cluster.data_dir()).unwrap();
    assert_eq!(cluster.logging.stop().await.unwrap(), DISK, "{:?}", cluster.logging.stderr());
}

#[tokio::test]
async fn what_is_created_is_for_its_owner_alone() {
    for umask in ["000", "022", "077", "777"] {
        let scratch = Scratch::new("modes");
        let mut programs = Programs::built().unwrap();
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let program = programs.logging.remove(0);
        // Its data directory is `logging` below this one, which is there already.
        let wrapped = ["sh".into(), "-c".into(), script.into(), program];
        programs.logging = wrapped.into_iter().chain(programs.logging).collect();
        programs.logging.extend(["--segment-size", "64KiB"].map(Into::into));
        let cluster = Cluster::start_direct(programs, scratch.path()).await.unwrap();
        fill(&client_of(&cluster)).await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(cluster.data_dir()), 0o700, "umask {umask}");
        for entry in fs::read_dir(cluster.data_dir()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "umask {umask}: {}", path.display());
        }
    }
}

#[tokio::test]
async fn the_modes_of_what_is_there_are_left_alone() {
    let (_scratch, mut cluster, client) = start_cluster("modes-kept").await;
    client.post("kept", None).await.unwrap().expect(200);
    let data = cluster.data_dir().to_path_buf();
    let segment = data.join("00000000000000000001.segment");
    for (path, mode) in [(&data, 0o750), (&segment, 0o640), (&data.join("LOCK"), 0o640)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    restart_logging(&mut cluster).await;
    for (path, expected) in [(&data, 0o750), (&segment, 0o640), (&data.join("LOCK"), 0o640)] {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{}", path.display());
    }
}
