"""What the benchmarks share: services to start and to watch, and the load.

Everything listens on loopback. The load is `wrk` with one thread, which keeps each connection busy with
one request at a time; `faultlab load` for what wrk cannot do; `oncelog bench` for an open loop.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from meters import cpu_seconds

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
# A text of 34 bytes, and the JSON around it.
BODY = '{"msg":"thirty-four bytes of a message...."}'
JSON_BYTES = len('{"msg":""}')
TEXT_BYTES = len(BODY) - JSON_BYTES


class Service:
    """A program that prints `listening addr=<ip:port>` once it works."""

    def __init__(self, *command):
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        line = self.process.stdout.readline().decode()
        listening = re.search(r"addr=(\S+)", line)
        if not listening:
            self.process.kill()
            raise RuntimeError(f"{command[0]} does not start")
        self.addr = listening[1]
        # The console is read and thrown away, as a terminal would.
        self.sink = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)

    def _memory_mib(self, field):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024

    def memory_mib(self):
        return self._memory_mib("VmRSS")

    def peak_mib(self):
        return self._memory_mib("VmHWM")

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def stop(self, hard=False):
        self.process.kill() if hard else self.process.terminate()
        self.process.wait(30)
        self.sink.wait(30)


def control():
    return Service(RELEASE / "oncelog-control", "127.0.0.1:0")


def logging_service(data, *flags, listen="127.0.0.1:0"):
    return Service(RELEASE / "logging-service", "--listen", listen, "--data-dir", data, *flags)


def cluster(data, *logging_flags):
    """The three services: logging, messages, facade."""
    logging = logging_service(data, *logging_flags)
    messages = Service(RELEASE / "messages-service", "--listen", "127.0.0.1:0")
    facade = Service(
        RELEASE / "facade-service", "--listen", "127.0.0.1:0",
        "--logging-url", f"http://{logging.addr}", "--messages-url", f"http://{messages.addr}",
    )
    return logging, messages, facade


@contextlib.contextmanager
def running(scratch, *logging_flags):
    """The three services on an empty log, gone at the end."""
    data = Path(tempfile.mkdtemp(dir=scratch))
    services = cluster(data, *logging_flags)
    try:
        yield services
    finally:
        for service in reversed(services):
            service.stop()
        shutil.rmtree(data)


@dataclass
class Load:
    """What wrk saw."""

    rate: float
    requests: int
    p50_us: float
    p90_us: float
    p99_us: float
    failed: str


def wrk(addr, seconds, connections, body_bytes=None, request=""):
    """Posts messages of `body_bytes` with the JSON around them; `request` is Lua that makes each one."""
    body = f"'{BODY}'" if body_bytes is None else (
        f"""'{{"msg":"' .. string.rep('x', {body_bytes - JSON_BYTES}) .. '"}}'"""
    )
    with tempfile.NamedTemporaryFile("w", prefix="oncelog-", suffix=".lua") as script:
        script.write(f"wrk.method = 'POST'\nwrk.body = {body}\n"
                     f"wrk.headers['Content-Type'] = 'application/json'\n{request}")
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


def program(name, *flags):
    """What a program of the load prints as JSON."""
    done = subprocess.run([RELEASE / name, *map(str, flags)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} {flags[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def upload(addr, lines, connections, seconds, text_bytes=TEXT_BYTES, uploads=None):
    most = [] if uploads is None else ["--uploads", uploads]
    return program("faultlab", "load", "upload", addr, "--lines", lines, "--connections", connections,
                   "--seconds", seconds, "--text-bytes", text_bytes, *most)


def fill(facade, stored, until):
    """Stores messages in few large uploads until there are `until`."""
    lines, connections = 10_000, 4
    uploads = -(-(until - stored) // (lines * connections))
    if uploads > 0:
        found = upload(facade.addr, lines, connections, 3600, uploads=uploads)
        if found["failed"]:
            raise RuntimeError(f"{found['failed']} messages were not stored")


def post(addr):
    request = urllib.request.Request(
        f"http://{addr}/facade", BODY.encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request, timeout=30))


def last_sequence(addr):
    """Posts a message, and says where it is."""
    return post(addr)["sequence"]


def alternating(number, variants):
    """The variants in another order each round, so that what comes first is not always the same."""
    shift = number % len(variants)
    return variants[shift:] + variants[:shift]
