"""What a measurement cost: processor time of each process, flushes of the disk, and what was left over."""

import os
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Processor time of a process, with all of its children that have ended."""
    # The name in parentheses may hold spaces. Fields 14 to 17 of proc_pid_stat(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


def tree_cpu_seconds(pid):
    """Processor time of a process and of all its children, ended or not."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = cpu_seconds(pid)
    for child in children:
        try:
            total += cpu_seconds(child)
        except FileNotFoundError:
            # Ended since: its time is its parent's now, and counted the next time.
            pass
    return total


def flushes(directory):
    """Flushes that the disk of a directory has completed and the milliseconds they took, or None if it does not
    count them."""
    device = os.stat(directory).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    # A partition does not count them, its disk does. Fields 16 and 17 of Documentation/block/stat.rst.
    for place in (block, block.parent):
        try:
            fields = (place / "stat").read_text().split()
        except OSError:
            continue
        if not (place / "partition").exists() and len(fields) >= 17:
            return int(fields[15]), int(fields[16])
    return None


def generator_seconds():
    """Processor time of the programs that were run and have ended: of the load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine_seconds():
    """Time all processors spent waiting for work, and time the host took away."""
    # Fields of the first line of proc_stat(5).
    fields = [int(ticks) / TICKS for ticks in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return fields[3] + fields[4], fields[7]


class Meters:
    """Reads all meters, and later says what happened since."""

    def __init__(self, directory, clocks):
        """`clocks`: for each process that serves, what tells its processor time."""
        self.directory, self.clocks = directory, clocks
        self.before = self._read()

    def _read(self):
        return {
            "time": time.monotonic(), "cpu": {name: clock() for name, clock in self.clocks.items()},
            "flushes": flushes(self.directory), "load": generator_seconds(), "machine": machine_seconds(),
        }

    def since(self, messages):
        """For `messages` that were handled meanwhile."""
        before, now = self.before, self._read()
        seconds = now["time"] - before["time"]
        spent = {name: now["cpu"][name] - before["cpu"][name] for name in self.clocks}
        idle, stolen = (now["machine"][part] - before["machine"][part] for part in (0, 1))
        synced = flush_ms = None
        if now["flushes"] is not None:
            synced, flush_ms = (after - earlier for earlier, after in zip(before["flushes"], now["flushes"]))
        return {
            # In processors, of which the machine has a few.
            "cores": {name: cpu / seconds for name, cpu in spent.items()},
            "load_cores": (now["load"] - before["load"]) / seconds,
            "idle_cores": idle / seconds, "stolen_cores": stolen / seconds,
            "cpu_us": {name: cpu * 1e6 / messages for name, cpu in spent.items()},
            "messages_a_flush": messages / synced if synced else None,
            "flushes_per_second": synced / seconds if synced is not None else None,
            "flush_us": flush_ms * 1000 / synced if synced else None,
        }


def cores(run):
    """The processors that each service used, as text."""
    return ", ".join(f"{name} {share:.2f}" for name, share in run["cores"].items())
