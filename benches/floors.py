#!/usr/bin/env python3
"""Measures the floors that the release build must keep, in one run on one machine.

    cargo build --release --workspace && python3 benches/floors.py

Needs `wrk` (Debian package `wrk`). Everything listens on loopback, and stops by itself after a few
minutes. Prints one table; ratios are what counts, since they compare runs beside each other.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
BODY = '{"msg":"thirty-four bytes of a message...."}'
ROUNDS, SECONDS, CONNECTIONS = 3, 8, 256
MESSAGES = 1_000_000


class Service:
    def __init__(self, *command, console=None):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.started = time.monotonic()
        line = self.process.stdout.readline().decode()
        self.ready_after = time.monotonic() - self.started
        self.addr = re.search(r"addr=(\S+)", line)[1]
        # The console is read and thrown away, as a terminal would.
        self.sink = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)

    def rss_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def peak_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self, hard=False):
        self.process.kill() if hard else self.process.terminate()
        self.process.wait(30)
        self.sink.wait(30)


def wrk(addr, seconds, connections=CONNECTIONS):
    script = Path(tempfile.gettempdir()) / f"oncelog-{os.getpid()}.lua"
    script.write_text(
        f"wrk.method='POST'\nwrk.body='{BODY}'\nwrk.headers['Content-Type']='application/json'\n"
    )
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://{addr}/facade"],
        check=True, capture_output=True, text=True,
    ).stdout
    script.unlink()
    if "Non-2xx" in out or "Socket errors" in out:
        print(out, file=sys.stderr)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def post(addr):
    request = urllib.request.Request(
        f"http://{addr}/facade", BODY.encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request, timeout=30))


def trio(data):
    logging = Service(RELEASE / "logging-service", "--listen", "127.0.0.1:0", "--data-dir", data)
    messages = Service(RELEASE / "messages-service", "--listen", "127.0.0.1:0")
    facade = Service(
        RELEASE / "facade-service", "--listen", "127.0.0.1:0",
        "--logging-url", f"http://{logging.addr}", "--messages-url", f"http://{messages.addr}",
    )
    return logging, messages, facade


def throughput(data):
    control = Service(RELEASE / "oncelog-control", "127.0.0.1:0")
    logging, messages, facade = trio(data)
    ratios = []
    for _ in range(ROUNDS):
        bare, durable = wrk(control.addr, SECONDS), wrk(facade.addr, SECONDS)
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
        wrk(facade.addr, 3)
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
