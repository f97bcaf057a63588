"""What is compared: each case started on its own, with an empty log, and loaded.

    control     a bare axum handler with the same JSON and runtime settings; stores nothing
    control-all the same with a thread for each processor, as Tokio does by itself
    memory      Oncelog, messages in memory only
    quiet       Oncelog, durable; the console shows sizes and ids instead of messages
    journal     Oncelog, durable, as it comes
    postgres    axum and PostgreSQL, one batch in flight (benches/competitors/postgres)
    postgres-2  the same, two batches in flight
    postgres-tcp, postgres-2-tcp    the same over loopback instead of a Unix socket
"""

import contextlib
import os
import statistics

from bench import RELEASE, Service, control, post, running, wrk
from meters import Meters, cores, tree_cpu_seconds

WARM_UP_SECONDS = 1


def lightened(name):
    """Whether a case answers without writing to a disk."""
    return name in ("control", "control-all", "memory")


class Lab:
    """Starts each case on its own, with an empty log."""

    def __init__(self, scratch, database):
        self.scratch, self.database = scratch, database
        oncelog = {"memory": ["--store", "memory", "--hide-bodies"], "quiet": ["--hide-bodies"],
                   "journal": []}
        self.cases = {"control": self.control, "control-all": self.control_on_all}
        for name, flags in oncelog.items():
            self.cases[name] = lambda flags=flags: self.oncelog(*flags)
        for in_flight in (1, 2):
            for tcp in (False, True):
                name = "postgres" + "-2" * (in_flight == 2) + "-tcp" * tcp
                self.cases[name] = lambda n=in_flight, tcp=tcp: self.competitor(n, tcp)

    @contextlib.contextmanager
    def control(self):
        service = control()
        try:
            yield service.addr, {"control": service.cpu_seconds}
        finally:
            service.stop()

    @contextlib.contextmanager
    def control_on_all(self):
        os.environ["TOKIO_WORKER_THREADS"] = str(os.cpu_count())
        try:
            with self.control() as started:
                yield started
        finally:
            del os.environ["TOKIO_WORKER_THREADS"]

    @contextlib.contextmanager
    def oncelog(self, *logging_flags):
        with running(self.scratch, *logging_flags) as (logging, _, facade):
            yield facade.addr, {"facade": facade.cpu_seconds, "logging": logging.cpu_seconds}

    @contextlib.contextmanager
    def competitor(self, in_flight, tcp):
        database, service = self.database, None
        database.tcp = tcp
        database.start()
        try:
            database.sql("DROP TABLE IF EXISTS messages")
            service = Service(
                RELEASE / "oncelog-competitor-postgres", "127.0.0.1:0", database.url, in_flight
            )
            server = database.process.pid
            yield service.addr, {
                "facade": service.cpu_seconds, "postgres": lambda: tree_cpu_seconds(server)
            }
        finally:
            if service:
                service.stop()
            database.stop()

    def measure(self, case, connections, seconds, body_bytes=None, warm_up=WARM_UP_SECONDS):
        # What earlier cases left to be written is not written now.
        os.sync()
        with self.cases[case]() as (addr, clocks):
            before = wrk(addr, warm_up, connections, body_bytes)
            meters = Meters(self.scratch, clocks)
            load = wrk(addr, seconds, connections, body_bytes)
            cost = meters.since(load.requests)
            # Sequences count from 1.
            missing = before.requests + load.requests + 1 - post(addr)["sequence"]
        run = {"case": case, "connections": connections, **vars(load), **cost}
        if lightened(case):
            # What is flushed meanwhile belongs to other processes.
            run["messages_a_flush"] = run["flushes_per_second"] = run["flush_us"] = None
        if missing > 0:
            run["failed"] += f" {missing} acknowledged messages are missing"
        return run


def median(runs, figure):
    """The median over the runs, of a figure or of each figure in it."""
    values = [run[figure] for run in runs]
    if isinstance(values[0], dict):
        return {name: statistics.median(value[name] for value in values) for name in values[0]}
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def shown(run):
    """A run in one line."""
    batch = run["messages_a_flush"]
    return (f"{run['rate']:9.0f}/s  p50 {run['p50_us']:7.0f} us  p99 {run['p99_us']:7.0f} us  cores: {cores(run)},"
            f" wrk {run['load_cores']:.2f}, idle {run['idle_cores']:.2f}, stolen {run['stolen_cores']:.2f}"
            + (f"; {batch:.1f} a flush of {run['flush_us']:.0f} us" if batch else "") + f"  {run['failed']}")
