//! A real failure of a sync: the device under the file system runs out of space, which the kernel reports
//! once.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::image::{Fs, format, mount, mount_memory};
use crate::{
    checker::broken,
    cluster::{Cluster, Programs},
    experiments::{NotRun, Scratch},
    load::{Ledger, read_whole},
    mount_namespace::MountNamespace,
    processes::ProcessError,
    programs::{ToolError, traced},
};

/// The real size of the device. The file system assumes more.
const REAL_SIZE: &str = "size=16m";

/// Bytes of a post: some hundred fill the device.
const POST_BYTES: usize = 100_000;

/// Posts after which the device must have run out.
const POSTS_MAX: usize = 1000;

/// From a failed sync to the end of the service.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The exit code that says that the disk failed.
const DISK_FAILED: i32 = 74;

/// The results of a real failure.
#[derive(Debug, Clone, Default)]
pub struct Thin {
    /// Syncs that failed.
    pub failures: usize,
    /// Messages with a receipt from before.
    pub acknowledged: usize,
    /// Descriptions of what is wrong.
    pub wrong: Vec<String>,
}

impl Thin {
    pub(super) fn add(&mut self, other: Self) {
        self.failures += other.failures;
        self.acknowledged += other.acknowledged;
        self.wrong.extend(other.wrong);
    }
}

/// Posts until a sync of the device fails, and recovers on a copy of it and on the grown device.
///
/// # Errors
/// [`NotRun`]: not as root, not with loop devices.
pub async fn thin() -> Result<Thin, NotRun> {
    let mut scratch = Scratch::new("thin-device")?;
    let device = Device::new(scratch.path())?;
    let mut programs = Programs::built()?;
    programs.logging.extend(["--segment-size", "1MiB"].map(OsString::from));
    let timeouts = ["--attempt-timeout", "1s", "--total-timeout", "3s"];
    programs.facade.extend(timeouts.map(OsString::from));
    let program = device.namespace.inside(&programs.logging);
    // Its writes and syncs are noted.
    let flags = ["-e", "signal=none", "-etrace=pwrite64,fdatasync,fsync", "-o"].map(OsString::from);
    let flags = flags.into_iter().chain([scratch.path().join("trace").into()]);
    programs.logging = device.namespace.inside(&traced(flags, &programs.logging)?);
    let mut cluster = Cluster::start(programs, &device.live).await?;

    let mut thin = Thin::default();
    let ledger = Ledger::start();
    let client = cluster.client();
    for number in 0..POSTS_MAX {
        let message = format!("{number} {}", "x".repeat(POST_BYTES));
        if !ledger.post(&client, &message, Some(&number.to_string())).await.is_receipt() {
            break;
        }
    }
    thin.acknowledged = ledger.acknowledged();
    let end = cluster.logging.ended(STOP_TIMEOUT).await?.map(|status| status.code());
    if end != Some(Some(DISK_FAILED)) {
        thin.wrong.push(format!("the service did not end with {DISK_FAILED}: {end:?}"));
    }
    let trace = fs::read_to_string(scratch.path().join("trace"))?;
    (thin.failures, thin.wrong) = failures(&trace, thin.wrong);

    // What the disk has, without what the kernel still has in memory.
    let copy = device.copy("after-failure")?;
    thin.wrong.extend(recover(&mut cluster, &program, &copy, &ledger).await?);
    // The same machine goes on, on a device that has room again.
    device.grow()?;
    if let Some(wrong) = start_again(&mut cluster, &program, &device.live).await? {
        thin.wrong.push(wrong);
    }
    device.mount_again()?;
    thin.wrong.extend(recover(&mut cluster, &program, &device.live, &ledger).await?);
    ledger.settle(&client, 3).await;
    if ledger.acknowledged() != thin.acknowledged + 1 {
        thin.wrong.push("what had failed could not be stored later".to_owned());
    }
    let copy = device.copy("after-recovery")?;
    thin.wrong.extend(recover(&mut cluster, &program, &copy, &ledger).await?);
    if !thin.wrong.is_empty() {
        thin.wrong.push(format!("see {}", scratch.keep().display()));
    }
    Ok(thin)
}

