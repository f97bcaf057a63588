#!/usr/bin/env python3
"""The second checker of kept runs: tables and queries, where the first one walks over what it counted.

    python3 faultlab/check.py DIR [DIR ...]

prints a line of JSON for each directory with `history.jsonl` and `log.jsonl`:

    {"dir": ..., "broken": ["I1", ...], "vacuous": false, "account": {"attempts": ..., ...}}

or {"dir": ..., "error": ...} if it cannot be read. With --stdin, the directories come on standard
input, a line each, and are answered one by one. src/history.rs describes the files,
src/checker/invariant.rs what I1 to I14 are. It needs nothing but Python.

Exit code: 0 nothing broken, 1 something is, 2 files that cannot be read or a run that shows nothing;
of several directories, the worst.
"""

import itertools
import json
import os
import sqlite3
import sys
import zlib

FORMAT = 1

TABLES = """
CREATE TABLE head (part INT);
CREATE TABLE attempt (message TEXT, key TEXT, invoked INT, ended INT, outcome TEXT,
                      uuid TEXT, sequence INT, replayed INT);
CREATE TABLE read (began INT, ended INT, complete INT, count INT);
CREATE TABLE mark (count INT, chain INT);
CREATE TABLE lookup (uuid TEXT, began INT, ended INT, found INT, sequence INT, found_uuid TEXT, message TEXT);
CREATE TABLE healed (at INT, within INT);
CREATE TABLE peak (found INT, cap INT);
CREATE TABLE log (place INTEGER PRIMARY KEY, sequence INT, uuid TEXT, message TEXT);
CREATE TABLE chain (count INTEGER PRIMARY KEY, chain INT);
"""

# Summaries of each message and each key, after all lines are read.
SUMMARIES = """
CREATE INDEX log_message ON log (message);
CREATE INDEX log_uuid ON log (uuid);
CREATE INDEX attempt_message ON attempt (message, invoked);
CREATE INDEX attempt_uuid ON attempt (uuid) WHERE outcome = 'acknowledged';
CREATE TABLE sent AS
    SELECT message, min(invoked) AS first_sent,
        min(CASE WHEN outcome IN ('acknowledged', 'unknown') THEN invoked END) AS invoked,
        min(CASE WHEN outcome = 'acknowledged' THEN ended END) AS receipt_at,
        min(CASE WHEN outcome = 'acknowledged' THEN rowid END) AS first_receipt,
        sum(outcome = 'acknowledged') AS receipts, sum(outcome = 'unknown') AS unknown,
        sum(outcome = 'conflict') AS conflicts, sum(outcome = 'refused') AS refusals,
        sum(outcome IN ('conflict', 'refused', 'nonsense')) AS turned_down,
        max(CASE WHEN key IS NOT NULL THEN invoked END) AS last_keyed
    FROM attempt INDEXED BY attempt_message GROUP BY message;
CREATE UNIQUE INDEX sent_message ON sent (message);
CREATE TABLE keyed AS SELECT DISTINCT key, message FROM attempt WHERE key IS NOT NULL;
CREATE INDEX keyed_key ON keyed (key);
CREATE TABLE found AS SELECT uuid, min(ended) AS ended FROM lookup WHERE found GROUP BY uuid;
CREATE UNIQUE INDEX found_uuid ON found (uuid);
CREATE TABLE placed AS SELECT message, min(place) AS place FROM log GROUP BY message;
CREATE UNIQUE INDEX placed_message ON placed (message);
"""

