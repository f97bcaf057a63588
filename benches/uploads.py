#!/usr/bin/env python3
"""Measures uploads: how many messages a second `POST /facade/batch` takes, beside the control's requests.

    cargo build --release --workspace && python3 benches/uploads.py

Needs `curl` and `wrk`. Each case starts with an empty log. Every connection is one `curl` that sends its
part of `--messages` as lines of one upload and reads the outcomes; afterwards the next sequence tells that
every line was stored once. Rates count from the first byte to the last outcome. The processor time of a
message is given for each process, and for each thread of the logging service.

`--builds` takes directories with programs to compare, in turns; the control comes from the first one that
has it. Exit code 0: measured; 1: messages are missing; 2: could not run.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
from bench import Service, TICKS, post, trio, wrk

TEXT_BYTES = 100


def write_upload(path, lines, first):
    """Lines as a client writes them, no two the same."""
    with open(path, "w") as out:
        for number in range(first, first + lines):
            text = f"message {number:012} of an upload; the rest of this text fills it up ".ljust(TEXT_BYTES, ".")
            out.write(json.dumps({"msg": text}, separators=(",", ":")) + "\n")


def thread_seconds(pid):
    """Processor time by name of thread."""
    seconds = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            head, _, rest = (task / "stat").read_text().rpartition(")")
            name, fields = head.partition("(")[2], rest.split()
            name = name.rstrip("0123456789-")
            seconds[name] = seconds.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def upload(build, scratch, files, messages, flags):
    bench.RELEASE = build
    data = Path(tempfile.mkdtemp(dir=scratch))
    services = trio(data, *flags)
    logging, _, facade = services
    try:
        post(facade.addr)
        before = {f"logging {name}": cpu for name, cpu in thread_seconds(logging.process.pid).items()}
        before["facade"], generator = facade.cpu_seconds(), children_seconds()
        began = time.monotonic()
        clients = [
            subprocess.Popen(
                ["curl", "-sS", "-X", "POST", "-H", "Content-Type: application/x-ndjson", "-T", path,
                 "-o", "/dev/null", f"http://{facade.addr}/facade/batch"])
            for path in files
        ]
        failed = [client for client in clients if client.wait() != 0]
        took = time.monotonic() - began
        after = {f"logging {name}": cpu for name, cpu in thread_seconds(logging.process.pid).items()}
        after["facade"] = facade.cpu_seconds()
        cpu = {name: after[name] - before.get(name, 0) for name in after}
        cpu["curl"] = children_seconds() - generator
        stored = post(facade.addr)["sequence"] - 2
        if failed or stored != messages:
            print(f"{len(failed)} uploads failed, {stored} of {messages} messages are stored",
                  file=sys.stderr)
            sys.exit(1)
        return messages / took, {name: used / messages * 1e6 for name, used in cpu.items()}
    finally:
        for service in reversed(services):
            service.stop()
        shutil.rmtree(data)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--builds", default=str(bench.RELEASE))
    args.add_argument("--connections", default="1,4,16")
    args.add_argument("--messages", type=int, default=1_000_000)
    args.add_argument("--rounds", type=int, default=4)
    args.add_argument("--flags", default="", help="of the logging service")
    args.add_argument("--dir", default=str(bench.ROOT / "target"), help="for data, on a real disk")
    args = args.parse_args()
    builds = [Path(build) for build in args.builds.split(",")]
    connections = [int(count) for count in args.connections.split(",")]
    control = next((build / "oncelog-control" for build in builds
                    if (build / "oncelog-control").exists()), None)
    missing = [tool for tool in ("curl", "wrk") if not shutil.which(tool)]
    if missing or control is None:
        print(f"not found: {missing or 'oncelog-control'}", file=sys.stderr)
        return 2
    scratch = Path(tempfile.mkdtemp(prefix="oncelog-uploads-", dir=args.dir))
    found, controls = {}, []
    try:
        uploads = {}
        for count in connections:
            lines = args.messages // count
            uploads[count] = [str(scratch / f"{count}-{nth}.ndjson") for nth in range(count)]
            for nth, path in enumerate(uploads[count]):
                write_upload(path, lines, nth * lines)
        for turn in range(args.rounds):
            service = Service(control, "127.0.0.1:0")
            controls.append(wrk(service.addr, 2, 64).rate)
            service.stop()
            print(f"control {controls[-1]:,.0f}/s", flush=True)
            for count in connections:
                for build in builds if turn % 2 == 0 else reversed(builds):
                    sent = args.messages // count * count
                    rate, cpu = upload(build, scratch, uploads[count], sent, args.flags.split())
                    found.setdefault((count, build), []).append((rate, rate / controls[-1], cpu))
                    print(f"{count} x {build.name}: {rate:,.0f}/s", flush=True)
    finally:
        shutil.rmtree(scratch)
    print(f"\ncontrol: {statistics.median(controls):,.0f} requests/s; medians of {args.rounds} rounds\n")
    for (count, build), rounds in found.items():
        median = lambda figures: statistics.median(figures)
        names = rounds[0][2]
        cpu = ", ".join(f"{name} {median([used.get(name, 0) for _, _, used in rounds]):.2f}" for name in names
                        if median([used.get(name, 0) for _, _, used in rounds]) >= 0.005)
        print(f"{count:3} connections, {build}: {median([rate for rate, _, _ in rounds]):,.0f} messages/s, "
              f"{median([ratio for _, ratio, _ in rounds]):.2f} x control; CPU µs a message: {cpu}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
