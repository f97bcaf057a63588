"""Memory of the services: before any post, with 256 busy connections, and idle afterwards."""

import time

from bench import post, running, wrk

CONNECTIONS, IDLE_SECONDS = 256, 5


def measure(lab, quick):
    with running(lab.scratch) as services:
        named = dict(zip(("logging", "messages", "facade"), services))
        post(named["facade"].addr)
        fresh = {name: service.memory_mib() for name, service in named.items()}
        load = wrk(named["facade"].addr, 3 if quick else 10, CONNECTIONS)
        busy = {name: service.peak_mib() for name, service in named.items()}
        time.sleep(2 if quick else IDLE_SECONDS)
        idle = {name: service.memory_mib() for name, service in named.items()}
    for name in named:
        print(f"  {name:9} fresh {fresh[name]:.1f} MiB, busy {busy[name]:.1f} MiB at most, idle {idle[name]:.1f} MiB")
    return {"connections": CONNECTIONS, "rate": load.rate, "fresh_mib": fresh, "busy_mib": busy,
            "idle_mib": idle, "failed": [load.failed] if load.failed else []}