# Each query finds something if, and only if, the invariant is broken.
RULES = [
    # A receipt whose record is not where it says in the end.
    ("I1", """SELECT 1 FROM sent JOIN attempt ON attempt.rowid = first_receipt
        WHERE NOT EXISTS (SELECT 1 FROM log WHERE log.message = sent.message
            AND log.uuid = attempt.uuid AND log.sequence = attempt.sequence)"""),
    # A receipt before a whole read that shows fewer records than there are up to its own.
    ("I1", """SELECT 1 FROM read WHERE complete AND EXISTS (
        SELECT 1 FROM sent LEFT JOIN placed USING (message)
        WHERE receipt_at < began AND (place IS NULL OR place > count))"""),
    # A receipt before a lookup that finds nothing.
    ("I1", """SELECT 1 FROM lookup JOIN attempt USING (uuid)
        WHERE NOT found AND outcome = 'acknowledged' AND attempt.ended < began"""),
    ("I2", "SELECT 1 FROM log GROUP BY message HAVING count(*) > 1"),
    ("I2", "SELECT 1 FROM log GROUP BY uuid HAVING count(*) > 1"),
    ("I3", """SELECT 1 FROM log JOIN attempt USING (uuid)
        WHERE outcome = 'acknowledged' AND attempt.message <> log.message"""),
    ("I4", """SELECT 1 FROM log WHERE NOT EXISTS (SELECT 1 FROM attempt
        WHERE attempt.message = log.message AND outcome IN ('acknowledged', 'unknown'))"""),
    ("I5", """SELECT 1 FROM attempt WHERE outcome = 'acknowledged' GROUP BY message
        HAVING count(DISTINCT uuid || ' ' || sequence) > 1"""),
    ("I5", """SELECT 1 FROM attempt AS replay WHERE replayed AND NOT EXISTS (
        SELECT 1 FROM attempt AS other WHERE other.message = replay.message
        AND other.rowid <> replay.rowid AND other.invoked <= replay.ended
        AND other.outcome IN ('acknowledged', 'unknown'))"""),
    ("I6", "SELECT 1 FROM log WHERE sequence <> place AND NOT EXISTS (SELECT 1 FROM head WHERE part)"),
    ("I6", """SELECT 1 FROM (SELECT sequence, lag(sequence, 1, 0) OVER (ORDER BY place) AS before
        FROM log) WHERE sequence <= before"""),
    # The earliest receipt among the records that come later.
    ("I7", """SELECT 1 FROM (
        SELECT invoked, min(receipt_at) OVER (ORDER BY place DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier_receipt
        FROM log JOIN sent USING (message)) WHERE earlier_receipt < invoked"""),
    ("I8", """SELECT 1 FROM mark LEFT JOIN chain USING (count)
        WHERE chain.chain IS NOT mark.chain"""),
    ("I8", """SELECT 1 FROM read AS later WHERE complete AND EXISTS (SELECT 1 FROM read AS earlier
        WHERE earlier.ended < later.began AND earlier.count > later.count)"""),
    ("I8", """SELECT 1 FROM lookup WHERE found AND (found_uuid <> uuid OR NOT EXISTS (
        SELECT 1 FROM log WHERE log.message = lookup.message AND log.uuid = lookup.uuid
        AND log.sequence = lookup.sequence))"""),
    # A record that an earlier lookup or read had found: missing in a lookup, or in a whole read.
    ("I8", """SELECT 1 FROM lookup AS later JOIN found USING (uuid)
        WHERE NOT later.found AND found.ended < later.began"""),
    ("I8", """SELECT 1 FROM lookup JOIN log USING (uuid) WHERE NOT found AND place <= (
        SELECT max(count) FROM read WHERE read.ended < lookup.began)"""),
    ("I8", """SELECT 1 FROM read JOIN found ON found.ended < read.began WHERE complete
        AND count < (SELECT min(place) FROM log WHERE log.uuid = found.uuid)"""),
    ("I9", "SELECT 1 FROM keyed JOIN placed USING (message) GROUP BY key HAVING count(*) > 1"),
    ("I9", """SELECT 1 FROM keyed JOIN sent USING (message) WHERE receipts > 0
        GROUP BY key HAVING count(*) > 1"""),
    ("I9", "SELECT 1 FROM sent WHERE receipts > 0 AND conflicts > 0"),
    # A conflict, and no other message may be stored under that key, or has it for an id.
    ("I9", """SELECT 1 FROM attempt AS refused WHERE outcome = 'conflict'
        AND NOT EXISTS (SELECT 1 FROM keyed JOIN sent USING (message) WHERE keyed.key = refused.key
            AND keyed.message <> refused.message AND sent.invoked IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM attempt AS owner WHERE owner.outcome = 'acknowledged'
            AND owner.uuid = refused.key AND owner.message <> refused.message)"""),
    ("I10", "SELECT 1 FROM attempt WHERE outcome = 'nonsense'"),
    ("I10", "SELECT 1 FROM sent WHERE receipts > 0 AND refusals > 0"),
    ("I11", """SELECT 1 FROM healed
        WHERE EXISTS (SELECT 1 FROM sent WHERE first_sent >= at)
        AND NOT EXISTS (SELECT 1 FROM sent JOIN attempt USING (message) WHERE first_sent >= at
            AND outcome = 'acknowledged' AND ended <= at + within)"""),
    ("I11", """SELECT 1 FROM sent WHERE receipts = 0 AND turned_down = 0
        AND last_keyed >= (SELECT max(at) FROM healed)"""),
    ("I14", "SELECT 1 FROM peak WHERE found > cap"),
]

ACCOUNT = {
    "attempts": "SELECT count(*) FROM attempt",
    "messages": "SELECT count(*) FROM sent",
    "acknowledged": "SELECT count(*) FROM sent WHERE receipts > 0",
    "absorbed": "SELECT coalesce(sum(receipts - 1), 0) FROM sent WHERE receipts > 0",
    "not_stored": "SELECT count(*) FROM attempt WHERE outcome = 'not_stored'",
    "unknown": "SELECT count(*) FROM attempt WHERE outcome = 'unknown'",
    "conflicts": "SELECT count(*) FROM attempt WHERE outcome = 'conflict'",
    "refused": "SELECT count(*) FROM attempt WHERE outcome = 'refused'",
    "uncertain": "SELECT count(*) FROM sent WHERE unknown > 0",
    "resolved": "SELECT count(*) FROM sent WHERE unknown > 0 AND receipts > 0",
    "unknown_stored": """SELECT count(*) FROM sent JOIN placed USING (message)
        WHERE unknown > 0 AND receipts = 0""",
    "unknown_absent": """SELECT count(*) FROM sent LEFT JOIN placed USING (message)
        WHERE unknown > 0 AND receipts = 0 AND place IS NULL""",
    "stored": "SELECT count(*) FROM log",
}


