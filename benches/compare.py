#!/usr/bin/env python3
"""Compares Oncelog with a bare axum handler and with axum + PostgreSQL, side by side in one run.

    cargo build --release --workspace && python3 benches/compare.py --cases control,journal

`benches/measure.py` does this and more, and keeps the figures; this command prints them, of the cases,
numbers of connections and settings of the server that it is asked for. benches/cases.py says what the
cases are.

Needs `wrk` and PostgreSQL (Debian packages `wrk` and `postgresql`; run as root, it installs what is
missing). A quiet machine, please.

A round measures every case at every number of connections. Cases with the same number of connections
follow each other, in another order each round; only the measured case runs, its log starts empty, and a
warm-up comes first. Ratios are taken within a round, and the tables show the median over the rounds.

Data are in a new directory in `--dir`, which must be on a real disk: an fsync into memory costs nothing.
Afterwards every case has to hold as many messages as it acknowledged. Exit code 0: measured; 1: requests
failed or messages are missing; 2: could not run.
"""

import argparse
import statistics
import sys

from bench import alternating
from cases import Lab, median, shown
from competitors.postgres import Missing
from environment import environment, prepare

CASES = ["control", "control-all", "memory", "quiet", "journal", "postgres", "postgres-2"]
CONNECTIONS = [1, 16, 64, 256]


def rounds(lab, cases, connections, count, seconds):
    for number in range(count):
        for clients in connections:
            for case in alternating(number, cases):
                run = {"round": number, **lab.measure(case, clients, seconds)}
                print(f"  round {number + 1} {clients:4} connections {case:12} {shown(run)}", flush=True)
                yield run


def summarize(runs, cases, connections):
    """One row for each case and number of connections: medians over the rounds."""
    by_place = {(run["round"], run["connections"], run["case"]): run for run in runs}
    numbers = sorted({run["round"] for run in runs})
    rows = []
    for count in connections:
        for case in cases:
            of_case = [by_place[number, count, case] for number in numbers]

            def ratio(figure, other):
                """The median of the ratios within each round."""
                pairs = [(by_place[number, count, case], by_place.get((number, count, other)))
                         for number in numbers]
                if not all(base for _, base in pairs):
                    return None
                return statistics.median(run[figure] / base[figure] for run, base in pairs)

            competitors = [competitor for competitor in cases if competitor.startswith("postgres")]
            rows.append({
                "case": case, "connections": count,
                **{name: median(of_case, name) for name in
                   ("rate", "p50_us", "p90_us", "p99_us", "cpu_us", "cores", "load_cores", "idle_cores",
                    "stolen_cores", "messages_a_flush", "flush_us")},
                "rate_to_control": ratio("rate", "control"),
                # To the fastest of the competitors.
                "rate_to_postgres": min((ratio("rate", competitor) for competitor in competitors), default=None),
                "p50_to_control": ratio("p50_us", "control"),
                "p50_to_postgres": max((ratio("p50_us", competitor) for competitor in competitors), default=None),
                "cpu_to_control": None,
            })
    control = {row["connections"]: sum(row["cpu_us"].values()) for row in rows
               if row["case"] == "control"}
    for row in rows:
        if control.get(row["connections"]):
            row["cpu_to_control"] = sum(row["cpu_us"].values()) / control[row["connections"]]
    return rows


def show(rows):
    def factor(value):
        return "-" if value is None else f"{value:.2f}"

    print(f"\n{'conns':>5} {'case':14} {'rate':>9} {'/control':>8} {'/postgres':>9} {'p50 us':>8}"
          f" {'/control':>8} {'/postgres':>9} {'p99 us':>8} {'CPU us':>7} {'/control':>8}  of which")
    last = None
    for row in rows:
        if last not in (None, row["connections"]):
            print()
        last = row["connections"]
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in row["cpu_us"].items())
        print(f"{row['connections']:5} {row['case']:14} {row['rate']:9.0f}"
              f" {factor(row['rate_to_control']):>8} {factor(row['rate_to_postgres']):>9}"
              f" {row['p50_us']:8.0f} {factor(row['p50_to_control']):>8}"
              f" {factor(row['p50_to_postgres']):>9} {row['p99_us']:8.0f}"
              f" {sum(row['cpu_us'].values()):7.1f} {factor(row['cpu_to_control']):>8}  {parts}")


def compare(lab, cases, connections, count, seconds):
    runs = list(rounds(lab, cases, connections, count, seconds))
    rows = summarize(runs, cases, connections)
    show(rows)
    return {"rounds": count, "seconds": seconds, "rows": rows,
            "failed": [f"{run['case']}: {run['failed']}" for run in runs if run["failed"]]}


def measure(lab, quick):
    """All cases at a few numbers of connections."""
    return compare(lab, CASES, [1, 64, 256] if quick else CONNECTIONS, 1 if quick else 6, 2)


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--cases", default=CASES, type=lambda text: text.split(","))
    arguments.add_argument("--connections", default=CONNECTIONS, type=numbers)
    arguments.add_argument("--rounds", default=3, type=int)
    arguments.add_argument("--seconds", default=6, type=int, help="of one measurement")
    arguments.add_argument("--dir", default="/var/tmp", help="where the data are")
    arguments.add_argument("--postgres-set", metavar="NAME=VALUE", action="append", default=[],
                           help="another setting of the server, such as wal_sync_method=…")
    given = arguments.parse_args()
    try:
        prepare()
        unknown = set(given.cases) - set(Lab(None, None).cases)
        if unknown:
            raise Missing(f"no such case: {', '.join(sorted(unknown))}")
        competitor = any(case.startswith("postgres") for case in given.cases)
        settings = dict(setting.split("=", 1) for setting in given.postgres_set)
        with environment(given.dir, competitor, settings) as (lab, _):
            found = compare(lab, given.cases, given.connections, given.rounds, given.seconds)
    except Missing as missing:
        print(missing, file=sys.stderr)
        sys.exit(2)
    sys.exit(1 if found["failed"] else 0)


if __name__ == "__main__":
    main()
