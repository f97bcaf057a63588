#!/usr/bin/env python3
"""Measures the floors that the release build must keep, in one run on one machine.

    cargo build --release --workspace && python3 benches/floors.py

Needs `wrk` (Debian package `wrk`). Everything listens on loopback, and stops by itself after a few
minutes. Prints one table; ratios are what counts, since they compare runs beside each other.
"""

import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench import RELEASE, ROOT, Service, post, trio, wrk

ROUNDS, SECONDS, CONNECTIONS = 3, 8, 256
MESSAGES = 1_000_000


def throughput(data):
    control = Service(RELEASE / "oncelog-control", "127.0.0.1:0")
    logging, messages, facade = trio(data)
    ratios = []
    for _ in range(ROUNDS):
        bare = wrk(control.addr, SECONDS, CONNECTIONS).rate
        durable = wrk(facade.addr, SECONDS, CONNECTIONS).rate
        ratios.append(durable / bare)
        print(f"  bare {bare:9.0f}/s   durable {durable:9.0f}/s   ratio {durable / bare:.2f}", flush=True)
    for service in (facade, logging, messages, control):
        service.stop()
    return sorted(ratios)[ROUNDS // 2]


def million(data):
    logging, messages, facade = trio(data)
    before_kib = logging.rss_kib()
    stored = post(facade.addr)["sequence"]
    while stored < MESSAGES:
        wrk(facade.addr, 3, CONNECTIONS)
        stored = post(facade.addr)["sequence"]
    logging.stop(hard=True)

    restarted = time.monotonic()
    logging = Service(
        RELEASE / "logging-service", "--listen", logging.addr, "--data-dir", data
    )
    receipt = post(facade.addr)
    first_ack = time.monotonic() - restarted
    index_bytes = (logging.rss_kib() - before_kib) * 1024 / receipt["sequence"]

    rss = logging.rss_kib(), facade.rss_kib()
    logging.forget_peak(), facade.forget_peak()
    started = time.monotonic()
    size = 0
    with urllib.request.urlopen(f"http://{facade.addr}/facade", timeout=300) as answer:
        while chunk := answer.read(1 << 20):
            size += len(chunk)
    seconds = time.monotonic() - started
    grown = [max(0, peak - base) / 1024 for peak, base in
             zip((logging.peak_kib(), facade.peak_kib()), rss)]
    for service in (facade, logging, messages):
        service.stop()
    return receipt["sequence"], first_ack, index_bytes, grown, size, seconds


def main():
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    scratch = Path(tempfile.mkdtemp(prefix="oncelog-floors-", dir=ROOT / "target"))
    try:
        print(f"{os.cpu_count()} cores, {CONNECTIONS} connections, {SECONDS} s a run")
        ratio = throughput(scratch / "throughput")
        stored, first_ack, index_bytes, grown, size, seconds = million(scratch / "million")
    finally:
        shutil.rmtree(scratch)
    rows = [
        ("durable POST / bare axum handler", f"{ratio:.2f}", ">= 0.60", ratio >= 0.60),
        (f"first ack after kill -9, {stored:,} stored", f"{first_ack:.2f} s", "<= 2 s", first_ack <= 2),
        ("journal memory a message, after restart", f"{index_bytes:.0f} B", "< 100 B", index_bytes < 100),
        ("GET of all: logging grows by", f"{grown[0]:.1f} MiB", "< 64 MiB", grown[0] < 64),
        ("GET of all: facade grows by", f"{grown[1]:.1f} MiB", "< 64 MiB", grown[1] < 64),
    ]
    for what, measured, floor, held in rows:
        print(f"{what:45} {measured:>12}  floor {floor:9} {'ok' if held else 'MISSED'}")
    print(f"(the GET moved {size / 2**20:.0f} MiB in {seconds:.1f} s)")
    sys.exit(0 if all(row[3] for row in rows) else 1)


main()
