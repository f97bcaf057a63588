#!/usr/bin/env python3
"""Draws the pictures of docs/performance.md from benches/figures.json. Needs nothing but Python.

    python3 benches/plots.py            write the pictures, and the tables of docs/performance.md
    python3 benches/plots.py --check    fail if one of them is not what the figures say
"""

import sys

import documents
from chart import (
    COMPETITOR, CONTROL, FAINT, ONCELOG, OTHER, Axis, Panel, Picture, bars, linear, logarithmic, short, steps,
)

MEDIA = documents.ROOT / "media"
NAMES = {"control": "bare axum handler, stores nothing", "journal": "Oncelog, on disk before it answers",
         "postgres": "axum + PostgreSQL, the same"}
COLORS = {"control": CONTROL, "journal": ONCELOG, "postgres": COMPETITOR}
MILLION = 1_000_000


def series(part, case, x, y):
    return [(row[x], row[y]) for row in part["rows"] if row["case"] == case]


def cases_of(part):
    return [case for case in NAMES if any(row["case"] == case for row in part["rows"])]


def below(figures, part, more):
    machine = figures["machine"]
    return f"{more}; {machine['cores']} processors that also run the load; {part['date'][:10]}"


def duration(microseconds):
    """For an axis in microseconds."""
    return f"{microseconds / 1000:g} ms" if microseconds >= 1000 else f"{microseconds:g} µs"


def rate_against_connections(figures):
    part = figures["parts"]["connections"]
    picture = Picture("Rate and latency against connections",
                      below(figures, part, "34-byte messages, each connection with one request at a time"), 400)
    cases = cases_of(part)
    picture.legend([(NAMES[case], COLORS[case], False) for case in cases])
    counts = sorted({row["connections"] for row in part["rows"]})
    x = steps(counts)
    rate = Panel(picture, (64, 126, 310, 214), "messages a second", x,
                 linear(max(row["rate"] for row in part["rows"])), "connections")
    median = Panel(picture, (468, 126, 308, 214), "median latency", x,
                   logarithmic([row["p50_us"] for row in part["rows"]], duration), "connections")
    for case in cases:
        rate.line(series(part, case, "connections", "rate"), COLORS[case])
        median.line(series(part, case, "connections", "p50_us"), COLORS[case])
    return picture


def latency_percentiles(figures):
    part = figures["parts"]["latency"]
    picture = Picture("Latency at half of the peak",
                      below(figures, part, f"{part['rate']:,} messages a second in an open loop, "
                            "counted from when each was due"), 420)
    cases = [case for case in NAMES if case in part["cases"]]
    picture.legend([(NAMES[case], COLORS[case], False) for case in cases])
    names = list(part["cases"]["control"]["latency_us"])
    x = Axis(0, len(names) - 0.6, [(index + 0.2, name.replace("_", ".")) for index, name in enumerate(names)])
    levels = [part["p99_allowed_us"], part["fdatasync_us"]["p50"]]
    latencies = [value for case in cases for value in part["cases"][case]["latency_us"].values()]
    panel = Panel(picture, (78, 116, 694, 246), "latency", x, logarithmic(latencies + levels, duration),
                  "percentile")
    panel.level(part["p99_allowed_us"], "goal for p99: 3 × p50 of the bare handler + p99 of one fdatasync", OTHER,
                above=False)
    panel.level(part["fdatasync_us"]["p50"], "one fdatasync by itself, p50", FAINT, above=False)
    for case in cases:
        panel.line([(index + 0.2, part["cases"][case]["latency_us"][name]) for index, name in enumerate(names)],
                   COLORS[case])
    return picture


def growth(figures):
    part = figures["parts"]["growth"]
    rows = part["rows"]
    picture = Picture("As the log grows", below(figures, part, "34-byte messages, 256 connections"), 380)
    picture.legend([("the log that grows", ONCELOG, False), ("an empty log in the same minute", CONTROL, False),
                    ("after a restart", COMPETITOR, False), ("goal", OTHER, True)])
    most = rows[-1]["messages"]
    x = linear(most)

    def panel(left, head, figure_max, label=str):
        return Panel(picture, (left, 126, 196, 194), head, x, linear(figure_max, label), "messages stored")

    rate = panel(58, "messages a second", max(max(row["rate"], row["rate_empty"]) for row in rows),
                 lambda value: f"{value / 1000:g}k")
    rate.line([(row["messages"], row["rate_empty"]) for row in rows], CONTROL)
    rate.line([(row["messages"], row["rate"]) for row in rows], ONCELOG)
    allowed = 64 + 48 * most / 2**20
    memory = panel(318, "memory of logging-service, MiB", allowed, lambda value: f"{value:g}")
    memory.rise([(0, 64), (most, allowed)], OTHER)
    memory.line([(row["messages"], row["memory_mib"]) for row in rows], ONCELOG)
    memory.line([(row["messages"], row["memory_mib_after_restart"]) for row in rows], COMPETITOR)
    seconds = max(0.5 * most / MILLION, *(row["first_ack_seconds"] for row in rows))
    restart = panel(576, "restart to first answer, s", seconds, lambda value: f"{value:g}")
    restart.rise([(0, 0), (most, 0.5 * most / MILLION)], OTHER)
    restart.line([(row["messages"], row["first_ack_seconds"]) for row in rows], COMPETITOR)
    return picture


