"""Rate, latency and memory as the log grows, beside an empty log in the same run; and restarts.

At each size, posts go to the large log and to a new, empty one in turn; ratios are taken within a turn.
Then the logging service is killed and started again, and a post to the facade waits for it.
"""

import statistics
import tempfile
import time
from pathlib import Path

from bench import alternating, cluster, fill, last_sequence, logging_service, post, running, wrk

CONNECTIONS, MILLION = 256, 1_000_000
# Hash tables have just doubled at some of them.
SIZES = [0, 1, 2, 4, 7.5, 10]


def restart(services, data):
    """Kills the logging service, and starts it again at the same place."""
    logging, _, facade = services
    logging.stop(hard=True)
    services[0] = logging_service(data, listen=logging.addr)
    stored = post(facade.addr)["sequence"]
    return stored, time.monotonic() - services[0].started


def beside_empty(lab, facade, rounds):
    """Posts to the log that has grown and to an empty one. The machine changes in longer turns than these."""
    runs = []
    with running(lab.scratch) as (_, _, empty):
        wrk(empty.addr, 1, CONNECTIONS)
        for number in range(rounds):
            run = {}
            for name, addr in alternating(number, [("large", facade.addr), ("empty", empty.addr)]):
                run[name] = wrk(addr, 1, CONNECTIONS)
            runs.append(run)
    return runs


def step(lab, services, data, rounds):
    logging, _, facade = services
    runs = beside_empty(lab, facade, rounds)
    stored = last_sequence(facade.addr)
    memory_mib = logging.memory_mib()
    restarted_with, first_ack_seconds = restart(services, data)
    row = {
        "messages": stored,
        "rate": statistics.median(run["large"].rate for run in runs),
        "rate_empty": statistics.median(run["empty"].rate for run in runs),
        "rate_to_empty": statistics.median(run["large"].rate / run["empty"].rate for run in runs),
        "p50_us": statistics.median(run["large"].p50_us for run in runs),
        "p99_us": statistics.median(run["large"].p99_us for run in runs),
        "memory_mib": memory_mib,
        "memory_mib_after_restart": services[0].memory_mib(),
        "first_ack_seconds": first_ack_seconds, "restart_cpu_seconds": services[0].cpu_seconds(),
        "journal_mib": sum(file.stat().st_size for file in Path(data).rglob("*")) / 2**20,
        "failed": " ".join(filter(None, (load.failed for run in runs for load in run.values()))),
    }
    if restarted_with != stored + 1:
        row["failed"] += f" {stored + 1 - restarted_with} messages are missing after the restart"
    print(f"  {stored:9} messages: {row['rate']:.0f}/s beside {row['rate_empty']:.0f}/s empty"
          f" ({row['rate_to_empty']:.2f}), p50 {row['p50_us']:.0f} p99 {row['p99_us']:.0f} us,"
          f" {row['memory_mib']:.0f} MiB, after restart {row['memory_mib_after_restart']:.0f} MiB,"
          f" first acknowledgement {first_ack_seconds:.2f} s after the start  {row['failed']}", flush=True)
    return row


def measure(lab, quick):
    rows = []
    with tempfile.TemporaryDirectory(dir=lab.scratch) as data:
        services = list(cluster(data))
        try:
            wrk(services[2].addr, 1, CONNECTIONS)
            sizes = [0, 0.5, 1] if quick else SIZES
            for million in sizes:
                fill(services[2], last_sequence(services[2].addr), int(million * MILLION))
                # The last is what is evaluated.
                rounds = 2 if quick else 15 if million == sizes[-1] else 5
                rows.append(step(lab, services, data, rounds))
        finally:
            for service in reversed(services):
                service.stop()
    last = rows[-1]

    def bytes_beyond(row):
        """Memory for each message, above 64 MiB."""
        return (max(row["memory_mib"], row["memory_mib_after_restart"]) - 64) * 2**20 / row["messages"]

    return {
        "rows": rows, "messages": last["messages"], "rate_to_empty": last["rate_to_empty"],
        "bytes_a_message_above_64_mib": max(map(bytes_beyond, rows)),
        # Of the large logs: a start takes a moment whatever there is.
        "restart_seconds_a_million": max(row["first_ack_seconds"] * MILLION / row["messages"]
                                         for row in rows if row["messages"] >= MILLION)
        if last["messages"] >= MILLION else None,
        "failed": [row["failed"] for row in rows if row["failed"]],
    }
