#!/usr/bin/env python3
"""A private PostgreSQL server, for as long as a benchmark or a test needs it.

    with postgres() as server:
        facade = start("oncelog-competitor-postgres", "127.0.0.1:0", server.url)

As a program it prints the URL of its server and stops at the end of its standard input:

    python3 benches/competitors/postgres.py [--tcp] [--no-install]

The server comes from Debian's packages, which are installed if they are missing and we are root. It has
a data directory of its own, listens on a Unix socket and a free port of loopback, and shares nothing
with any other server of the machine. Every answer of it waits for the disk: `fsync`,
`synchronous_commit` and `full_page_writes` are on. SETTINGS below is everything that is not PostgreSQL's
default.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

USER = "postgres"
# Debian's package would otherwise create and start a server for the whole machine.
NO_MAIN_CLUSTER = Path("/etc/postgresql-common/createcluster.d/oncelog-benches.conf")
WAL_SEGMENT_MIB = 64

SETTINGS = {
    # What is promised: an answer after the commit is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Memory enough that no run reads from disk or has to write pages back while it is measured.
    "shared_buffers": "1GB",
    # Checkpoints are what slows PostgreSQL most under steady inserts: rare ones, spread out.
    "max_wal_size": "16GB",
    "min_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "checkpoint_completion_target": "0.9",
    # The least log that survives a crash: no replication, no archive.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "64MB",
    # Nothing that is not needed for an INSERT.
    "jit": "off",
    "ssl": "off",
    "track_activities": "off",
    "update_process_title": "off",
    "max_logical_replication_workers": "0",
    "max_connections": "20",
}


class Missing(Exception):
    """There is no PostgreSQL, and it may not be installed."""


def binaries(install=True):
    """The directory of Debian's server programs, newest version first."""
    def found():
        versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        return sorted((path.parent for path in versions), key=lambda path: float(path.parent.name))

    if not found():
        if not install:
            raise Missing("PostgreSQL is not installed (Debian package postgresql)")
        if os.geteuid() != 0:
            raise Missing("PostgreSQL is missing: apt-get install postgresql")
        NO_MAIN_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        NO_MAIN_CLUSTER.write_text("create_main_cluster = false\n")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", "-qq", *command], check=True, env=environment,
                           stdout=sys.stderr)
    if not found():
        raise Missing("Debian's package postgresql brought no server")
    return found()[-1]


def as_postgres(*command):
    """The command, run by a user that PostgreSQL accepts. It ends with this process."""
    ends_with_this_process = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        ends_with_this_process += [f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
    return [*ends_with_this_process, "--", *(str(part) for part in command)]


class Server:
    """A server in `home`. Starting it again keeps its databases."""

    def __init__(self, home, tcp=False, install=True, settings=None):
        self.bin = binaries(install)
        self.home, self.tcp = Path(home), tcp
        self.settings = {**SETTINGS, **(settings or {})}
        self.process = None
        if os.geteuid() == 0:
            shutil.chown(self.home, USER, USER)
        self.log = open(self.home / "server.log", "ab")
        subprocess.run(
            as_postgres(
                self.bin / "initdb", "--pgdata", self.home / "data", "--username", USER,
                "--no-sync", "--auth", "trust", "--encoding", "UTF8", "--locale", "C",
                f"--wal-segsize={WAL_SEGMENT_MIB}",
            ),
            check=True, cwd=self.home, stdout=self.log, stderr=self.log,
        )

    def version(self):
        words = subprocess.run([self.bin / "postgres", "--version"], check=True,
                               capture_output=True, text=True)
        return words.stdout.strip()

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {
            **self.settings, "listen_addresses": "127.0.0.1", "port": self.port,
            "unix_socket_directories": self.home, "unix_socket_permissions": "0700",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(
            as_postgres(self.bin / "postgres", "-D", self.home / "data", *flags),
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        deadline = time.monotonic() + 60
        ready = [self.bin / "pg_isready", "-q", "-h", self.home, "-p", str(self.port), "-U", USER]
        while subprocess.run(ready, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError((self.home / "server.log").read_text())
            time.sleep(0.05)

    def sql(self, statement):
        """Runs one statement."""
        subprocess.run(
            [self.bin / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-h", self.home, "-p",
             str(self.port), "-U", USER, "-c", statement],
            check=True, stdout=self.log, stderr=self.log,
        )

    def recycle_log(self, mib=512):
        """Leaves that much written log to be used again, as in a server that has run for a while:
        a new log file has to be filled with zeros first, in the middle of a commit."""
        self.sql(
            "SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 1000000)))"
            f" FROM generate_series(1, {mib})"
        )
        self.sql("CHECKPOINT")

    @property
    def url(self):
        host = "127.0.0.1" if self.tcp else quote(str(self.home), safe="")
        return f"postgresql://{USER}@{host}:{self.port}/postgres"

    def stop(self, for_good=False):
        """A clean stop, after which nothing has to be recovered; or a quick one, for good."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT if for_good else signal.SIGINT)
            self.process.wait(120)
            self.process = None


@contextlib.contextmanager
def postgres(directory="/var/tmp", **options):
    """A started server whose data are in a new directory in `directory`, gone at the end."""
    # Short, since the path of a Unix socket is; open for the user postgres on the way there.
    home = Path(tempfile.mkdtemp(prefix="oncelog-pg-", dir=directory))
    server = None
    try:
        server = Server(home, **options)
        server.start()
        yield server
    finally:
        if server:
            server.stop(for_good=True)
            server.log.close()
        shutil.rmtree(home, ignore_errors=True)


def main():
    arguments = argparse.ArgumentParser(description="Runs a private PostgreSQL until end of input.")
    arguments.add_argument("--tcp", action="store_true", help="a URL of loopback, not of the socket")
    arguments.add_argument("--no-install", action="store_true", help="fail if it is not installed")
    given = arguments.parse_args()
    try:
        with postgres(tcp=given.tcp, install=not given.no_install) as server:
            print(server.url, flush=True)
            sys.stdin.read()
    except Missing as missing:
        print(f"NOT RUN: {missing}", flush=True)
        sys.exit(69)


if __name__ == "__main__":
    main()