GUARANTEES = [
    ("bare axum handler", "control", CONTROL), ("once, in order: in memory", "memory", ONCELOG),
    ("+ on disk", "quiet", ONCELOG), ("+ console: as it comes", "journal", ONCELOG),
    ("axum + PostgreSQL", "postgres", COMPETITOR), ("the same, two batches", "postgres-2", COMPETITOR),
]


def guarantees(figures):
    part = figures["parts"]["compare"]
    picture = Picture("What each guarantee costs",
                      below(figures, part, "messages a second · share of the bare handler · "
                            "processor time of one"), 520)
    rates = {(row["connections"], row["case"]): row for row in part["rows"]}
    most = max(row["rate"] for row in part["rows"])
    for place, connections in enumerate((64, 256)):
        rows = []
        for name, case, color in GUARANTEES:
            row = rates.get((connections, case))
            if row:
                words = (f"{row['rate']:,.0f} · {row['rate_to_control']:.2f} · "
                         f"{sum(row['cpu_us'].values()):.1f} µs")
                rows.append((name, row["rate"], color, words))
        bars(picture, (196, 96 + place * 216, 430, 176), f"{connections} connections", rows, most)
    return picture


def batch_size(figures):
    part = figures["parts"]["batch"]
    rows = [row for row in part["rows"] if row["connections"] == 4]
    picture = Picture("Uploads: POST /facade/batch",
                      below(figures, part, "texts of 100 bytes, 4 uploads at a time"), 400)
    picture.legend([("each line answered after fdatasync", ONCELOG, False),
                    ("bare axum handler, one request a message", CONTROL, True), ("goal", OTHER, True)])
    x = steps([row["lines"] for row in rows])
    control = part["control_rate"]
    rate = Panel(picture, (64, 126, 310, 214), "messages a second", x,
                 linear(max(4.2 * control, *(row["rate"] for row in rows))), "lines in an upload")
    rate.level(control, "bare handler, requests", CONTROL, above=False)
    rate.level(4 * control, "4 × that", OTHER)
    rate.line([(row["lines"], row["rate"]) for row in rows], ONCELOG)
    flushed = Panel(picture, (456, 126, 320, 214), "messages for each flush of the disk", x,
                    logarithmic([1] + [row["messages_a_flush"] for row in rows if row["messages_a_flush"]]),
                    "lines in an upload")
    flushed.line([(row["lines"], row["messages_a_flush"]) for row in rows if row["messages_a_flush"]], ONCELOG)
    return picture


def message_size(figures):
    part = figures["parts"]["sizes"]
    picture = Picture("Rate against the size of a message",
                      below(figures, part, f"{part['connections']} connections"), 400)
    cases = cases_of(part)
    picture.legend([(NAMES[case], COLORS[case], False) for case in cases])
    x = steps(sorted({row["bytes"] for row in part["rows"]}), documents.size)

    def panel(left, head, figure, label=short):
        return Panel(picture, (left, 126, 306, 214), head, x,
                     logarithmic([row[figure] for row in part["rows"]], label), "bytes of the body of a request")

    rate = panel(70, "messages a second", "rate")
    mib = panel(470, "MiB a second", "mib_per_second", lambda value: f"{value:g}")
    mib.level(part["disk_mib_per_second"], "the disk alone", FAINT, right=False)
    for case in cases:
        rate.line(series(part, case, "bytes", "rate"), COLORS[case])
        mib.line(series(part, case, "bytes", "mib_per_second"), COLORS[case])
    return picture


PICTURES = {
    "rate.svg": ("connections", rate_against_connections), "latency.svg": ("latency", latency_percentiles),
    "growth.svg": ("growth", growth), "guarantees.svg": ("compare", guarantees),
    "batch.svg": ("batch", batch_size), "sizes.svg": ("sizes", message_size),
}


def drawn(figures):
    """The pictures of all parts that were measured."""
    return {MEDIA / name: draw(figures).svg() for name, (part, draw) in PICTURES.items()
            if part in figures["parts"]}


def write(figures):
    for path, svg in drawn(figures).items():
        path.write_text(svg)


def main():
    figures = documents.figures()
    if sys.argv[1:] != ["--check"]:
        write(figures)
        documents.write(figures)
        return
    wanted = drawn(figures) | documents.filled(figures)
    stale = [str(path.relative_to(documents.ROOT)) for path, text in wanted.items()
             if not path.exists() or path.read_text() != text]
    if stale:
        sys.exit(f"python3 benches/plots.py would change {', '.join(stale)}")
    print(f"{len(wanted)} files are what benches/figures.json says")


if __name__ == "__main__":
    main()
