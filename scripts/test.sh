#!/usr/bin/env bash
# Lint, types and tests, in .venv, which the first run makes. Needs only Python 3.11.
#
#     scripts/test.sh
#     scripts/test.sh tests/test_cost.py -k scan    # arguments go to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Installs the package with the extra $1, unless .venv has it already.
install() {
  local stamp=.venv/installed-$1 wanted
  wanted=$(cat setup.py constraints.txt | cksum)
  if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then return; fi
  if ! python3.11 -c "import ensurepip, venv" 2>/dev/null; then
    echo "python3.11 with its venv module is needed, and was not found in PATH." >&2
    exit 1
  fi
  echo "Installing into $PWD/.venv ..."
  python3.11 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --use-pep517 \
    --constraint constraints.txt --editable ".[$1]"
  echo "$wanted" >"$stamp"
}

install dev
SECONDS=0
trap 'echo "scripts/test.sh: $SECONDS s, exit status $?"' EXIT
# The tests' TPU compiler, libtpu, is no reason for JAX to look for a TPU.
export JAX_PLATFORMS=cpu
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/pytest --numprocesses=auto --maxprocesses=4 "$@"
