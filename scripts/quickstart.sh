#!/usr/bin/env bash
# From a clean checkout to a trained, evaluated and pictured model, in minutes on a CPU.
# Needs only Python 3.11; the first run installs the rest into .venv.
#
#     scripts/quickstart.sh [WORKDIR]    # report/digits by default
#
# Run again, it goes on from the newest checkpoint.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
workdir=${1:-$root/report/digits}
[[ $workdir == /* ]] || workdir=$PWD/$workdir
cd "$root"

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

install report
SECONDS=0
# Where scripts/test.sh has installed libtpu, JAX would look for a TPU.
if ! compgen -G "/dev/nvidia[0-9]*" && ! compgen -G "/dev/accel*" &&
  ! compgen -G "/dev/vfio/[0-9]*"; then
  export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
fi >/dev/null

python=.venv/bin/python
$python -m experiments.train --config=configs/digits.py --workdir="$workdir"
trained=$SECONDS
result=$($python -m experiments.evaluate --workdir="$workdir")
$python scripts/report.py --workdir="$workdir"
accuracy=$($python -c '
import json, sys
print(format(json.load(sys.stdin)["test/top1"], ".1%"))' <<<"$result")

echo "
Test accuracy: $accuracy, on handwritten digits that were not trained on
Time:          $trained s to train, $((SECONDS - trained)) s to evaluate and report
Look at:       $workdir/report/index.md"
