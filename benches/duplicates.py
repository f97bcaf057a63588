"""Messages that are stored already, posted again, beside new ones. Every post has a key.

The same Lua makes the keys of both, from a counter. That no repeat is stored again is checked.
"""

import statistics

from bench import alternating, last_sequence, running, wrk

CONNECTIONS = 256
# One state of Lua makes all requests of wrk's one thread. The first, with key 0, is never sent.
KEYS = """
local headers = {{ ['Content-Type'] = 'application/json' }}
local number = 0
request = function()
  headers['Idempotency-Key'] = '{prefix}-' .. number
  number = number % {count} + 1
  return wrk.format('POST', '/facade', headers, wrk.body)
end
"""
UNENDING = 10**12


def measure(lab, quick):
    rounds, seconds = (1, 2) if quick else (4, 3)
    runs, failed = [], []
    with running(lab.scratch) as (_, _, facade):
        first = wrk(facade.addr, seconds, CONNECTIONS, request=KEYS.format(prefix="first", count=UNENDING))
        # Those under way when wrk stopped may not be stored.
        repeats = KEYS.format(prefix="first", count=first.requests - 2 * CONNECTIONS)
        for number in range(rounds):
            run = {}
            for kind in alternating(number, ["new", "repeated"]):
                fresh = KEYS.format(prefix=f"round-{number}", count=UNENDING)
                before = last_sequence(facade.addr)
                run[kind] = wrk(facade.addr, seconds, CONNECTIONS, request=fresh if kind == "new" else repeats)
                stored = last_sequence(facade.addr) - before - 1
                if kind == "repeated" and stored:
                    failed.append(f"{stored} repeats were stored")
                failed += [run[kind].failed] if run[kind].failed else []
            runs.append(run)
            print(f"  round {number + 1}: new {run['new'].rate:.0f}/s, p50 {run['new'].p50_us:.0f} us; repeated"
                  f" {run['repeated'].rate:.0f}/s, p50 {run['repeated'].p50_us:.0f} us", flush=True)

    def median(kind, figure):
        return statistics.median(getattr(run[kind], figure) for run in runs)

    return {
        "connections": CONNECTIONS, "keys": first.requests - 2 * CONNECTIONS,
        **{kind: {figure: median(kind, figure) for figure in ("rate", "p50_us", "p99_us")}
           for kind in ("new", "repeated")},
        "repeated_to_new": statistics.median(run["repeated"].rate / run["new"].rate for run in runs),
        "failed": failed,
    }
