#!/usr/bin/env python3
"""Runs the retry test for real and writes what every console showed to media/retry-console.txt.

    cargo build --workspace && python3 media/capture.py

Uses ports 5000 to 5002 on loopback and a temporary data directory.
"""

import subprocess
import tempfile
import threading
import time
from pathlib import Path

MEDIA = Path(__file__).resolve().parent
BIN = MEDIA.parent / "target" / "debug"
POST = ["curl", "-s", "-X", "POST", "http://localhost:5000/facade",
        "-H", "Content-Type: application/json", "-d"]

lines, arrived = [], threading.Condition()


def show(source, text):
    with arrived:
        lines.append(f"{source:<17}| {text.rstrip()}")
        arrived.notify_all()


def wait_for(*words, count=1, timeout=30):
    deadline = time.monotonic() + timeout
    with arrived:
        while sum(all(word in line for word in words) for line in lines) < count:
            if not arrived.wait(deadline - time.monotonic()):
                raise SystemExit(f"timed out waiting for {words}:\n" + "\n".join(lines))


def start(name, *flags):
    show("$", f"cargo run -p {name}")
    process = subprocess.Popen([BIN / name, *flags], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    threading.Thread(target=lambda: [show(name, line) for line in process.stdout]).start()
    return process


def run(command):
    words = " ".join(f"'{word}'" if set(word) & set(' {":') else word for word in command)
    show("$", words)
    show("curl", subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    data = tempfile.TemporaryDirectory()
    logging_flags = ["--data-dir", data.name]
    services = [start("logging-service", *logging_flags)]
    wait_for("logging-service", "listening")
    services += [start("messages-service"), start("facade-service")]
    wait_for("listening", count=3)
    run([*POST, '{"msg": "msg1"}'])

    show("$", "kill -9 <pid of logging-service>")
    services[0].kill()
    services[0].wait()
    post = threading.Thread(target=run, args=([*POST, '{"msg": "retried"}'],))
    post.start()
    wait_for("retrying attempt=5")
    services.append(start("logging-service", *logging_flags))
    post.join()
    run(["curl", "-s", "http://localhost:5000/facade"])
    for service in services[1:]:
        service.terminate()
        service.wait()
    text = "\n".join(line for line in lines if "stopp" not in line)
    (MEDIA / "retry-console.txt").write_text(text + "\n")
    print(text)


main()
