"""Latency where there is room: an open loop at half of the peak, beside the control and one fdatasync.

`oncelog bench --rate` sends messages when they are due, whatever the answers do, and counts latency from
the moment a message was due. The control answers in the shape of a receipt, so that it is measured by the
same generator at the same rate. The generator has one thread for its connections: on few processors, each thread
of the load is one more that the services wait for.

An fdatasync that takes long is met by more messages than a short one. So the time of one is also weighted by
itself: 1 % of a second is spent in those longer than the weighted p99.
"""

import os
import statistics
import time
from pathlib import Path

from bench import alternating, program
from cases import median
from meters import Meters

CONNECTIONS = 256
PERCENTILES = ["p50", "p90", "p99", "p99_9", "max"]
SYNC_SECONDS, SYNC_BYTES = 2, 4096


def fdatasync_us(directory):
    """The time of one fdatasync after an append, with nothing else to do."""
    path, times = Path(directory) / "syncs", []
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        end = time.perf_counter() + SYNC_SECONDS
        while (started := time.perf_counter()) < end:
            os.write(file, b"x" * SYNC_BYTES)
            written = time.perf_counter()
            os.fdatasync(file)
            times.append((time.perf_counter() - written) * 1e6)
    finally:
        os.close(file)
        path.unlink()
    times.sort()
    longest, spent = times[-1], 0
    for duration in reversed(times):
        spent += duration
        if spent > sum(times) / 100:
            break
        longest = duration
    count = len(times)
    return {"p50": times[count // 2], "p90": times[count * 9 // 10], "p99": times[count * 99 // 100],
            "max": times[-1], "weighted_p99": longest}


def open_loop(lab, case, rate, seconds):
    os.sync()
    with lab.cases[case]() as (addr, clocks):
        meters = Meters(lab.scratch, clocks)
        os.environ["TOKIO_WORKER_THREADS"] = "1"
        said = program("oncelog", "bench", "--json", "--rate", rate, "--connections", CONNECTIONS,
                       "--duration", f"{seconds}s", f"http://{addr}")
        del os.environ["TOKIO_WORKER_THREADS"]
        counts = said["measured"]["counts"]
        cost = meters.since(counts["sent"])
    others = {name: count for name, count in counts.items()
              if name not in ("sent", "acknowledged") and count}
    measured = {figure: {name: said["measured"][figure][name] for name in PERCENTILES}
                for figure in ("latency_us", "lateness_us")}
    return {**measured,
            "rate": said["measured"]["per_second"]["acknowledged"], "failed": str(others or ""),
            "cores": cost["cores"], "load_cores": cost["load_cores"], "idle_cores": cost["idle_cores"]}


def measure(lab, quick):
    peaks = [lab.measure("journal", CONNECTIONS, 3)["rate"] for _ in range(1 if quick else 3)]
    rate = round(statistics.median(peaks) / 2)
    sync = fdatasync_us(lab.scratch)
    print(f"  peak {2 * rate}/s; one fdatasync takes {sync['p50']:.0f} us, p99 {sync['p99']:.0f}, weighted"
          f" {sync['weighted_p99']:.0f}, max {sync['max']:.0f} us", flush=True)
    runs = {"control": [], "journal": [], "postgres": []}
    syncs = [sync]
    for number in range(2 if quick else 4):
        for case in alternating(number, list(runs)):
            run = open_loop(lab, case, rate, 3 if quick else 6)
            latencies = "  ".join(f"{name} {run['latency_us'][name]}" for name in PERCENTILES)
            print(f"  round {number + 1} {case:9} {run['rate']:.0f}/s  {latencies} us, sent late by"
                  f" {run['lateness_us']['p99']} us (p99)  {run['failed']}", flush=True)
            runs[case].append(run)
        syncs.append(fdatasync_us(lab.scratch))

    found = {name: statistics.median(sync[name] for sync in syncs) for name in sync}
    cases = {case: {"latency_us": median(of_case, "latency_us"),
                    "lateness_us": median(of_case, "lateness_us"),
                    **{name: median(of_case, name) for name in ("rate", "cores", "load_cores", "idle_cores")}}
             for case, of_case in runs.items()}
    allowed = 3 * cases["control"]["latency_us"]["p50"] + found["p99"]
    return {
        "connections": CONNECTIONS, "rate": rate, "cases": cases, "fdatasync_us": found,
        "p99_allowed_us": allowed, "p99_to_allowed": cases["journal"]["latency_us"]["p99"] / allowed,
        "failed": [f"{case}: {run['failed']}" for case, of_case in runs.items()
                   for run in of_case if run["failed"]],
    }
