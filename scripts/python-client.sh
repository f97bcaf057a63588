#!/usr/bin/env bash
# Installs what tests/grpc_from_python.py needs into target/python: a stock gRPC client for Python.
# It takes a few seconds, and once it has run does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=target/python
packages=(grpcio grpcio-reflection grpcio-health-checking)

if [[ -x $venv/bin/python ]] &&
    "$venv/bin/python" -c 'import grpc, grpc_reflection.v1alpha, grpc_health.v1' 2>/dev/null; then
    exit 0
fi
if ! python3 -m venv --clear "$venv" 2>/dev/null; then
    echo "python3 has no venv module; on Debian: apt-get install python3-venv" >&2
    exit 1
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "${packages[@]}"
