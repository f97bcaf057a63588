#!/usr/bin/env python3
"""Seeds known bugs, one at a time, and checks that the tests catch each.

Every *.patch beside this file begins with what it breaks, which invariant that hurts, and the tests
that must notice:

    Breaks: one sentence
    Invariant: one sentence
    Test: cargo test ...        (one or more lines, tried in order)
    Quick: yes                  (part of --quick; optional)

The patch is applied to a copy of the tree under target/seeded-bugs, so the tree itself stays as it is. The
same tests must pass there without a patch first: a test that is red anyway catches nothing, nor does a
command that names no test. A test that hangs has noticed the bug as well, and the table says so.

Exit code: 0 if every bug was caught; 1 if one was missed, a patch does not apply or does not build, or
the tests fail without any bug.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

BUGS = pathlib.Path(__file__).resolve().parent
ROOT = BUGS.parent.parent
WORK = ROOT / "target" / "seeded-bugs"
TREE = WORK / "tree"
BUILD_SECONDS_MAX = 900
RED = re.compile(r"^test (\S+) .*FAILED")
GREEN = re.compile(r"^test \S+ .*ok$", re.MULTILINE)


class SeededBug:
    """One patch file."""

    def __init__(self, path):
        self.path = path
        self.number, self.name = path.stem.split("-", 1)
        head = path.read_text().split("\ndiff --git ", 1)[0]
        fields = re.findall(r"^(Breaks|Invariant|Test|Quick): (.+)$", head, re.MULTILINE)
        self.tests = [shlex.split(value) for key, value in fields if key == "Test"]
        self.invariant = dict(fields).get("Invariant")
        self.quick = ("Quick", "yes") in fields
        missing = {"Breaks", "Invariant", "Test"} - {key for key, _ in fields}
        if missing:
            sys.exit(f"{path.name}: the head has no {' and no '.join(sorted(missing))}")


def renew_tree():
    """Makes the copy equal to the tree. Files that are equal keep their times, and so their builds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for copy in list(TREE.rglob("*")):
        if copy.is_file() and str(copy.relative_to(TREE)) not in wanted:
            copy.unlink()
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            shutil.copymode(source, copy)


def apply(bug):
    """Applies a patch to the copy. What git has to say if it does not fit, or None."""
    # Without a repository above it, git takes the names in the patch as they are.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(WORK)}
    applied = subprocess.run(
        ["git", "apply", str(bug.path)], cwd=TREE, env=environment, capture_output=True, text=True,
    )
    return applied.stderr.strip() if applied.returncode else None


def run(command, seconds, until=None):
    """Runs a command in the copy until it ends, a line matches `until`, or the time is over.

    Returns (exit code or None, matched line or None, whole output).
    """
    environment = {**os.environ, "CARGO_TARGET_DIR": str(WORK / "target"), "CARGO_TERM_COLOR": "never"}
    process = subprocess.Popen(
        command, cwd=TREE, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    late = threading.Event()

    def kill():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    timer = threading.Timer(seconds, lambda: (late.set(), kill()))
    timer.start()
    output, match = [], None
    for line in process.stdout:
        output.append(line)
        match = until and until.match(line)
        if match:
            kill()
            break
    code = process.wait()
    timer.cancel()
    return (None if late.is_set() else code), match, "".join(output)


def build(test):
    """Builds a test. The end of the output if that fails, or None."""
    before_names = test[: test.index("--")] if "--" in test else test
    code, _, output = run([*before_names, "--no-run"], BUILD_SECONDS_MAX)
    return output[-2000:] if code != 0 else None


def detect(bug, seconds):
    """(verdict, first failing test, seconds to build, seconds from the start of the tests to red)."""
    trouble = apply(bug)
    if trouble:
        return "DOES NOT APPLY", trouble.splitlines()[0], 0.0, 0.0
    built = tested = 0.0
    for test in bug.tests:
        started = time.monotonic()
        trouble = build(test)
        built += time.monotonic() - started
        if trouble:
            print(trouble, file=sys.stderr)
            return "DOES NOT BUILD", " ".join(test), built, tested
        started = time.monotonic()
        code, red, _ = run(test, seconds, until=RED)
        tested += time.monotonic() - started
        if red:
            return "caught", red.group(1), built, tested
        if code is None:
            return "caught", f"hang: {' '.join(test)}", built, tested
        if code != 0:
            return "caught", f"aborted: {' '.join(test)}", built, tested
    return "MISSED", "", built, tested


def green_without_bugs(bugs, seconds):
    """Whether all commands the bugs name run tests in the unpatched copy, and all of these pass."""
    green = True
    for test in sorted({tuple(test) for bug in bugs for test in bug.tests}):
        started = time.monotonic()
        trouble = build(list(test))
        code, _, output = (1, None, trouble) if trouble else run(list(test), seconds)
        passes = code == 0 and GREEN.search(output) is not None
        print(f"without a bug  {'passes' if passes else 'FAILS '}  {' '.join(test)}"
              f"  {time.monotonic() - started:.1f} s", flush=True)
        if not passes:
            print(output[-4000:], file=sys.stderr)
            green = False
    return green


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NN", action="append", help="this bug; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a representative ten")
    parser.add_argument("--seconds", type=int, default=90, help="for one test command; default 90")
    options = parser.parse_args()
    bugs = [SeededBug(path) for path in sorted(BUGS.glob("*.patch"))]
    if options.only:
        bugs = [bug for bug in bugs if bug.number in options.only]
    elif options.quick:
        bugs = [bug for bug in bugs if bug.quick]
    if not bugs:
        sys.exit("no such bug")
    started = time.monotonic()
    TREE.mkdir(parents=True, exist_ok=True)
    renew_tree()
    if not green_without_bugs(bugs, options.seconds):
        sys.exit("the tests fail without any bug: nothing can be said about them")
    caught = 0
    print(f"\n{'bug':<42} {'result':<14} {'build':>7} {'to red':>7}  first test")
    for bug in bugs:
        renew_tree()
        verdict, first, built, tested = detect(bug, options.seconds)
        caught += verdict == "caught"
        print(f"{bug.number + ' ' + bug.name:<42} {verdict:<14} {built:5.1f} s {tested:5.1f} s  {first}",
              flush=True)
        if verdict == "caught":
            print(f"   fails: {bug.invariant}", flush=True)
    renew_tree()
    print(f"\n{caught} of {len(bugs)} caught, {time.monotonic() - started:.0f} s in all")
    sys.exit(0 if caught == len(bugs) else 1)


if __name__ == "__main__":
    main()