def link(before, record):
    """The checksum over the records up to this one."""
    line = f"{record['sequence']}\t{record['uuid']}\t{record['message']}\n"
    return zlib.crc32(line.encode(), before)


def marks(read):
    """What a read showed: after how many records the checksum was what, and how many there were."""
    if "shown" in read:
        shown = read["shown"]
        end = [[shown["count"], shown["chain"]]] if shown["count"] else []
        return shown["marks"] + end, shown["count"]
    chains = itertools.accumulate(read["records"], link, initial=0)
    return list(enumerate(chains))[1:], len(read["records"])


def rows_of(event):
    """The rows one line of a history becomes, each with its table."""
    (kind, it), = event.items()
    if kind == "attempt":
        outcome, receipt = it["outcome"], {}
        if isinstance(outcome, dict):
            (outcome, receipt), = outcome.items()
        yield "attempt", (it["message"], it["key"], it["invoked"], it["ended"], outcome,
                          receipt.get("uuid"), receipt.get("sequence"), receipt.get("replayed", False))
    elif kind == "read":
        found, count = marks(it)
        yield "read", (it["began"], it["ended"], it["complete"], count)
        yield from (("mark", tuple(mark)) for mark in found)
    elif kind == "lookup":
        found = it["found"] or {}
        yield "lookup", (it["uuid"], it["began"], it["ended"], bool(found), found.get("sequence"),
                         found.get("uuid"), found.get("message"))
    elif kind == "healed":
        yield "healed", (it["at"], it["within"])
    elif kind == "peak":
        yield "peak", (it["found"], it["cap"])
    elif kind == "head":
        if it["format"] > FORMAT:
            raise ValueError(f"format {it['format']} is newer than {FORMAT}")
        yield "head", (it.get("part", False),)
    else:
        raise ValueError(f"no event: {kind}")


def insert(database, rows):
    """Writes rows of one table after the other, many at once."""
    for table, run in itertools.groupby(rows, key=lambda row: row[0]):
        values = (row for _, row in run)
        first = next(values)
        places = ",".join("?" * len(first))
        database.executemany(f"INSERT INTO {table} VALUES ({places})", itertools.chain([first], values))


def records(directory):
    """The log in the end, record by record."""
    new = os.path.join(directory, "log.jsonl")
    if os.path.exists(new):
        with open(new, encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    else:
        with open(os.path.join(directory, "log.json"), encoding="utf-8") as whole:
            yield from json.load(whole)


def load(database, directory):
    """All that a directory tells, as tables."""
    database.executescript(TABLES)
    with open(os.path.join(directory, "history.jsonl"), encoding="utf-8") as lines:
        insert(database, (row for line in lines for row in rows_of(json.loads(line))))
    chained = itertools.accumulate(
        records(directory), lambda before, record: (link(before[0], record), record), initial=(0, None))
    for place, (chain, record) in enumerate(chained):
        if record:
            database.execute("INSERT INTO log VALUES (?,?,?,?)",
                             (place, record["sequence"], record["uuid"], record["message"]))
            database.execute("INSERT INTO chain VALUES (?,?)", (place, chain))
    database.executescript(SUMMARIES)


def check(directory):
    """What is broken, and the figures."""
    database = sqlite3.connect(":memory:")
    load(database, directory)
    broken = {name for name, query in RULES if database.execute(query + " LIMIT 1").fetchone()}
    account = {name: database.execute(query).fetchone()[0] for name, query in ACCOUNT.items()}
    part = database.execute("SELECT 1 FROM head WHERE part").fetchone()
    database.close()
    if account["stored"] != account["acknowledged"] + account["unknown_stored"]:
        broken.add("I12")
    vacuous = account["absorbed"] == 0 or (account["unknown"] == 0 and not part)
    ordered = sorted(broken, key=lambda name: int(name[1:]))
    return {"dir": directory, "broken": ordered, "vacuous": vacuous, "account": account}


def main(arguments):
    directories = arguments
    if arguments == ["--stdin"]:
        directories = (line.rstrip("\n") for line in sys.stdin)
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 64
    worst = 0
    for directory in directories:
        try:
            verdict = check(directory)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(json.dumps({"dir": directory, "error": repr(error)}), flush=True)
            worst = worst or 2
            continue
        print(json.dumps(verdict), flush=True)
        if verdict["broken"]:
            worst = 1
        elif verdict["vacuous"]:
            worst = worst or 2
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
