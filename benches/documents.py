"""The tables in documents, written from benches/figures.json between marks.

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`; NAME is one of TABLES.
"""

import json
import re
from pathlib import Path

from goals import evaluated, number, verdict
from meters import cores

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benches" / "figures.json"
DOCUMENTS = [ROOT / "docs" / "performance.md", ROOT / "README.md"]
MARK = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def figures():
    return json.loads(FIGURES.read_text())


def keep(kept):
    """Writes the figures, each row of a table on a line of its own."""
    FIGURES.write_text(dumped(kept) + "\n")


def dumped(value, depth=0):
    pad = " " * (depth + 1)
    if isinstance(value, dict) and value and depth < 3:
        inner = (f"{pad}{json.dumps(name)}: {dumped(item, depth + 1)}" for name, item in value.items())
        return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(pad + json.dumps(item) for item in value) + "\n" + " " * depth + "]"
    return json.dumps(value)


def size(count):
    """Bytes for people."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count:g} B"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def factor(value):
    return "-" if value is None else f"{value:.2f}"


def goals_table(kept):
    rows = [(what, f"{'≥' if sign == '>=' else '≤'} {goal:g}", number(found),
             "**MISSED**" if reached is False else verdict(reached))
            for what, sign, goal, found, reached in evaluated(kept)]
    return table(["what", "goal", "found", ""], rows)


def machine_table(kept):
    machine = kept["machine"]
    parts = kept["parts"]
    quick = [name for name, part in parts.items() if part["quick"]]
    text = (f"Measured from {min(part['date'] for part in parts.values())} to"
            f" {max(part['date'] for part in parts.values())} on commit"
            f" {', '.join(sorted({part['commit'] for part in parts.values()}))}: {machine['cores']} processors"
            f" ({machine['processor']}), Linux {machine['kernel']}, {machine['filesystem']}"
            f" ({machine['mount_options']}), {machine.get('postgres', 'no PostgreSQL').removeprefix('postgres ')}.")
    return text + (f" Quick runs only: {', '.join(quick)}." if quick else "") + "\n"


def compare_table(kept):
    rows = []
    for row in kept["parts"]["compare"]["rows"]:
        cpu = ", ".join(f"{name} {spent:.1f}" for name, spent in row["cpu_us"].items())
        rows.append((str(row["connections"]), row["case"], f"{row['rate']:,.0f}", factor(row["rate_to_control"]),
                     number(row["p50_us"]), number(row["p99_us"]), f"{sum(row['cpu_us'].values()):.1f} ({cpu})",
                     factor(row["cpu_to_control"]), number(row["messages_a_flush"])))
    return table(["connections", "case", "messages a second", "to the control", "p50 µs", "p99 µs",
                  "CPU µs a message", "to the control", "messages a flush"], rows)


def connections_table(kept):
    return table(
        ["connections", "case", "messages a second", "p50 µs", "p99 µs", "CPU µs a message", "processors used by",
         "by wrk", "idle", "messages a flush"],
        [(str(row["connections"]), row["case"], f"{row['rate']:,.0f}", number(row["p50_us"]), number(row["p99_us"]),
          number(sum(row["cpu_us"].values())), cores(row), factor(row["load_cores"]),
          factor(row["idle_cores"]), number(row["messages_a_flush"]))
         for row in kept["parts"]["connections"]["rows"]])


def sizes_table(kept):
    part = kept["parts"]["sizes"]
    rows = [(size(row["bytes"]), row["case"], f"{row['rate']:,.0f}", number(row["mib_per_second"]),
             number(row["p50_us"]), number(row["p99_us"]), number(sum(row["cpu_us"].values())), cores(row),
             factor(row["load_cores"]), factor(row["idle_cores"]), number(row["messages_a_flush"]))
            for row in part["rows"]]
    disk = part["disk_mib_per_second"]
    rows.append(("1 MiB", "the disk alone", number(disk), number(disk), "-", "-",
                 number(part["disk_cores"] * 1e6 / disk), f"writer {part['disk_cores']:.2f}",
                 "-", "-", "1"))
    return table(
        ["body", "case", "messages a second", "MiB a second", "p50 µs", "p99 µs", "CPU µs a message",
         "processors used by", "by wrk", "idle", "messages a flush"], rows)


def latency_table(kept):
    part = kept["parts"]["latency"]
    rows = [(case, f"{of_case['rate']:,.0f}", *(number(value) for value in of_case["latency_us"].values()),
             number(of_case["lateness_us"]["p99"]), cores(of_case), factor(of_case["load_cores"]),
             factor(of_case["idle_cores"])) for case, of_case in part["cases"].items()]
    sync = part["fdatasync_us"]
    rows.append(("one fdatasync by itself", "-", *(number(sync[name]) for name in ("p50", "p90", "p99")), "-",
                 number(sync["max"]), *"----"))
    rows.append(("the same, weighted by time", "-", "-", "-", number(sync["weighted_p99"]), *"------"))
    rows.append(("goal for p99", "-", "-", "-", number(part["p99_allowed_us"]), *"------"))
    return table(["µs", "messages a second", "p50", "p90", "p99", "p99.9", "max", "sent late, p99",
                  "processors used by", "by the load", "idle"], rows)


def growth_table(kept):
    return table(
        ["messages stored", "messages a second", "to an empty log", "p50 µs", "p99 µs", "memory MiB",
         "after a restart", "restart s", "processor s", "journal MiB"],
        [(f"{row['messages']:,}", f"{row['rate']:,.0f}", factor(row["rate_to_empty"]), number(row["p50_us"]),
          number(row["p99_us"]), number(row["memory_mib"]), number(row["memory_mib_after_restart"]),
          factor(row["first_ack_seconds"]), factor(row.get("restart_cpu_seconds")), number(row.get("journal_mib")))
         for row in kept["parts"]["growth"]["rows"]])


def batch_table(kept):
    return table(
        ["lines in an upload", "connections", "messages a second", "to the control", "processors used by",
         "by the load", "idle", "messages a flush"],
        [(f"{row['lines']:,}", str(row["connections"]), f"{row['rate']:,.0f}", factor(row["to_control"]), cores(row),
          factor(row["load_cores"]), factor(row["idle_cores"]), number(row["messages_a_flush"]))
         for row in kept["parts"]["batch"]["rows"]])


def where_table(kept):
    rows = kept["parts"]["where"]["rows"]
    return table(["service", "what it does", "CPU µs a message", "share of the service"],
                 [(row["service"], row["step"], f"{row['cpu_us']:.2f}", f"{100 * row['share']:.0f} %") for row in rows])


def others_table(kept):
    """The parts that are no curve."""
    parts, rows = kept["parts"], []
    if "reads" in parts:
        part = parts["reads"]
        rows += [
            (f"`GET` of {part['records']:,} messages as NDJSON", f"{part['rate']:,.0f} records a second,"
             f" {part['mib_per_second']:.0f} MiB a second ({cores(part)} processors, reader {part['load_cores']:.2f})"),
            ("the control's requests in that run", f"{part['control_rate']:,.0f} a second"),
            ("what logging and facade grew by", f"{part['grown_mib']['logging']:.1f} and"
             f" {part['grown_mib']['facade']:.1f} MiB"),
        ]
    if "followers" in parts:
        part = parts["followers"]
        rows += [
            (f"`POST` beside {part['readers']} readers that follow, and without them",
             f"{part['rate']:,.0f} and {part['rate_alone']:,.0f} a second"),
            ("what the readers got, together", f"{part['delivered_per_second']:,.0f} records a second (logging"
             f" {part['logging_cores']:.2f}, readers {part['readers_cores']:.2f} processors)"),
            ("how far the last of them was behind when the posts ended, and how long it took to the end",
             f"{part['lag_most']:,} records, {part['caught_up_after_seconds']:.1f} s"),
        ]
    if "duplicates" in parts:
        part = parts["duplicates"]
        rows.append(("new messages with a key, and the same again", f"{part['new']['rate']:,.0f} and"
                     f" {part['repeated']['rate']:,.0f} a second"))
    if "memory" in parts:
        part = parts["memory"]
        rows += [(f"memory of {name}: fresh, busy at most, idle afterwards", f"{part['fresh_mib'][name]:.1f},"
                  f" {part['busy_mib'][name]:.1f}, {part['idle_mib'][name]:.1f} MiB")
                 for name in ("facade", "logging", "messages")]
    return table(["what", "found"], rows)


def five_table(kept):
    """What README.md says."""
    parts = kept["parts"]
    compared = {(row["connections"], row["case"]): row for row in parts["compare"]["rows"]}
    rows = []
    for connections in (64, 256):
        durable, bare = compared[connections, "journal"], compared[connections, "control"]
        competitor = max((row for (count, case), row in compared.items()
                     if count == connections and case.startswith("postgres")), key=lambda row: row["rate"])
        rows.append((f"`POST /facade`, {connections} connections: messages a second; a bare handler; the competitor",
                     f"{durable['rate']:,.0f}; {bare['rate']:,.0f}; {competitor['rate']:,.0f}"))
    one = [compared[1, case]["p50_us"] / 1000 for case in ("journal", "control")]
    competitors = [row["p50_us"] / 1000 for (count, case), row in compared.items()
              if count == 1 and case.startswith("postgres")]
    rows.append(("one connection, median latency; a bare handler; the competitor",
                 f"{one[0]:.2f} ms; {one[1]:.2f} ms; {min(competitors):.2f} ms"))
    growth, reads = parts["growth"], parts["reads"]
    last = growth["rows"][-1]
    rows += [
        (f"{last['messages']:,} messages stored: rate to that of an empty log; memory; restart to the first answer",
         f"{last['rate_to_empty']:.2f}; {last['memory_mib']:.0f} MiB; {last['first_ack_seconds']:.1f} s"),
        (f"`GET /facade` of {reads['records']:,} messages: records a second; growth of logging-service and facade",
         f"{reads['rate']:,.0f}; {reads['grown_mib']['logging']:.0f} and {reads['grown_mib']['facade']:.0f} MiB"),
    ]
    return table(["what", "measured"], rows)


TABLES = {
    "goals": (None, goals_table), "machine": (None, machine_table), "others": (None, others_table),
    "five": ("growth", five_table),
    "compare": ("compare", compare_table), "connections": ("connections", connections_table),
    "sizes": ("sizes", sizes_table), "latency": ("latency", latency_table), "growth": ("growth", growth_table),
    "batch": ("batch", batch_table), "where": ("where", where_table),
}


def filled(kept):
    """The documents with their tables as the figures give them."""
    def fill(found):
        part, write_table = TABLES[found[2]]
        if part and part not in kept["parts"]:
            return found[0]
        return f"{found[1]}\n{write_table(kept)}\n{found[3]}"

    return {path: MARK.sub(fill, path.read_text()) for path in DOCUMENTS if path.exists()}


def write(kept):
    for path, text in filled(kept).items():
        path.write_text(text)
