"""What was to be reached, and what was found."""


def row(part, case, connections):
    return next((row for row in part["rows"] if (row["case"], row["connections"]) == (case, connections)), {})


def compared(figure, connections):
    return "compare", lambda part: row(part, "journal", connections).get(figure)


# What, the goal, and where the figure is: a part, and what takes it from there.
GOALS = [
    ("Durable POST, 256 connections: rate to the control's", ">=", 0.80, *compared("rate_to_control", 256)),
    ("Durable POST, 64 connections: rate to the control's", ">=", 0.62, *compared("rate_to_control", 64)),
    ("One connection: p50 to the control's", "<=", 6, *compared("p50_to_control", 1)),
    ("256 connections: rate to the PostgreSQL competitor's", ">=", 1, *compared("rate_to_postgres", 256)),
    ("64 connections: rate to the competitor's", ">=", 1, *compared("rate_to_postgres", 64)),
    ("One connection: p50 to the competitor's", "<=", 1, *compared("p50_to_postgres", 1)),
    ("256 connections: CPU a message, facade + logging, to the control's a request", "<=", 1.7,
     *compared("cpu_to_control", 256)),
    ("64 connections: the same", "<=", 2.2, *compared("cpu_to_control", 64)),
    ("p99 at half of the peak, to 3 × the control's p50 there + one fdatasync p99", "<=", 1,
     "latency", lambda part: part["p99_to_allowed"]),
    ("`POST /facade/batch`, texts of 100 bytes: messages a second to the control's requests", ">=", 4,
     "batch", lambda part: part["best_to_control"]),
    ("`GET` of 5 M messages as NDJSON: records a second to the control's requests", ">=", 6,
     "reads", lambda part: part["to_control"] if part["records"] >= 5_000_000 else None),
    ("The same: memory that facade and logging grow by together, MiB", "<=", 32,
     "reads", lambda part: part["grown_mib_both"] if part["records"] >= 5_000_000 else None),
    ("200 readers that follow: rate of POST to the rate without them", ">=", 0.75,
     "followers", lambda part: part["rate_to_alone"]),
    ("The same: readers that did not see every record in order", "<=", 0,
     "followers", lambda part: part["readers_without_all"]),
    ("Rate with 10 M messages stored to the rate of an empty log", ">=", 0.95,
     "growth", lambda part: part["rate_to_empty"] if part["messages"] >= 10_000_000 else None),
    ("Memory of logging up to 10 M messages: bytes a message above 64 MiB, at most", "<=", 48,
     "growth", lambda part: part["bytes_a_message_above_64_mib"] if part["messages"] >= 10_000_000 else None),
    ("Restart to the first acknowledgement: seconds a million messages, at most", "<=", 0.5,
     "growth", lambda part: part["restart_seconds_a_million"]),
    ("Duplicates only: rate to the rate of new messages", ">=", 0.9,
     "duplicates", lambda part: part["repeated_to_new"]),
    ("Memory of the facade, 256 busy connections, MiB", "<=", 64, "memory", lambda part: part["busy_mib"]["facade"]),
    ("The same, idle afterwards, MiB", "<=", 20, "memory", lambda part: part["idle_mib"]["facade"]),
]


def evaluated(figures):
    """Each goal with what was found, or None if it was not measured, and whether it was reached."""
    for what, sign, goal, part, take in GOALS:
        found = take(figures["parts"][part]) if part in figures["parts"] else None
        reached = None if found is None else found >= goal if sign == ">=" else found <= goal
        yield what, sign, goal, found, reached


def verdict(reached):
    return {None: "not measured", True: "reached", False: "MISSED"}[reached]


def number(value):
    """Three digits, as far as they mean anything."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def show(figures):
    for what, sign, goal, found, reached in evaluated(figures):
        if found is not None:
            print(f"{what:86} {number(found):>8}  goal {sign} {goal:<5} {verdict(reached)}")
