#!/usr/bin/env bash
# One level of tests, and how long each part of it took:
#
#     scripts/level.sh L0    each change: format, lints, documentation, dependencies
#     scripts/level.sh L1    each change: everything in one process, simulated seeds and fuzzed inputs among it
#     scripts/level.sh L2    each change: real processes under faults, attacks and overload; ten seeded bugs
#     scripts/level.sh L3    each night, for hours: every seeded bug, every system call, power cuts, long fuzzing
#     scripts/level.sh L4    each release, for many hours: 10,000,000 messages under 10,000 faults
#
# An experiment that cannot run here says NOT RUN and fails its level. Tests that cannot say NOT RUN.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=()

part() {
    local name=$1 started=$SECONDS
    shift
    echo "=== $name"
    if "$@"; then
        echo "=== $name: $((SECONDS - started)) s"
    else
        echo "=== $name: FAILED after $((SECONDS - started)) s"
        failed+=("$name")
    fi
}

lab() {
    part "$1" target/release/faultlab "$@"
}

L0() {
    part "format" cargo fmt --all --check
    part "lints" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
    part "documentation" env RUSTDOCFLAGS="-D warnings" \
        cargo doc --quiet --locked --no-deps --workspace
    part "dependencies" cargo deny --offline --log-level error check bans licenses sources
}

L1() {
    part "libraries" cargo test --locked --workspace --lib
    part "log and journal" cargo test --locked -p logging-service --tests
    part "HTTP" cargo test --locked -p facade-service --tests
    part "messages" cargo test --locked -p messages-service --tests
    part "fuzzing" cargo test --locked -p oncelog-fuzz
    part "simulation" cargo test --locked -p oncelog --test simulation --test tidy
}

L2() {
    part "processes" cargo test --locked -p oncelog \
        --test fault_injection --test end_to_end --test grpc_from_python --test readme
    part "laboratory" cargo test --locked -p faultlab --tests
    part "command line" cargo test --locked -p oncelog-cli --tests
    part "seeded bugs" python3 faultlab/seeded-bugs/run.py --quick
}

L3() {
    part "release build" cargo build --quiet --release --locked --workspace --bins
    part "seeded bugs" python3 faultlab/seeded-bugs/run.py
    part "simulation" env ONCELOG_SEEDS=10000 \
        cargo test --release --locked -p oncelog --test simulation seeds -- --nocapture
    part "two checkers" env ONCELOG_CASES=20000 cargo test --locked -p faultlab --test agreement
    part "fuzzing" fuzz/run all 10
    lab sweep
    lab power-loss --images 1000
    lab clock
    lab limits
    lab attack
    lab overload
    lab storm
    part "prove" target/release/oncelog prove --rate 0 --duration 10m --clients 32 \
        --report target/prove-L3.html
}

L4() {
    part "release build" cargo build --quiet --release --locked --workspace --bins
    lab scale --attempts 10000000 --second
    part "prove" target/release/oncelog prove --rate 0 --duration 150m --clients 64 \
        --report target/prove-L4.html
}

case ${1:-} in
    L0 | L1 | L2 | L3 | L4) "$1" ;;
    *)
        sed -n 's/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed -n '2,$p'
        exit 64
        ;;
esac

if ((${#failed[@]} > 0)); then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "=== $1: $SECONDS s"
