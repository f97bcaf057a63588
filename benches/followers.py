"""Readers that follow the log while it is written: what each of them gets, and what they cost the posts.

In each round the same log takes posts as fast as they come, once without readers and once with all
readers, each on a connection of its own to the logging service, in alternating order. Afterwards every
reader must come to the end of the log. Sequences are checked by each reader: no gap, no repeat.
"""

import json
import statistics
import subprocess
import time

from bench import RELEASE, alternating, last_sequence, running, wrk
from meters import cpu_seconds

READERS, CONNECTIONS = 200, 256
CATCH_UP_SECONDS_MAX = 60


class Followers:
    """`faultlab load follow`, which counts what its readers get."""

    def __init__(self, addr, readers, after):
        self.process = subprocess.Popen(
            [RELEASE / "faultlab", "load", "follow", addr, "--readers", str(readers),
             "--after", str(after)],
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
        while now["behind"] and not now["broken"] and time.monotonic() < stopped + CATCH_UP_SECONDS_MAX:
            time.sleep(0.02)
            now = followers.report(end)
        return {
            "rate": load.rate, "p99_us": load.p99_us, "failed": load.failed,
            "delivered_per_second": found["records"] / found["seconds"],
            "lag": found["lag"], "behind": now["behind"], "broken": now["broken"],
            "caught_up_after_seconds": time.monotonic() - stopped,
            "readers_cores": cpu[0] / found["seconds"], "logging_cores": cpu[1] / found["seconds"],
        }
    finally:
        followers.stop()


def measure(lab, quick):
    rounds, seconds, runs = (1, 3, []) if quick else (3, 4, [])
    with running(lab.scratch) as services:
        facade = services[2]
        wrk(facade.addr, 1, CONNECTIONS)
        for number in range(rounds):
            for kind in alternating(number, ["alone", "followed"]):
                if kind == "followed":
                    run = with_readers(services, READERS, seconds)
                else:
                    load = wrk(facade.addr, seconds, CONNECTIONS)
                    alone = {"rate": load.rate, "p99_us": load.p99_us, "failed": load.failed}
            runs.append({"alone": alone, "followed": run})
            print(f"  round {number + 1}: {alone['rate']:.0f}/s alone, {run['rate']:.0f}/s beside {READERS}"
                  f" readers, which got {run['delivered_per_second']:.0f} records/s, were {run['lag']['most']}"
                  f" behind at most and had all {run['caught_up_after_seconds']:.1f} s later"
                  f" ({run['behind']} never; {len(run['broken'])} broken); cores: readers"
                  f" {run['readers_cores']:.2f}, logging {run['logging_cores']:.2f} {run['broken'][:1]}", flush=True)

    def median(figure):
        return statistics.median(run["followed"][figure] for run in runs)

    behind = max(run["followed"]["behind"] for run in runs)
    broken = [why for run in runs for why in run["followed"]["broken"]]
    return {
        "readers": READERS, "connections": CONNECTIONS,
        "rate_alone": statistics.median(run["alone"]["rate"] for run in runs), "rate": median("rate"),
        "rate_to_alone": statistics.median(run["followed"]["rate"] / run["alone"]["rate"] for run in runs),
        "delivered_per_second": median("delivered_per_second"),
        "lag_most": max(run["followed"]["lag"]["most"] for run in runs),
        "caught_up_after_seconds": max(run["followed"]["caught_up_after_seconds"] for run in runs),
        "readers_without_all": behind + len(broken),
        "readers_cores": median("readers_cores"), "logging_cores": median("logging_cores"),
        "failed": [f"{behind} readers never had everything"] * bool(behind) + broken[:3]
                  + [run[kind]["failed"] for run in runs for kind in run if run[kind]["failed"]],
    }
