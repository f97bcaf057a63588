"""Readers that follow the log while it is written: what each of them gets, and what they cost the posts.

In each round the same log takes posts as fast as they come, once with nobody reading and once with all
readers, each on a connection of its own to the logging service, in alternating order. Afterwards every
reader must come to the end of the log. Sequences are checked by each reader: no gap, no repeat.
"""

import contextlib
import json
import statistics
import subprocess
import tempfile
import time

from bench import RELEASE, cpu_seconds, last_sequence, trio, wrk

READERS, CONNECTIONS = 200, 256
PATIENCE_SECONDS = 60


class Followers:
    """`oncelog-load follow`, which counts what its readers get."""

    def __init__(self, addr, readers, after):
        self.process = subprocess.Popen(
            [RELEASE / "oncelog-load", "follow", addr, "--readers", str(readers), "--after", str(after)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if "follow" not in self.process.stdout.readline():
            raise RuntimeError(self.process.stderr.read().strip())

    def report(self, end):
        """What came since the last report, and how far the readers are behind `end`."""
        self.process.stdin.write(f"{end}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def with_readers(services, readers, seconds):
    """Posts beside readers, and then waits until all have everything."""
    logging, _, facade = services
    followers = Followers(logging.addr, readers, last_sequence(facade.addr))
    try:
        followers.report(0)
        cpu = cpu_seconds(followers.process.pid), logging.cpu_seconds()
        load = wrk(facade.addr, seconds, CONNECTIONS)
        end = last_sequence(facade.addr)
        found = followers.report(end)
        cpu = cpu_seconds(followers.process.pid) - cpu[0], logging.cpu_seconds() - cpu[1]
        stopped, now = time.monotonic(), found
        while now["behind"] and not now["broken"] and time.monotonic() < stopped + PATIENCE_SECONDS:
            time.sleep(0.02)
            now = followers.report(end)
        return {
            "rate": load.rate, "p99_us": load.p99_us, "failed": load.failed,
            "delivered_per_second": found["records"] / found["seconds"],
            "lag": found["lag"], "behind": now["behind"], "broken": now["broken"],
            "caught_up_after_seconds": time.monotonic() - stopped,
            "readers_cpu": cpu[0] / found["seconds"], "logging_cpu": cpu[1] / found["seconds"],
            "logging_mib": logging.rss_kib() / 1024,
        }
    finally:
        followers.stop()


def measure(scratch, rounds, seconds, readers=READERS):
    with tempfile.TemporaryDirectory(dir=scratch) as data, contextlib.ExitStack() as stack:
        services = trio(data)
        for service in services:
            stack.callback(service.stop)
        facade = services[2]
        wrk(facade.addr, 1, CONNECTIONS)
        runs = []
        for number in range(rounds):
            for reading in (False, True) if number % 2 == 0 else (True, False):
                if reading:
                    run = with_readers(services, readers, seconds)
                else:
                    load = wrk(facade.addr, seconds, CONNECTIONS)
                    alone = {"rate": load.rate, "p99_us": load.p99_us, "failed": load.failed}
            runs.append({"alone": alone, "followed": run})
            print(f"  round {number + 1}: {alone['rate']:.0f}/s alone, {run['rate']:.0f}/s beside {readers}"
                  f" readers, who got {run['delivered_per_second']:.0f} records/s, were {run['lag']['most']}"
                  f" behind at most and had all {run['caught_up_after_seconds']:.1f} s later"
                  f" ({run['behind']} never; {len(run['broken'])} broken) CPU: readers"
                  f" {run['readers_cpu']:.2f}, logging {run['logging_cpu']:.2f} {run['broken'][:1]}", flush=True)

    def median(figure):
        return statistics.median(run["followed"][figure] for run in runs)

    return {
        "readers": readers,
        "rate_alone": statistics.median(run["alone"]["rate"] for run in runs),
        "rate": median("rate"),
        "rate_to_alone": statistics.median(run["followed"]["rate"] / run["alone"]["rate"] for run in runs),
        "delivered_per_second": median("delivered_per_second"),
        "lag_most": max(run["followed"]["lag"]["most"] for run in runs),
        "caught_up_after_seconds": median("caught_up_after_seconds"),
        "behind": max(run["followed"]["behind"] for run in runs),
        "broken": sum((run["followed"]["broken"] for run in runs), []),
        "readers_cpu": median("readers_cpu"), "logging_cpu": median("logging_cpu"),
    }


if __name__ == "__main__":
    import sys
    measure("/var/tmp", 2, 4, int(sys.argv[1]) if len(sys.argv) > 1 else READERS)
