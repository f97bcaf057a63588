"""Uploads: messages a second against the lines of an upload and the connections, beside the control.

Texts have 100 bytes. The outcomes of an upload are read while it is sent. Every message is on disk before
its line is answered.
"""

import statistics

from bench import alternating, control, running, upload, wrk
from meters import Meters, cores

TEXT_BYTES, CONTROL_CONNECTIONS = 100, 256
# Lines of an upload, and connections.
BY_LINES = [(lines, 4) for lines in (1, 10, 100, 1000, 10_000, 100_000)]
BY_CONNECTIONS = [(1000, connections) for connections in (1, 4, 16)]


def uploads(lab, services, lines, connections, seconds):
    logging, _, facade = services
    clocks = {"facade": facade.cpu_seconds, "logging": logging.cpu_seconds}
    meters = Meters(lab.scratch, clocks)
    found = upload(facade.addr, lines, connections, seconds, TEXT_BYTES)
    return {**meters.since(found["lines"]), "rate": found["lines_per_second"], "failed": found["failed"]}


def measure(lab, quick):
    points = sorted(set(BY_LINES + BY_CONNECTIONS))
    if quick:
        points = [point for point in points if point[1] == 4]
    seconds, rounds = (1, 1) if quick else (2, 3)
    bare, runs = [], {point: [] for point in points}
    with running(lab.scratch) as services:
        service = control()
        upload(services[2].addr, 1000, 4, 1, TEXT_BYTES)
        for number in range(rounds):
            bare.append(wrk(service.addr, 2, CONTROL_CONNECTIONS).rate)
            for point in alternating(number, points):
                run = uploads(lab, services, *point, seconds)
                runs[point].append({"to_control": run["rate"] / bare[-1], **run})
                print(f"  round {number + 1} {point[0]:6} lines, {point[1]:2} connections:"
                      f" {run['rate']:8.0f}/s, control {bare[-1]:.0f}/s; cores: {cores(run)}, load"
                      f" {run['load_cores']:.2f}, idle {run['idle_cores']:.2f}; {run['messages_a_flush'] or 0:.0f}"
                      f" a flush; failed {run['failed']}", flush=True)
        service.stop()
    rows = []
    for (lines, connections), of_point in runs.items():
        row = {"lines": lines, "connections": connections}
        for figure in ("rate", "to_control", "load_cores", "idle_cores", "messages_a_flush"):
            row[figure] = statistics.median(run[figure] or 0 for run in of_point)
        row["cores"] = {name: statistics.median(run["cores"][name] for run in of_point)
                        for name in of_point[0]["cores"]}
        rows.append(row)
    return {
        "text_bytes": TEXT_BYTES, "control_rate": statistics.median(bare), "rows": rows,
        "best_to_control": max(row["to_control"] for row in rows),
        "failed": [f"{point}: {run['failed']} lines" for point, of_point in runs.items()
                   for run in of_point if run["failed"]],
    }
