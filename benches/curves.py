"""How rate and latency grow with the number of connections and with the size of a message."""

import os
import time
from pathlib import Path

from bench import alternating
from cases import median, shown

CONNECTIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
# Bytes of the body of a request: the text and the JSON around it.
SIZES = [100, 1024, 10 * 1024, 100 * 1024, 1024 * 1024]
SIZE_CONNECTIONS = 64

KEPT = ("rate", "p50_us", "p99_us", "cores", "cpu_us", "load_cores", "idle_cores", "messages_a_flush",
        "flush_us")


def curve(cases, points, rounds, measured, name):
    """Measures each case at each point, and keeps the medians."""
    runs = {}
    for number in range(rounds):
        for point in points:
            for case in alternating(number, cases):
                run = measured(case, point)
                print(f"  round {number + 1} {point:7} {name:11} {case:9} {shown(run)}", flush=True)
                runs.setdefault((point, case), []).append(run)
    rows = [{"case": case, name: point, **{figure: median(of_case, figure) for figure in KEPT}}
            for (point, case), of_case in sorted(runs.items())]
    failed = [f"{point} {name}, {case}: {run['failed']}" for (point, case), of_case in runs.items()
              for run in of_case if run["failed"]]
    return {"rounds": rounds, "rows": rows, "failed": failed}


def connections(lab, quick):
    points = [1, 4, 16, 64, 256, 1024] if quick else CONNECTIONS
    cases = ["control", "journal"] if quick else ["control", "journal", "postgres"]
    return curve(cases, points, 1 if quick else 2,
                 lambda case, count: lab.measure(case, count, 2), "connections")


def disk_alone(directory, seconds=2):
    """MiB a second that the disk takes from one writer that does nothing else, 1 MiB and an fdatasync in turn, and
    the processors that takes."""
    path, block, written = Path(directory) / "blocks", b"x" * 2**20, 0
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    started, cpu = time.monotonic(), time.process_time()
    try:
        while (took := time.monotonic() - started) < seconds:
            os.write(file, block)
            os.fdatasync(file)
            written += 1
    finally:
        os.close(file)
        path.unlink()
    return written / took, (time.process_time() - cpu) / took


def sizes(lab, quick):
    disk = [disk_alone(lab.scratch)]
    found = curve(["control", "journal"], SIZES, 1 if quick else 2,
                  lambda case, size: lab.measure(case, SIZE_CONNECTIONS, 2, body_bytes=size), "bytes")
    disk.append(disk_alone(lab.scratch))
    for row in found["rows"]:
        row["mib_per_second"] = row["rate"] * row["bytes"] / 2**20
    return {"connections": SIZE_CONNECTIONS, "disk_mib_per_second": sum(mib for mib, _ in disk) / len(disk),
            "disk_cores": sum(cores for _, cores in disk) / len(disk), **found}
