"""What every measurement needs: the programs, a disk, a database, and what the figures depend on."""

import contextlib
import datetime
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import BODY, RELEASE, ROOT
from cases import Lab
from competitors.postgres import Missing, postgres

PROGRAMS = ["oncelog", "oncelog-control", "faultlab", "facade-service", "logging-service",
            "messages-service", "oncelog-competitor-postgres"]


def words(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


def prepare():
    """Everything that is needed, or the reason why it cannot run."""
    absent = [program for program in PROGRAMS if not (RELEASE / program).exists()]
    if absent:
        raise Missing(f"cargo build --release --workspace first: {', '.join(absent)}")
    if not shutil.which("wrk"):
        if os.geteuid() != 0:
            raise Missing("wrk is missing: apt-get install wrk")
        subprocess.run(["apt-get", "-qq", "install", "-y", "wrk"], check=True, stdout=sys.stderr)


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def commit():
    """What was built, as far as Git knows: figures and documents change while they are written."""
    sources = ["src", "proto", "facade-service", "logging-service", "messages-service", "Cargo.lock"]
    changed = words("git", "status", "--porcelain", "--", *sources)
    return words("git", "rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def machine(scratch, server):
    """What the figures depend on."""
    processor = [line.partition(":")[2].strip() for line in
                 Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    kind, source, options = words(
        "findmnt", "-n", "-r", "-o", "FSTYPE,SOURCE,OPTIONS", "-T", scratch
    ).split(maxsplit=2)
    if kind in ("tmpfs", "ramfs"):
        raise Missing(f"{scratch} is in memory ({kind}); --dir names a directory on a disk")
    return {
        "date": now(), "commit": commit(),
        "cores": os.cpu_count(), "processor": processor[0] if processor else platform.machine(),
        "kernel": platform.release(), "load": os.getloadavg()[0],
        "filesystem": kind, "device": source, "mount_options": options,
        "postgres": server.version() if server else None,
        "postgres_settings": server.settings if server else None,
        "body": BODY,
    }


@contextlib.contextmanager
def environment(directory, competitor, settings=None):
    """A laboratory with data in a new directory in `directory`, and what the figures depend on."""
    scratch = Path(tempfile.mkdtemp(prefix="oncelog-bench-", dir=directory))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        server = None
        if competitor:
            server = stack.enter_context(postgres(directory, settings=settings))
            server.recycle_log()
            server.stop()
        about = machine(scratch, server)
        print(f"{about['date']}, {about['cores']} cores ({about['processor']}), data on"
              f" {about['filesystem']} ({about['device']}), {about['postgres'] or 'no PostgreSQL'},"
              f" load {about['load']:.1f}, commit {about['commit']}", flush=True)
        yield Lab(scratch, server), about
