//! The disk is full.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    Answer, Client, Scratch, client_of, eventually, not_run, restart_logging, start_cluster_with,
    unready,
};

/// From freed space to appends that work again.
const RESUME_TIMEOUT: Duration = Duration::from_secs(20);

/// A tmpfs, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where the test may not mount anything.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "oncelog-test"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_path_buf()))
    }

    /// Takes all space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [64 * 1024, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that still dies must not keep the mount.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_posts_keeps_reads_and_recovers() {
    let scratch = Scratch::new("full-disk");
    let Some(disk) = SmallDisk::mount(&scratch.join("disk"), "8m") else {
        not_run("the test of the full disk", "the right to mount a tmpfs: run it as root");
        return;
    };
    // The log of a service is no part of its data.
    symlink(&disk.0, scratch.join("logging")).unwrap();
    let mut cluster = start_cluster_with(scratch.path(), &[], &["--segment-size", "1MiB"]).await;
    let client = client_of(&cluster);
    let mut stored = vec!["first".to_owned()];
    client.post("first", None).await.unwrap().expect(200);
    let filler = disk.fill();

    let refused = post_until_refused(&client, &mut stored).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["stored"], "no", "{refused:?}");
    assert!(client.logs().await == stored, "reads do not go on");
    let reason = unready(&client).await;
    assert!(reason.contains("space"), "readiness does not say why: {reason}");
    // What is stored is known as stored.
    let uuid = client.records().await[0]["uuid"].as_str().unwrap().to_owned();
    client.post("another message", Some(&uuid)).await.unwrap().expect(422);

    fs::remove_file(filler).unwrap();
    eventually("posts that work again", RESUME_TIMEOUT, async || {
        let answer = client.post("space is back", Some("back")).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    stored.push("space is back".to_owned());
    cluster.ready().await.unwrap();
    assert!(client.logs().await == stored, "what was acknowledged is gone with the space");
    cluster.logging.kill().unwrap();
    restart_logging(&mut cluster).await;
    assert!(client.logs().await == stored, "what was acknowledged is not what is stored");
    drop(cluster);
}

/// Posts until one is not stored; what is stored before goes to `stored`.
async fn post_until_refused(client: &Client, stored: &mut Vec<String>) -> Answer {
    for number in 0..1000 {
        // Space that was reserved ahead may take some more.
        let message = format!("{number} {}", "x".repeat(100_000));
        let answer = client.post(&message, None).await.unwrap();
        if answer.status != 200 {
            return answer;
        }
        stored.push(message);
    }
    panic!("100 MB fit on a full disk of 8 MiB");
}
