#!/usr/bin/env bash
# Lint, types and tests, in .venv, which the first run makes. Needs only Python 3.11,
# 3.12 or 3.13.
#
#     scripts/test.sh
#     scripts/test.sh tests/engine -k scan     # arguments go to pytest
#     PYTHON=python3.12 scripts/test.sh        # not the newest Python found
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source scripts/install.sh
install dev
SECONDS=0
trap 'echo "scripts/test.sh: $SECONDS s, exit status $?"' EXIT
# The tests' TPU compiler, libtpu, is no reason for JAX to look for a TPU.
export JAX_PLATFORMS=cpu
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# Program tests are slow and adjacent: idle workers take over a part of them.
.venv/bin/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal "$@"
