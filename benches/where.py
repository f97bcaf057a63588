#!/usr/bin/env python3
"""Where the processor time of a message goes: samples of the facade and the logging service under load.

    RUSTFLAGS="-C force-frame-pointers=yes" CARGO_TARGET_DIR=target/frames cargo build --release --workspace
    python3 benches/where.py

Needs `perf` (Debian package `linux-perf`) and `wrk`. Each sample is a stack; the first of the steps below that one of
its functions belongs to gets it. Figures go to benches/figures.json and the table to docs/performance.md. Exit
code 0: measured; 2: could not run.
"""

import argparse
import collections
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bench
import documents
import plots
from measure import rounded
from environment import commit, now

CONNECTIONS, SECONDS, SAMPLES_PER_SECOND = 64, 8, 2999

# What is done, and a part of the names of the functions that do it: all parts in one stack.
STEPS = {
    "facade": [
        ("the call's socket", [["writev", "h2"], ["__libc_recv", "h2"]]),
        ("read the request from its socket", [["__libc_recv"]]),
        ("write the answer to its socket", [["writev"]]),
        ("find the parts of its head", [["Http1Transaction>::parse"]]),
        ("write the head of the answer", [["Http1Transaction>::encode"], ["write_head"]]),
        ("gRPC and HTTP/2, encode and decode", [["h2::"], ["tonic::"], ["prost::"], ["hyper::client"]]),
        ("coalesce, batch, retry layers, wake the waiting requests", [["delivery::"]]),
        ("wait for sockets and timers", [["park_internal"], ["epoll_wait"]]),
        ("body, id, queue, receipt, and the connection's own state", [["TrackedFuture"]]),
    ],
    "logging": [
        ("fdatasync", [["fdatasync"]]),
        ("write the frame into the page cache", [["pwrite"]]),
        ("console", [["console::"], ["Console"]]),
        ("deduplicate, build the frame, publish, reply", [["logging_service::log"], ["store::journal"]]),
        ("the call's socket", [["writev", "h2"], ["__libc_recv", "h2"]]),
        ("gRPC and HTTP/2, decode and encode", [["h2::"], ["tonic::"], ["prost::"]]),
        ("wait for sockets and for each other", [["park_internal"], ["epoll_wait"], ["futex"], ["recv_timeout"]]),
    ],
}
REST = "the rest of the runtime and the kernel"


def stacks(path):
    """The functions of each sample, innermost first."""
    said = subprocess.run(["perf", "script", "-i", path, "-F", "comm,ip,sym"], check=True, capture_output=True,
                          text=True).stdout
    for sample in said.split("\n\n"):
        lines = sample.strip().split("\n")
        if len(lines) > 1:
            # A thread that runs one thing alone is named after it, so its name counts as a function.
            yield [f"{lines[0].strip()}::"] + [line.strip().partition(" ")[2] for line in lines[1:]]


def step(steps, stack):
    for what, patterns in steps:
        for parts in patterns:
            if all(any(part in function for function in stack) for part in parts):
                return what
    return REST


def sample(service, path):
    return subprocess.Popen(["perf", "record", "-q", "-g", "-F", str(SAMPLES_PER_SECOND), "-p",
                             str(service.process.pid), "-o", path, "--", "sleep", str(SECONDS)],
                            stderr=subprocess.DEVNULL)


def measure(scratch):
    logging, messages, facade = bench.cluster(scratch / "data")
    bench.wrk(facade.addr, 1, CONNECTIONS)
    services = {"facade": facade, "logging": logging}
    before = {name: service.cpu_seconds() for name, service in services.items()}
    samplers = {name: sample(service, scratch / name) for name, service in services.items()}
    load = bench.wrk(facade.addr, SECONDS, CONNECTIONS)
    spent = {name: service.cpu_seconds() - before[name] for name, service in services.items()}
    for sampler in samplers.values():
        sampler.wait()
    for service in (facade, messages, logging):
        service.stop()
    rows = []
    for name in services:
        counts = collections.Counter(step(STEPS[name], stack) for stack in stacks(scratch / name))
        total, cpu_us = counts.total(), spent[name] * 1e6 / load.requests
        rows += [{"service": name, "step": what, "cpu_us": counts[what] * cpu_us / total, "share": counts[what] / total}
                 for what in [what for what, _ in STEPS[name]] + [REST]]
    return {"date": now(), "commit": commit(), "quick": False, "connections": CONNECTIONS, "rate": load.rate,
            "rows": rows, "failed": []}


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--programs", default=bench.ROOT / "target" / "frames" / "release", type=Path)
    arguments.add_argument("--dir", default="/var/tmp", help="where the data are, on a real disk")
    given = arguments.parse_args()
    if not (given.programs / "facade-service").exists() or not shutil.which("perf") or not shutil.which("wrk"):
        print("programs with frame pointers, perf or wrk are missing: see --help", file=sys.stderr)
        sys.exit(2)
    bench.RELEASE = given.programs
    scratch = Path(tempfile.mkdtemp(prefix="oncelog-bench-", dir=given.dir))
    try:
        found = measure(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    figures = documents.figures()
    figures["parts"]["where"] = rounded(found)
    documents.keep(figures)
    plots.write(figures)
    documents.write(figures)
    for row in found["rows"]:
        print(f"{row['service']:8} {row['cpu_us']:6.2f} us {100 * row['share']:5.1f} %  {row['step']}")


if __name__ == "__main__":
    main()
