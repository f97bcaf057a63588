#!/usr/bin/env python3
"""Measures everything that is said about speed, keeps the figures, and redraws the pictures.

    cargo build --release --workspace && python3 benches/measure.py

Takes about 20 minutes; `--quick` takes five, and leaves out what only a large log can show. `--only` takes
some of the parts; the figures of the others stay as they are:

    compare       every guarantee, the bare control and the PostgreSQL competitor at 1, 16, 64 and
                  256 connections
    connections   rate and latency from 1 to 1,024 connections
    sizes         rate and latency from 100 bytes to 1 MiB a message
    latency       percentiles at half of the peak, in an open loop
    growth        rate, latency, memory and restart from an empty log to 10 M messages
    batch         uploads against their lines and their number
    reads         one read of 5 M messages as lines of JSON
    followers     200 readers that follow the log beside the posts
    duplicates    messages that are stored already
    memory        the services busy and idle

Needs `wrk` and PostgreSQL (Debian packages `wrk` and `postgresql`; run as root, it installs what is missing),
5 GB in `--dir`, which must be on a real disk, and a quiet machine. Figures go to benches/figures.json, the
pictures to media/, and the tables to docs/performance.md. Exit code 0: measured, whether goals were reached or
not; 1: requests failed or messages are missing; 2: could not run.
"""

import argparse
import sys
import time

import batch
import compare
import curves
import documents
import duplicates
import followers
import goals
import growth
import latency
import memory
import plots
import reads
from competitors.postgres import Missing
from environment import commit, environment, now, prepare

PARTS = {
    "compare": compare.measure, "connections": curves.connections, "sizes": curves.sizes,
    "latency": latency.measure, "growth": growth.measure, "batch": batch.measure,
    "reads": reads.measure, "followers": followers.measure, "duplicates": duplicates.measure,
    "memory": memory.measure,
}
WITH_COMPETITOR = {"compare", "connections", "latency"}


def rounded(value):
    """Four digits: more would only be noise in a file that is kept."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def run(chosen, given):
    figures = documents.figures() if documents.FIGURES.exists() else {"parts": {}}
    failed = []
    with environment(given.dir, bool(WITH_COMPETITOR & set(chosen))) as (lab, about):
        # What is known of the database is kept when it is not started.
        figures["machine"] = {**{name: value for name, value in figures.get("machine", {}).items()
                                 if name.startswith("postgres")},
                              **{name: value for name, value in about.items() if value is not None}}
        for name in chosen:
            print(f"=== {name}", flush=True)
            started, when = time.monotonic(), now()
            try:
                found = PARTS[name](lab, given.quick)
            except RuntimeError as error:
                # The figures of an earlier run stay, with their date.
                failed.append(f"{name} was not measured: {error}")
                continue
            failed += [f"{name}: {why}" for why in found["failed"]]
            figures["parts"][name] = rounded({
                "date": when, "commit": commit(), "quick": given.quick,
                "took_seconds": time.monotonic() - started, **found,
            })
            # One part at a time: a later one that cannot run takes nothing away.
            documents.keep(figures)
            print(f"=== {name}: {time.monotonic() - started:.0f} s", flush=True)
    return figures, failed


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--only", default=list(PARTS), type=lambda text: text.split(","), metavar="PART,…")
    arguments.add_argument("--quick", action="store_true", help="fewer rounds, shorter, a smaller log")
    arguments.add_argument("--dir", default="/var/tmp", help="where the data are")
    given = arguments.parse_args()
    try:
        unknown = set(given.only) - set(PARTS)
        if unknown:
            raise Missing(f"no such part: {', '.join(sorted(unknown))}")
        prepare()
        figures, failed = run([name for name in PARTS if name in given.only], given)
    except Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(2)
    plots.write(figures)
    documents.write(figures)
    goals.show(figures)
    for why in failed:
        print(f"FAILED: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