/// A service on a file system that has given up must say so, or serve.
async fn start_again(
    cluster: &mut Cluster,
    program: &[OsString],
    dir: &Path,
) -> Result<Option<String>, NotRun> {
    let started = cluster.replace_logging(program.to_vec(), dir).await;
    cluster.logging.kill()?;
    match started {
        Ok(()) | Err(ProcessError::NotUp { ended: Some(DISK_FAILED), .. }) => Ok(None),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Starts a service on what is in `dir` and checks what it shows.
async fn recover(
    cluster: &mut Cluster,
    program: &[OsString],
    dir: &Path,
    ledger: &Ledger,
) -> Result<Vec<String>, NotRun> {
    let at = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Err(error) = cluster.replace_logging(program.to_vec(), dir).await {
        return Ok(vec![format!("{at}: {error}")]);
    }
    cluster.ready().await?;
    let Some(log) = read_whole(&cluster.client(), ledger.run()).await else {
        return Ok(vec![format!("{at}: it cannot be read")]);
    };
    let violations = broken(&ledger.history(), &log);
    Ok(violations.iter().map(|violation| format!("{at}: {violation:.100?}")).collect())
}

/// How many syncs failed, and whether anything was written or synced after the first of them.
fn failures(trace: &str, mut wrong: Vec<String>) -> (usize, Vec<String>) {
    let failed = |line: &&str| line.contains("sync") && line.contains("= -1 ");
    let failures = trace.lines().filter(failed).count();
    if let Some(line) = trace.lines().skip_while(|line| !failed(line)).nth(1) {
        wrong.push(format!("the journal went on after a failed sync: {line:.80}"));
    }
    (failures, wrong)
}

/// A file system on a thin device: it has less space than it claims.
struct Device {
    namespace: MountNamespace,
    dir: PathBuf,
    memory: PathBuf,
    live: PathBuf,
}

impl Device {
    fn new(dir: &Path) -> Result<Self, ToolError> {
        let namespace = MountNamespace::open()?;
        let (memory, live) = (dir.join("memory"), dir.join("live"));
        fs::create_dir_all(&memory)?;
        fs::create_dir_all(&live)?;
        mount_memory(&namespace, REAL_SIZE, &memory)?;
        let device = Self { namespace, dir: dir.to_path_buf(), memory, live };
        let image = device.memory.join("image");
        format(&device.namespace, Fs::Ext4, &image)?;
        device.mount_live()?;
        Ok(device)
    }

    fn grow(&self) -> Result<(), ToolError> {
        self.namespace.run("mount", &[&"-o", &"remount,size=512m", &self.memory])
    }

    fn mount_again(&self) -> Result<(), ToolError> {
        self.namespace.run("umount", &[&self.live])?;
        self.mount_live()
    }

    /// The kernel's loop device counts a write that found room for its first part only as a whole
    /// one. A real disk does not do so. Therefore each write is of one page: whole or not at all.
    fn mount_live(&self) -> Result<(), ToolError> {
        mount(&self.namespace, Fs::Ext4, &self.memory.join("image"), &self.live)?;
        let in_pages = "device=$(findmnt -no SOURCE \"$1\") && \
             echo 4 > \"/sys/block/${device#/dev/}/queue/max_sectors_kb\"";
        self.namespace.run("sh", &[&"-c", &in_pages, &"sh", &self.live])
    }

    /// Mounts a copy of the device that has room. Returns where.
    fn copy(&self, name: &str) -> Result<PathBuf, ToolError> {
        let (copy, at) = (self.dir.join(format!("{name}.image")), self.dir.join(name));
        let image = self.memory.join("image");
        self.namespace.run("cp", &[&"--sparse=always", &image, &copy])?;
        fs::create_dir_all(&at)?;
        mount(&self.namespace, Fs::Ext4, &copy, &at)?;
        Ok(at)
    }
}
