#!/usr/bin/env python3
"""Compares Oncelog with a bare axum handler and with axum + PostgreSQL, side by side in one run.

    cargo build --release --workspace && python3 benches/compare.py --json target/compare.json

Needs `wrk` and PostgreSQL (Debian packages `wrk` and `postgresql`; run as root, it installs what is
missing). Takes about ten minutes; `--rounds 1 --seconds 2` takes two. A quiet machine, please.

What is compared (`--cases` takes some of them):

    control     a bare axum handler with the same JSON and runtime settings; stores nothing
    control-all the same with a thread for each processor, as Tokio does by itself
    memory      Oncelog, messages in memory only
    quiet       Oncelog, durable; the console shows sizes and ids instead of messages
    journal     Oncelog, durable, as it comes
    postgres    axum and PostgreSQL, one batch in flight (benches/rivals/postgres)
    postgres-2  the same, two batches in flight
    postgres-tcp, postgres-2-tcp    the same over loopback instead of a Unix socket

A round measures every case at every number of connections. Cases with the same number of connections
follow each other, in another order each round; only the measured case runs, its log starts empty, and a
warm-up comes first. Ratios are taken within a round, and the tables show the median over the rounds.

Data are in a new directory in `--dir`, which must be on a real disk: an fsync into memory costs nothing.
Afterwards every case has to hold as many messages as it acknowledged. Exit code 0: measured; 1: requests
failed or messages are missing; 2: could not run.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import BODY, RELEASE, ROOT, Service, post, tree_cpu_seconds, trio, wrk
from rivals.postgres import Missing, postgres

DEFAULT_CASES = "control,control-all,memory,quiet,journal,postgres,postgres-2"
PROGRAMS = ["oncelog-control", "facade-service", "logging-service", "messages-service",
            "oncelog-rival-postgres"]
WARM_UP_SECONDS = 1

# Connections, figure, goal, and what it is.
GOALS = [
    (256, "rate_to_control", ">=", 0.80, "256 connections: rate to the control"),
    (64, "rate_to_control", ">=", 0.62, "64 connections: rate to the control"),
    (1, "p50_to_control", "<=", 6.0, "1 connection: p50 to the control"),
    (256, "rate_to_postgres", ">=", 1.0, "256 connections: rate to the fastest rival"),
    (64, "rate_to_postgres", ">=", 1.0, "64 connections: rate to the fastest rival"),
    (1, "p50_to_postgres", "<=", 1.0, "1 connection: p50 to the fastest rival"),
    (256, "cpu_to_control", "<=", 1.7, "256 connections: CPU a message to the control"),
    (64, "cpu_to_control", "<=", 2.2, "64 connections: CPU a message to the control"),
]


class Lab:
    """Starts each case on its own, with an empty log."""

    def __init__(self, scratch, database):
        self.scratch, self.database = scratch, database
        oncelog = {"memory": ["--store", "memory", "--hide-bodies"], "quiet": ["--hide-bodies"],
                   "journal": []}
        self.cases = {"control": self.control, "control-all": self.control_on_all}
        for name, flags in oncelog.items():
            self.cases[name] = lambda flags=flags: self.oncelog(*flags)
        for in_flight in (1, 2):
            for tcp in (False, True):
                name = "postgres" + "-2" * (in_flight == 2) + "-tcp" * tcp
                self.cases[name] = lambda n=in_flight, tcp=tcp: self.rival(n, tcp)

    @contextlib.contextmanager
    def control(self):
        service = Service(RELEASE / "oncelog-control", "127.0.0.1:0")
        try:
            yield service.addr, {"control": service.cpu_seconds}
        finally:
            service.stop()

    @contextlib.contextmanager
    def control_on_all(self):
        os.environ["TOKIO_WORKER_THREADS"] = str(os.cpu_count())
        try:
            with self.control() as control:
                yield control
        finally:
            del os.environ["TOKIO_WORKER_THREADS"]

    @contextlib.contextmanager
    def oncelog(self, *logging_flags):
        data = Path(tempfile.mkdtemp(dir=self.scratch))
        services = trio(data, *logging_flags)
        logging, _, facade = services
        try:
            yield facade.addr, {"facade": facade.cpu_seconds, "logging": logging.cpu_seconds}
        finally:
            for service in reversed(services):
                service.stop()
            shutil.rmtree(data)

    @contextlib.contextmanager
    def rival(self, in_flight, tcp):
        database, service = self.database, None
        database.tcp = tcp
        database.start()
        try:
            database.sql("DROP TABLE IF EXISTS messages")
            service = Service(
                RELEASE / "oncelog-rival-postgres", "127.0.0.1:0", database.url, in_flight
            )
            server = database.process.pid
            yield service.addr, {
                "facade": service.cpu_seconds, "postgres": lambda: tree_cpu_seconds(server)
            }
        finally:
            if service:
                service.stop()
            database.stop()

    def measure(self, case, connections, seconds):
        # What earlier cases left to be written is not written now.
        os.sync()
        with self.cases[case]() as (addr, clocks):
            warm_up = wrk(addr, WARM_UP_SECONDS, connections)
            before = {name: clock() for name, clock in clocks.items()}
            load = wrk(addr, seconds, connections)
            cpu = {name: clock() - before[name] for name, clock in clocks.items()}
            # Sequences count from 1.
            missing = warm_up.requests + load.requests + 1 - post(addr)["sequence"]
        run = {"case": case, "connections": connections, **vars(load)}
        run["cpu_us"] = {name: spent * 1e6 / load.requests for name, spent in cpu.items()}
        if missing > 0:
            run["failed"] += f" {missing} acknowledged messages are missing"
        return run


def rounds(lab, cases, given):
    for number in range(1, given.rounds + 1):
        shift = (number - 1) % len(cases)
        for connections in given.connections:
            for case in cases[shift:] + cases[:shift]:
                run = {"round": number, **lab.measure(case, connections, given.seconds)}
                print(f"  round {number} {connections:4} connections {case:14}"
                      f" {run['rate']:9.0f}/s  p50 {run['p50_us']:7.0f} us  p99 {run['p99_us']:7.0f} us"
                      f"  {run['failed']}", flush=True)
                yield run


def summarize(runs, cases, connections):
    """One row for each case and number of connections: medians over the rounds."""
    by_place = {(run["round"], run["connections"], run["case"]): run for run in runs}
    numbers = sorted({run["round"] for run in runs})
    rows = []
    for count in connections:
        for case in cases:
            of_case = [by_place[number, count, case] for number in numbers]

            def median(of_run):
                return statistics.median(map(of_run, of_case))

            def ratio(figure, other):
                """The median of the ratios within each round."""
                pairs = [(by_place[number, count, case], by_place.get((number, count, other)))
                         for number in numbers]
                if not all(base for _, base in pairs):
                    return None
                return statistics.median(run[figure] / base[figure] for run, base in pairs)

            rivals = [rival for rival in cases if rival.startswith("postgres")]
            rows.append({
                "case": case, "connections": count,
                "rate": median(lambda run: run["rate"]),
                "rate_to_control": ratio("rate", "control"),
                # To the fastest of the rivals.
                "rate_to_postgres": min((ratio("rate", rival) for rival in rivals), default=None),
                "p50_us": median(lambda run: run["p50_us"]),
                "p50_to_control": ratio("p50_us", "control"),
                "p50_to_postgres": max((ratio("p50_us", rival) for rival in rivals), default=None),
                "p99_us": median(lambda run: run["p99_us"]),
                "cpu_us": {name: median(lambda run: run["cpu_us"][name])
                           for name in of_case[0]["cpu_us"]},
                "cpu_to_control": None,
            })
    control = {row["connections"]: sum(row["cpu_us"].values()) for row in rows
               if row["case"] == "control"}
    for row in rows:
        if control.get(row["connections"]):
            row["cpu_to_control"] = sum(row["cpu_us"].values()) / control[row["connections"]]
    return rows


def show(rows):
    def factor(value):
        return "-" if value is None else f"{value:.2f}"

    print(f"\n{'conns':>5} {'case':14} {'rate':>9} {'/control':>8} {'/rival':>7} {'p50 us':>8}"
          f" {'/control':>8} {'/rival':>7} {'p99 us':>8} {'CPU us':>7} {'/control':>8}  of which")
    last = None
    for row in rows:
        if last not in (None, row["connections"]):
            print()
        last = row["connections"]
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in row["cpu_us"].items())
        print(f"{row['connections']:5} {row['case']:14} {row['rate']:9.0f}"
              f" {factor(row['rate_to_control']):>8} {factor(row['rate_to_postgres']):>7}"
              f" {row['p50_us']:8.0f} {factor(row['p50_to_control']):>8}"
              f" {factor(row['p50_to_postgres']):>7} {row['p99_us']:8.0f}"
              f" {sum(row['cpu_us'].values()):7.1f} {factor(row['cpu_to_control']):>8}  {parts}")


def judge(rows):
    """Says which goals of the durable journal were reached, as far as they were measured."""
    figures = {row["connections"]: row for row in rows if row["case"] == "journal"}
    print()
    for connections, figure, sign, goal, what in GOALS:
        found = figures.get(connections, {}).get(figure)
        if found is not None:
            reached = found >= goal if sign == ">=" else found <= goal
            print(f"{what:52} {found:6.2f}  goal {sign} {goal:.2f}  {'reached' if reached else 'MISSED'}")


def words(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


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
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": words("git", "describe", "--always", "--dirty"),
        "cores": os.cpu_count(), "processor": processor[0] if processor else platform.machine(),
        "kernel": platform.release(), "load": os.getloadavg()[0],
        "filesystem": kind, "device": source, "mount_options": options,
        "postgres": server.version() if server else None,
        "postgres_settings": server.settings if server else None,
        "body": BODY,
    }


def compare(cases, given):
    directory = Path(given.dir)
    scratch = Path(tempfile.mkdtemp(prefix="oncelog-compare-", dir=directory))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        server = None
        if any(case.startswith("postgres") for case in cases):
            settings = dict(setting.split("=", 1) for setting in given.postgres_set)
            server = stack.enter_context(postgres(directory, settings=settings))
            server.recycle_log()
            server.stop()
        about = machine(scratch, server)
        print(f"{about['date']}, {about['cores']} cores ({about['processor']}), data on"
              f" {about['filesystem']} ({about['device']}), {about['postgres'] or 'no PostgreSQL'},"
              f" load {about['load']:.1f}, commit {about['commit']}", flush=True)
        runs = list(rounds(Lab(scratch, server), cases, given))
    rows = summarize(runs, cases, given.connections)
    show(rows)
    judge(rows)
    if given.json:
        result = {"machine": about, "rounds": given.rounds, "seconds": given.seconds,
                  "summary": rows, "runs": runs}
        Path(given.json).write_text(json.dumps(result, indent=1) + "\n")
    return not any(run["failed"] for run in runs)


def numbers(text):
    return [int(number) for number in text.split(",")]


def prepare(cases):
    """Everything that is needed, or the reason why it cannot run."""
    unknown = set(cases) - set(Lab(None, None).cases)
    if unknown:
        raise Missing(f"no such case: {', '.join(sorted(unknown))}")
    absent = [program for program in PROGRAMS if not (RELEASE / program).exists()]
    if absent:
        raise Missing(f"cargo build --release --workspace first: {', '.join(absent)}")
    if not shutil.which("wrk"):
        if os.geteuid() != 0:
            raise Missing("wrk is missing: apt-get install wrk")
        subprocess.run(["apt-get", "-qq", "install", "-y", "wrk"], check=True, stdout=sys.stderr)


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--cases", default=DEFAULT_CASES, type=lambda text: text.split(","))
    arguments.add_argument("--connections", default="1,16,64,256", type=numbers)
    arguments.add_argument("--rounds", default=3, type=int)
    arguments.add_argument("--seconds", default=6, type=int, help="of one measurement")
    arguments.add_argument("--dir", default="/var/tmp", help="where the data are")
    arguments.add_argument("--postgres-set", metavar="NAME=VALUE", action="append", default=[],
                           help="another setting of the server, such as wal_sync_method=…")
    arguments.add_argument("--json", metavar="FILE", help="writes everything that was measured")
    given = arguments.parse_args()
    try:
        prepare(given.cases)
        held = compare(given.cases, given)
    except Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
