"""What the benchmarks share: services to start and to watch, and the load.

Everything listens on loopback. The load is `wrk` with one thread, which keeps each connection busy with
one request at a time.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
BODY = '{"msg":"thirty-four bytes of a message...."}'
TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """A program that prints `listening addr=<ip:port>` once it works."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.started = time.monotonic()
        line = self.process.stdout.readline().decode()
        self.ready_after = time.monotonic() - self.started
        listening = re.search(r"addr=(\S+)", line)
        if not listening:
            self.process.kill()
            raise RuntimeError(f"{command[0]} does not start")
        self.addr = listening[1]
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

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def stop(self, hard=False):
        self.process.kill() if hard else self.process.terminate()
        self.process.wait(30)
        self.sink.wait(30)


def cpu_seconds(pid):
    """Processor time of a process, with all of its children that have ended."""
    # The name in parentheses may hold spaces. Fields 14 to 17 of proc_pid_stat(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


def tree_cpu_seconds(pid):
    """Processor time of a process and of all its children, ended or not."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = cpu_seconds(pid)
    for child in children:
        try:
            total += cpu_seconds(child)
        except FileNotFoundError:
            # Ended since: its time is its parent's now, and counted the next time.
            pass
    return total


@dataclass
class Load:
    """What wrk saw."""

    rate: float
    requests: int
    p50_us: float
    p90_us: float
    p99_us: float
    failed: str


def wrk(addr, seconds, connections):
    with tempfile.NamedTemporaryFile("w", prefix="oncelog-", suffix=".lua") as script:
        script.write(
            f"wrk.method='POST'\nwrk.body='{BODY}'\nwrk.headers['Content-Type']='application/json'\n"
        )
        script.flush()
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name,
             f"http://{addr}/facade"],
            check=True, capture_output=True, text=True,
        ).stdout
    failed = " ".join(line.strip() for line in out.splitlines()
                      if "Non-2xx" in line or "Socket errors" in line)
    if failed:
        print(out, file=sys.stderr)

    def latency_us(percentile):
        value, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]

    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        requests=int(re.search(r"(\d+) requests in", out)[1]),
        p50_us=latency_us(50), p90_us=latency_us(90), p99_us=latency_us(99),
        failed=failed,
    )


def post(addr):
    request = urllib.request.Request(
        f"http://{addr}/facade", BODY.encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request, timeout=30))


def last_sequence(addr):
    """Posts a message, and says where it is."""
    return post(addr)["sequence"]


def trio(data, *logging_flags):
    """The three services: logging, messages, facade."""
    logging = Service(
        RELEASE / "logging-service", "--listen", "127.0.0.1:0", "--data-dir", data, *logging_flags
    )
    messages = Service(RELEASE / "messages-service", "--listen", "127.0.0.1:0")
    facade = Service(
        RELEASE / "facade-service", "--listen", "127.0.0.1:0",
        "--logging-url", f"http://{logging.addr}", "--messages-url", f"http://{messages.addr}",
    )
    return logging, messages, facade
