"""One read of a large log as lines of JSON, beside the control's rate of requests, and what it takes."""

import statistics

from bench import control, fill, last_sequence, program, running, wrk
from meters import Meters, cores

RECORDS, CONTROL_CONNECTIONS = 5_000_000, 256


def one_read(lab, services):
    logging, _, facade = services
    at_rest = {}
    for name, service in (("logging", logging), ("facade", facade)):
        at_rest[name] = service.memory_mib()
        service.forget_peak()
    meters = Meters(lab.scratch, {"facade": facade.cpu_seconds, "logging": logging.cpu_seconds})
    found = program("faultlab", "load", "read", facade.addr)
    cost = meters.since(found["records"])
    grown = {"logging": logging.peak_mib() - at_rest["logging"],
             "facade": facade.peak_mib() - at_rest["facade"]}
    return {"rate": found["records"] / found["seconds"], "grown_mib": grown, **found, **cost}


def measure(lab, quick):
    records = RECORDS // 10 if quick else RECORDS
    runs, bare = [], []
    with running(lab.scratch) as services:
        fill(services[2], 0, records)
        stored = last_sequence(services[2].addr)
        service = control()
        for number in range(2 if quick else 4):
            bare.append(wrk(service.addr, 2, CONTROL_CONNECTIONS).rate)
            run = one_read(lab, services)
            runs.append({"to_control": run["rate"] / bare[-1], **run})
            print(f"  round {number + 1}: {run['records']} records, {run['rate']:.0f}/s, control"
                  f" {bare[-1]:.0f}/s; grown by {run['grown_mib']['logging']:.1f} and"
                  f" {run['grown_mib']['facade']:.1f} MiB; cores: {cores(run)}, reader {run['load_cores']:.2f},"
                  f" idle {run['idle_cores']:.2f}", flush=True)
        service.stop()

    def median(figure):
        return statistics.median(run[figure] for run in runs)

    return {
        "records": stored, "rate": median("rate"), "control_rate": statistics.median(bare),
        "to_control": median("to_control"), "bytes_a_record": runs[0]["bytes"] / runs[0]["records"],
        "mib_per_second": statistics.median(run["bytes"] / run["seconds"] for run in runs) / 2**20,
        # The first read is the one that finds memory as posts left it.
        "grown_mib": {name: max(run["grown_mib"][name] for run in runs) for name in ("logging", "facade")},
        "grown_mib_both": max(sum(run["grown_mib"].values()) for run in runs),
        "cores": {name: statistics.median(run["cores"][name] for run in runs) for name in runs[0]["cores"]},
        "load_cores": median("load_cores"),
        "failed": [f"{run['records']} of {stored} records" for run in runs if run["records"] != stored],
    }
